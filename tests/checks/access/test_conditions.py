from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.access.conditions import Verdict, judge, open_conditions

ROLE = "arn:aws:iam::111122223333:role/fit"
CONTEXT = {
    "aws:principalarn": ROLE,
    "aws:securetransport": "true",
    "kms:viaservice": "s3.eu-west-1.amazonaws.com",
}
YES, NO, MAYBE = Verdict.YES, Verdict.NO, Verdict.MAYBE


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "verdict"),
    [
        ("StringEquals", "aws:PrincipalArn", ROLE, YES),
        ("StringEquals", "AWS:principalARN", ROLE, YES),
        ("StringEquals", "aws:PrincipalArn", ROLE.upper(), NO),
        ("StringEqualsIgnoreCase", "aws:PrincipalArn", ROLE.upper(), YES),
        ("StringEquals", "aws:PrincipalArn", ["other", ROLE], YES),
        ("StringNotEquals", "aws:PrincipalArn", ["other", ROLE], NO),
        ("StringNotEquals", "aws:PrincipalArn", ["other"], YES),
        ("StringLike", "kms:ViaService", "s3.*.amazonaws.com", YES),
        ("StringLike", "kms:ViaService", "sqs.*.amazonaws.com", NO),
        ("StringNotLike", "kms:ViaService", "s3.*", NO),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/f?t", YES),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*", NO),
        ("ArnLike", "aws:PrincipalArn", "arn:*", NO),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*", NO),
        ("Bool", "aws:SecureTransport", "false", NO),
        ("Bool", "aws:SecureTransport", False, NO),
        ("Bool", "aws:SecureTransport", True, YES),
        ("BoolIfExists", "aws:SecureTransport", "true", YES),
        ("Null", "aws:PrincipalArn", "true", NO),
        ("Null", "aws:PrincipalArn", "false", YES),
        ("ForAnyValue:StringEquals", "aws:PrincipalArn", [ROLE], YES),
        ("StringEquals", "aws:SourceVpce", "vpce-1", MAYBE),
        ("StringNotEquals", "aws:SourceVpce", "vpce-1", MAYBE),
        ("NumericLessThan", "aws:PrincipalArn", "3", MAYBE),
        ("StringEquals", "aws:PrincipalArn", "${aws:username}", MAYBE),
        ("StringEquals", "aws:PrincipalArn", "⟨other/role.arn⟩", MAYBE),
        ("StringNotEquals", "aws:PrincipalArn", "⟨other/role.arn⟩", MAYBE),
    ],
)
def test_one(operator: str, key: str, wanted: Any, verdict: Verdict) -> None:
    assert judge({operator: {key: wanted}}, CONTEXT) is verdict


def test_all_have_to_hold() -> None:
    yes, no = {"aws:PrincipalArn": ROLE}, {"aws:SecureTransport": "false"}
    maybe = {"aws:SourceVpce": ["vpce-1", "vpce-2"]}
    assert judge({}, CONTEXT) is YES
    assert judge({"StringEquals": {**yes, **maybe}}, CONTEXT) is MAYBE
    assert judge({"StringEquals": {**yes, **maybe}, "Bool": no}, CONTEXT) is NO
    told = open_conditions({"StringEquals": {**yes, **maybe}}, CONTEXT)
    assert told == ["aws:SourceVpce StringEquals vpce-1 or vpce-2"]
