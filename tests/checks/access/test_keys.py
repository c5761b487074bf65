from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.access.keys import Keys
from mlinfra.checks.access.principals import Principals
from mlinfra.checks.access.symbols import Symbols
from mlinfra.graph import Ref
from tests.checks.access.conftest import Build, allow, policy

ACCOUNT = "111122223333"
ROOT = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
MINE = {"Principal": {"AWS": Ref("r", ("arn",))}}
THROUGH_S3 = {"Condition": {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}}
S3 = {"kms:viaservice": "s3.eu-west-1.amazonaws.com"}
KEY = Ref("k", ("arn",))
DECRYPT = "kms:Decrypt"


def decrypts(build: Build, identity: list[Any], key: Any, more: Any = None, named: Any = KEY) -> bool:
    nodes = {
        "role r": {"name": "fit", "assumeRolePolicy": policy()},
        "rolePolicy p": {"role": Ref("r"), "policy": policy(*identity)},
        "key k": {} if key is None else {"policy": policy(*key)},
        **(more or {}),
    }
    symbols = Symbols(build(nodes), ACCOUNT)
    principals = Principals(symbols)
    (role,) = principals
    return bool(Keys(symbols, principals).decrypts(role, symbols.text(named), S3))


GRANT = {"grant g": {"keyId": Ref("k", ("keyId",)), "granteePrincipal": Ref("r", ("arn",)), "operations": ["Decrypt"]}}


@pytest.mark.parametrize(
    ("identity", "key", "more", "allowed"),
    [
        ([], None, {}, False),
        ([allow(DECRYPT, KEY)], None, {}, True),  # the default key policy leaves it to IAM
        ([allow("kms:*")], None, {}, True),
        ([allow(DECRYPT, Ref("other", ("arn",)))], None, {}, False),
        ([allow(DECRYPT, KEY)], [allow("kms:*", **ROOT)], {}, True),
        ([], [allow("kms:*", **ROOT)], {}, False),
        ([allow(DECRYPT, KEY)], [allow("kms:PutKeyPolicy", **ROOT)], {}, False),  # IAM alone is not enough
        ([allow(DECRYPT, KEY)], [allow("kms:*", Principal={"AWS": "222222222222"})], {}, False),
        ([], [allow(DECRYPT, **MINE)], {}, True),
        ([], [allow(DECRYPT, **MINE, **THROUGH_S3)], {}, True),
        (
            [],
            [allow(DECRYPT, **MINE, Condition={"StringEquals": {"kms:ViaService": "sqs.eu-west-1.amazonaws.com"}})],
            {},
            False,
        ),
        ([allow(DECRYPT, KEY, **THROUGH_S3)], [allow("kms:*", **ROOT)], {}, True),
        (
            [allow(DECRYPT, KEY)],
            [allow(DECRYPT, **ROOT, Condition={"ArnEquals": {"aws:PrincipalArn": Ref("r", ("arn",))}})],
            {},
            True,
        ),
        (
            [allow(DECRYPT, KEY)],
            [allow(DECRYPT, **ROOT, Condition={"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/other"}})],
            {},
            False,
        ),
        ([{**allow(DECRYPT), "Effect": "Deny"}], [allow(DECRYPT, **MINE)], {}, False),
        ([allow(DECRYPT)], [allow("kms:*", **ROOT), {**allow(DECRYPT, **MINE), "Effect": "Deny"}], {}, False),
        ([], [allow("kms:PutKeyPolicy", **ROOT)], GRANT, True),
        ([], [allow("kms:PutKeyPolicy", **ROOT)], {"grant g": {**GRANT["grant g"], "operations": ["Encrypt"]}}, False),
        ([], None, {"keyPolicy q": {"keyId": Ref("k"), "policy": policy(allow(DECRYPT, **MINE))}}, True),
    ],
)
def test_who_decrypts(build: Build, identity: Any, key: Any, more: Any, allowed: bool) -> None:
    assert decrypts(build, identity, key, more) is allowed


def test_a_key_by_its_alias(build: Build) -> None:
    more = {"alias a": {"name": "alias/data", "targetKeyId": Ref("k", ("keyId",))}}
    admins = [allow("kms:PutKeyPolicy", **ROOT)]
    for named in (Ref("a", ("name",)), Ref("a", ("arn",)), Ref("k"), "alias/data"):
        assert decrypts(build, [], [allow(DECRYPT, **MINE)], more, named)
        assert not decrypts(build, [allow(DECRYPT)], admins, more, named)


def test_a_key_of_elsewhere_is_taken_to_leave_it_to_iam(build: Build) -> None:
    arn = "arn:aws:kms:eu-west-1:111122223333:key/1234"
    assert decrypts(build, [allow(DECRYPT, arn)], None, named=arn)
    assert not decrypts(build, [allow(DECRYPT, f"{arn}5")], None, named=arn)
