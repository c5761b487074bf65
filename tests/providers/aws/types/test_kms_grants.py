"""Grants, against moto."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.registry import find
from tests.providers.aws.conftest import urn
from tests.providers.aws.types.unknowns import judged

GRANT = "aws:kms/grant:Grant"


def keys(world: Any) -> dict[str, Any]:
    first, second = (world.boto("kms").create_key()["KeyMetadata"] for _ in range(2))
    role = f"arn:aws:iam::{world.account}:role"
    return {
        "key": first["KeyId"],
        "arn": first["Arn"],
        "other": second["KeyId"],
        "reader": f"{role}/reader",
        "writer": f"{role}/writer",
    }


def program(words: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "read",
        "keyId": words["key"],
        "granteePrincipal": words["reader"],
        "operations": ["Decrypt", "DescribeKey"],
    }


def grants(world: Any, key: str) -> list[Any]:
    return list(world.boto("kms").list_grants(KeyId=key)["Grants"])


def grant(world: Any, resource_id: str) -> Any:
    key, _, wanted = resource_id.rpartition(":")
    for item in grants(world, key):
        if item["GrantId"] == wanted:
            return item["GranteePrincipal"], sorted(item["Operations"]), item.get("Constraints")
    return None


def test_grant(lifecycle: Any) -> None:
    lifecycle(
        GRANT,
        prepare=keys,
        inputs=lambda words: {
            **program(words),
            "constraints": [{"encryptionContextSubset": {"team": "ml"}}],
            "retiringPrincipal": words["writer"],
            "grantCreationTokens": ["token"],
        },
        look=grant,
        made=lambda words: (
            words["reader"],
            ["Decrypt", "DescribeKey"],
            {"EncryptionContextSubset": {"team": "ml"}},
        ),
        replaces=lambda words: [
            {"name": "other"},
            {"keyId": words["other"]},
            {"granteePrincipal": words["writer"]},
            {"retiringPrincipal": words["reader"]},
            {"operations": ["Decrypt"]},
            {"constraints": [{"encryptionContextEquals": {"team": "ml"}}]},
            {"retireOnDelete": True},
            {"grantCreationTokens": ["another"]},
        ],
    )


def test_the_order_of_operations_and_the_form_of_the_key_are_no_change(world: Any) -> None:
    words = keys(world)
    inputs = world.engine.checked(GRANT, program(words))
    _, state = world.engine.create(GRANT, inputs)
    same = {**program(words), "keyId": words["arn"], "operations": ["DescribeKey", "Decrypt"]}
    assert not world.engine.diff(GRANT, inputs, world.engine.checked(GRANT, same), state).diffs


def test_the_token_stays_in_the_state_though_kms_tells_it_once(world: Any) -> None:
    words = keys(world)
    inputs = world.engine.checked(GRANT, program(words))
    resource_id, state = world.engine.create(GRANT, inputs)
    assert state["grantToken"]
    assert world.engine.read(GRANT, resource_id, inputs, state)[1]["grantToken"] == state["grantToken"]
    assert "grantToken" not in world.engine.read(GRANT, resource_id)[1]


def test_a_grant_that_was_revoked_behind_our_back_is_gone(world: Any) -> None:
    words = keys(world)
    inputs = world.engine.checked(GRANT, program(words))
    resource_id, state = world.engine.create(GRANT, inputs)
    world.boto("kms").revoke_grant(KeyId=words["key"], GrantId=state["grantId"])
    assert world.engine.read(GRANT, resource_id, inputs, state) is None
    world.engine.delete(GRANT, resource_id, inputs, state)


@pytest.mark.parametrize("form", ["key", "arn"])
def test_a_grant_is_retired_where_that_is_asked(world: Any, form: str) -> None:
    words = keys(world)
    inputs = world.engine.checked(GRANT, {**program(words), "keyId": words[form], "retireOnDelete": True})
    resource_id, state = world.engine.create(GRANT, inputs)
    assert len(grants(world, words["key"])) == 1
    world.engine.delete(GRANT, resource_id, inputs, state)
    assert grants(world, words["key"]) == []


def theirs(world: Any, words: dict[str, Any], **other: Any) -> str:
    asked = {
        "KeyId": words["key"],
        "Name": "read",
        "GranteePrincipal": words["reader"],
        "Operations": ["Decrypt", "DescribeKey"],
        **other,
    }
    return str(world.boto("kms").create_grant(**asked)["GrantId"])


def test_a_grant_that_kms_would_answer_with_is_somebody_elses(world: Any, failure: Any) -> None:
    words = keys(world)
    theirs(world, words)
    error, kept = failure(world.engine.create, GRANT, world.engine.checked(GRANT, program(words)))
    assert "read exists already, and this stack did not make it" in error.details()
    assert kept is None
    assert len(grants(world, words["key"])) == 1


def test_a_grant_of_the_same_name_that_grants_something_else_is_left_alone(elsewhere: Any, unfinished: Any) -> None:
    words = keys(elsewhere)
    unfinished[urn(GRANT)] = set()
    others = {theirs(elsewhere, words, GranteePrincipal=words["writer"]), theirs(elsewhere, words, Name="other")}
    inputs = elsewhere.engine.checked(GRANT, program(words))
    made, state = elsewhere.engine.create(GRANT, inputs)
    assert state["grantId"] not in others
    assert elsewhere.engine.create(GRANT, inputs)[0] == made, "it is found again, once it is there"
    assert {item["GrantId"] for item in grants(elsewhere, words["key"])} == {*others, state["grantId"]}


def test_a_grant_on_a_key_that_is_gone_is_gone(world: Any) -> None:
    inputs = world.engine.checked(GRANT, {**program(keys(world)), "keyId": "00000000-0000-4000-8000-000000000000"})
    assert world.engine.read(GRANT, f"{inputs['keyId']}:abc", inputs) is None


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no operation": ({"operations": []}, "must have at least one"),
    "operation": ({"operations": ["Dance"]}, "must be one of CreateGrant"),
    "grantee": ({"granteePrincipal": "me"}, "must be the ARN of a principal"),
    "name": ({"name": "a b"}, "must be 1 to 256 letters"),
    "two constraints": (
        {"constraints": [{"encryptionContextEquals": {"a": "b"}}, {"encryptionContextSubset": {"a": "b"}}]},
        "must be one at most",
    ),
    "a constraint of both kinds": (
        {"constraints": [{"encryptionContextEquals": {"a": "b"}, "encryptionContextSubset": {"a": "b"}}]},
        "must have one of encryptionContextEquals and encryptionContextSubset",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_kms_refuses_of_a_grant(world: Any, case: str) -> None:
    wrong, reason = REFUSED[case]
    right = {"keyId": "k", "granteePrincipal": "ecs.amazonaws.com", "operations": ["Decrypt"]}
    assert not world.engine.check(GRANT, right).failures
    (found,) = world.engine.check(GRANT, {**right, **wrong}).failures
    assert reason in found.reason


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_is_not_known_yet_it_can_be_judged(world: Any, case: str) -> None:
    assert judged(
        world,
        GRANT,
        {"keyId": "k", "granteePrincipal": "ecs.amazonaws.com", "operations": ["Decrypt"], **REFUSED[case][0]},
    )


def test_what_is_not_known_yet_is_not_refused() -> None:
    unknown = {"operations": UNKNOWN, "constraints": [UNKNOWN]}
    assert not list(find(GRANT).refusals(unknown))
