"""A rollback with the real engine: back to the last good release, kept until the stack file says something new."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STACK = "shop"
BLUEPRINT = '''
from mlinfra import (
    Autoscale, Blueprint, Bucket, Endpoint, Environment, Image, Model, Params, TrainingCluster, blueprint,
)


class Release(Params):
    image: Image
    model: Model | None = None
    scale: Autoscale = Autoscale(min=1, max=2)


class ShopParams(Params):
    ranker: Release
    reranker: Image
    folder: str = "one"


@blueprint("shop", version="1.0.0")
def shop(env: Environment, p: ShopParams) -> Blueprint:
    """Two endpoints, and a bucket whose name is a parameter of one of them."""
    cluster = TrainingCluster("train")
    small = {"cluster": cluster, "cpu": 0.1, "memory": 0.1}
    api = Endpoint("api", image=p.ranker.image, model=p.ranker.model, scale=p.ranker.scale, **small)
    other = Endpoint("other", image=p.reranker, env={"FOLDER": p.folder}, **small)
    return Blueprint(api, other, Bucket(f"data-{p.folder}"))
'''
NAMESPACE = "shop-shop-train"


def image(letter: str) -> str:
    return f"registry.example.com/serve@sha256:{letter * 64}"


def release(letter: str, most: int = 2) -> dict[str, Any]:
    return {"image": image(letter), "model": f"s3://models/ranker/{letter}", "scale": {"min": 1, "max": most}}


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Lab:
    lab.blueprint("shop", BLUEPRINT)
    return lab


def says(lab: Lab, ranker: dict[str, Any], *, folder: str = "one", **more: Any) -> None:
    params = {"ranker": ranker, "reranker": image("f"), "folder": folder}
    lab.stack(STACK, blueprint="shop", params=params, **more)


def runs(lab: Lab, name: str = "api") -> tuple[str, str | None, int]:
    """The image and the model that an endpoint's Deployment has, and the most replicas that it may have."""
    found = lab.kubectl(STACK, "-n", NAMESPACE, "get", "deployment,hpa", name)["items"]
    deployment, scaler = found
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item.get("value") for item in container["env"]}
    return container["image"], env.get("MODEL_URI"), scaler["spec"]["maxReplicas"]


def warned(lab: Lab, *arguments: str) -> list[str]:
    ran = lab.run(*arguments, "--stack", STACK, "--json", code=None)
    return [item["code"] for item in ran.lines("diagnostic")]


def test_back_to_the_last_good_release_and_forth(shop: Lab) -> None:
    says(shop, release("a"))
    shop.report("up", "--stack", STACK, "--yes")
    assert warned(shop, "rollback", "--preview") == ["rollback-none"]
    says(shop, release("b", most=5))
    shop.report("up", "--stack", STACK, "--yes")
    assert runs(shop) == (image("b"), "s3://models/ranker/b", 5)

    # Its preview first, which changes nothing; a program has to say yes.
    seen = shop.run("rollback", "--stack", STACK, "--preview", "--json")
    (told,) = [line for line in seen.lines("message") if "rollback" in line]
    rows = {(row["component"], row["field"]): (row["now"], row["then"]) for row in seen.lines("release")}
    assert rows == {
        ("api", "image"): (image("b"), image("a")),
        ("api", "model"): ("s3://models/ranker/b", "s3://models/ranker/a"),
    }
    (plan,) = seen.lines("plan")
    assert {step["node"] for step in plan["steps"]} == {"api/deployment"}
    assert warned(shop, "rollback") == ["confirmation"]
    assert runs(shop)[0] == image("b")

    back = shop.run("rollback", "--stack", STACK, "--component", "api", "--yes", "--json")
    (report,) = back.lines("report")
    assert (report["verb"], report["counts"]["update"]) == ("rollback", 1)
    # How much of it runs is no part of the release.
    assert runs(shop) == (image("a"), "s3://models/ranker/a", 5)
    (written,) = [line["write"] for line in back.lines("message") if "file" in line]
    assert written == f"params:\n  ranker:\n    image: {image('a')}\n    model: s3://models/ranker/a"
    newest = shop.run("state", "list", "--stack", STACK, "--json").lines("version")[0]
    assert newest["message"] == f"rollback of api to what version {told['rollback']['version']} had"
    assert newest["result"] == "succeeded"

    # The stack file still says what was withdrawn: no run undoes the rollback, and each says so.
    again = shop.run("up", "--stack", STACK, "--yes", "--json")
    assert set(again.lines("report")[0]["counts"]) == {"same"}
    assert [item["code"] for item in again.lines("diagnostic")] == ["rolled-back"]
    shop.run("preview", "--stack", STACK, "--detailed-exitcode")
    assert shop.report("refresh", "--stack", STACK)["steps"] == []
    assert runs(shop)[0] == image("a")
    # What only looks at the stack sees what runs, and says so, too.
    looked = shop.run("export", "--stack", STACK, "--json")
    assert [item["code"] for item in looked.lines("diagnostic") if item["code"] == "rolled-back"] == ["rolled-back"]
    assert image("a") in looked.out
    assert image("b") not in looked.out
    assert warned(shop, "rollback", "--yes") == ["rollback-none"]

    # What is withdrawn can be had again by name, and only so.
    shop.report("rollback", "--stack", STACK, "--undo", "--yes")
    assert runs(shop)[0] == image("b")
    assert warned(shop, "up", "--yes") == []
    assert warned(shop, "rollback", "--undo", "--yes") == ["rollback-none"]


def test_another_value_in_the_stack_file_ends_it(shop: Lab) -> None:
    for letter in "ab":
        says(shop, release(letter))
        shop.report("up", "--stack", STACK, "--yes")
    shop.report("rollback", "--stack", STACK, "--yes")
    assert runs(shop)[0] == image("a")
    says(shop, release("c"))
    assert warned(shop, "up", "--yes") == []
    assert runs(shop)[0] == image("c")
    shop.report("rollback", "--stack", STACK, "--component", "api", "--yes")
    assert runs(shop)[0] == image("a")  # which ran before
    says(shop, release("a"))  # as it was told to
    assert warned(shop, "up", "--yes") == []
    assert runs(shop)[0] == image("a")


def test_an_update_that_fails_is_rolled_back(shop: Lab) -> None:
    broken = {"kind": "local", "provider": "embedded"}
    text = BLUEPRINT.replace(
        "return Blueprint(api,",
        'place = "nowhere" if p.ranker.image.endswith("d") else "default"\n'
        '    metadata = {"name": "bad", "namespace": place}\n'
        '    bad = Raw("bad", type="kubernetes:core/v1:ConfigMap", inputs={"metadata": metadata, "data": {}})\n'
        "    return Blueprint(bad, api,",
    ).replace("TrainingCluster, blueprint", "Raw, TrainingCluster, blueprint")
    shop.blueprint("shop", text)
    says(shop, release("a"), target=broken)
    shop.report("up", "--stack", STACK, "--yes")
    says(shop, release("d"), target=broken)
    assert shop.report("up", "--stack", STACK, "--yes", code=1)["succeeded"] is False
    shop.report("rollback", "--stack", STACK, "--component", "api", "--yes")
    assert runs(shop)[0] == image("a")
    again = shop.run("up", "--stack", STACK, "--yes", "--json")
    assert [item["code"] for item in again.lines("diagnostic")] == ["rolled-back"]
    assert runs(shop)[0] == image("a")


def test_data_is_not_lost_whatever_the_stack_gives_up(shop: Lab) -> None:
    shop.blueprint("shop", BLUEPRINT)
    says(shop, release("a"), folder="two", allow_loss=["data-one"])
    shop.report("up", "--stack", STACK, "--yes")
    says(shop, release("a"), folder="two", allow_loss=["data-two"])
    refused = shop.run("rollback", "--stack", STACK, "--component", "other", "--yes", "--json", code=1)
    assert [item["code"] for item in refused.lines("diagnostic")] == ["data-loss"]
    assert {item["Name"][:17] for item in shop.client(STACK, "s3").list_buckets()["Buckets"]} == {"shop-shop-data-tw"}


def test_what_the_blueprint_itself_has_changed(shop: Lab) -> None:
    says(shop, release("a"), folder="two")
    shop.blueprint("shop", BLUEPRINT.replace('"FOLDER": p.folder', '"FOLDER": p.folder, "NEW": "1"'))
    shop.report("up", "--stack", STACK, "--yes")
    refused = shop.run("rollback", "--stack", STACK, "--component", "other", "--yes", "--json", code=1)
    (told,) = refused.lines("diagnostic")
    assert told["code"] == "rollback-blueprint"
    assert '"NEW"' in told["detail"]
    assert warned(shop, "rollback", "--component", "train", "--yes") == ["rollback-component"]
    assert warned(shop, "rollback", "--to", "99999", "--yes") == ["rollback-version"]
