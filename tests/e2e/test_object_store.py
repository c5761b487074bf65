"""Buckets in the cluster through the real engine: kubectl reads back who can do what, and that nothing is replaced."""

from __future__ import annotations

import base64
import json

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
BLUEPRINT = f"""
from mlinfra import Blueprint, Bucket, Endpoint, Environment, NodePool, Params, TrainingCluster, blueprint


class Values(Params):
    more: bool = False


@blueprint("objects", version="1.0.0")
def objects(env: Environment, p: Values) -> Blueprint:
    pool = NodePool("cpu", instance_type="m6i.xlarge", min=1, max=2)
    cluster = TrainingCluster("team", pools=[pool])
    data = Bucket("data", place="cluster", cluster=cluster, image="{IMAGE}")
    models = Bucket("models", place="cluster", cluster=cluster, image="{IMAGE}")
    api = Endpoint("api", cluster=cluster, image="{IMAGE}", reads=[data])
    more = [Endpoint("more", cluster=cluster, image="{IMAGE}", reads=[data], writes=[models])] if p.more else []
    return Blueprint(api, models, *more, outputs={{"uri": data.uri, "endpoint": data.endpoint}})
"""
WHERE = ("--namespace", "objects-dev-team")


def test_what_is_made_changed_and_taken_away(lab: Lab) -> None:
    lab.blueprint("objects", BLUEPRINT)
    lab.stack("dev", blueprint="objects")
    made = lab.report("up", "--stack", "dev", "--yes")
    assert made["outputs"]["uri"] == "s3://objects-dev-data"
    assert made["outputs"]["endpoint"] == "http://team-object-store.objects-dev-team.svc:7070"
    claims = lab.kubectl("dev", "get", "persistentvolumeclaims", *WHERE)["items"]
    assert {item["metadata"]["name"]: item["status"]["phase"] for item in claims} == {
        "objects-dev-data": "Bound",
        "objects-dev-models": "Bound",
    }
    (pod,) = lab.kubectl("dev", "get", "pods", "-l", "app.kubernetes.io/component=object-store", *WHERE)["items"]
    assert pod["status"]["phase"] == "Running"
    first = _passwords(lab)
    assert set(first) == {"api"}
    assert set(lab.report("up", "--stack", "dev", "--yes", "--refresh")["counts"]) == {"same"}

    lab.stack("dev", blueprint="objects", params={"more": True})
    counts = lab.report("up", "--stack", "dev", "--yes")["counts"]
    assert counts["update"] == 2, "accounts and policies; the server goes on as it is"
    assert set(counts) == {"same", "update", "create"}
    second = _passwords(lab)
    assert set(second) == {"api", "more"}
    assert second["api"] == first["api"]
    allowed = {
        (bucket, statement["Principal"]["AWS"][0], action)
        for bucket, policy in _policies(lab).items()
        for statement in policy["Statement"]
        for action in statement["Action"]
        if action in ("s3:GetObject", "s3:PutObject")
    }
    assert allowed == {
        ("objects-dev-data", "api", "s3:GetObject"),
        ("objects-dev-data", "more", "s3:GetObject"),
        ("objects-dev-models", "more", "s3:PutObject"),
    }
    for path in lab.written():
        if not path.is_relative_to(lab.root / ".mlinfra" / "local"):  # etcd has them
            assert not any(secret.encode() in path.read_bytes() for secret in second.values()), path

    lab.run("destroy", "--stack", "dev", "--yes")
    assert lab.kubectl("dev", "get", "persistentvolumes")["items"] == []


def _passwords(lab: Lab) -> dict[str, str]:
    """The accounts, as the server has them; each with the secret that its component's pods get."""
    secret = lab.kubectl("dev", "get", "secret", "team-object-store-accounts", *WHERE)
    accounts = json.loads(base64.b64decode(secret["data"]["users.json"]))["accessAccounts"]
    for name, account in accounts.items():
        held = lab.kubectl("dev", "get", "secret", f"{name}-object-store", *WHERE)["data"]["secret-access-key"]
        assert base64.b64decode(held).decode() == account["secret"]
    return {name: account["secret"] for name, account in accounts.items()}


def _policies(lab: Lab) -> dict[str, dict[str, list[dict[str, list[str]]]]]:
    found = lab.kubectl("dev", "get", "configmap", "team-object-store-policies", *WHERE)["data"]
    return {file.removesuffix(".json"): json.loads(text) for file, text in found.items()}
