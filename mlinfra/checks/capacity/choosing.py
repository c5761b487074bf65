"""Which machines a pod may run on, by labels and taints. How much room they have is not asked here.

Sources: Kubernetes, "Assigning Pods to Nodes", "Taints and Tolerations", "Labels and Selectors".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.checks.access.symbols import at
from mlinfra.checks.capacity.requests import listed, mapped

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"
_KEEPS_OUT: Final = ("NoSchedule", "NoExecute")

Taint = tuple[str, str, str]
"""Key, value and effect."""


def refusal(spec: Mapping[str, Any], labels: Mapping[str, str], taints: tuple[Taint, ...]) -> str:
    """Why a pod may not run on a machine with these labels and taints; empty: it may."""
    return _by_labels(spec, labels) or next(
        (
            f"it has the taint {key}{f'={value}' if value else ''}:{effect}, which the pod does not tolerate"
            for key, value, effect in taints
            if effect in _KEEPS_OUT and not tolerated(spec, (key, value, effect))
        ),
        "",
    )


def tolerated(spec: Mapping[str, Any], taint: Taint) -> bool:
    """Whether a pod's tolerations hold a taint."""
    return any(isinstance(item, Mapping) and _tolerates(item, taint) for item in listed(spec, "tolerations"))


def names_machines(spec: Mapping[str, Any]) -> bool:
    """Whether a pod names single machines, so that two of a pool are not the same to it."""
    if spec.get("nodeName") or HOSTNAME in mapped(spec, "nodeSelector"):
        return True
    for term in _terms(spec):
        if listed(term, "matchFields"):
            return True
        if any(at(item, "key") == HOSTNAME for item in listed(term, "matchExpressions")):
            return True
    return False


def matches(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes labels. One that is not there takes none, an empty one takes all."""
    if not isinstance(selector, Mapping):
        return False
    wanted = selector.get("matchLabels")
    if isinstance(wanted, Mapping) and any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(expressed(item, labels) for item in listed(selector, "matchExpressions"))


def expressed(item: Any, labels: Mapping[str, str]) -> bool:
    """Whether labels are as one requirement of a selector wants them."""
    if not isinstance(item, Mapping):
        return False
    key, values = str(item.get("key")), listed(item, "values")
    found = labels.get(key)
    match item.get("operator"):
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt" as order:
            try:
                ours, theirs = int(str(found)), int(str(values[0]))
            except (ValueError, IndexError):
                return False
            return ours > theirs if order == "Gt" else ours < theirs
    return False


# ------------------------------------------------------------------------------------------------ labels


def _by_labels(spec: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    named = spec.get("nodeName")
    if named and labels.get(HOSTNAME) != named:
        return f"the pod names the machine {named}"
    for key, value in mapped(spec, "nodeSelector").items():
        if labels.get(key) != value:
            there = labels.get(key)
            return f"the pod wants the label {key}={value}, and it {f'has {there}' if there else 'has none'}"
    if isinstance(_required(spec), Mapping) and not any(_takes(term, labels) for term in _terms(spec)):
        return "the pod's node affinity does not take it"
    return ""


def _required(spec: Mapping[str, Any]) -> Any:
    return at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")


def _terms(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """One of these has to take a machine; a term that says nothing takes none."""
    for term in listed(_required(spec), "nodeSelectorTerms"):
        if isinstance(term, Mapping) and (term.get("matchExpressions") or term.get("matchFields")):
            yield term


def _takes(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    fields = {"metadata.name": labels.get(HOSTNAME, "")}
    return all(expressed(item, labels) for item in listed(term, "matchExpressions")) and all(
        expressed(item, fields) for item in listed(term, "matchFields")
    )


# ------------------------------------------------------------------------------------------------ taints


def _tolerates(item: Mapping[str, Any], taint: Taint) -> bool:
    key, value, effect = taint
    if item.get("effect") not in (None, "", effect):
        return False
    if item.get("key") not in (None, "", key):
        return False
    if item.get("operator") == "Exists":
        return True
    # Without a key only the operator Exists is valid.
    return (
        bool(item.get("key")) and item.get("operator", "Equal") in ("Equal", "") and (item.get("value") or "") == value
    )
