"""The report: what is told, and what is told as a problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlinfra.checks.capacity.record import AtOnce, CapacityReport, Range
from mlinfra.diagnostics import Severity
from tests.checks.capacity.conftest import CORE, GPU, Made, codes, pod_spec, pool, use

APART = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "a"}}}
        ]
    }
}
GPUS = pool("gpu", cpu=8, memory=32, gpus=4, max=2)
RANKS = {"parallelism": 4, "completions": 4, "completionMode": "Indexed"}


def problems(made: Made, **setting: Any) -> list[str]:
    return codes(made.report(**setting))


# ------------------------------------------------------------------------------------------------ what fits


def test_a_pool_is_told_in_full() -> None:
    made = Made(pool("cpu", cpu=4, memory=16, max=3, min=1)).daemons("agent", pod_spec("100m", "128Mi"))
    made.deployment("api", pod_spec("1", "2Gi"), None).scaled("api", 2, 5)
    (cpu,) = made.report().pools
    assert (cpu.machines_fewest, cpu.machines_most) == (1, 2)
    assert (cpu.asked_fewest["cpu"], cpu.asked_most["cpu"], cpu.whole["cpu"]) == (2300, 5300, 12_000)
    assert cpu.daemons == {"cpu": 100, "memory": 128 * 1024**2, "pods": 1}
    assert cpu.largest["cpu"] == 3900
    assert use(made.report(), "agent").pods == Range(3, 3)


@pytest.mark.parametrize(
    ("spec", "job", "at_once"),
    [
        (pod_spec("1", gpus=1), {}, AtOnce(8, 8, 8)),
        (pod_spec("1", gpus=3), {}, AtOnce(2, 6, 2)),
        (pod_spec("1", gpus=1, subdomain="fit"), RANKS, AtOnce(8, 8, 2)),
        (pod_spec("5", gpus=1), {}, AtOnce(2, 2, 2)),
        (pod_spec("1", gpus=1, subdomain="fit"), {**RANKS, "parallelism": 3, "completions": 3}, AtOnce(8, 8, 2)),
        (pod_spec("1", gpus=5), {}, AtOnce(0, 0, 0)),
    ],
)
def test_how_much_of_a_job_fits_at_once(spec: dict[str, Any], job: dict[str, Any], at_once: AtOnce) -> None:
    assert use(Made(GPUS).cron_job("fit", spec, **job).report(), "fit").at_once == at_once


@pytest.mark.parametrize(("ranks", "gpus", "runs"), [(2, 1, 4), (2, 2, 2), (2, 4, 1), (1, 1, 8), (3, 1, 0)])
def test_ranks_of_a_run_on_machines_of_their_own(ranks: int, gpus: int, runs: int) -> None:
    """Two ranks of one run never share a machine; those of two runs do."""
    selector = {"labelSelector": {"matchLabels": {"app": "fit"}}, "matchLabelKeys": ["batch.kubernetes.io/job-name"]}
    term = {**selector, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    job = {"parallelism": ranks, "completions": ranks, "completionMode": "Indexed"}
    made = Made(GPUS).cron_job("fit", pod_spec("1", gpus=gpus, subdomain="fit", affinity=apart), **job)
    assert use(made.report(), "fit").at_once == AtOnce(runs * ranks, runs * ranks * gpus, runs)
    assert codes(made.report()) == ([] if runs else ["error:capacity-together"])


def test_a_job_beside_endpoints() -> None:
    """Two replicas of one GPU each stand on one machine, or with bad luck on both."""
    made = Made(GPUS).deployment("api", pod_spec("1", gpus=1), None).scaled("api", 2, 6)
    made.cron_job("fit", pod_spec("1", gpus=4))
    fit = use(made.report(), "fit")
    assert (fit.at_once, fit.at_once_most, fit.at_once_spread) == (AtOnce(1, 4, 1), AtOnce(0, 0, 0), AtOnce(0, 0, 0))
    assert codes(made.report()) == ["warning:capacity-at-most", "warning:capacity-if-spread"]


def test_a_sweep_that_is_wider_than_the_machines_waits_for_itself() -> None:
    made = Made(GPUS).cron_job("sweep", pod_spec("1", gpus=3), **{**RANKS, "parallelism": 3, "completions": 9})
    assert use(made.report(), "sweep").at_once == AtOnce(2, 6, 0)
    (problem,) = made.report().problems
    assert (problem.severity, problem.code) == (Severity.WARNING, "capacity-in-part")
    assert problem.summary.startswith("Job sweep finds room for some of its pods at once")


def test_jobs_that_wait_are_told_of_together() -> None:
    made = Made(GPUS)
    told = {0: "Job s0 finds", 1: "Jobs s0, s1 find", 5: "s0, s1, s2, s3, s4 and 1 more job find"}
    for number in range(6):
        made.cron_job(f"s{number}", pod_spec("1", gpus=3), **{**RANKS, "parallelism": 3, "completions": 9})
        if number in told:
            (problem,) = made.report().problems
            assert problem.summary.startswith(f"{told[number]} room for some of ")


def test_a_ray_cluster_runs_whole_or_not_at_all() -> None:
    spec = {
        "rayClusterSpec": {
            "headGroupSpec": {"template": {"spec": pod_spec("3")}},
            "workerGroupSpecs": [{"groupName": "workers", "replicas": 2, "template": {"spec": pod_spec("1", gpus=2)}}],
        },
        "submissionMode": "HTTPMode",
    }
    made = Made(GPUS, pool("cpu", cpu=4, max=5)).node("ray", "kubernetes:ray.io/v1:RayJob", {"spec": spec})
    fit = use(made.report(), "ray")
    assert fit.at_once == AtOnce(6, 8, 2)  # two runs use all GPUs, though there are machines for three more heads
    assert set(fit.each) == {"head", "workers"}


def test_gpu_hours() -> None:
    made = Made(GPUS).deployment("api", pod_spec("1", gpus=2), None).scaled("api", 1, 2)
    made.cron_job("fit", pod_spec("1", gpus=1, subdomain="fit"), activeDeadlineSeconds=36_000, **RANKS)
    made.cron_job("open", pod_spec("1", gpus=1))
    report = made.report()
    assert use(report, "api").gpu_hours == Range(1460, 2920)
    assert use(report, "fit").gpu_hours == Range(40, 40)
    assert use(report, "open").gpu_hours is None
    assert report.pools[0].gpu_hours == Range(0, 5840)
    assert report.gpu_hours == Range(1460, 2920)


# ------------------------------------------------------------------------------------------------ what does not


def never(summary: str, *detail: str) -> tuple[str, str, tuple[str, ...]]:
    return "error:capacity-never-fits", summary, detail


PROBLEMS: dict[str, tuple[Callable[[], Made], tuple[str, str, tuple[str, ...]]]] = {
    "a GPU too many": (
        lambda: Made(GPUS, pool("cpu")).cron_job("fit", pod_spec("1", gpus=5)),
        never(
            "fit asks for 5 GPUs on one machine",
            "pool gpu (m6i.xlarge): 1 GPU too little",
            "pool cpu (m6i.xlarge): 5 GPUs too little",
        ),
    ),
    "cores that daemons take": (
        lambda: Made(pool("cpu", cpu=4)).daemons("agent", pod_spec("100m")).deployment("api", pod_spec("4")),
        never("api asks for 4 cores on one machine", "pool cpu (m6i.xlarge): 0.1 cores too little"),
    ),
    "a label that no pool has": (
        lambda: Made(pool("cpu")).deployment("api", pod_spec("1", nodeSelector={"pool": "gpu"})),
        never("api may run on no machine of the pools", "the pod wants the label pool=gpu, and it has cpu"),
    ),
    "a taint": (
        lambda: Made(GPUS).deployment("api", pod_spec("1")),
        never("api may run on no machine of the pools", "nvidia.com/gpu=present:NoSchedule"),
    ),
    "a daemon that is too large": (
        lambda: Made(pool("cpu", cpu=1)).daemons("agent", pod_spec("2")),
        never("agent is to run on every machine, and those of pool cpu have no room for it", "1 core too little"),
    ),
    "more replicas than fit": (
        lambda: Made(pool("cpu", cpu=4, max=2)).deployment("api", pod_spec("1500m"), None).scaled("api", 5, 9),
        ("error:capacity-replicas", "The fewest replicas ask for 5 pods of api", ("4 pods of this kind",)),
    ),
    "more cores than there are": (
        lambda: Made(pool("cpu", cpu=4, max=2)).deployment("a", pod_spec("1"), 5).deployment("b", pod_spec("1"), 4),
        (
            "error:capacity-replicas",
            "The fewest replicas ask for 9 cores of pool cpu",
            ("At most there are 8 cores", "asked for by a, b"),
        ),
    ),
    "more large pods than machines": (
        lambda: (
            Made(pool("cpu", cpu=4, max=3)).deployment("a", pod_spec("2100m"), 2).deployment("b", pod_spec("2500m"), 2)
        ),
        (
            "error:capacity-replicas",
            "The fewest replicas ask for 4 machines of pool cpu",
            ("over half of a machine, and there are at most 3: a, b",),
        ),
    ),
    "more apart than machines": (
        lambda: Made(pool("cpu", max=2)).deployment("a", pod_spec("1", affinity=APART), 3),
        ("error:capacity-replicas", "ask for 3 pods of a", ("take 2 pods",)),
    ),
    "more replicas at the most": (
        lambda: Made(pool("cpu", cpu=4, max=2)).deployment("api", pod_spec("1500m"), None).scaled("api", 2, 9),
        ("error:capacity-replicas", "The most replicas ask for 9 pods of api", ("4 pods of this kind",)),
    ),
    "ranks that can never meet": (
        lambda: Made(GPUS).cron_job("fit", pod_spec("1", gpus=3, subdomain="fit"), **RANKS),
        (
            "error:capacity-together",
            "A run of fit, which needs all its pods at once, asks for 4 pods of fit",
            ("take 2 pods of this kind",),
        ),
    ),
    "no room beside what is always there": (
        lambda: Made(GPUS).deployment("api", pod_spec("1", gpus=4), 2).cron_job("fit", pod_spec("1", gpus=1)),
        ("error:capacity-no-room", "There is no room for fit beside what is always there", ("Of 1 pod 1 found",)),
    ),
    "ranks without room beside what is always there": (
        lambda: (
            Made(GPUS)
            .deployment("api", pod_spec("1", gpus=1), 5)
            .cron_job("fit", pod_spec("1", gpus=1, subdomain="fit"), **RANKS)
        ),
        ("error:capacity-no-room", "no room for a run of fit", ("Of 4 pods 1 found no place",)),
    ),
    "replicas beyond a quota": (
        lambda: Made(pool("cpu", max=9)).deployment("api", pod_spec("2"), 3).quota(**{"requests.cpu": 5, "pods": 9}),
        (
            "error:capacity-quota",
            "The fewest replicas in namespace ml ask for 6 cores, more than its quota allows",
            ("quota allows 5 cores; that is 1 core too little",),
        ),
    ),
    "the most replicas beyond a quota": (
        lambda: Made(pool("cpu", max=9)).deployment("api", pod_spec("2"), None).scaled("api", 1, 5).quota(pods=3),
        ("error:capacity-quota", "The most replicas in namespace ml ask for 5 pods", ("allows 3 pods",)),
    ),
    "a run beyond a quota": (
        lambda: (
            Made(GPUS)
            .deployment("api", pod_spec("1", gpus=1), 1)
            .cron_job("fit", pod_spec("1", gpus=2))
            .quota(**{f"requests.{GPU}": 2})
        ),
        (
            "error:capacity-quota",
            "A run of fit in namespace ml asks for 2 GPUs beside what is always there, more than its quota allows",
            ("allows 2 GPUs; that is 1 GPU too little",),
        ),
    ),
    "a pod that does not say what a quota counts": (
        lambda: Made(pool("cpu")).deployment("api", pod_spec("1")).quota(**{"requests.memory": "8Gi"}),
        (
            "error:capacity-quota",
            "api does not say its requests.memory, and the quota quota refuses such pods",
            ("every container",),
        ),
    ),
    "an amount that nobody can read": (
        lambda: Made(pool("cpu")).deployment("api", pod_spec("lots")),
        ("warning:capacity-unreadable", "What api asks for cannot be read", ("'lots' is no amount of cpu",)),
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_names_pod_pool_and_what_is_missing(name: str) -> None:
    make, (code, summary, detail) = PROBLEMS[name]
    report = make().report()
    assert codes(report) == [code], [item.summary for item in report.problems]
    (problem,) = report.problems
    assert summary in problem.summary
    for words in detail:
        assert words in problem.detail
    assert problem.remedy or code.endswith("unreadable")


def test_all_that_is_not_certain_is_a_warning_where_there_may_be_other_machines() -> None:
    """On a cluster that is there already, a pod may go to machines of which the stack says nothing."""
    made = Made(pool("cpu", max=1)).deployment("api", pod_spec("9"), 3).cron_job("fit", pod_spec("9"))
    report = made.report(whole=False)
    assert {item.severity for item in report.problems} == {Severity.WARNING}
    assert all("The cluster may have other machines" in item.remedy for item in report.problems)


def test_a_pod_that_is_bound_to_a_kind_of_machine_has_no_others() -> None:
    bound = {"node.kubernetes.io/instance-type": "m6i.xlarge"}
    made = Made(pool("cpu", cpu=4)).deployment("api", pod_spec("9", nodeSelector=bound))
    assert problems(made, whole=False) == ["error:capacity-never-fits"]


def test_without_machines_only_quotas_are_checked() -> None:
    made = Made().deployment("api", pod_spec("9")).cron_job("fit", pod_spec("9", gpus=9)).quota(pods=0)
    report = made.report()
    assert codes(report) == ["error:capacity-quota"]
    assert "the stack declares no machines" in report.notes[-1]
    assert use(report, "fit").at_once is None


def test_what_a_quota_leaves_bounds_a_job() -> None:
    made = Made(GPUS).cron_job("fit", pod_spec("1", gpus=1)).quota(**{f"requests.{GPU}": 3})
    assert use(made.report(), "fit").at_once == AtOnce(3, 3, 3)


def test_a_quota_of_another_namespace_does_not() -> None:
    inputs = {"metadata": {"namespace": "other"}, "spec": {"hard": {"pods": "1"}}}
    made = Made(GPUS).cron_job("fit", pod_spec("1", gpus=1)).node("quota", f"{CORE}:ResourceQuota", inputs)
    assert use(made.report(), "fit").at_once == AtOnce(8, 8, 8)


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["NotBestEffort"]}, True),
        ({"scopes": ["BestEffort"]}, False),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["x"]}]
                }
            },
            True,
        ),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["y"]}]
                }
            },
            False,
        ),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, True),
        ({"scopes": ["NotTerminating", "BestEffort"]}, False),
    ],
)
def test_a_quota_for_some_pods(scope: dict[str, Any], counted: bool) -> None:
    inputs = {"spec": {"hard": {"pods": "0"}, **scope}}
    made = Made(pool("cpu")).deployment("api", pod_spec("1", priorityClassName="x"))
    report = made.node("quota", f"{CORE}:ResourceQuota", inputs).report()
    assert codes(report) == (["error:capacity-quota"] if counted else [])
    assert bool(report.limits) is counted


def test_a_queue_bounds_its_jobs() -> None:
    flavors = [{"name": "gpu", "resources": [{"name": GPU, "nominalQuota": 2}, {"name": "cpu", "nominalQuota": "9"}]}]
    groups = {"resourceGroups": [{"flavors": flavors}]}
    made = Made(GPUS).cron_job("fit", pod_spec("1", gpus=1), {"kueue.x-k8s.io/queue-name": "team"})
    made.cron_job("free", pod_spec("1", gpus=1))
    made.node("all", "kubernetes:kueue.x-k8s.io/v1beta1:ClusterQueue", {"spec": groups})
    made.node("team", "kubernetes:kueue.x-k8s.io/v1beta1:LocalQueue", {"spec": {"clusterQueue": "all"}})
    report = made.report()
    assert use(report, "fit").at_once == AtOnce(2, 2, 2)
    assert use(report, "free").at_once == AtOnce(8, 8, 8)
    assert [item.kind for item in report.limits] == ["LocalQueue"]


# ------------------------------------------------------------------------------------------------ EKS


def test_an_existing_eks_cluster_has_pods_of_its_own() -> None:
    made = Made(pool("cpu", cpu=4, memory=16, max=2)).deployment("api", pod_spec("3800m"))
    (alone,), (eks,) = made.report().pools, made.report(existing=True).pools
    assert alone.daemons == {}
    assert eks.daemons == {"cpu": 150, "pods": 3}  # aws-node 50m, kube-proxy 100m, the pod identity agent
    assert eks.asked_fewest["cpu"] == 3800 + 2 * 150 + 2 * 100  # and two pods of CoreDNS
    assert codes(made.report(existing=True)) == []
    assert codes(Made(pool("cpu", cpu=4)).deployment("api", pod_spec("3900m")).report(existing=True)) == [
        "error:capacity-never-fits"
    ]


def test_the_add_ons_of_a_cluster_of_the_graph() -> None:
    made = Made(pool("cpu", cpu=4, memory=16))
    for name in ("vpc-cni", "aws-ebs-csi-driver", "something-new"):
        made.node(name, "aws:eks/addon:Addon", {"addonName": name, "clusterName": "c"})
    report = made.report()
    assert report.pools[0].daemons == {"cpu": 80, "memory": 120 * 1024**2, "pods": 2}
    assert "what the add-on something-new runs is not known here, and not counted" in report.notes


# ------------------------------------------------------------------------------------------------ as data


def test_json_has_everything_in_plain_units() -> None:
    made = (
        Made(GPUS).deployment("api", pod_spec("1500m", "2Gi"), 1).cron_job("fit", pod_spec("1", gpus=1)).quota(pods=9)
    )
    record = made.report().as_json()
    assert record["pools"][0]["machine"] == {"cpu": 8, "memory": 32, GPU: 4, "pods": 110}
    assert record["pools"][0]["machines"] == {"min": 0, "max": 2}
    by_name = {item["name"]: item for item in record["workloads"]}
    assert by_name["api"]["pod"] == {"pod": {"cpu": 1.5, "memory": 2}}
    assert by_name["fit"]["at_once"] == {"pods": 8, "gpus": 8, "runs": 8}
    assert record["limits"][0]["limits"] == [{"resource": "pods", "hard": 9, "asked": {"min": 1, "max": 1}}]
    assert [item["code"] for item in record["problems"]] == ["capacity-never-fits"]
    assert record["gpu_hours"] == {"min": 0, "max": 0}


def test_the_same_bytes_every_time() -> None:
    def made() -> CapacityReport:
        graph = Made(GPUS, pool("cpu", max=3))
        for number in range(5):
            graph.deployment(f"api-{number}", pod_spec("1"), 2).cron_job(f"fit-{number}", pod_spec("1", gpus=1))
        return graph.report()

    assert made().as_json() == made().as_json()
