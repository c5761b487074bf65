from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.people import RBAC, Role, check_group, rules
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.graph import Ref

ROLES: tuple[Role, ...] = ("viewer", "developer", "admin")
BOUNDS = {
    ("", "limitranges"),
    ("", "namespaces"),
    ("", "resourcequotas"),
    ("kueue.x-k8s.io", "localqueues"),
    ("networking.k8s.io", "networkpolicies"),
}
"""What sets a namespace apart from others; nobody changes it but by the blueprint."""
SEE = {"get", "list", "watch"}


def verbs(role: Role) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for rule in rules(role):
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert (group, resource) not in found, "each resource stands in one rule"
                found[group, resource] = set(rule["verbs"])
    return found


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_a_wildcard_and_nothing_makes_somebody_else_of_you(role: Role) -> None:
    for (group, resource), allowed in verbs(role).items():
        assert "*" not in (group, resource)
        assert allowed <= SEE | {"create", "update", "patch", "delete"}
    assert not {"serviceaccounts/token", "pods/ephemeralcontainers"} & {resource for _, resource in verbs(role)}


def test_each_role_has_what_the_one_before_it_has() -> None:
    for less, more in (("viewer", "developer"), ("developer", "admin")):
        few, many = verbs(less), verbs(more)  # type: ignore[arg-type]
        assert all(allowed <= many[what] for what, allowed in few.items())
        assert few != many


def test_viewers_change_nothing_and_read_neither_secrets_nor_logs() -> None:
    found = verbs("viewer")
    assert set.union(*found.values()) == SEE
    assert not {("", "secrets"), ("", "pods/log"), ("", "pods/exec"), ("", "pods/portforward")} & set(found)


def test_developers_start_and_stop_runs_and_no_more() -> None:
    changed = {what: allowed - SEE for what, allowed in verbs("developer").items() if allowed - SEE}
    assert changed == {
        ("", "configmaps"): {"create", "patch"},
        ("", "pods"): {"delete"},
        ("", "pods/portforward"): {"create"},
        ("batch", "jobs"): {"create", "delete", "patch"},
        ("ray.io", "rayjobs"): {"create", "delete", "patch"},
    }
    assert not {("", "secrets"), ("", "pods/exec"), ("", "pods/attach")} & set(verbs("developer"))


def test_admins_change_what_is_within_and_not_what_is_around() -> None:
    found = verbs("admin")
    assert found["", "secrets"] == SEE | {"create", "update", "patch", "delete"}
    assert found[RBAC, "rolebindings"] >= {"create", "delete"}
    assert all(found[what] <= SEE for what in BOUNDS)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "not the name of a group"),
        (" ml-leads", "not the name of a group"),
        ("ml\nleads", "not the name of a group"),
        ("system:masters", "reserved for Kubernetes' own groups"),
    ],
)
def test_groups_that_are_refused(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_group(name)


@pytest.mark.parametrize(
    "name", ["ml-leads", "oidc:ml-leads", "cn=ml-leads,ou=groups,dc=example,dc=com", "ML Leads", "3f2a-11", "systems"]
)
def test_groups_as_providers_name_them(name: str) -> None:
    assert check_group(name) == name


def test_a_role_and_its_binding_are_there_for_groups_that_are_named(expanded: Any) -> None:
    def declare() -> Team:
        cluster = TrainingCluster("train", viewers=["auditors"])
        return Team("search", cluster=cluster, admins=["ml-leads", "ops"], developers=["search-devs"])

    result = expanded(declare)
    people = {name for name in result.names_of("search") if name.startswith("people-")}
    assert people == {"people-admin", "people-admin-binding", "people-developer", "people-developer-binding"}
    binding = result.inputs("search/people-admin-binding")
    assert binding["metadata"]["name"] == "mlinfra:admin"
    assert binding["metadata"]["namespace"] == Ref("search/namespace", ("metadata", "name"))
    assert binding["roleRef"] == {
        "apiGroup": RBAC,
        "kind": "Role",
        "name": Ref("search/people-admin", ("metadata", "name")),
    }
    assert binding["subjects"] == [{"kind": "Group", "apiGroup": RBAC, "name": name} for name in ("ml-leads", "ops")]
    assert "people-viewer" in result.names_of("train")
    assert not [node for node in result.graph if node.type.rpartition(":")[2].startswith("Cluster")]
