"""The thread through all rooms: one bucket, one Deployment, from nothing to destroyed, as a user sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.e2e.conftest import Lab

pytestmark = pytest.mark.e2e

THREAD = '''
from mlinfra import Blueprint, Environment, Params, Raw, blueprint


class Values(Params):
    replicas: int = 1
    label: str = "one"


@blueprint("thread", version="1.0.0")
def thread(env: Environment, p: Values) -> Blueprint:
    """One bucket, one Deployment that is told of it."""
    data = Raw("data", type="aws:s3/bucket:Bucket", inputs={"bucket": "thread-data", "tags": {"label": p.label}})
    container = {
        "name": "web",
        "image": "registry.example.com/web:1",
        "env": [{"name": "BUCKET", "value": data.output("arn")}],
    }
    web = Raw(
        "web",
        type="kubernetes:apps/v1:Deployment",
        inputs={
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": p.replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
            },
        },
    )
    return Blueprint(web, outputs={"arn": data.output("arn"), "bucket": data.output("id")})
'''


@pytest.fixture(scope="module")
def thread(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("thread", THREAD)
    lab.stack("thread")
    yield lab
    lab.run("destroy", "--stack", "thread", "--yes")


def test_life_of_a_stack(thread: Lab) -> None:
    lab = thread
    plan = lab.report("preview", "--stack", "thread", "--detailed-exitcode", code=2)
    assert plan["counts"] == {"create": 2}

    made = lab.report("up", "--stack", "thread", "--yes")
    assert made["counts"] == {"create": 2}
    assert made["outputs"] == {"arn": "arn:aws:s3:::thread-data", "bucket": "thread-data"}
    s3 = lab.client("thread", "s3")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["thread-data"]
    deployment = lab.kubectl("thread", "get", "deployment", "web", "--namespace", "default")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "BUCKET", "value": "arn:aws:s3:::thread-data"}]
    assert deployment["status"]["readyReplicas"] == 1

    again = lab.run("up", "--stack", "thread", "--yes")
    assert "nothing to change; 2 unchanged" in again.out
    assert lab.report("preview", "--stack", "thread", "--detailed-exitcode")["counts"] == {"same": 2}

    lab.stack("thread", params={"replicas": 2, "label": "two"})
    changed = lab.report("preview", "--stack", "thread", "--detailed-exitcode", code=2)
    paths = {change["path"]: (change["old"], change["new"]) for step in changed["steps"] for change in step["changes"]}
    assert paths["spec.replicas"] == (1, 2)
    assert paths["tags.label"] == ("one", "two")
    assert lab.report("up", "--stack", "thread", "--yes")["counts"] == {"update": 2}
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket="thread-data")["TagSet"]}
    assert tags["label"] == "two"

    # A change behind our back is found by refresh, shown, and made undone by the next up.
    s3.put_bucket_tagging(Bucket="thread-data", Tagging={"TagSet": [{"Key": "label", "Value": "other"}]})
    found = lab.report("refresh", "--stack", "thread")
    assert [step["node"] for step in found["steps"]] == ["data/resource"]
    assert lab.report("up", "--stack", "thread", "--yes")["counts"] == {"update": 1, "same": 1}
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket="thread-data")["TagSet"]}
    assert tags["label"] == "two"

    gone = lab.report("destroy", "--stack", "thread", "--yes")
    assert gone["counts"] == {"delete": 2}
    assert s3.list_buckets()["Buckets"] == []
    assert lab.kubectl("thread", "get", "deployments", "--all-namespaces")["items"] == []
    assert lab.kubectl("thread", "get", "nodes")["items"] == []
    assert "nothing to destroy" in lab.run("destroy", "--stack", "thread", "--yes").out


def test_a_replacement_and_the_outputs(thread: Lab) -> None:
    lab = thread
    lab.stack("thread")
    lab.report("up", "--stack", "thread", "--yes")
    lab.blueprint("thread", THREAD.replace('"thread-data"', '"thread-other"'))
    lab.stack("thread", allow_loss=["data"])
    plan = lab.report("preview", "--stack", "thread")
    assert {step["operation"] for step in plan["steps"]} >= {"replace"}
    made = lab.report("up", "--stack", "thread", "--yes")
    assert made["outputs"]["bucket"] == "thread-other"
    assert [bucket["Name"] for bucket in lab.client("thread", "s3").list_buckets()["Buckets"]] == ["thread-other"]
    shown = lab.run("outputs", "--stack", "thread", "--json").lines("outputs")
    assert shown[0]["outputs"] == made["outputs"]
    lab.blueprint("thread", THREAD)


def test_without_a_terminal_nothing_is_done_unasked(thread: Lab) -> None:
    for verb in ("up", "destroy"):
        ran = thread.run(verb, "--stack", "thread", code=1)
        assert "wants a yes" in ran.err
        assert "Traceback" not in ran.err


def test_a_wrong_call_exits_with_one(thread: Lab) -> None:
    ran = thread.run("up", "--stak", "thread", code=1)
    assert "No such option" in ran.err


def test_a_bucket_name_that_somebody_has_is_said_plainly(thread: Lab) -> None:
    lab = thread
    lab.stack("thread", allow_loss=["data"])
    lab.run("local", "up", "--stack", "thread")
    stranger = lab.client("thread", "s3")
    stranger.create_bucket(Bucket="taken-name")
    lab.blueprint("thread", THREAD.replace('"thread-data"', '"taken-name"'))
    ran = lab.run("up", "--stack", "thread", "--yes", "--json", code=1)
    [problem] = [item for item in ran.lines("diagnostic") if item["severity"] == "error"]
    assert problem["code"] == "name-taken"
    assert problem["component"] == "data"
    assert problem["location"]["file"] == "blueprints/thread.py"
    assert problem["location"]["line"] == 13
    assert "taken-name" in problem["summary"]
    assert stranger.head_bucket(Bucket="taken-name")
    stranger.delete_bucket(Bucket="taken-name")
    lab.blueprint("thread", THREAD)
    lab.report("up", "--stack", "thread", "--yes")
    lab.stack("thread")


def test_an_unreachable_cluster_is_told_once(thread: Lab) -> None:
    lab = thread
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"token": "none"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (lab.root / "nowhere.json").write_text(json.dumps(config))
    lab.blueprint(
        "maps",
        "from mlinfra import Blueprint, Environment, Params, Raw, blueprint\n\n\n"
        '@blueprint("maps", version="1.0.0")\n'
        "def maps(env: Environment, p: Params) -> Blueprint:\n"
        "    made = [Raw(f'c{i}', type='kubernetes:core/v1:ConfigMap', inputs={'metadata': {'name': f'c{i}'}})"
        " for i in range(5)]\n"
        "    return Blueprint(*made)\n",
    )
    target = {"kind": "kubeconfig", "path": "nowhere.json", "provider": "embedded"}
    lab.stack("maps", blueprint="maps", target=target)
    ran = lab.run("up", "--stack", "maps", "--yes", "--json", code=1)
    errors = [item for item in ran.lines("diagnostic") if item["severity"] == "error"]
    assert {item["code"] for item in errors} == {"unreachable"}
    assert "127.0.0.1:9" in errors[0]["summary"] + errors[0].get("detail", "")


def test_another_stack_does_not_see_this_one(thread: Lab) -> None:
    thread.report("up", "--stack", "thread", "--yes")
    thread.stack("stranger")
    thread.run("local", "up", "--stack", "stranger")
    with pytest.raises(ClientError):
        thread.client("stranger", "s3").get_bucket_tagging(Bucket="thread-data")
