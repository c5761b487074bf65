from __future__ import annotations

import threading
from typing import Any

import pytest

from mlinfra.providers.aws.resource import Aws


class Asked:
    """A session in which the account is known already."""

    def api(self, service: str, region: str) -> Any:
        return self

    def call(self, operation: str) -> dict[str, str]:
        raise AssertionError(f"{operation} was asked for")

    def remember(self, what: str, ask: Any) -> dict[str, str]:
        assert what == "caller"
        return {"Account": "111122223333"}


@pytest.mark.parametrize(
    ("region", "arguments", "expected"),
    [
        ("eu-west-1", {"service": "sns", "resource": "news"}, "arn:aws:sns:eu-west-1:111122223333:news"),
        ("eu-west-1", {"service": "iam", "resource": "role/a", "region": ""}, "arn:aws:iam::111122223333:role/a"),
        ("cn-north-1", {"service": "ec2", "resource": "vpc/v-1"}, "arn:aws-cn:ec2:cn-north-1:111122223333:vpc/v-1"),
        (
            "us-gov-west-1",
            {"service": "iam", "resource": "policy/p", "region": ""},
            "arn:aws-us-gov:iam::111122223333:policy/p",
        ),
    ],
)
def test_arns(region: str, arguments: Any, expected: str) -> None:
    session: Any = Asked()
    assert Aws(session, region, threading.Event()).arn(**arguments) == expected
