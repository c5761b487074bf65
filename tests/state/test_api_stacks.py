"""Stacks over the wire: made, exported, imported, tagged, renamed, removed."""

from __future__ import annotations

from mlinfra.state.deployments import NO_URL
from mlinfra.state.states import ORGANIZATION
from tests.state.conftest import STACK, Client, resource

PROJECT = f"/api/stacks/{ORGANIZATION}/demo"


def manager(url: str, stack: str = "dev") -> dict[str, object]:
    state = {"url": url, "owner": ORGANIZATION, "project": "demo", "stack": stack}
    return {"type": "service", "state": state}


def test_a_new_stack_exports_what_the_engine_takes_for_nothing(client: Client) -> None:
    whole = client.call("GET", f"{STACK}/export").body
    assert (whole["version"], whole["features"]) == (3, [])
    assert whole["deployment"]["manifest"]["time"] == "0001-01-01T00:00:00Z"


def test_a_stack_is_made_once(client: Client) -> None:
    again = client.call("POST", PROJECT, {"stackName": "dev"})
    assert (again.status, "already exists" in again.body["message"]) == (409, True)
    assert client.call("HEAD", PROJECT).status == 200
    assert client.call("HEAD", f"/api/stacks/{ORGANIZATION}/nothing").status == 404


def test_the_state_says_that_the_service_is_where_it_was_asked(client: Client) -> None:
    deployment = {"secrets_providers": manager("http://127.0.0.1:1"), "resources": [resource("a")]}
    imported = client.call("POST", f"{STACK}/import", {"version": 3, "deployment": deployment})
    assert client.call("GET", f"{STACK}/update/{imported.body['updateId']}").body["status"] == "succeeded"
    for url in (client.context.url, "http://127.0.0.1:2"):
        client.context.url = url
        found = client.call("GET", f"{STACK}/export").body["deployment"]
        assert found["secrets_providers"]["state"]["url"] == url
    from mlinfra.state.states import ServiceStates

    kept = ServiceStates(client.context).read("demo", "dev")
    assert kept["secrets_providers"]["state"]["url"] == NO_URL


def test_every_version_can_be_exported(client: Client) -> None:
    for name in ("a", "b"):
        whole = {"version": 3, "deployment": {"resources": [resource(name)]}}
        client.call("POST", f"{STACK}/import", whole)
    found = [client.call("GET", f"{STACK}/export/{version}").body["deployment"] for version in (1, 2)]
    assert [item["resources"][0]["id"] for item in found] == ["a", "b"]


def test_tags_are_replaced(client: Client) -> None:
    assert client.call("PATCH", f"{STACK}/tags", {"team": "ml"}).status == 200
    assert client.call("GET", STACK).body["tags"] == {"team": "ml"}
    assert client.call("PATCH", f"{STACK}/tags", {"team": 1}).status == 400


def test_renaming_takes_the_urns_and_the_key_along(client: Client) -> None:
    secret = client.call("POST", f"{STACK}/encrypt", {"plaintext": "aHVudGVyMjI="}).body["ciphertext"]
    root = resource("demo-dev", type="pulumi:pulumi:Stack")
    deployment = {"secrets_providers": manager("x"), "resources": [root, resource("a", parent=root["urn"])]}
    client.call("POST", f"{STACK}/import", {"version": 3, "deployment": deployment})
    assert client.call("POST", f"{STACK}/rename", {"newName": "prod", "newProject": "shop"}).status == 200
    assert client.call("GET", STACK).status == 404
    renamed = f"/api/stacks/{ORGANIZATION}/shop/prod"
    found = client.call("GET", f"{renamed}/export").body["deployment"]
    urn = "urn:pulumi:prod::shop::pulumi:pulumi:Stack::shop-prod"
    assert found["resources"][0]["urn"] == found["resources"][1]["parent"] == urn
    assert found["secrets_providers"]["state"]["stack"] == "prod"
    assert client.call("POST", f"{renamed}/decrypt", {"ciphertext": secret}).body["plaintext"] == "aHVudGVyMjI="
    client.call("POST", PROJECT, {"stackName": "dev"})
    assert client.call("POST", f"{STACK}/rename", {"newName": "prod", "newProject": "shop"}).status == 409


def test_a_stack_that_has_resources_is_not_removed_by_accident(client: Client) -> None:
    client.call("POST", f"{STACK}/import", {"version": 3, "deployment": {"resources": [resource("a")]}})
    refused = client.call("DELETE", STACK)
    assert (refused.status, refused.body["message"]) == (400, "Bad Request: Stack still contains resources.")
    assert client.call("DELETE", f"{STACK}?force=true").status == 200
    assert client.call("GET", STACK).status == 404


def test_a_deployment_that_could_not_be_loaded_again_is_refused(client: Client) -> None:
    for body in (
        {"version": 2, "deployment": {}},
        {"version": 3, "deployment": []},
        {"version": 3, "deployment": {"resources": [{"urn": 1}]}},
        {"version": 3, "deployment": {"resources": {}}},
        {"version": 3, "features": "all", "deployment": {}},
    ):
        assert client.call("POST", f"{STACK}/import", body).status == 400, body
