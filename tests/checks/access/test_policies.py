from __future__ import annotations

import json
from typing import Any

import pytest

from mlinfra.checks.access.policies import PolicyError, account_of, is_account, statements


def one(**fields: Any) -> Any:
    (found,) = statements({"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **fields}})
    return found


@pytest.mark.parametrize(
    ("written", "action", "covered"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("S3:getobject", "s3:GetObject", True),
        ("s3:Get*", "s3:GetObjectVersion", True),
        ("s3:?etObject", "s3:GetObject", True),
        ("*", "kms:Decrypt", True),
        ("s3:*", "s3-object-lambda:GetObject", False),
        ("s3:GetObject", "s3:GetObjectVersion", False),
        ("s3:GetObject*", "s3:GetObject", True),
    ],
)
def test_actions(written: str, action: str, covered: bool) -> None:
    assert one(Action=written).covers(action) is covered
    assert one(Action=["sqs:*", written]).covers(action) is covered
    excluded = statements({"Statement": [{"Effect": "Allow", "NotAction": [written], "Resource": "*"}]})[0]
    assert excluded.covers(action) is not covered


def test_forms() -> None:
    found = one(Resource=["a", "b"], Principal={"AWS": ["111122223333", "*"], "Service": "s3.amazonaws.com"}, Sid="x")
    assert found.resources == ("a", "b")
    assert found.principals == {("AWS", "111122223333"), ("*", "*"), ("Service", "s3.amazonaws.com")}
    assert one(Principal="*").principals == {("*", "*")}
    assert one(NotPrincipal={"AWS": "arn:x"}).not_principals
    assert statements(json.dumps({"Statement": []})) == []
    without = statements({"Statement": [{"Effect": "Deny", "Action": "*"}]})[0]
    assert (without.allows, without.resources) == (False, ("*",))


def test_not_resource_is_all_but_these() -> None:
    (found,) = statements({"Statement": [{"Effect": "Allow", "Action": "*", "NotResource": ["a*", "b"]}]})
    assert [found.clause.holds(text) for text in ("abc", "b", "bb", "c")] == [False, False, True, True]
    assert found.parts()[0][0] == "all but a*, b"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ({"Statement": ["x"]}, "statement 1 is not an object"),
        ({"Statement": [{"Effect": "allow"}]}, "Effect of statement 1"),
        ({"Statement": [{"Effect": "Allow", "Action": 3}]}, "Action of statement 1"),
        ({"Statement": [{"Effect": "Allow", "Action": "*", "Principal": 3}]}, "Principal of statement 1"),
        ({"Statement": [{"Effect": "Allow", "Action": "*", "Condition": {"Bool": "x"}}]}, "Condition of statement 1"),
    ],
)
def test_what_is_no_policy(document: Any, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        statements(document)


@pytest.mark.parametrize(
    ("principal", "account", "whole"),
    [
        ("111122223333", "111122223333", True),
        ("arn:aws:iam::111122223333:root", "111122223333", True),
        ("arn:aws:iam::111122223333:role/a", "111122223333", False),
        ("s3.amazonaws.com", "", False),
        ("*", "", False),
    ],
)
def test_accounts(principal: str, account: str, whole: bool) -> None:
    assert (account_of(principal), is_account(principal)) == (account, whole)
