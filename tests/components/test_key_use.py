from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.key import Key
from mlinfra.components.key_use import check_key
from mlinfra.expansion import Scope


@pytest.mark.parametrize(
    ("service", "key", "codes"),
    [
        ("s3", {}, []),
        ("s3", {"via": ["s3", "sqs"]}, []),
        ("s3", {"via": ["sqs"]}, ["key-not-for-service"]),
        ("s3", {"users": "references"}, []),
        ("rds", {}, []),
        ("rds", {"users": "references"}, ["key-without-grants"]),
        ("ecr", {"users": "references", "via": ["s3"]}, ["key-not-for-service", "key-without-grants"]),
    ],
)
def test_which_service_can_use_a_key(expanded: Any, service: Any, key: Any, codes: list[str]) -> None:
    class User(Key):
        """A component that uses another one's key."""

        keys: Key

        def expand(self, scope: Scope) -> None:
            check_key(scope, None, service)
            check_key(scope, self.keys, service)

    result = expanded(lambda: User("user", keys=Key("keys", **key)))
    assert result.codes == codes
    assert all(item.remedy and item.component == "user" for item in result.diagnostics)
