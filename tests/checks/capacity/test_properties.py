"""What holds for whatever graph there is: no claim that the machines' sizes refute, and never less of more machines."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlinfra.checks.capacity.amounts import added, fits
from mlinfra.checks.capacity.bounds import Bounds, Share
from mlinfra.checks.capacity.choosing import refusal
from mlinfra.checks.capacity.ground import Ground
from mlinfra.checks.capacity.machines import machines
from mlinfra.checks.capacity.neighbours import Pod
from mlinfra.checks.capacity.placing import Floor, Wanted, packed, spread
from mlinfra.checks.capacity.report import capacity_report
from mlinfra.checks.capacity.requests import asked
from mlinfra.checks.capacity.survey import Survey
from mlinfra.graph import Pool
from tests.checks.capacity.conftest import GPU_TAINT, TOLERATES, Made, pod_spec, pool

CORES = st.sampled_from(["100m", "500m", "1", "1500m", "2", "2500m", "3", "4", "7"])
GIBS = st.sampled_from(["128Mi", "1Gi", "3Gi", "4Gi", "9Gi"])
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


@st.composite
def pools(draw: st.DrawFn, most: int = 4) -> tuple[Pool, ...]:
    count = draw(st.integers(1, 3))
    return tuple(
        pool(
            f"p{number}",
            cpu=draw(st.sampled_from([1, 2, 3.5, 4, 8])),
            memory=draw(st.sampled_from([2, 4, 8, 16])),
            gpus=draw(st.sampled_from([0, 0, 1, 4])),
            max=draw(st.integers(1, most)),
            pods=draw(st.sampled_from([3, 10, 110])),
            taints=draw(st.sampled_from([(), GPU_TAINT])),
        )
        for number in range(count)
    )


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """What a pod wants of machines and of others of its kind."""
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["tolerations"] = TOLERATES
    if draw(st.integers(0, 2)) == 0:
        found["nodeSelector"] = {"pool": draw(st.sampled_from(["p0", "p1"]))}
    kind = draw(st.sampled_from(["", "", "", "apart", "even", "near"]))
    key, selector = draw(st.sampled_from([HOST, ZONE])), {"matchLabels": {"app": draw(st.sampled_from(["w0", "w1"]))}}
    if kind in ("apart", "near"):
        term = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": key, "labelSelector": selector}]}
        found["affinity"] = {"podAntiAffinity" if kind == "apart" else "podAffinity": term}
    if kind == "even":
        rule = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}
        found["topologySpreadConstraints"] = [rule]
    return found


@st.composite
def graphs(draw: st.DrawFn) -> Made:
    """Endpoints, daemons and jobs on some pools."""
    made = Made(*draw(pools()))
    if draw(st.booleans()):
        tolerations = {"tolerations": TOLERATES} if draw(st.booleans()) else {}
        made.daemons("agent", pod_spec(draw(st.sampled_from(["100m", "1"])), "128Mi", **tolerations))
    for number in range(draw(st.integers(1, 3))):
        spec = pod_spec(draw(CORES), draw(GIBS), draw(st.sampled_from([0, 0, 1, 2])), **draw(rules()))
        made.deployment(f"w{number}", spec, draw(st.integers(0, 6)))
    for number in range(draw(st.integers(0, 2))):
        job: dict[str, Any] = draw(
            st.sampled_from([{}, {"parallelism": 3, "completions": 3, "completionMode": "Indexed"}])
        )
        spec = pod_spec(draw(CORES), draw(GIBS), draw(st.sampled_from([0, 1, 4])), **draw(rules()))
        made.cron_job(f"j{number}", {**spec, **({"subdomain": "j"} if job else {})}, **job)
    if draw(st.booleans()):
        made.quota(**{"requests.cpu": draw(st.sampled_from(["2", "9", "40"])), "pods": draw(st.integers(0, 30))})
    return made


def assert_right(floor: Floor) -> None:
    """Nothing on the machines that should not be there: room, labels, taints, rules. Worked out anew from the pods."""
    for machine in floor.machines:
        assert fits(added(*(item.requests for item in machine.pods)), machine.whole)
        for item in machine.pods:
            assert refusal(item.spec, machine.labels, machine.pool.taints) == ""
            for term in item.apart:
                near = [
                    other
                    for there in floor.machines
                    if there.labels.get(term.topology) == machine.labels.get(term.topology)
                    for other in there.pods
                ]
                assert sum(term.concerns(other) for other in near) <= int(term.concerns(item))
            for term in item.near:
                assert any(
                    term.concerns(other)
                    for there in floor.machines
                    if there.labels.get(term.topology) == machine.labels.get(term.topology)
                    for other in there.pods
                )


@given(graphs())
def test_what_is_placed_stands_on_machines_that_take_it(made: Made) -> None:
    ground = Ground(made.graph(), made.setting())
    survey = Survey(ground)
    wanted = {item.node.name: item for item in ground.workloads}
    for placed in (survey.fewest, survey.most, survey.spread):
        assert_right(placed.floor)
        for name, workload in wanted.items():
            if workload.use == "always":
                there = sum(
                    other is workload.groups[0].pod for machine in placed.floor.machines for other in machine.pods
                )
                assert there + placed.missed[name] == workload.groups[0].fewest


@given(graphs())
def test_as_many_of_a_job_as_is_said_can_stand_there(made: Made) -> None:
    ground = Ground(made.graph(), made.setting())
    survey = Survey(ground)
    for job in ground.runs:
        at_once = survey.at_once(job, survey.fewest)
        floor = survey.fewest.floor.copy()
        assert floor.place(job.groups[0].pod, at_once.pods) == at_once.pods
        assert_right(floor)


@given(graphs())
def test_no_error_is_told_of_what_has_a_place(made: Made) -> None:
    """Certain problems against a placement that was found: one of the two would be wrong."""
    ground = Ground(made.graph(), made.setting())
    survey = Survey(ground)
    told = [item for item in capacity_report(made.graph(), made.setting()).problems if item.code != "capacity-quota"]
    certain = {item.resource for item in told if item.severity == "error"}
    placed = {
        item.node.name for item in ground.workloads if item.use == "always" and not survey.fewest.missed[item.node.name]
    }
    if not survey.fewest.missed:
        assert "capacity-replicas" not in {item.code for item in told}
        assert not certain & {name for name in placed if any(group.fewest for group in _groups(ground, name))}
    for job in ground.runs:
        if survey.at_once(job, survey.fewest).runs:
            assert job.node.name not in certain


def _groups(ground: Ground, name: str) -> Any:
    return next(item.groups for item in ground.workloads if item.node.name == name)


# ------------------------------------------------------------------------------------------------ bounds


def small_pod(number: int, cpu: str, memory: str, home: str | None, selfish: bool) -> Pod:
    spec: dict[str, Any] = {"nodeSelector": {"pool": home}} if home else {}
    if selfish:
        term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": str(number)}}}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    record = pod_spec(cpu, memory, **spec)
    return Pod(str(number), "ml", {"app": str(number)}, record, {**asked(record), "pods": 1})


SHARES = st.lists(
    st.tuples(CORES, GIBS, st.sampled_from([None, "p0", "p1"]), st.booleans(), st.integers(1, 2)),
    min_size=1,
    max_size=3,
)


@given(pools(most=2), SHARES)
def test_a_bound_is_never_wrong(given_pools: tuple[Pool, ...], rows: list[tuple[Any, ...]]) -> None:
    """Every way to put the pods onto the machines is tried: where a bound says no, there is none."""
    kept = tuple(replace(item, taints=()) for item in given_pools[:2])
    made = Made(*kept)
    ground = Ground(made.graph(), made.setting())
    kinds = [(small_pod(number, *row[:4]), row[4]) for number, row in enumerate(rows)]
    shares = [Share(kind, count, ground.homes(kind)) for kind, count in kinds]
    if Bounds(ground.pools, ground.rooms).overflow(shares) is None:
        return
    pods = [kind for (kind, count), share in zip(kinds, shares, strict=True) if share.homes for _ in range(count)]
    floor = Floor(machines(kept))
    for places in product(range(len(floor.machines)), repeat=len(pods)):
        there: dict[int, list[Pod]] = {}
        for item, place in zip(pods, places, strict=True):
            there.setdefault(place, []).append(item)
        assert not all(_stands(floor, place, items) for place, items in there.items())


def _stands(floor: Floor, place: int, items: list[Pod]) -> bool:
    machine = floor.machines[place]
    return (
        fits(added(*(item.requests for item in items)), machine.whole)
        and all(floor.refusal(item, machine) == "" for item in items)
        and all(sum(term.concerns(other) for other in items) <= 1 for item in items for term in item.apart)
    )


# ------------------------------------------------------------------------------------------------ monotone


def grown(made: Made, number: int) -> Made:
    """The same with one machine more in a pool."""
    more = Made(*(replace(item, max=item.max + (index == number)) for index, item in enumerate(made.pools)))
    more.nodes = made.nodes
    return more


def enlarged(made: Made, number: int) -> Made:
    """The same with larger machines in a pool."""
    more = Made(
        *(
            replace(item, cpu=item.cpu * 2, memory=item.memory * 2, gpus=item.gpus * 2) if index == number else item
            for index, item in enumerate(made.pools)
        )
    )
    more.nodes = made.nodes
    return more


def jobs_alone(made: Made) -> Made:
    """Jobs that only ask for room, and nothing else."""
    alone = Made(*made.pools)
    alone.nodes = {
        name: node
        for name, node in made.nodes.items()
        if name.startswith("j")
        and not {"affinity", "topologySpreadConstraints"}
        & node.inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"].keys()
    }
    return alone


@given(graphs(), st.integers(0, 2))
def test_more_or_larger_machines_never_take_less_of_a_job(made: Made, number: int) -> None:
    base = jobs_alone(made)
    before = {item.node: item.at_once for item in base.report().workloads}
    for larger in (grown(base, number), enlarged(base, number)):
        for item in larger.report().workloads:
            there = before[item.node]
            assert there is not None
            assert item.at_once is not None
            assert item.at_once.pods >= there.pods
            assert item.at_once.runs >= there.runs


CERTAIN = ("capacity-never-fits", "capacity-replicas", "capacity-together")


@given(graphs(), st.integers(0, 2))
def test_more_machines_make_nothing_impossible(made: Made, number: int) -> None:
    """A certain problem of more machines was one before. Daemons aside: they are a machine's own matter."""
    made.nodes.pop("agent", None)
    before = {(item.code, item.resource) for item in made.report().problems if item.code in CERTAIN}
    after = {(item.code, item.resource) for item in grown(made, number).report().problems if item.code in CERTAIN}
    kinds = {code for code, _ in before}
    assert {code for code, _ in after} <= kinds
    assert {item for item in after if item[0] == "capacity-never-fits"} <= before


@given(pools(), st.lists(st.tuples(CORES, GIBS, st.integers(1, 5)), min_size=1, max_size=4), st.integers(0, 2))
def test_what_fits_its_pool_still_fits_with_more_machines(
    given_pools: tuple[Pool, ...], rows: list[tuple[str, str, int]], number: int
) -> None:
    """Pods that name their pool, which is how components place them."""
    kinds = [
        Wanted(small_pod(index, cpu, memory, f"p{index % len(given_pools)}", selfish=False), count)
        for index, (cpu, memory, count) in enumerate(rows)
    ]
    plain = tuple(replace(item, taints=()) for item in given_pools)
    larger = tuple(replace(item, max=item.max + (index == number)) for index, item in enumerate(plain))
    _, missed = packed(Floor(machines(plain)), kinds)
    _, after = packed(Floor(machines(larger)), kinds)
    assert sum(after.values()) <= sum(missed.values())


# ------------------------------------------------------------------------------------------------ whatever is written

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "containers", "initContainers", "resources", "requests", "limits", "tolerations", "affinity", "nodeSelector",
    "podAntiAffinity", "topologySpreadConstraints", "requiredDuringSchedulingIgnoredDuringExecution", "overhead",
    "nodeSelectorTerms", "matchExpressions", "labelSelector", "operator", "key", "values", "cpu", "ports", "hostPort",
)  # fmt: skip
STRANGE = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner | st.lists(inner, max_size=2), max_size=4),
    max_leaves=12,
)


@given(STRANGE, STRANGE, STRANGE)
def test_nothing_that_is_written_in_a_graph_is_a_crash(spec: Any, quota: Any, limits: Any) -> None:
    made = Made(pool("p0", gpus=1, max=2))
    for kind in ("Deployment", "DaemonSet", "StatefulSet"):
        made.node(kind.lower(), f"kubernetes:apps/v1:{kind}", {"spec": {"template": {"spec": spec, "metadata": spec}}})
    made.node("job", "kubernetes:batch/v1:CronJob", {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}})
    made.node("odd", "kubernetes:batch/v1:CronJob", {"spec": spec})
    made.node("ray", "kubernetes:ray.io/v1:RayJob", {"spec": {"rayClusterSpec": spec}})
    made.node("quota", "kubernetes:core/v1:ResourceQuota", {"spec": quota})
    made.node("limits", "kubernetes:core/v1:LimitRange", {"spec": {"limits": [limits]}})
    made.report().as_json()


def test_spread_and_packed_place_the_same_graph() -> None:
    """Of what fits either way, neither loses anything."""
    kind = small_pod(0, "1", "1Gi", None, selfish=False)
    empty = Floor(machines((pool("p0", cpu=4, max=2),)))
    for way in (packed, spread):
        floor, missed = way(empty, [Wanted(kind, 8)])
        assert missed == {}
        assert sum(len(machine.pods) for machine in floor.machines) == 8
