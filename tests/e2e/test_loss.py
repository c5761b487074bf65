"""Nothing that holds data goes unless the stack file says so by name: the real engine, moto and Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mlinfra.engine.verb import Verb
from mlinfra.project import Project
from mlinfra.workflow.opening import opened
from mlinfra.workflow.request import Request
from tests.e2e.conftest import Lab, Ran

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STORES = '''
from mlinfra import Blueprint, Bucket, Environment, Params, Raw, blueprint


class Values(Params):
    suffix: str = "one"
    data: bool = True
    queue: str = "first"
    many: bool = False


@blueprint("stores", version="1.0.0")
def stores(env: Environment, p: Values) -> Blueprint:
    """What holds data, on AWS and in the cluster, and a queue, which holds nothing that stays."""
    space = Raw("space", type="kubernetes:core/v1:Namespace", inputs={"metadata": {"name": f"space-{p.suffix}"}})
    made = [
        Raw("key", type="aws:kms/key:Key", inputs={"description": "ours", "multiRegion": p.many}),
        Raw("images", type="aws:ecr/repository:Repository", inputs={"name": f"images-{p.suffix}"}),
        Raw(
            "word",
            type="aws:secretsmanager/secret:Secret",
            inputs={"name": f"word-{p.suffix}", "recoveryWindowInDays": 0},
        ),
        Raw("work", type="aws:sqs/queue:Queue", inputs={"name": p.queue}),
        Raw(
            "disk",
            type="kubernetes:core/v1:PersistentVolumeClaim",
            inputs={
                "metadata": {
                    "name": "disk",
                    "namespace": space.output("metadata", "name"),
                    "annotations": {"pulumi.com/skipAwait": "true"},
                },
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            },
        ),
    ]
    if p.data:
        made.append(Bucket("data"))
    return Blueprint(*made)
'''
HOLDING = {"key/resource", "images/resource", "word/resource", "disk/resource", "space/resource"}


def write(lab: Lab, *, tier: str = "dev", **values: Any) -> None:
    params = {key: values.pop(key) for key in ("suffix", "data", "queue", "many") if key in values}
    environment = {"name": "stores", "tier": tier}
    lab.stack("stores", blueprint="stores", environment=environment, params=params, **values)


def errors(ran: Ran) -> dict[str, dict[str, Any]]:
    """The errors of a run by the resource that each is about."""
    return {item["resource"]: item for item in ran.lines("diagnostic") if item["severity"] == "error"}


def warnings(ran: Ran, code: str) -> list[dict[str, Any]]:
    return [item for item in ran.lines("diagnostic") if item["code"] == code]


def refused(lab: Lab, *arguments: str) -> dict[str, dict[str, Any]]:
    """A run that is refused for the data that it would lose, and has not touched anything."""
    ran = lab.run(*arguments, "--stack", "stores", "--json", code=1)
    found = errors(ran)
    assert found, ran.out
    assert {item["code"] for item in found.values()} == {"data-loss"}, ran.out
    assert not ran.lines("step")
    return found


def everything(lab: Lab) -> dict[str, list[str]]:
    """What there is, as its owners see it, by service."""
    s3, kms, ecr, secrets, sqs = lab.clients("stores", "s3", "kms", "ecr", "secretsmanager", "sqs")
    states = {item["KeyId"]: kms.describe_key(KeyId=item["KeyId"])["KeyMetadata"] for item in kms.list_keys()["Keys"]}
    return {
        "buckets": [item["Name"] for item in s3.list_buckets()["Buckets"]],
        "keys": sorted(key for key, data in states.items() if data["KeyState"] == "Enabled"),
        "repositories": [item["repositoryName"] for item in ecr.describe_repositories()["repositories"]],
        "secrets": [item["Name"] for item in secrets.list_secrets()["SecretList"]],
        "queues": [url.rpartition("/")[2] for url in sqs.list_queues().get("QueueUrls", [])],
        "claims": [
            item["metadata"]["namespace"]
            for item in lab.kubectl("stores", "get", "persistentvolumeclaims", "--all-namespaces")["items"]
        ],
    }


@pytest.fixture(scope="module")
def stores(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("stores", STORES)
    write(lab)
    lab.report("up", "--stack", "stores", "--yes")
    yield lab
    write(lab)
    lab.run("destroy", "--stack", "stores", "--yes", "--force", "--confirm", "stores")


def test_replacing_is_refused_with_what_forces_it_and_the_line_to_write(stores: Lab) -> None:
    lab = stores
    before = everything(lab)
    write(lab, suffix="two", many=True, queue="second")
    for verb in (["up", "--yes"], ["preview"]):
        found = refused(lab, *verb)
        assert set(found) == HOLDING
        assert {item["location"]["file"] for item in found.values()} == {"blueprints/stores.py"}
        image = found["images/resource"]
        assert image["component"] == "images"
        assert image["location"]["line"] == 18
        assert "name, from 'images-one' to 'images-two'" in image["detail"]
        assert "the images in it" in image["detail"]
        assert "stacks/stores.yaml: allow_loss: [disk, images, key, space, word]" in image["remedy"]
        assert "disk/resource" in found["space/resource"]["detail"]
    assert everything(lab) == before
    write(lab)
    assert lab.report("up", "--stack", "stores", "--yes")["counts"].keys() == {"same"}


def test_what_holds_nothing_is_replaced_and_deleted_as_ever(stores: Lab) -> None:
    lab = stores
    write(lab, queue="second")
    counts = lab.report("up", "--stack", "stores", "--yes")["counts"]
    assert counts["replace"] == 1
    assert everything(lab)["queues"] == ["second"]
    write(lab)
    lab.report("up", "--stack", "stores", "--yes")


def test_a_component_that_the_blueprint_has_no_more(stores: Lab) -> None:
    lab = stores
    before = everything(lab)
    write(lab, data=False)
    found = refused(lab, "up", "--yes")
    assert set(found) == {"data/bucket"}, "its settings hold nothing"
    assert found["data/bucket"]["location"]["file"] == "stacks/stores.yaml"
    assert 'moved_from="data"' in found["data/bucket"]["remedy"]
    assert refused(lab, "preview").keys() == {"data/bucket"}
    assert everything(lab) == before


def test_what_the_stack_gives_up_goes_and_the_rest_stays(stores: Lab) -> None:
    lab = stores
    before = everything(lab)
    write(lab, data=False, suffix="two", allow_loss=["data"])
    found = refused(lab, "up", "--yes")
    assert set(found) == HOLDING - {"key/resource"}
    assert "allow_loss: [data, disk, images, space, word]" in found["images/resource"]["remedy"]
    assert everything(lab) == before, "giving one up does not give up the others, nor itself in a run that is refused"

    write(lab, data=False, allow_loss=["data"])
    ran = lab.run("up", "--stack", "stores", "--yes", "--json")
    assert warnings(ran, "allow-loss-needless") == []
    assert everything(lab) == {**before, "buckets": []}

    again = lab.run("up", "--stack", "stores", "--yes", "--json")
    [needless] = warnings(again, "allow-loss-needless")
    assert "no such component" in needless["summary"]
    assert re.fullmatch(r"stacks/stores\.yaml", needless["location"]["file"])

    write(lab, data=False, suffix="two", allow_loss=["images", "word", "disk", "space"])
    lab.report("up", "--stack", "stores", "--yes")
    after = everything(lab)
    assert after["repositories"] == ["images-two"]
    assert after["secrets"] == ["word-two"]
    assert after["claims"] == ["space-two"]
    assert after["keys"] == before["keys"]

    write(lab, suffix="two", allow_loss=["images"])
    made = lab.run("up", "--stack", "stores", "--yes", "--json")
    assert [item["component"] for item in warnings(made, "allow-loss-needless")] == ["images"]
    write(lab, allow_loss=["images", "word", "disk", "space"])
    lab.report("up", "--stack", "stores", "--yes")


def test_what_was_given_up_once_is_held_again(stores: Lab) -> None:
    lab = stores
    write(lab)
    lab.report("up", "--stack", "stores", "--yes")
    write(lab, suffix="three")
    assert set(refused(lab, "up", "--yes")) == HOLDING - {"key/resource"}


def test_a_name_cannot_be_kept_and_given_up(stores: Lab) -> None:
    write(stores, protect=["data"], allow_loss=["data"])
    ran = stores.run("validate", "--stack", "stores", "--json", code=1)
    assert "both in `protect` and in `allow_loss`: data" in ran.out


def test_a_prod_stack_keeps_what_holds_data_on_destroy_and_takes_it_up_again(stores: Lab) -> None:
    lab = stores
    write(lab, tier="prod", allow_loss=["images"])
    lab.report("up", "--stack", "stores", "--yes")
    before = everything(lab)
    s3, secrets = lab.clients("stores", "s3", "secretsmanager")
    [bucket] = before["buckets"]
    secrets.put_secret_value(SecretId="word-one", SecretString="set by hand")
    refusal = lab.run("destroy", "--stack", "stores", "--yes", "--json", code=1)
    assert [item["code"] for item in refusal.lines("diagnostic") if item["severity"] == "error"] == ["protected"]
    assert everything(lab) == before

    ran = lab.run("destroy", "--stack", "stores", "--yes", "--force", "--confirm", "stores", "--json")
    [kept] = warnings(ran, "data-kept")
    assert kept["summary"].startswith("5 resources that hold data stay")
    assert bucket in kept["detail"]
    assert "mlinfra up --stack stores" in kept["remedy"]
    assert "allow_loss: [data, disk, images, key, space, word]" in kept["remedy"]
    assert everything(lab) == {**before, "queues": [], "repositories": []}
    assert s3.get_public_access_block(Bucket=bucket), "what is kept keeps its settings"
    assert s3.get_bucket_policy(Bucket=bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

    again = lab.run("destroy", "--stack", "stores", "--yes", "--force", "--confirm", "stores", "--json")
    assert warnings(again, "data-kept")
    write(lab, tier="prod")
    report = lab.report("up", "--stack", "stores", "--yes")
    assert report["counts"]["create"] == 2
    assert set(report["counts"]) == {"create", "same"}
    assert everything(lab) == before
    assert secrets.get_secret_value(SecretId="word-one")["SecretString"] == "set by hand"
    write(lab, suffix="four", tier="prod")
    refused(lab, "up", "--yes")


def test_what_is_given_up_goes_with_a_prod_stack(stores: Lab) -> None:
    lab = stores
    write(lab, tier="prod", allow_loss=["data", "disk", "images", "key", "space", "word"])
    ran = lab.run("destroy", "--stack", "stores", "--yes", "--force", "--confirm", "stores", "--json")
    assert warnings(ran, "data-kept") == []
    assert not any(everything(lab).values())


@pytest.mark.parametrize("lost", [{"suffix": "five"}, {"data": False}])
def test_the_engine_itself_holds_what_no_plan_has_seen(
    stores: Lab, lost: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protection in the state stands alone here, and stops the run at the resource, before it is touched."""
    lab = stores
    write(lab)
    lab.report("up", "--stack", "stores", "--yes")
    before = everything(lab)
    write(lab, **lost)
    for name, value in lab.variables().items():
        monkeypatch.setenv(name, value)
    with opened(Request(Project(lab.root), "stores"), "up") as run:
        outcome = run.engine(Verb.UP)
    assert not outcome.succeeded
    assert "protected" in {item.code for item in outcome.diagnostics}
    assert everything(lab) == before
