from __future__ import annotations

from typing import Any

import pytest

from mlinfra.providers.kubernetes.rules import SAYS_IMMUTABLE, replaces

CASES: list[tuple[str, tuple[str | int, ...], dict[str, Any], bool]] = [
    ("ConfigMap", ("metadata", "name"), {}, True),
    ("ConfigMap", ("metadata", "namespace"), {}, True),
    ("ConfigMap", ("metadata", "labels", "a"), {}, False),
    ("ConfigMap", ("data", "a"), {}, False),
    ("ConfigMap", ("data", "a"), {"immutable": True}, True),
    ("ConfigMap", ("immutable",), {"immutable": True}, True),
    ("ConfigMap", ("metadata", "labels", "a"), {"immutable": True}, False),
    ("Secret", ("type",), {}, True),
    ("Deployment", ("spec", "selector", "matchLabels", "a"), {}, True),
    ("Deployment", ("spec", "selector"), {}, True),
    ("Deployment", ("spec", "replicas"), {}, False),
    ("StatefulSet", ("spec", "volumeClaimTemplates", 0, "spec"), {}, True),
    ("Job", ("spec", "template", "spec", "nodeSelector", "a"), {}, True),
    ("Job", ("spec", "template", "spec", "nodeSelector", "a"), {"spec": {"suspend": True}}, False),
    ("RoleBinding", ("roleRef", "name"), {}, True),
    ("PriorityClass", ("value",), {}, True),
    ("Widget", ("spec", "mode"), {}, False),
]


@pytest.mark.parametrize(("kind", "path", "old", "expected"), CASES)
def test_what_is_known_to_need_a_new_object(
    kind: str, path: tuple[str | int, ...], old: dict[str, Any], expected: bool
) -> None:
    assert replaces(kind, path, old, {}) == expected


def test_versions_of_a_group_are_the_same_object() -> None:
    path = ("apiVersion",)
    assert not replaces(
        "HorizontalPodAutoscaler", path, {"apiVersion": "autoscaling/v1"}, {"apiVersion": "autoscaling/v2"}
    )
    assert replaces("Ingress", path, {"apiVersion": "extensions/v1beta1"}, {"apiVersion": "networking.k8s.io/v1"})


REFUSALS = {
    'Job.batch "x" is invalid: spec.completions: Invalid value: 3: field is immutable': True,
    'Service "x" is invalid: spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set': True,
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals' are forbidden": True,
    "Forbidden: spec.persistentvolumesource is immutable after creation": True,
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`": True,
    "cannot change roleRef": True,
    "spec.replicas: Invalid value: -1: must be greater than or equal to 0": False,
}


@pytest.mark.parametrize("message", REFUSALS)
def test_refusals_that_speak_of_immutable_fields(message: str) -> None:
    assert bool(SAYS_IMMUTABLE.search(message)) == REFUSALS[message]
