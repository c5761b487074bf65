"""Who may do what with a `Workspace`: its token, its network, what stops it, and its people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlinfra.components import cluster_store
from mlinfra.components.network_policies import API_SERVER, let_out, tcp
from mlinfra.components.people import RBAC, bind
from mlinfra.components.secret_sources import Generated, add_value
from mlinfra.components.workload import selector
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.workspace import Workspace

PROGRAM: Final = Path(__file__).with_name("workspace_stopper.py")
TOKEN: Final = "token"  # noqa: S105 — the key in the Secret


def add_token(workspace: Workspace, scope: Scope) -> dict[str, Value] | None:
    """The Secret with the token, as Kubernetes refers to a key of one; None where the given one is not in reach."""
    namespace, given = workspace.cluster.namespace, workspace.token
    if given is None:
        value = add_value(scope, Generated(length=48), 1, "token-value")
        body = {"type": "Opaque", "stringData": {TOKEN: value}}
        secret = scope.kubernetes("token", "v1", "Secret", workspace.identity, body, namespace=namespace)
        return {"name": Ref(secret.node, ("metadata", "name")), "key": TOKEN}
    found = given.variables_in(scope, namespace).get(given.variable_name)
    if isinstance(found, dict):
        return dict(found["secretKeyRef"])
    scope.problem(
        f"workspace {workspace.name!r} takes its token from secret {given.name!r}, which is not in its namespace",
        detail="Pods read Secrets of their own namespace alone.",
        remedy=f"Put it there: `in_cluster=[{workspace.cluster.name}]` of {given.name!r}.",
        code="workspace-token",
    )
    return None


def close(workspace: Workspace, scope: Scope) -> None:
    """Let no pod reach it, in an open namespace either: port forwarding comes from the node, which always may."""
    namespace = workspace.cluster.namespace
    cluster_store.close(scope, "closed", workspace.identity, selector(scope), namespace)


def add_stopper(workspace: Workspace, scope: Scope, account: Ref) -> Ref:
    """The program that stops it, and a role to scale this StatefulSet, nothing else; gives the ConfigMap's name."""
    namespace = workspace.cluster.namespace
    name = f"{workspace.identity}.idle"
    files = {"data": {PROGRAM.name: PROGRAM.read_text(encoding="utf-8")}}
    program = scope.kubernetes("stopper", "v1", "ConfigMap", name, files, namespace=namespace)
    rules = [_rule("apps", "statefulsets/scale", workspace.identity, "get", "patch")]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    _grant(workspace, scope, "idle", rules, [subject])
    let_out(scope, namespace, tcp(*API_SERVER))
    return Ref(program.node, ("metadata", "name"))


def add_people(workspace: Workspace, scope: Scope, token: dict[str, Value]) -> None:
    """Let the place's developers start it, stop it and read its token; its admins may do so anyway."""
    if not workspace.cluster.developers:
        return
    rules = [
        _rule("apps", "statefulsets/scale", workspace.identity, "get", "patch", "update"),
        _rule("", "secrets", token["name"], "get"),
    ]
    groups = [{"apiGroup": RBAC, "kind": "Group", "name": group} for group in workspace.cluster.developers]
    _grant(workspace, scope, "use", rules, groups)


def _rule(group: str, resource: str, name: Value, *verbs: str) -> dict[str, Value]:
    return {"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": list(verbs)}


def _grant(workspace: Workspace, scope: Scope, what: str, rules: list[Value], subjects: list[Value]) -> None:
    """A role and who has it. Its name has a dot, which no component's name has."""
    bind(scope, what, f"{workspace.identity}.{what}", rules, subjects, workspace.cluster.namespace)
