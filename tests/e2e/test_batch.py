"""Batch inferences and load tests on a real API server: `up` makes what was declared, and runs are made of that."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BLUEPRINT = '''
from mlinfra import (
    BatchInference, Blueprint, Bucket, Endpoint, Environment, Generated, LoadTest, ManagedSecret, NodePool, Params,
    TrainingCluster, blueprint,
)

IMAGE = "registry.example.com/team/serve@sha256:" + "0123456789abcdef" * 4


@blueprint("scoring", version="1.0.0")
def scoring(env: Environment, p: Params) -> Blueprint:
    """An endpoint, a test of its speed, and predictions at night, every minute and when somebody asks."""
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=4)
    cluster = TrainingCluster("train", pools=[pool])
    small = {"pool": pool, "cpu": 0.1, "memory": 0.25}
    key = ManagedSecret("key", value_from=Generated(length=32), in_cluster=[cluster])
    api = Endpoint("api", cluster=cluster, image=IMAGE, **small)
    burst = LoadTest("burst", target=api, **small, rate=50, seconds=5, bodies=[{"x": [1, 2]}], api_key=key)
    common = {"cluster": cluster, "image": IMAGE, "inputs": Bucket("clicks"), "outputs": Bucket("scores"), **small}
    at_night = {"schedule": "30 2 * * 1-5", "time_zone": "Europe/Berlin", "start_minutes": 90}
    night = BatchInference("night", **common, **at_night, shards=3, parallelism=2, model="s3://models/ranker/3")
    often = BatchInference("often", **common, schedule="* * * * *")
    asked = BatchInference("asked", **common, config={"batch_size": 512}, fatal_exit_codes=[3])
    return Blueprint(api, burst, night, often, asked)
'''
NAMESPACE = "scoring-dev-train"


@pytest.fixture(scope="module")
def scoring(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("scoring", BLUEPRINT)
    lab.stack("dev", blueprint="scoring")
    lab.report("up", "--stack", "dev", "--yes")
    yield lab
    lab.run("destroy", "--stack", "dev", "--yes", code=None)


def last(lab: Lab, *arguments: str) -> dict[str, Any]:
    """The last that a command says of a run."""
    return lab.run(*arguments, "--stack", "dev", "--json").lines("run")[-1]


def seen(lab: Lab, *arguments: str) -> Any:
    return lab.kubectl("dev", "--namespace", NAMESPACE, "get", *arguments)


def until(ask: Callable[[], Any]) -> Any:
    end = time.monotonic() + 300
    while not (found := ask()) and time.monotonic() < end:
        time.sleep(0.5)
    assert found
    return found


def test_what_is_there_is_what_was_declared(scoring: Lab, tmp_path: Path) -> None:
    scoring.run("export", "--stack", "dev", "--resolved", "--out", str(tmp_path))
    templates = [path for path in tmp_path.rglob("*.yaml") if "kind: CronJob" in path.read_text()]
    assert len(templates) == 4
    environment, where = scoring.access("dev"), ["--recursive", "--filename", str(tmp_path)]

    def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", *arguments, *where]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    taken = kubectl("apply", "--dry-run=server", "--validate=strict")
    assert taken.returncode == 0, taken.stderr
    for way in ((), ("--server-side", "--force-conflicts")):
        found = kubectl("diff", *way)
        assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_templates_begin_runs_only_when_they_are_due(scoring: Lab) -> None:
    specs = {item["metadata"]["name"]: item["spec"] for item in seen(scoring, "cronjobs")["items"]}
    assert {name: spec["suspend"] for name, spec in specs.items()} == {
        "asked": True,
        "burst": True,
        "night": False,
        "often": False,
    }
    night = specs["night"]
    assert (night["schedule"], night["timeZone"], night["startingDeadlineSeconds"], night["concurrencyPolicy"]) == (
        "30 2 * * 1-5",
        "Europe/Berlin",
        5400,
        "Forbid",
    )
    job = night["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 3, 2)


def test_a_run_in_shards(scoring: Lab) -> None:
    run = last(scoring, "run", "night")
    assert (run["state"], run["made"], run["wanted"], run["succeeded"]) == ("succeeded", True, 3, 3)
    assert all(pod["node"].startswith("cpu-") for pod in run["pods"])
    job = seen(scoring, "job", run["name"])
    assert job["status"]["completedIndexes"] == "0-2"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert (env["MLINFRA_SHARD"], env["MLINFRA_SHARDS"]) == ("$(JOB_COMPLETION_INDEX)", "3")
    assert env["MODEL_URI"] == "s3://models/ranker/3"
    assert env["MLINFRA_INPUT"].startswith("s3://scoring-dev-clicks")


def test_a_run_that_somebody_asks_for_with_other_settings(scoring: Lab) -> None:
    run = last(scoring, "run", "asked", "--set", "batch_size=64")
    assert (run["state"], run["settings"]) == ("succeeded", {"batch_size": 64})
    assert config(scoring, run["name"]) == {"batch_size": 64}


def config(lab: Lab, run: str) -> Any:
    return json.loads(seen(lab, "configmap", f"{run}-config")["data"]["config.json"])


def test_a_load_test_is_a_run_with_its_script_and_what_it_sends(scoring: Lab) -> None:
    run = last(scoring, "run", "burst", "--set", "rate=7")
    assert (run["state"], run["made"]) == ("succeeded", True)
    sent = config(scoring, run["name"])
    assert (sent["rate"], sent["seconds"], sent["bodies"]) == (7, 5, [{"x": [1, 2]}])
    assert sent["url"] == f"http://api.{NAMESPACE}.svc:8080"
    spec = seen(scoring, "job", run["name"])["spec"]
    assert spec["backoffLimit"] == 0
    pod = spec["template"]["spec"]
    scripts = [item["configMap"]["name"] for item in pod["volumes"] if item["name"] == "script"]
    assert "constant-arrival-rate" in seen(scoring, "configmap", scripts[0])["data"]["load_test.js"]
    (key,) = [item["valueFrom"]["secretKeyRef"] for item in pod["containers"][0]["env"] if item["name"] == "API_KEY"]
    assert key["key"] in seen(scoring, "secret", key["name"])["data"]


@pytest.mark.parametrize("job", ["burst", "night"])
def test_kubectl_makes_runs_that_are_seen_too(scoring: Lab, job: str) -> None:
    name = f"{job}-by-hand"
    scoring.kubectl("dev", "--namespace", NAMESPACE, "create", "job", name, "--from", f"cronjob/{job}")
    assert last(scoring, "runs", "follow", name)["state"] == "succeeded"


def test_kubernetes_begins_a_run_that_is_due(scoring: Lab) -> None:
    def runs() -> list[dict[str, Any]]:
        return scoring.run("runs", "list", "often", "--stack", "dev", "--json").lines("run")

    first = until(runs)[-1]
    assert first["job"] == "often"
    assert last(scoring, "runs", "follow", first["name"])["state"] == "succeeded"
    (owner,) = seen(scoring, "job", first["name"])["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("CronJob", "often")


def test_runs_are_no_change_to_the_stack(scoring: Lab) -> None:
    assert scoring.report("refresh", "--stack", "dev")["steps"] == []
    assert scoring.report("up", "--stack", "dev", "--yes")["counts"].keys() == {"same"}
