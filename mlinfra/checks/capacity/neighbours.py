"""What pods want of each other: to be apart, to be near, to be spread evenly. Only what a pod insists on is read here;
what it would merely like keeps no pod from being placed.

Sources: Kubernetes, "Inter-pod affinity and anti-affinity", "Pod Topology Spread Constraints".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from mlinfra.checks.access.symbols import at
from mlinfra.checks.capacity.amounts import Amounts
from mlinfra.checks.capacity.choosing import HOSTNAME, matches, names_machines, refusal
from mlinfra.checks.capacity.machines import Machine
from mlinfra.checks.capacity.requests import listed, whole

JOB_NAME: Final = "batch.kubernetes.io/job-name"
"""The label that Kubernetes puts on a Job's pods, with the Job's name (Kubernetes, "Jobs")."""


class Term(NamedTuple):
    """Pods that a pod wants apart from itself, or near; `topology` is the label that says what near is.

    `namespaces` are those in which it looks for them; None: all. `run` says that it is about pods of one run of a job
    only: those that share the label which Kubernetes gives them.
    """

    topology: str
    selector: Any
    namespaces: frozenset[str] | None
    run: bool = False

    def concerns(self, pod: Pod) -> bool:
        """Whether a pod is one of those."""
        return (self.namespaces is None or pod.namespace in self.namespaces) and matches(self.selector, pod.labels)


class Spread(NamedTuple):
    """Pods that are to be spread over the values of a label so that no two values differ by more than `skew`."""

    topology: str
    skew: int
    fewest: int
    selector: Any
    taints: bool
    choice: bool


class Pod:
    """Pods that are made alike: what one asks for, where it may go, what it wants of others.

    `requests` has a pod among them. The rules of its `spec` are read when they are first asked for.
    """

    def __init__(
        self, name: str, namespace: str, labels: Mapping[str, str], spec: Mapping[str, Any], requests: Amounts
    ) -> None:
        self.name, self.namespace, self.labels, self.spec, self.requests = name, namespace, labels, spec, requests

    @cached_property
    def ports(self) -> frozenset[tuple[str, int]]:
        """Those that it takes of its machine."""
        return frozenset(_ports(self.spec))

    @cached_property
    def apart(self) -> tuple[Term, ...]:
        """The pods from which it wants to be apart."""
        return tuple(_terms(self.spec, "podAntiAffinity", self.labels, self.namespace))

    @cached_property
    def near(self) -> tuple[Term, ...]:
        """The pods that it wants near."""
        return tuple(_terms(self.spec, "podAffinity", self.labels, self.namespace))

    @cached_property
    def spread(self) -> tuple[Spread, ...]:
        """How it is to be spread."""
        return tuple(_spreads(self.spec, self.labels))

    @cached_property
    def picky(self) -> bool:
        """Whether it names single machines, so that two which are otherwise the same are not the same to it."""
        return names_machines(self.spec)

    @cached_property
    def alone(self) -> bool:
        """Whether it asks nothing of other pods, so that only room decides."""
        return not (self.apart or self.near or self.spread or self.ports)


def apart(item: Pod) -> bool:
    """Whether no two pods of one kind share a machine."""
    return any(term.topology == HOSTNAME and term.concerns(item) for term in item.apart) or bool(item.ports)


def apart_only(item: Pod) -> bool:
    """Whether pods of one kind want nothing but a machine for each: then room on a machine is all that matters."""
    terms = all(term.topology == HOSTNAME and term.concerns(item) for term in item.apart)
    return apart(item) and terms and not item.near and not item.spread


There: TypeAlias = Sequence[tuple[Pod, Sequence[Machine]]]
"""The pods that are there: each kind with its machines, one that has several of them several times."""


def admitted(newcomer: Pod, machines: Sequence[Machine], there: There) -> Callable[[Machine], bool]:
    """Which machines the rules of a pod, and those of the pods that are there, leave to it."""
    refused = _refused(newcomer, there)
    wanted = _wanted(newcomer, machines, there)
    even = [_even(rule, newcomer, machines, there) for rule in newcomer.spread]

    def allows(machine: Machine) -> bool:
        labels = machine.labels
        return (
            not (newcomer.ports & machine.ports)
            and not any(labels.get(key) in values for key, values in refused.items())
            and all(labels.get(key) in values for key, values in wanted)
            and all(rule(machine) for rule in even)
        )

    return allows


# ------------------------------------------------------------------------------------------------ apart and near


def _refused(newcomer: Pod, there: There) -> dict[str, set[str]]:
    """Values of labels where somebody is from whom the pod wants to be apart, or who wants to be apart from it."""
    found: dict[str, set[str]] = {}
    for other, places in there:
        own = [term for term in newcomer.apart if term.concerns(other)]
        theirs = [term for term in other.apart if term.concerns(newcomer)]
        for term in (*own, *theirs):
            found.setdefault(term.topology, set()).update(_values(term.topology, places))
    return found


def _wanted(newcomer: Pod, machines: Sequence[Machine], there: There) -> list[tuple[str, set[str]]]:
    """For each term, the values of its label where a pod is that it wants near.

    Where there is none of them yet, and the pod is one itself, it is the first and goes where it likes.
    """
    found = [
        (
            term.topology,
            {value for other, places in there if term.concerns(other) for value in _values(term.topology, places)},
        )
        for term in newcomer.near
    ]
    if any(values for _, values in found) or not all(term.concerns(newcomer) for term in newcomer.near):
        return found
    return [(key, _values(key, machines)) for key, _ in found]


def _values(label: str, machines: Sequence[Machine]) -> set[str]:
    return {machine.labels[label] for machine in machines if label in machine.labels}


# ------------------------------------------------------------------------------------------------ spread


def _even(rule: Spread, newcomer: Pod, machines: Sequence[Machine], there: There) -> Callable[[Machine], bool]:
    keys = {item.topology for item in newcomer.spread}
    counted = {
        id(machine): machine.labels[rule.topology]
        for machine in machines
        if keys <= machine.labels.keys() and _counts(rule, newcomer, machine)
    }
    counts: Counter[str] = Counter(dict.fromkeys(counted.values(), 0))
    for other, places in there:
        if other.namespace == newcomer.namespace and matches(rule.selector, other.labels):
            counts.update(counted[id(machine)] for machine in places if id(machine) in counted)
    fewest = 0 if len(counts) < rule.fewest else min(counts.values(), default=0)
    itself = int(matches(rule.selector, newcomer.labels))

    def allows(machine: Machine) -> bool:
        value = machine.labels.get(rule.topology)
        return value is not None and counts.get(value, 0) + itself - fewest <= rule.skew

    return allows


def _counts(rule: Spread, newcomer: Pod, machine: Machine) -> bool:
    """Whether a machine counts as one where the pod could be: by its choice of machines, and by taints if it says."""
    spec = newcomer.spec if rule.choice else {"tolerations": newcomer.spec.get("tolerations")}
    return not refusal(spec, machine.labels, machine.pool.taints if rule.taints else ())


# ------------------------------------------------------------------------------------------------ reading


def _ports(spec: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for container in listed(spec, "containers"):
        for port in listed(container, "ports"):
            if isinstance(port, Mapping):
                taken = port.get("containerPort") if spec.get("hostNetwork") is True else port.get("hostPort")
                if isinstance(taken, int) and taken:
                    yield str(port.get("protocol", "TCP")), taken


def _terms(spec: Mapping[str, Any], kind: str, labels: Mapping[str, str], namespace: str) -> Iterator[Term]:
    for term in listed(at(spec, "affinity", kind), "requiredDuringSchedulingIgnoredDuringExecution"):
        if isinstance(term, Mapping):
            named = frozenset(str(item) for item in listed(term, "namespaces"))
            # Labels of namespaces may be anybody's, so that a selector of them counts as every namespace.
            everywhere = isinstance(term.get("namespaceSelector"), Mapping)
            where = None if everywhere else named or frozenset({namespace})
            run = JOB_NAME in listed(term, "matchLabelKeys")
            yield Term(str(term.get("topologyKey")), _with_keys(term, labels), where, run)


def _spreads(spec: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[Spread]:
    for rule in listed(spec, "topologySpreadConstraints"):
        if isinstance(rule, Mapping) and rule.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule":
            yield Spread(
                str(rule.get("topologyKey")),
                whole(rule.get("maxSkew"), 1),
                whole(rule.get("minDomains"), 1),
                _with_keys(rule, labels),
                taints=rule.get("nodeTaintsPolicy") == "Honor",
                choice=rule.get("nodeAffinityPolicy", "Honor") == "Honor",
            )


def _with_keys(rule: Mapping[str, Any], labels: Mapping[str, str]) -> Any:
    """A rule's selector with what `matchLabelKeys` adds: the pod's own values of these labels, as far as it has them.

    Those that a controller sets, such as `pod-template-hash`, are the same for all pods of one version.
    """
    selector = rule.get("labelSelector")
    if not isinstance(selector, Mapping):
        return selector
    added = [
        *_expressions(rule, "matchLabelKeys", "In", labels),
        *_expressions(rule, "mismatchLabelKeys", "NotIn", labels),
    ]
    return {**selector, "matchExpressions": [*listed(selector, "matchExpressions"), *added]} if added else selector


def _expressions(
    rule: Mapping[str, Any], key: str, operator: str, labels: Mapping[str, str]
) -> Iterable[dict[str, Any]]:
    for name in listed(rule, key):
        if name in labels:
            yield {"key": name, "operator": operator, "values": [labels[name]]}
