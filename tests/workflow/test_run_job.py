"""Runs on a real control plane: made from templates that stand there, keyed by their inputs, followed, stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.local import definitions
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.report import Event, Note
from mlinfra.runs import JobRun, LogLine, Phase
from mlinfra.workflow import runs
from mlinfra.workflow.request import Request
from mlinfra.workflow.run_job import Begun, begin
from mlinfra.workflow.runs_access import Stage, opened_stage
from mlinfra.workflow.runs_follow import follow
from mlinfra.workflow.runs_look import all_runs, find, look
from tests.workflow.run_cluster import WITH_LOGS, Ground, bring_up, eventually, ground

BLUEPRINT = '''
from mlinfra import (
    Blueprint, Environment, JobQueue, NodePool, Params, Ranks, Ray, Sweep, TrainingCluster, TrainingJob, blueprint
)

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4


class Values(Params):
    lr: float = 0.1


@blueprint("lab", version="1.0.0")
def lab(env: Environment, p: Values) -> Blueprint:
    """Jobs of each form."""
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=8)
    big = NodePool("gpu", instance_type="p4d.24xlarge", max=1)
    train = TrainingCluster("train", pools=[pool, big])
    logs = TrainingCluster("logs", pools=[pool])
    shared = NodePool("shared", instance_type="m6i.xlarge", max=2)
    queued = TrainingCluster("queued", pools=[shared], kueue=True)
    research = JobQueue("research", cluster=queued, pools=[shared])
    small = {"cluster": train, "pool": pool, "image": IMAGE, "cpu": 0.1, "memory": 0.1}
    config = {"lr": p.lr, "model": {"layers": [64, 32]}}
    return Blueprint(
        TrainingJob("fit", **small, config=config, retries=1, fatal_exit_codes=[42]),
        TrainingJob("ranks", **small, ranks=Ranks(count=4, one_per_machine=False), retries=0),
        TrainingJob("sweep", **small, sweep=Sweep(parameters={"lr": [1, 2, 3]}, parallelism=2), retries=0),
        TrainingJob("large", cluster=train, pool=big, gpus=8, image=IMAGE),
        TrainingJob("talks", **{**small, "cluster": logs}, ranks=Ranks(count=2, one_per_machine=False)),
        TrainingJob("later", cluster=train, pool=pool),
        TrainingJob("patient", **{**small, "cluster": queued, "pool": shared}, queue=research),
        TrainingJob("tune", **small, config=config, ray=Ray(workers=2), command=["python", "tune.py"]),
    )
'''
STACK = """\
blueprint: lab
environment: {{name: dev, tier: dev}}
owner: {{team: tests, cost_center: none}}
target: {{kind: kubeconfig, path: {path}}}
"""
PLACE = "lab-dev-train"


@dataclass
class Bench:
    """The stack on its control plane, and what was told."""

    stage: Stage
    ground: Ground
    told: list[Event] = field(default_factory=list)

    def begin(self, job: str, *settings: str, **more: Any) -> Begun:
        return begin(self.stage, job, settings, **more)

    def look(self, run: JobRun) -> JobRun:
        found = look(self.stage.cluster(self.stage.jobs[run.job]), self.stage.jobs[run.job], run.name)
        assert found is not None
        return found

    def until(self, run: JobRun, test: Callable[[JobRun], bool]) -> JobRun:
        eventually(lambda: test(self.look(run)))
        found = self.look(run)
        assert test(found), found
        return found

    def end(self, run: JobRun, code: int, rank: int | None = None) -> None:
        self.until(run, lambda now: any(pod.phase is Phase.RUNNING and rank in (None, pod.rank) for pod in now.pods))
        self.ground.end(run.namespace, run.name, code, rank)

    def live(self, run: JobRun) -> Object:
        found = self.ground.cluster.get("batch/v1", "Job", run.name, run.namespace)
        assert found is not None
        return found

    def codes(self) -> list[str]:
        return [item.diagnostic.code for item in self.told if isinstance(item, Note)]

    def lines(self) -> list[LogLine]:
        return [item for item in self.told if isinstance(item, LogLine)]

    def history(self) -> list[dict[str, Any]]:
        path = self.stage.request.project.home / "history" / "dev.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Ground]]:
    sizes = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    with ground(tmp_path_factory.mktemp("ground"), {"a": sizes, "b": sizes}) as made:
        root = tmp_path_factory.mktemp("project")
        for folder, name, text in (
            ("stacks", "dev.yaml", STACK.format(path=made.kubeconfig)),
            ("blueprints", "lab.py", BLUEPRINT),
        ):
            (root / folder).mkdir()
            (root / folder / name).write_text(text)
        project = Project(root)
        with opened_stage(Request(project, "dev")) as stage:
            definitions.ensure(made.kubeconfig, stage.compiled.graph)
            bring_up(stage.compiled, made.cluster)
        yield project, made


@pytest.fixture
def bench(place: tuple[Project, Ground]) -> Iterator[Bench]:
    """The stack with no runs; what other tests made is deleted after them."""
    project, made = place
    told: list[Event] = []
    with opened_stage(Request(project, "dev", emit=told.append)) as stage:
        bench = Bench(stage, made, told)
        yield bench
        for job, run in all_runs(stage):
            runs.delete(stage, job, run)


def refused(error: pytest.ExceptionInfo[MlinfraError]) -> tuple[str, str]:
    """The code of what was refused, and all its words."""
    (item,) = error.value.diagnostics
    return item.code, f"{item.summary}\n{item.detail}\n{item.remedy}"


# ------------------------------------------------------------------------------------------------ made, keyed by inputs


def test_a_run_is_the_template_that_stands_in_the_cluster(bench: Bench) -> None:
    run = bench.begin("fit").run
    assert run.made
    template = bench.ground.cluster.get("batch/v1", "CronJob", "fit", PLACE)
    assert template is not None
    live = bench.live(run)
    wanted = template["spec"]["jobTemplate"]
    labels = live["metadata"]["labels"]
    assert run.name == f"fit-{run.digest}" == f"fit-{labels['mlinfra.dev/run']}"
    assert len(run.digest) == 10
    assert wanted["metadata"]["labels"].items() <= labels.items()
    assert labels["mlinfra.dev/component"] == "fit"
    assert "ownerReferences" not in live["metadata"], "an update of the template must not take its runs away"
    for key in ("activeDeadlineSeconds", "backoffLimit", "podFailurePolicy", "ttlSecondsAfterFinished"):
        assert live["spec"][key] == wanted["spec"][key]
    [container] = live["spec"]["template"]["spec"]["containers"]
    assert container == wanted["spec"]["template"]["spec"]["containers"][0]


def test_a_run_reads_a_config_of_its_own_that_goes_with_it(bench: Bench) -> None:
    begun = bench.begin("fit", "lr=0.5", "model.layers=[8]")
    run, cluster = begun.run, bench.ground.cluster
    assert run.settings == {"lr": 0.5, "model.layers": [8]}
    [volume] = [item for item in bench.live(run)["spec"]["template"]["spec"]["volumes"] if item["name"] == "config"]
    name = volume["configMap"]["name"]
    assert name == f"{run.name}-config"
    config = cluster.get("v1", "ConfigMap", name, PLACE)
    assert config is not None
    assert json.loads(config["data"]["config.json"]) == {"lr": 0.5, "model": {"layers": [8]}}
    assert config["immutable"] is True
    assert [owner["uid"] for owner in config["metadata"]["ownerReferences"]] == [bench.live(run)["metadata"]["uid"]]
    runs.delete(bench.stage, begun.job, run)
    assert eventually(lambda: cluster.get("v1", "ConfigMap", name, PLACE) is None)
    assert cluster.get("v1", "ConfigMap", "fit-config", PLACE) is not None


def test_who_made_a_run_is_in_the_cluster_and_in_the_history(bench: Bench) -> None:
    run = bench.begin("fit", "lr=0.25", title="a quarter").run
    notes = bench.live(run)["metadata"]["annotations"]
    assert notes["mlinfra.dev/started-by"] == run.started_by
    user, _, host = run.started_by.partition("@")
    last = bench.history()[-1]
    assert (last["verb"], last["user"], last["host"]) == ("run", user, host)
    assert (last["job"], last["run"], last["settings"]) == ("fit", run.name, {"lr": 0.25})
    assert run.title == "a quarter"


def test_the_same_inputs_are_the_same_run(bench: Bench) -> None:
    first = bench.begin("fit").run
    for settings in ((), ("lr=0.1",), ("lr=1e-1", "model.layers=[64, 32]")):
        again = bench.begin("fit", *settings).run
        assert (again.name, again.made) == (first.name, False)
    other = bench.begin("fit", "lr=0.2").run
    assert other.made
    assert other.name != first.name
    assert bench.codes() == ["run-exists"] * 3
    assert len(all_runs(bench.stage, "fit")) == 2
    assert [entry["run"] for entry in bench.history()[-2:]] == [first.name, other.name]


def test_a_finished_run_is_reported_and_another_is_numbered(bench: Bench) -> None:
    first = bench.begin("fit").run
    bench.end(first, 0)
    bench.until(first, lambda run: run.phase is Phase.SUCCEEDED)
    found = bench.begin("fit").run
    assert (found.name, found.phase, found.made) == (first.name, Phase.SUCCEEDED, False)
    second = bench.begin("fit", again=True).run
    assert (second.name, second.made, second.digest) == (f"{first.name}-2", True, first.digest)
    assert bench.begin("fit").run.name == second.name, "the newest of them is told of"
    assert bench.begin("fit", again=True).run.name == f"{first.name}-3"


def test_many_who_ask_at_once_get_one_run(bench: Bench) -> None:
    found: list[JobRun] = []

    def ask() -> None:
        found.append(bench.begin("fit", "lr=0.75").run)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({run.name for run in found}) == 1
    assert sum(run.made for run in found) == 1


def test_another_template_is_another_run(bench: Bench) -> None:
    first = bench.begin("ranks").run
    path = bench.ground.cluster.path("batch/v1", "CronJob", PLACE, "ranks")
    for seconds in (7200, 86400):
        patch = {"spec": {"jobTemplate": {"spec": {"activeDeadlineSeconds": seconds}}}}
        bench.ground.cluster.merge(path, patch)
        run = bench.begin("ranks").run
        assert (run.digest == first.digest) is (seconds == 86400)


@pytest.mark.parametrize(
    ("job", "settings", "more", "code", "says"),
    [
        ("fitt", (), {}, "run-job-unknown", "Did you mean fit?"),
        ("train", (), {}, "run-job-unknown", "train is a TrainingCluster, and no training job"),
        ("later", (), {}, "run-no-image", "it has no image yet"),
        ("fit", ("lrr=1",), {}, "run-setting", "Did you mean lr?"),
        ("ranks", ("lr=1",), {}, "run-no-config", "has no config"),
        ("fit", (), {"title": "a/b"}, "run-name", "cannot be the name"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_made(
    job: str, settings: tuple[str, ...], more: dict[str, Any], code: str, says: str, bench: Bench
) -> None:
    with pytest.raises(MlinfraError) as error:
        bench.begin(job, *settings, **more)
    found = refused(error)
    assert found[0] == code
    assert says in found[1]
    assert all_runs(bench.stage) == []


def test_a_name_that_another_run_has_is_refused(bench: Bench) -> None:
    first = bench.begin("fit", title="base").run
    with pytest.raises(MlinfraError) as error:
        bench.begin("fit", "lr=3", title="base")
    assert refused(error)[0] == "run-name-taken"
    assert first.name in refused(error)[1]
    assert bench.begin("fit", title="base").run.name == first.name


def test_a_job_that_is_not_up_says_so(bench: Bench) -> None:
    cluster = bench.ground.cluster
    template = cluster.get("batch/v1", "CronJob", "sweep", PLACE)
    assert template is not None
    cluster.delete("batch/v1", "CronJob", "sweep", PLACE)
    try:
        with pytest.raises(MlinfraError) as error:
            bench.begin("sweep")
        assert refused(error)[0] == "run-not-up"
        assert "mlinfra up --stack dev" in refused(error)[1]
    finally:
        metadata = {key: template["metadata"][key] for key in ("name", "namespace", "labels")}
        cluster.apply({**template, "metadata": metadata, "status": None}, manager="up", force=True)


@contextmanager
def none_of(what: str, cluster: Cluster) -> Iterator[None]:
    """A quota that lets nothing of a kind be made."""
    metadata = {"name": "none", "namespace": PLACE}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {what: "0"}}}
    cluster.apply(quota, manager="test")
    try:
        eventually(lambda: "hard" in (cluster.get("v1", "ResourceQuota", "none", PLACE) or {}).get("status", {}))
        yield
    finally:
        cluster.delete("v1", "ResourceQuota", "none", PLACE)


def test_a_run_that_is_refused_leaves_nothing(bench: Bench) -> None:
    cluster = bench.ground.cluster
    with none_of("count/jobs.batch", cluster):
        with pytest.raises(MlinfraError, match="exceeded quota"):
            bench.begin("fit", "lr=9")
        assert cluster.list("v1", "ConfigMap", PLACE, labels="mlinfra.dev/run") == []


# --------------------------------------------------------------------------------------------- how far, what came of it


def test_a_run_that_fits_no_machine_says_why(bench: Bench) -> None:
    run = bench.begin("large").run
    found = bench.until(run, lambda run: "nvidia.com/gpu" in run.reason)
    assert found.phase is Phase.WAITING
    assert found.reason.startswith("0/2 nodes are available: 2 ")
    assert "preemption" not in found.reason


def test_a_run_whose_pods_are_refused_says_why(bench: Bench) -> None:
    with none_of("pods", bench.ground.cluster):
        run = bench.begin("fit").run
        found = bench.until(run, lambda run: "exceeded quota: none" in run.reason)
        assert found.phase is Phase.WAITING


def test_a_run_is_tried_again_and_then_has_failed(bench: Bench) -> None:
    run = bench.begin("fit").run
    bench.end(run, 3)
    again = bench.until(run, lambda now: now.failed == 1 and now.phase in (Phase.RETRYING, Phase.RUNNING))
    if again.phase is Phase.RETRYING:  # for some seconds: Kubernetes waits before each further try
        assert again.reason == "exit code 3"
    bench.end(run, 137)
    ended = bench.until(run, lambda run: run.phase.ended)
    assert (ended.phase, ended.exit_code) == (Phase.FAILED, 137)
    assert ended.reason == "every try failed: exit code 137 (OOMKilled)"
    found = bench.begin("fit").run
    assert (found.made, found.phase, found.exit_code) == (False, Phase.FAILED, 137)


def test_an_exit_code_that_is_fatal_ends_a_run_at_once(bench: Bench) -> None:
    run = bench.begin("fit").run
    bench.end(run, 42)
    ended = bench.until(run, lambda run: run.phase.ended)
    assert (ended.phase, ended.exit_code, ended.failed) == (Phase.FAILED, 42, 1)
    assert ended.reason.startswith("the job does not try again after such an end")


def test_a_run_that_takes_too_long_is_told_so(bench: Bench) -> None:
    begun = bench.begin("fit")
    bench.until(begun.run, lambda run: run.running == 1)
    path = bench.ground.cluster.path("batch/v1", "Job", PLACE, begun.run.name)
    patch = {"spec": {"activeDeadlineSeconds": 1}}
    bench.ground.cluster.merge(path, patch)
    ended = bench.until(begun.run, lambda run: run.phase.ended)
    assert (ended.phase, ended.reason) == (Phase.DEADLINE, "it had 1 s")
    assert ended.ended >= ended.started


def test_a_machine_that_is_taken_away_is_no_failure(bench: Bench) -> None:
    run = bench.begin("fit").run
    before = bench.until(run, lambda run: run.running == 1)
    name = before.pods[0].name
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": PLACE}}
    path = bench.ground.cluster.path("v1", "Pod", PLACE, name)
    bench.ground.cluster.request("POST", f"{path}/eviction", eviction)
    found = bench.until(run, lambda run: run.running == 1 and run.pods[-1].name != name)
    assert (found.phase, found.failed) == (Phase.RUNNING, 0)


def test_ranks_are_counted_and_the_one_that_failed_is_named(bench: Bench) -> None:
    run = bench.begin("ranks").run
    whole = bench.until(run, lambda run: run.running == 4)
    assert (whole.phase, whole.wanted, whole.parallel) == (Phase.RUNNING, 4, 4)
    assert [(pod.rank, pod.node in "ab") for pod in whole.pods] == [(rank, True) for rank in range(4)]
    bench.end(run, 7, rank=2)
    ended = bench.until(run, lambda run: run.phase.ended)
    assert (ended.phase, ended.exit_code) == (Phase.FAILED, 7)
    assert "rank 2: exit code 7" in ended.reason


def test_a_sweep_runs_some_at_a_time(bench: Bench) -> None:
    run = bench.begin("sweep").run
    found = bench.until(run, lambda run: run.running == 2)
    assert (found.wanted, found.parallel, found.succeeded) == (3, 2, 0)
    bench.end(run, 0, rank=0)
    bench.until(run, lambda run: run.succeeded == 1 and run.running == 2)
    bench.end(run, 1, rank=1)
    bench.end(run, 0, rank=2)
    ended = bench.until(run, lambda run: run.phase.ended)
    assert (ended.phase, ended.succeeded) == (Phase.FAILED, 2)
    assert "indexes 1" in ended.reason


# ------------------------------------------------------------------------------------------------ followed


class Following:
    """A run that is followed in a thread, as a command would."""

    def __init__(self, bench: Bench, begun: Begun, **more: Any) -> None:
        self.ended: list[JobRun] = []
        self.failed: list[BaseException] = []

        def work() -> None:
            try:
                self.ended.append(follow(bench.stage, begun.job, begun.run, **more))
            except BaseException as error:
                self.failed.append(error)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def end(self) -> JobRun:
        self._thread.join(60)
        assert not self.failed, self.failed
        return self.ended[0]


def test_following_tells_each_change_and_what_came_of_it(bench: Bench) -> None:
    begun = bench.begin("fit")
    following = Following(bench, begun)
    bench.until(begun.run, lambda run: run.running == 1)
    assert eventually(lambda: any(isinstance(item, JobRun) and item.running for item in bench.told))
    bench.end(begun.run, 0)
    ended = following.end()
    assert (ended.phase, ended.made) == (Phase.SUCCEEDED, True)
    phases = [item.phase for item in bench.told if isinstance(item, JobRun)]
    assert phases == sorted(phases, key=list(Phase).index), "each once, in their order"
    assert Phase.SUCCEEDED not in phases, "the end is for whoever asked"


def test_the_log_of_each_rank_is_streamed(bench: Bench) -> None:
    begun = bench.begin("talks")
    assert begun.run.namespace == WITH_LOGS
    bench.ground.write("epoch 1")
    following = Following(bench, begun)
    assert eventually(
        lambda: {(line.part, line.text) for line in bench.lines()} == {("0", "epoch 1"), ("1", "epoch 1")}
    )
    bench.ground.write("epoch 2", moment="2026-11-21T10:00:01.000000000Z")
    assert eventually(lambda: [line.text for line in bench.lines()].count("epoch 2") == 2), "while it runs"
    bench.end(begun.run, 0)
    assert following.end().phase is Phase.SUCCEEDED
    told = [(line.rank, line.text) for line in bench.lines()]
    assert sorted(told) == [(rank, f"epoch {number}") for rank in (0, 1) for number in (1, 2)], "and none twice"
    assert all(line.pod.startswith(f"{begun.run.name}-{line.rank}") for line in bench.lines())
    assert bench.codes() == []
    bench.told.clear()
    follow(bench.stage, begun.job, begun.run, tail=1)
    assert [line.text for line in bench.lines()] == ["epoch 2", "epoch 2"], "of one that has ended the log is shown"


def test_where_no_log_can_be_had_the_reason_is_told_once(bench: Bench) -> None:
    begun = bench.begin("ranks")
    following = Following(bench, begun)
    bench.until(begun.run, lambda run: run.running == 4)
    bench.end(begun.run, 0)
    assert following.end().phase is Phase.SUCCEEDED
    assert bench.lines() == []
    assert bench.codes() == ["kubernetes-400"]


def test_who_stops_following_does_not_stop_the_run(bench: Bench) -> None:
    begun = bench.begin("fit")

    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    stage = replace(bench.stage, request=replace(bench.stage.request, emit=interrupted))
    with pytest.raises(KeyboardInterrupt):
        follow(stage, begun.job, begun.run)
    assert not bench.look(begun.run).phase.ended
    bench.end(begun.run, 0)
    bench.until(begun.run, lambda run: run.phase is Phase.SUCCEEDED)


def test_a_run_that_is_deleted_under_whoever_follows_it(bench: Bench) -> None:
    begun = bench.begin("fit")
    runs.delete(bench.stage, begun.job, begun.run)
    with pytest.raises(MlinfraError) as error:
        follow(bench.stage, begun.job, begun.run)
    assert refused(error)[0] == "run-gone"


# ------------------------------------------------------------------------------------------------ found, stopped


def test_runs_are_listed_and_found(bench: Bench) -> None:
    fit = bench.begin("fit", title="first one").run
    other = bench.begin("fit", "lr=0.2").run
    sweep = bench.begin("sweep").run
    assert {run.name for _, run in all_runs(bench.stage)} == {fit.name, other.name, sweep.name}
    assert {run.name for _, run in all_runs(bench.stage, "fit")} == {fit.name, other.name}
    for text, name in (
        (fit.name, fit.name),
        ("first one", fit.name),
        (other.digest[:6], other.name),
        ("sweep", sweep.name),
    ):
        job, found = find(bench.stage, text)
        assert (found.name, job.name) == (name, found.job)
    assert find(bench.stage, "fit")[1].name in (fit.name, other.name), "the newest run of a job"
    with pytest.raises(MlinfraError) as error:
        find(bench.stage, fit.name[:-1] + "x")
    assert refused(error)[0] == "run-unknown"
    assert fit.name in refused(error)[1]


def test_a_title_is_of_the_newest_run_with_these_inputs(bench: Bench) -> None:
    bench.begin("fit", title="base")
    second = bench.begin("fit", title="base", again=True).run
    assert find(bench.stage, "base")[1].name in (second.name, second.name.removesuffix("-2"))
    other = bench.begin("sweep", title="base").run
    with pytest.raises(MlinfraError) as error:
        find(bench.stage, "base")
    assert refused(error)[0] == "run-ambiguous"
    assert other.name in refused(error)[1]


def test_one_digest_may_be_of_several_runs(bench: Bench) -> None:
    first = bench.begin("fit").run
    bench.begin("fit", again=True)
    with pytest.raises(MlinfraError) as error:
        find(bench.stage, first.digest)
    assert refused(error)[0] == "run-ambiguous"


def test_a_run_is_cancelled_and_kept(bench: Bench) -> None:
    begun = bench.begin("ranks")
    bench.until(begun.run, lambda run: run.running == 4)
    assert runs.cancel(bench.stage, begun.job, bench.look(begun.run))
    ended = bench.until(begun.run, lambda run: run.phase.ended)
    assert (ended.phase, ended.reason) == (Phase.CANCELLED, f"by {begun.run.started_by}")
    assert eventually(lambda: not bench.ground.pods(PLACE, begun.run.name)), "its pods are gone"
    assert bench.history()[-1]["verb"] == "runs cancel"
    with pytest.raises(MlinfraError) as error:
        runs.cancel(bench.stage, begun.job, ended)
    assert refused(error)[0] == "run-ended"
    found = bench.begin("ranks").run
    assert (found.made, found.phase) == (False, Phase.CANCELLED)


def test_a_run_that_waits_in_a_queue_is_taken_out_of_it(bench: Bench) -> None:
    begun = bench.begin("patient")
    found = bench.look(begun.run)
    assert (found.phase, found.reason) == (Phase.QUEUED, "in queue research")
    assert bench.live(found)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert not runs.cancel(bench.stage, begun.job, found)
    assert eventually(lambda: bench.ground.cluster.get("batch/v1", "Job", found.name, found.namespace) is None), (
        "it has done nothing yet"
    )


def test_where_kueue_says_why_a_run_waits_it_is_told(bench: Bench) -> None:
    cluster = bench.ground.cluster
    workloads = definition("workloads.kueue.x-k8s.io", "Workload")
    cluster.apply(workloads, manager="test")
    run = bench.begin("patient").run
    uid = bench.live(run)["metadata"]["uid"]
    workload = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "Workload",
        "metadata": {"name": "w", "namespace": run.namespace, "labels": {"kueue.x-k8s.io/job-uid": uid}},
        "status": {"conditions": [{"type": "QuotaReserved", "status": "False", "message": "insufficient quota"}]},
    }
    cluster.apply(workload, manager="test", wait_for_kind=30)
    try:
        found = bench.until(run, lambda run: "insufficient quota" in run.reason)
        assert found.reason == "in queue research: insufficient quota"
    finally:
        cluster.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", "workloads.kueue.x-k8s.io")


def definition(name: str, kind: str) -> Object:
    """A kind that takes any fields."""
    plural, _, group = name.partition(".")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/kueue"},
        },
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def test_a_ray_cluster_is_run_from_the_same_kind_of_template(bench: Bench) -> None:
    begun = bench.begin("tune", "lr=0.5")
    run, cluster = begun.run, bench.ground.cluster
    assert (run.kind, run.made, run.phase) == ("RayJob", True, Phase.WAITING)
    assert run.reason == "KubeRay has not taken it up yet"
    live = cluster.get("ray.io/v1", "RayJob", run.name, PLACE)
    assert live is not None
    head = live["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    [named] = [item["value"] for item in head["containers"][0]["env"] if item["name"] == "MLINFRA_RUN"]
    assert named == run.name
    assert {"name": f"{run.name}-config"} in [item.get("configMap") for item in head["volumes"]]
    config = cluster.get("v1", "ConfigMap", f"{run.name}-config", PLACE)
    assert config is not None
    assert json.loads(config["data"]["config.json"])["lr"] == 0.5
    assert config["metadata"]["ownerReferences"][0]["kind"] == "RayJob"

    def status(**fields: Any) -> None:
        path = f"{cluster.path('ray.io/v1', 'RayJob', PLACE, run.name)}/status"
        cluster.merge(path, {"status": fields})

    status(jobDeploymentStatus="Running", jobStatus="RUNNING", startTime="2026-11-21T10:00:00Z")
    assert bench.look(run).phase is Phase.RUNNING
    assert bench.begin("tune", "lr=0.5").run.name == run.name
    assert find(bench.stage, "tune")[1].name == run.name
    status(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", endTime="2026-11-21T10:02:00Z")
    ended = follow(bench.stage, begun.job, run)
    assert (ended.phase, ended.seconds) == (Phase.SUCCEEDED, 120.0)


def test_the_pods_of_a_ray_cluster_are_found_by_it(bench: Bench) -> None:
    cluster = bench.ground.cluster
    run = bench.begin("tune").run
    template = cluster.get("ray.io/v1", "RayJob", run.name, PLACE)
    assert template is not None
    path = cluster.path("ray.io/v1", "RayJob", PLACE, run.name)
    cluster.merge(f"{path}/status", {"status": {"jobDeploymentStatus": "Running", "rayClusterName": "tune-made"}})
    head = template["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]  # as KubeRay makes a pod of it
    labels = {**head["metadata"]["labels"], "ray.io/cluster": "tune-made", "ray.io/node-type": "head"}
    metadata = {"name": "tune-head", "namespace": PLACE, "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", **head, "metadata": metadata}, manager="test")
    try:
        assert [pod.part for pod in bench.until(run, lambda run: run.running == 1).pods] == ["head"]
        assert [(found.name, found.running) for _, found in all_runs(bench.stage)] == [(run.name, 1)]
    finally:
        cluster.delete("v1", "Pod", "tune-head", PLACE)


def test_a_run_of_a_ray_cluster_is_cancelled(bench: Bench) -> None:
    begun = bench.begin("tune")
    assert runs.cancel(bench.stage, begun.job, begun.run)
    live = bench.ground.cluster.get("ray.io/v1", "RayJob", begun.run.name, PLACE)
    assert live is not None
    assert live["spec"]["activeDeadlineSeconds"] == 1
    assert bench.look(begun.run).reason.startswith("is being cancelled by ")


def test_the_folder_of_the_user_stays_clean(bench: Bench) -> None:
    bench.begin("fit")
    written = {path.name for path in bench.stage.request.project.home.rglob("*") if path.is_file()}
    assert written == {"dev.jsonl"}
