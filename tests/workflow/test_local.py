"""Which account of the local AWS a stack has, by its file or by the name of its state alone."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.workflow.local import _account_name
from mlinfra.workflow.request import Request

STACK = "blueprint: b\nenvironment: {{name: {}, tier: dev}}\nowner: {{team: t, cost_center: c}}\n"


@pytest.mark.parametrize(
    ("stack", "options"),
    [
        ("app", {}),
        ("app", {"rehearse": True}),
        ("app-eu", {"rehearse": True}),
        ("app-eu", {"target": "local"}),
    ],
)
def test_the_name_of_a_state_leads_to_the_same_account(stack: str, options: dict[str, Any], project: Any) -> None:
    own = project({"app": STACK.format("shared"), "app-eu": STACK.format("eu")})
    request = Request(own, stack, **options)
    assert _account_name(own, request.state_name) == request.account_name(request.stack())


def test_a_state_whose_stack_is_gone_or_broken_has_its_own(project: Any) -> None:
    own = project({"app": "a: ["})
    for name in ("app", "app-rehearsal", "gone"):
        assert _account_name(own, name) == name
