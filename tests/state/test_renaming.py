"""Renaming a stack rewrites every URN of its own, and nothing else."""

from __future__ import annotations

from typing import Any

from mlinfra.state.renaming import renamed
from mlinfra.state.stacks import Name

OLD, NEW = Name("organization", "demo", "dev"), Name("organization", "shop", "prod")
PROVIDER = "pulumi:providers:aws::main"


def urns(stack: str, project: str) -> dict[str, Any]:
    def urn(rest: str) -> str:
        return f"urn:pulumi:{stack}::{project}::{rest}"

    root = urn(f"pulumi:pulumi:Stack::{project}-{stack}")
    thing = {
        "urn": urn("a:b:C$d:e:F::with::colons"),
        "parent": root,
        "provider": urn(PROVIDER) + "::3f1c",
        "dependencies": [urn("x:y:Z::one")],
        "propertyDependencies": {"a": [urn("x:y:Z::one")], "none": None},
        "deletedWith": urn("x:y:Z::one"),
        "viewOf": urn("x:y:Z::one"),
        "replaceWith": [urn("x:y:Z::one")],
        "inputs": {"text": "urn:pulumi:dev::demo::a:b:C::kept"},
    }
    manager = {"type": "service", "state": {"url": "u", "owner": "organization", "project": project, "stack": stack}}
    return {
        "resources": [{"urn": root}, thing],
        "pending_operations": [{"type": "creating", "resource": thing}],
        "secrets_providers": manager,
    }


def test_all_urns_are_rewritten() -> None:
    before = urns("dev", "demo")
    assert renamed(before, OLD, NEW) == urns("prod", "shop")
    assert before == urns("dev", "demo"), "what was passed in is not changed"


def test_another_stacks_secrets_manager_stays() -> None:
    manager = {"type": "service", "state": {"owner": "organization", "project": "demo", "stack": "other"}}
    for kept in (manager, {"type": "passphrase", "state": {"salt": "s"}}):
        assert renamed({"secrets_providers": kept}, OLD, NEW) == {"secrets_providers": kept}
    assert renamed({}, OLD, NEW) == {}
