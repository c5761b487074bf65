from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.access import Grant, admit, allow
from mlinfra.components.key import ADMINISTER, Key
from mlinfra.expansion import Scope
from mlinfra.graph import Join, Ref
from mlinfra.tiers import Tier

ACCOUNT = "111122223333"
ROOT = {"AWS": Join(("arn:aws:iam::", ACCOUNT, ":root"))}
ONLY_S3 = {"StringLike": {"kms:ViaService": ["s3.*.amazonaws.com"]}}


def statements(result: Any, node: str = "keys/key") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result.inputs(node)["policy"].value["Statement"]
    return found


def test_what_a_key_comes_to(expanded: Any) -> None:
    result = expanded(lambda: Key("keys", description="Data", tags={"project": "recs"}), "eks")
    assert result.names_of("keys") == {"key", "alias"}
    key = result.inputs("keys/key")
    assert key["description"] == "Data"
    assert (key["enableKeyRotation"], key["rotationPeriodInDays"]) == (True, 365)
    assert key["tags"]["project"] == "recs"
    assert key["tags"]["mlinfra:owner"] == "recsys"
    alias = {"name": "alias/sample-test-keys", "targetKeyId": Ref("keys/key", ("keyId",))}
    assert result.inputs("keys/alias") == alias


def test_outputs_are_those_of_the_key() -> None:
    key = Key("keys")
    assert key.arn == Ref("keys/key", ("arn",))
    assert key.key_id == Ref("keys/key", ("keyId",))
    assert key.alias == Ref("keys/alias", ("name",))


@pytest.mark.parametrize(
    ("tier", "given", "days", "protected"),
    [
        (Tier.DEV, None, 7, False),
        (Tier.STAGING, None, 7, False),
        (Tier.PROD, None, 30, True),
        (Tier.PROD, 10, 10, True),
    ],
)
def test_deletion_waits_as_the_tier_says(
    expanded: Any, tier: Tier, given: int | None, days: int, protected: bool
) -> None:
    result = expanded(lambda: Key("keys", deletion_days=given), tier=tier)
    assert result.inputs("keys/key")["deletionWindowInDays"] == days
    assert result.node("keys/key").options.protect is protected


def test_the_account_administers_and_leaves_the_use_to_iam(expanded: Any) -> None:
    administered, used, granted = statements(expanded(lambda: Key("keys", via=["s3"]), "eks"))
    assert administered["Principal"] == used["Principal"] == granted["Principal"] == ROOT
    assert administered["Action"] == list(ADMINISTER)
    assert "Condition" not in administered
    assert used["Condition"] == ONLY_S3
    assert "kms:Decrypt" in used["Action"]
    assert granted["Action"] == ["kms:CreateGrant"]
    assert granted["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}, **ONLY_S3}
    assert "Condition" not in statements(expanded(lambda: Key("keys"), "eks"))[1]


def test_no_administrator_can_use_a_key_or_let_others_use_it() -> None:
    using = ("Decrypt", "Encrypt", "GenerateDataKey", "ReEncrypt", "CreateGrant", "*")
    assert not [action for action in ADMINISTER if action.partition(":")[2].startswith(using)]


def test_a_key_for_references_admits_nobody_by_itself(expanded: Any) -> None:
    (only,) = statements(expanded(lambda: Key("keys", users="references"), "eks"))
    assert only["Action"] == list(ADMINISTER)


def test_readers_of_other_accounts_are_admitted_through_their_account(expanded: Any) -> None:
    role = "arn:aws:iam::444455556666:role/team/audit"
    _, reader = statements(expanded(lambda: Key("keys", users="references", readers=[role], via=["s3"]), "eks"))
    assert reader["Principal"] == {"AWS": Join(("arn:aws:iam::", "444455556666", ":root"))}
    assert reader["Action"] == ["kms:Decrypt"]
    assert reader["Condition"] == {"ArnEquals": {"aws:PrincipalArn": role}, **ONLY_S3}


@pytest.mark.parametrize(("users", "admitted"), [("account", False), ("references", True)])
def test_a_role_is_admitted_where_the_policy_leaves_nothing_to_iam(expanded: Any, users: Any, admitted: bool) -> None:
    role = Ref("fit/role")

    class Reader(Key):
        """A component that gives a role the use of another component's key."""

        keys: Key

        def expand(self, scope: Scope) -> None:
            for _ in range(2):  # the same grant again adds nothing
                admit(scope, self.keys.decrypt_grants("s3"), role)
            admit(scope, [Grant(("s3:GetObject",), (Ref("elsewhere/bucket", ("arn",)), "*"))], role)

    result = expanded(lambda: Reader("reader", keys=Key("keys", users=users)), "eks")
    expected = {
        "Effect": "Allow",
        "Principal": ROOT,
        "Action": ["kms:Decrypt"],
        "Resource": ["*"],
        "Condition": {**ONLY_S3, "ArnEquals": {"aws:PrincipalArn": Ref("fit/role", ("arn",))}},
    }
    plain = statements(expanded(lambda: Key("keys", users=users), "eks"))
    assert statements(result) == [*plain, *([expected] if admitted else [])]
    assert ("fit/role" in result.node("keys/key").references()) is admitted


def test_a_statement_is_added_once_and_changes_nothing_else(expanded: Any) -> None:
    extra = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": ["kms:Decrypt"]}

    class Sender(Key):
        keys: Key

        def expand(self, scope: Scope) -> None:
            allow(scope, self.keys.node("key"), extra)
            allow(scope, self.keys.node("key"), extra)

    plain = expanded(lambda: Key("keys"), "eks")
    result = expanded(lambda: Sender("sender", keys=Key("keys")), "eks")
    assert statements(result) == [*statements(plain), extra]
    others = {name: value for name, value in plain.inputs("keys/key").items() if name != "policy"}
    assert {name: value for name, value in result.inputs("keys/key").items() if name != "policy"} == others
    assert result.node("keys/key").options == plain.node("keys/key").options


def test_grants() -> None:
    key = Key("keys")
    (read,), (write,) = key.decrypt_grants("s3"), key.encrypt_grants()
    assert read.statement() == {
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": [key.arn],
        "Condition": ONLY_S3,
    }
    assert write.statement() == {
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": [key.arn],
    }


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"deletion_days": 3}, "deletion_days: should be greater than or equal to 7"),
        ({"deletion_days": 31}, "deletion_days: should be less than or equal to 30"),
        ({"rotation_days": 30}, "rotation_days: should be greater than or equal to 90"),
        ({"via": ["s4"]}, "via.0: should be"),
        ({"users": "everybody"}, "users: should be 'account' or 'references'"),
        ({"readers": ["arn:aws:iam::1:user/me"]}, "readers.0"),
        ({"tags": {"mlinfra:x": "y"}}, "the prefixes `aws:` and `mlinfra:` are reserved"),
        ({"readers": ["arn:aws:iam::444455556666:role/audit"]}, "names readers, but every principal of the account"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: Key("keys", **fields)).diagnostics
    assert says in diagnostic.summary


def test_without_aws(expanded: Any) -> None:
    result = expanded(lambda: Key("keys"), "kubeconfig")
    assert result.codes == ["target-without-aws"]
    assert result.names_of("keys") == set()
