"""What is known here of AWS's managed policies, held against moto's copies of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from mlinfra.checks.access.managed import MANAGED
from mlinfra.checks.access.policies import statements
from mlinfra.checks.data.buckets import READING
from mlinfra.checks.data.services import ROWS

COPIES: dict[str, Any] = json.loads(aws_managed_policies_data)
ACTIONS = sorted({*READING, *(action for row in ROWS.values() for action in row.actions), "kms:Decrypt"})


@pytest.mark.parametrize("name", sorted(MANAGED))
def test_it_reads_what_the_policy_reads(name: str) -> None:
    path, _, plain = name.rpartition("/")
    copy = COPIES.get(plain)
    if copy is None:
        pytest.skip(f"moto has no {name}")
    assert copy["Path"] == (f"/{path}/" if path else "/")
    real = statements(copy["Document"])
    assert all(item.allows for item in real)

    def may(found: Any, action: str) -> bool:
        return any(item.covers(action) for item in found)

    assert {action for action in ACTIONS if may(MANAGED[name], action)} == {
        action for action in ACTIONS if may(real, action)
    }
