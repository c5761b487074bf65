"""An endpoint from its first `up`, when neither image nor model is there, to its first version, and through a night."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STACK = "serving"
IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32
WAITING = [
    "endpoint 'api' waits for its first image",
    "endpoint 'ranker' waits for the first version of model 'ranker'",
]
BLUEPRINT = '''
from mlinfra import ApiKeys, Blueprint, Bucket, Endpoint, Environment, Image, IngressAddress, ManagedSecret, ModelStore
from mlinfra import NodePool, Params, StoredModel, TrainingCluster, WorkingHours, blueprint


class ServingParams(Params):
    image: Image | None = None
    version: str | None = None


@blueprint("serving", version="1.0.0")
def serving(env: Environment, p: ServingParams) -> Blueprint:
    """An image of one's own, and a runtime that serves a model; callers need a key."""
    pool = NodePool("cpu", instance_type="m6i.2xlarge", min=1, max=4)
    cluster = TrainingCluster("train", pools=[pool])
    models = ModelStore("models", bucket=Bucket("artifacts"))
    keys = ApiKeys(keys=[ManagedSecret("shop", in_cluster=[cluster])])
    world = IngressAddress(
        host="api.example.com", ingress_class="nginx", controller_namespace="ingress", issuer="letsencrypt"
    )
    api = Endpoint("api", cluster=cluster, pool=pool, image=p.image, auth=keys, address=world, hours=WorkingHours())
    ranker = Endpoint(
        "ranker",
        cluster=cluster,
        pool=pool,
        runtime="triton",
        model=StoredModel(store=models, name="ranker", version=p.version),
    )
    return Blueprint(api, ranker, outputs={"url": api.url})
'''


def up(lab: Lab, **params: str) -> tuple[dict[str, Any], list[str]]:
    """The report of an `up`, and what the endpoints are said to wait for."""
    lab.stack(STACK, blueprint="serving", params=params)
    ran = lab.run("up", "--stack", STACK, "--yes", "--json")
    (report,) = ran.lines("report")
    said = [item for item in ran.lines("diagnostic") if item.get("code") == "endpoint-waits"]
    return report, [item["summary"] for item in said]


def deployments(lab: Lab) -> dict[str, Any]:
    items = lab.kubectl(STACK, "get", "deployments", "--namespace", "serving-serving-train")["items"]
    return {item["metadata"]["name"]: item for item in items}


@pytest.fixture(scope="module")
def declared(lab: Lab) -> tuple[Lab, dict[str, Any], list[str]]:
    lab.blueprint("serving", BLUEPRINT)
    return lab, *up(lab)


def test_first_there_is_nothing_to_serve_and_up_ends_well(declared: tuple[Lab, dict[str, Any], list[str]]) -> None:
    lab, report, said = declared
    assert report["succeeded"]
    assert said == WAITING
    assert report["outputs"]["url"] == "http://api.serving-serving-train.svc:8080"
    assert deployments(lab) == {}
    ran = lab.run("validate", "--stack", STACK)
    assert [line for text in WAITING for line in (ran.out + ran.err).splitlines() if text in line.replace("\n", " ")]


def test_then_the_version_comes_as_a_parameter(declared: tuple[Lab, dict[str, Any], list[str]]) -> None:
    lab, _, _ = declared
    report, said = up(lab, image=IMAGE)
    assert (report["succeeded"], said) == (True, WAITING[1:])
    assert set(deployments(lab)) == {"api"}
    report, said = up(lab, image=IMAGE, version="41")
    assert (report["succeeded"], said) == (True, [])
    found = deployments(lab)
    assert {name: item["status"]["readyReplicas"] for name, item in found.items()} == {"api": 1, "ranker": 1}
    (copier,) = found["ranker"]["spec"]["template"]["spec"]["initContainers"]
    uri = next(item["value"] for item in copier["env"] if item["name"] == "MODEL_URI")
    assert uri.endswith("/models/ranker/41")
    assert up(lab, image=IMAGE, version="41")[0]["counts"].keys() == {"same"}


def test_at_night_there_is_no_replica_and_nothing_has_drifted(declared: tuple[Lab, dict[str, Any], list[str]]) -> None:
    """What the CronJob does, done: autoscaler and stack leave it so."""
    lab, _, _ = declared
    lab.kubectl(STACK, "scale", "--replicas=0", "deployment/api", "--namespace", "serving-serving-train")
    assert lab.report("refresh", "--stack", STACK)["steps"] == []
    assert up(lab, image=IMAGE, version="41")[0]["counts"].keys() == {"same"}
    assert deployments(lab)["api"]["spec"]["replicas"] == 0
    assert lab.report("destroy", "--stack", STACK, "--yes")["succeeded"]
