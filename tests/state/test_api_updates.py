"""The life of an update over the wire, as the engine leads it."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.state.states import ServiceStates
from mlinfra.wire.values import SECRET, SIGNATURE
from tests.state.conftest import STACK, Client, resource, steps


def test_an_update_from_its_start_to_its_end(client: Client) -> None:
    path, token = client.started()
    assert client.call("GET", STACK).body["activeUpdate"] == path.rpartition("/")[2]
    for name, first in (("a", 1), ("b", 2)):
        sent = client.call("PATCH", f"{path}/journalentries", {"entries": steps(name, first=first)}, token=token)
        assert sent.status == 200
    running = client.call("GET", f"{STACK}/export").body
    assert [item["id"] for item in running["deployment"]["resources"]] == ["a", "b"]
    renewed = client.call("POST", f"{path}/renew_lease", {"duration": 300}, token=token)
    assert f"update-token {renewed.body['token']}" == token
    summary = {"sequence": 1, "summaryEvent": {"resourceChanges": {"create": 2}}}
    assert client.call("POST", f"{path}/events/batch", {"events": [summary]}, token=token).status == 200
    for _ in range(2):  # the second time after a reply that was lost
        assert client.call("POST", f"{path}/complete", {"status": "succeeded"}, token=token).status == 200
    assert client.call("GET", path).body["status"] == "succeeded"
    assert client.call("GET", f"{path}/events").body["events"] == [summary]
    (info,) = client.call("GET", f"{STACK}/updates").body["updates"]
    assert (info["kind"], info["result"], info["version"]) == ("update", "succeeded", 1)
    assert info["resourceChanges"] == {"create": 2}
    assert client.call("GET", f"{STACK}/updates/latest").body["info"] == info
    assert client.call("GET", f"{STACK}/updates/1").body["info"] == info
    assert client.call("GET", f"{STACK}/updates/7").status == 404
    done = client.call("GET", f"{STACK}/export").body["deployment"]
    assert done["manifest"]["version"] == "v3.222.0"
    assert [item["id"] for item in done["resources"]] == ["a", "b"]


def test_a_second_update_gets_409_in_words_that_the_engine_knows(client: Client) -> None:
    path, token = client.started()
    made = client.call("POST", f"{STACK}/destroy", {})
    refused = client.call("POST", f"{STACK}/update/{made.body['updateID']}", {"journalVersion": 1})
    assert refused.status == 409
    assert refused.body["message"].startswith("Conflict: Another update is currently in progress")
    assert client.call("POST", f"{STACK}/import", {"version": 3, "deployment": {}}).status == 409
    assert client.call("DELETE", STACK).status == 409
    assert client.call("POST", f"{STACK}/rename", {"newName": "new"}).status == 409
    assert client.call("POST", f"{path}/cancel").status == 200
    assert client.call("POST", f"{path}/cancel").status == 409
    sent = client.call("PATCH", f"{path}/journalentries", {"entries": steps("a")}, token=token)
    assert sent.status == 403
    assert client.call("POST", f"{STACK}/update/{made.body['updateID']}", {"journalVersion": 1}).status == 200


def test_a_preview_keeps_nothing(client: Client) -> None:
    path, token = client.started("update", dryRun=True)
    events = {"events": [{"sequence": 0, "preludeEvent": {}}]}
    assert client.call("POST", f"{path}/events/batch", events, token=token).status == 200
    assert client.call("POST", f"{path}/complete", {"status": "succeeded"}, token=token).status == 200
    assert client.call("GET", f"{path}/events").body["events"] == []
    assert client.call("GET", f"{STACK}/updates").body["updates"] == []
    assert client.call("GET", f"{STACK}/updates/latest").status == 404


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_journal_is_of_version_1_or_there_is_none(client: Client, version: int) -> None:
    made = client.call("POST", f"{STACK}/update", {})
    begun = client.call("POST", f"{STACK}/update/{made.body['updateID']}", {"journalVersion": version})
    assert begun.body["journalVersion"] == min(version, 1)


def test_an_engine_without_a_journal_sends_whole_states(client: Client) -> None:
    path, token = client.started()
    for names in (["a"], ["a", "b"]):
        whole = {"version": 3, "deployment": {"resources": [resource(name) for name in names]}}
        assert client.call("PATCH", f"{path}/checkpoint", whole, token=token).status == 200
    client.call("POST", f"{path}/complete", {"status": "succeeded"}, token=token)
    done = client.call("GET", f"{STACK}/export").body["deployment"]
    assert [item["id"] for item in done["resources"]] == ["a", "b"]


BARE: Any = {SIGNATURE: SECRET}
OPEN: Any = {SIGNATURE: SECRET, "plaintext": '"hunter22"'}
EMPTY: Any = {SIGNATURE: SECRET, "ciphertext": ""}


@pytest.mark.parametrize("secret", [BARE, OPEN, EMPTY], ids=["bare", "open", "empty"])
def test_a_secret_without_ciphertext_is_refused_wherever_it_comes(client: Client, secret: Any) -> None:
    path, token = client.started()
    state = resource("a", outputs={"list": [{"deep": secret}]})
    entries = steps("a")
    entries[1]["state"] = state
    assert client.call("PATCH", f"{path}/journalentries", {"entries": entries}, token=token).status == 400
    whole = {"version": 3, "deployment": {"resources": [state]}}
    assert client.call("PATCH", f"{path}/checkpoint", whole, token=token).status == 400
    client.call("POST", f"{path}/complete", {"status": "failed"}, token=token)
    assert client.call("POST", f"{STACK}/import", whole).status == 400
    created = {"stackName": "new", "state": whole}
    assert client.call("POST", STACK.rpartition("/")[0], created).status == 400


def test_events_pass_through_the_redactor(client: Client) -> None:
    class Knows:
        def text(self, text: str) -> str:
            return text.replace("hunter22", "***")

        def data(self, value: Any) -> Any:
            return [{"sequence": 1, "diagnosticEvent": {"message": "the password ***"}}]

    client.context.redactor = Knows()
    path, token = client.started()
    told = [{"sequence": 1, "diagnosticEvent": {"message": "the password hunter22"}}]
    assert client.call("POST", f"{path}/events/batch", {"events": told}, token=token).status == 200
    assert client.call("GET", f"{path}/events").body["events"] == Knows().data(told)


def test_a_journal_that_makes_no_sense_keeps_the_stack_and_says_why(client: Client) -> None:
    path, token = client.started()
    begun, ended = steps("a")
    client.call("PATCH", f"{path}/journalentries", {"entries": [begun, {**ended, "removeNew": 9}]}, token=token)
    ended_so = client.call("POST", f"{path}/complete", {"status": "succeeded"}, token=token)
    assert (ended_so.status, "journal of update 1" in ended_so.body["message"]) == (400, True)


def test_what_was_cancelled_starts_no_other_update(client: Client) -> None:
    """A run of mlinfra is several of the engine: whoever cancels between two of them has the stack all the same."""
    states = ServiceStates(client.context)
    with states.hold("demo", "dev", "up"):
        path, token = client.started("update", dryRun=True)
        assert client.call("POST", f"{path}/complete", {"status": "succeeded"}, token=token).status == 200
        assert states.cancel("demo", "dev").startswith("up of ")
        made = client.call("POST", f"{STACK}/update", {"options": {}})
        begun = client.call("POST", f"{STACK}/update/{made.body['updateID']}", {"journalVersion": 1})
        assert begun.status == 403
        assert "cancelled" in begun.body["message"]
    client.started()


def test_as_many_versions_are_kept_as_the_service_was_told(client: Client) -> None:
    client.context.count = 2
    states = ServiceStates(client.context)
    for number in range(1, 4):
        path, token = client.started()
        sent = client.call("PATCH", f"{path}/journalentries", {"entries": steps(f"r{number}")}, token=token)
        assert sent.status == 200
        assert client.call("POST", f"{path}/complete", {"status": "succeeded"}, token=token).status == 200
    assert [item.number for item in states.versions("demo", "dev")] == [3, 2]
