"""Runs of training jobs as a user makes them: after an `up` with the real engine, on the local target."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Lab, interrupt

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BLUEPRINT = '''
from mlinfra import (
    Blueprint, Bucket, Environment, JobQueue, NodePool, Params, Ranks, Ray, TrainingCluster, TrainingJob, blueprint
)

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4


class Values(Params):
    lr: float = 0.1
    retries: int = 2


@blueprint("training", version="1.0.0")
def training(env: Environment, p: Values) -> Blueprint:
    """A job of one pod, one of many ranks, and two whose controllers are not on the local target."""
    pool = NodePool("gpu", instance_type="g5.xlarge", max=4)
    train = TrainingCluster("train", pools=[pool])
    models = Bucket("models")
    same = {"cluster": train, "pool": pool, "gpus": 1, "image": IMAGE, "command": ["python", "train.py"]}
    fit = TrainingJob("fit", **same, writes=[models], config={"lr": p.lr, "epochs": 3}, retries=p.retries)
    wide = TrainingJob("wide", **same, ranks=Ranks(count=4))
    shared = NodePool("shared", instance_type="m6i.xlarge", max=2)
    queued = TrainingCluster("queued", pools=[shared], kueue=True)
    research = JobQueue("research", cluster=queued, pools=[shared])
    patient = TrainingJob("patient", cluster=queued, pool=shared, image=IMAGE, queue=research)
    tune = TrainingJob("tune", **same, ray=Ray(workers=1))
    return Blueprint(fit, wide, patient, tune)
'''


@pytest.fixture(scope="module")
def training(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("training", BLUEPRINT)
    lab.stack("dev", blueprint="training")
    lab.report("up", "--stack", "dev", "--yes")
    yield lab
    lab.run("destroy", "--stack", "dev", "--yes", code=None)


def last(lab: Lab, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The last that a command says of a run."""
    return lab.run(*arguments, "--stack", "dev", "--json", code=code).lines("run")[-1]


def runs(lab: Lab, *arguments: str) -> list[dict[str, Any]]:
    return lab.run("runs", "list", *arguments, "--stack", "dev", "--json").lines("run")


def until(ask: Callable[[], Any]) -> Any:
    end = time.monotonic() + 300
    while not (found := ask()) and time.monotonic() < end:
        time.sleep(0.2)
    assert found
    return found


def test_an_up_starts_nothing_and_never_repeats_a_run(training: Lab) -> None:
    lab = training
    assert runs(lab) == []
    first = last(lab, "run", "fit")
    assert (first["state"], first["made"], first["exit_code"]) == ("succeeded", True, 0)
    assert lab.report("up", "--stack", "dev", "--yes")["counts"].keys() == {"same"}
    assert lab.report("refresh", "--stack", "dev")["steps"] == []
    found = runs(lab)
    assert [(run["name"], run["created"]) for run in found] == [(first["name"], first["created"])]
    again = last(lab, "run", "fit")
    assert (again["name"], again["made"], again["state"]) == (first["name"], False, "succeeded")
    assert len(lab.kubectl("dev", "get", "jobs", "--all-namespaces")["items"]) == 1


def test_what_a_person_reads(training: Lab) -> None:
    lab = training
    ran = lab.run("run", "fit", "--stack", "dev", "--set", "lr=0.3", "--name", "a third")
    assert " succeeded, in " in ran.out
    assert "there is no log: nothing is computed on the local target" in ran.err
    listed = lab.run("runs", "list", "--stack", "dev").out
    assert listed.split()[:4] == ["run", "name", "job", "state"]
    assert "lr=0.3" in listed
    shown = lab.run("runs", "show", "a third", "--stack", "dev").out
    assert "lr=0.3" in shown
    assert "gpu-" in shown, "the machine that its pod was placed on"
    again = lab.run("run", "fit", "--stack", "dev", "--set", "lr=0.3")
    assert "has the same inputs, and is not made a second time" in again.err
    assert "mlinfra run fit --stack dev --set lr=0.3 --again" in again.out


def test_all_ranks_are_placed_and_named(training: Lab) -> None:
    lab = training
    run = last(lab, "run", "wide")
    assert (run["state"], run["wanted"], run["succeeded"]) == ("succeeded", 4, 4)
    assert [pod["rank"] for pod in run["pods"]] == [0, 1, 2, 3]
    assert all(pod["node"].startswith("gpu-") for pod in run["pods"])


def test_a_pending_update_is_told_and_what_stands_there_is_run(training: Lab) -> None:
    lab = training
    lab.stack("dev", blueprint="training", params={"lr": 0.7})
    ran = lab.run("run", "fit", "--stack", "dev", "--json")
    [told] = [item for item in ran.lines("diagnostic") if item["code"] == "run-up-pending"]
    assert "fit/config" in told["detail"]
    before = ran.lines("run")[-1]
    assert before["made"] is False, "the run is of the template that stands there: nothing is new"
    lab.report("up", "--stack", "dev", "--yes")
    ran = lab.run("run", "fit", "--stack", "dev", "--json")
    assert not [item for item in ran.lines("diagnostic") if item["code"] == "run-up-pending"]
    after = ran.lines("run")[-1]
    assert after["made"]
    assert after["name"] != before["name"]
    config = lab.kubectl("dev", "get", "configmap", f"{after['name']}-config", "--namespace", after["namespace"])
    assert '"lr": 0.7' in config["data"]["config.json"]


def test_a_template_that_was_changed_by_hand_is_told(training: Lab) -> None:
    lab = training
    patch = '{"spec": {"jobTemplate": {"spec": {"activeDeadlineSeconds": 60}}}}'
    space = runs(lab)[0]["namespace"]
    lab.kubectl("dev", "patch", "cronjob", "wide", "--namespace", space, "--patch", patch)
    ran = lab.run("run", "wide", "--stack", "dev", "--json")
    assert "run-template-drifted" in [item["code"] for item in ran.lines("diagnostic")]
    assert ran.lines("run")[-1]["made"], "it has other inputs"
    assert lab.report("up", "--stack", "dev", "--yes", "--refresh")["counts"]["update"] == 1


@pytest.fixture
def closed(training: Lab) -> Iterator[Lab]:
    """No machine takes a pod."""
    nodes = [item["metadata"]["name"] for item in training.kubectl("dev", "get", "nodes")["items"]]

    def close(closed: str) -> None:
        for node in nodes:
            training.kubectl("dev", "patch", "node", node, "--patch", f'{{"spec": {{"unschedulable": {closed}}}}}')

    close("true")
    yield training
    close("false")


def test_ctrl_c_ends_the_following_and_not_the_run(closed: Lab) -> None:
    lab = closed
    process = lab.start("run", "fit", "--stack", "dev", "--set", "epochs=9", "--json")
    try:
        [waiting] = until(lambda: [run for run in runs(lab) if run["settings"] == {"epochs": 9}])
        until(lambda: "unschedulable" in last(lab, "runs", "show", waiting["name"]).get("reason", ""))
    finally:
        interrupt(process, 1)
        ran = lab.end(process)
    assert ran.code == 1
    assert ran.lines("run")[-1]["state"] == "waiting"
    [told] = ran.lines("message")
    assert told["followed"] is False
    for verb in ("follow", "cancel"):
        assert f"mlinfra runs {verb} {waiting['name']} --stack dev" in told["text"]
    detached = last(lab, "run", "fit", "--set", "epochs=9", "--detach")
    assert (detached["name"], detached["made"], detached["finished"]) == (waiting["name"], False, False)
    assert lab.run("runs", "cancel", waiting["name"], "--stack", "dev", code=1).err.count("wants a yes") == 1
    lab.run("runs", "cancel", waiting["name"], "--stack", "dev", "--yes")
    ended = last(lab, "runs", "follow", waiting["name"], code=1)
    assert ended["state"] == "cancelled"
    lab.run("runs", "delete", waiting["name"], "--stack", "dev", "--yes")
    assert waiting["name"] not in [run["name"] for run in runs(lab)]


def test_kubectl_makes_runs_that_are_seen_too(training: Lab) -> None:
    lab = training
    space = runs(lab)[0]["namespace"]
    lab.kubectl("dev", "create", "job", "by-hand", "--from", "cronjob/wide", "--namespace", space)
    found = until(lambda: [run for run in runs(lab, "wide") if run["name"] == "by-hand"])
    assert found[0]["job"] == "wide"
    assert last(lab, "runs", "follow", "by-hand")["state"] == "succeeded"


def test_what_has_no_controller_on_the_local_target_is_told(training: Lab) -> None:
    lab = training
    ran = lab.run("run", "patient", "--stack", "dev", "--json")
    assert "run-admission-simulated" in [item["code"] for item in ran.lines("diagnostic")]
    assert ran.lines("run")[-1]["state"] == "succeeded"
    ran = lab.run("run", "tune", "--stack", "dev", "--json")
    assert "run-admission-simulated" in [item["code"] for item in ran.lines("diagnostic")]
    [run] = ran.lines("run")
    assert (run["kind"], run["state"], run["made"]) == ("RayJob", "waiting", True)
    assert last(lab, "runs", "show", "tune")["name"] == run["name"]
    assert lab.report("up", "--stack", "dev", "--yes")["counts"].keys() == {"same"}


def test_mistakes_are_told_plainly(training: Lab) -> None:
    lab = training
    for arguments, code in (
        (["run", "fitt"], "run-job-unknown"),
        (["run", "fit", "--set", "epoch=3"], "run-setting"),
        (["run", "wide", "--set", "lr=3"], "run-no-config"),
        (["runs", "show", "nothing"], "run-unknown"),
    ):
        ran = lab.run(*arguments, "--stack", "dev", "--json", code=1)
        assert [item["code"] for item in ran.lines("diagnostic")] == [code]
    lab.run("local", "down", "--stack", "dev")
    ran = lab.run("run", "fit", "--stack", "dev", "--json", code=1)
    assert [item["code"] for item in ran.lines("diagnostic")] == ["local-stopped"]
    lab.run("local", "up", "--stack", "dev")
    assert last(lab, "run", "wide")["state"] == "succeeded"
