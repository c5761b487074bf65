"""Roles of people in a namespace: what groups, as the identity provider names them, may do there and nowhere else.

docs/decisions/0027-teams.md says why each role has what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from mlinfra.authoring import Many
from mlinfra.components.values import repeated
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

RBAC: Final = "rbac.authorization.k8s.io"
Role: TypeAlias = Literal["admin", "developer", "viewer"]
Rules: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Verbs by resource, by API group."""

_SEE: Final = ("get", "list", "watch")
_CHANGE: Final = ("create", "update", "patch", "delete")

VIEWER: Final[Rules] = {
    "": {
        "configmaps": _SEE,
        "events": _SEE,
        "limitranges": _SEE,
        "namespaces": ("get",),  # within a namespace this is the namespace itself
        "persistentvolumeclaims": _SEE,
        "pods": _SEE,
        "resourcequotas": _SEE,
        "serviceaccounts": _SEE,
        "services": _SEE,
    },
    "apps": {"deployments": _SEE, "replicasets": _SEE, "statefulsets": _SEE},
    "autoscaling": {"horizontalpodautoscalers": _SEE},
    "batch": {"cronjobs": _SEE, "jobs": _SEE},
    "events.k8s.io": {"events": _SEE},
    "kueue.x-k8s.io": {"localqueues": _SEE, "workloads": _SEE},
    "metrics.k8s.io": {"pods": ("get", "list")},
    "networking.k8s.io": {"networkpolicies": _SEE},
    "policy": {"poddisruptionbudgets": _SEE},
    "ray.io": {"rayclusters": _SEE, "rayjobs": _SEE},
    RBAC: {"rolebindings": _SEE, "roles": _SEE},
}
"""Who looks: what there is, how it is, who may do what. No Secrets, and no logs, which can hold what data holds."""

DEVELOPER: Final[Rules] = {
    "": {
        "configmaps": ("create", "patch"),  # a run's own parameters: `mlinfra run --set`
        "pods": ("delete",),
        "pods/log": ("get",),
        # Clients ask with GET, over WebSockets, or with POST: Kubernetes, "Kubernetes API concepts", "Streaming".
        "pods/portforward": ("create", "get"),
    },
    "batch": {"jobs": ("create", "delete", "patch")},
    "ray.io": {"rayjobs": ("create", "delete", "patch")},
}
"""Beside what viewers may: make runs, stop them, read their logs, and reach a pod's port from their own machine. No
shell in a pod, no Secrets, nothing of what the blueprint declares."""

ADMIN: Final[Rules] = {
    "": {
        "configmaps": _CHANGE,
        "persistentvolumeclaims": _CHANGE,
        "pods": _CHANGE,
        "pods/attach": ("create", "get"),
        "pods/eviction": ("create",),
        "pods/exec": ("create", "get"),
        "secrets": (*_SEE, *_CHANGE),
        "serviceaccounts": _CHANGE,
        "services": _CHANGE,
    },
    "apps": {
        "deployments": _CHANGE,
        "deployments/scale": ("get", "patch", "update"),
        "statefulsets": _CHANGE,
        "statefulsets/scale": ("get", "patch", "update"),
    },
    "autoscaling": {"horizontalpodautoscalers": _CHANGE},
    "batch": {"cronjobs": _CHANGE, "jobs": _CHANGE},
    "kueue.x-k8s.io": {"workloads": ("delete", "patch", "update")},
    "policy": {"poddisruptionbudgets": _CHANGE},
    "ray.io": {"rayclusters": _CHANGE, "rayjobs": _CHANGE},
    RBAC: {"rolebindings": _CHANGE, "roles": _CHANGE},
}
"""Beside what developers may: all that is in the namespace, its Secrets and its roles, but not what sets it apart from
others: quotas, limits, queues, network policies and the namespace itself are changed in the blueprint."""

_STEPS: Final[dict[Role, tuple[Rules, ...]]] = {
    "viewer": (VIEWER,),
    "developer": (VIEWER, DEVELOPER),
    "admin": (VIEWER, DEVELOPER, ADMIN),
}


def check_group(name: str) -> str:
    """The name of a group; raises `ValueError` for one that is Kubernetes' own, or that nobody would have typed so."""
    if name != name.strip() or not name.isprintable() or not name:
        raise ValueError(f"{name!r} is not the name of a group: it is empty, or has blanks around it")
    if name.startswith("system:"):
        raise ValueError(
            f"{name!r} starts with `system:`, which is reserved for Kubernetes' own groups "
            '(Kubernetes, "Using RBAC Authorization", "Referring to subjects")'
        )
    return name


def _once(names: Sequence[str]) -> Sequence[str]:
    if twice := repeated(names):
        named = "the group {} is" if len(twice) == 1 else "the groups {} are"
        raise ValueError(f"{named.format(', '.join(map(repr, twice)))} named more than once")
    return names


Group = Annotated[str, Field(max_length=256), AfterValidator(check_group)]
"""A group as the API server hears of it: `ml-leads`, `cn=ml-leads,ou=groups,dc=example,dc=com`. Where the server puts a
prefix before the names of the provider (`--oidc-groups-prefix`), with the prefix."""

Groups = Annotated[Many[Group], AfterValidator(_once)]
"""Groups, each once."""


def rules(role: Role) -> list[dict[str, Value]]:
    """The rules of a role, one for each set of verbs in an API group."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for step in _STEPS[role]:
        for group, resources in step.items():
            for resource, allowed in resources.items():
                verbs.setdefault((group, resource), set()).update(allowed)
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), found in sorted(verbs.items()):
        alike.setdefault((group, tuple(sorted(found))), []).append(resource)
    return [
        {"apiGroups": [group], "resources": resources, "verbs": list(found)}
        for (group, found), resources in alike.items()
    ]


def add_roles(scope: Scope, namespace: Value, groups: Mapping[Role, Iterable[str]]) -> None:
    """Add a Role and a RoleBinding for each role that some group has.

    They have a colon in their names, which no component has: `mlinfra:developer`.
    """
    for role, names in groups.items():
        subjects = [{"kind": "Group", "apiGroup": RBAC, "name": name} for name in names]
        if not subjects:
            continue
        bind(scope, f"people-{role}", f"mlinfra:{role}", rules(role), subjects, namespace)


def bind(
    scope: Scope, local: str, name: str, allowed: Sequence[Value], subjects: Sequence[Value], namespace: Value = None
) -> None:
    """Add a role with these rules, and the binding that gives it to the subjects: in a namespace, or everywhere."""
    api, kind = f"{RBAC}/v1", "ClusterRole" if namespace is None else "Role"
    role = scope.kubernetes(local, api, kind, name, {"rules": allowed}, namespace=namespace)
    reference = {"apiGroup": RBAC, "kind": kind, "name": Ref(role.node, ("metadata", "name"))}
    body = {"roleRef": reference, "subjects": subjects}
    scope.kubernetes(f"{local}-binding", api, f"{kind}Binding", name, body, namespace=namespace)
