"""Decisions, held against moto's own evaluation of the same policies, and case by case where moto has none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.iam.access_control import IAMPolicy, PermissionResult

from mlinfra.checks.access.deciding import Question, may, stranger_may, strangers
from mlinfra.checks.access.patterns import pattern
from mlinfra.checks.access.policies import ANYONE, statements
from mlinfra.checks.access.principals import Principal, about

ROLE = "arn:aws:iam::111122223333:role/fit"
BUCKET = "arn:aws:s3:::data"
SPACE = f"{BUCKET}/*"
READ = "s3:GetObject"
ROOT = "arn:aws:iam::111122223333:root"


def statement(effect: str = "Allow", resource: Any = SPACE, **fields: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": READ, "Resource": resource, **fields}


def decide(
    identity: list[dict[str, Any]],
    resource: list[dict[str, Any]] | None = None,
    boundary: list[dict[str, Any]] | None = None,
    space: str = SPACE,
    **context: str,
) -> list[Any]:
    principal = Principal("role", "fit", ROLE)
    principal.identity = statements({"Statement": identity}, "fit/policy")
    principal.boundary = None if boundary is None else statements({"Statement": boundary})
    policy = statements({"Statement": resource or []}, "data/policy")
    return may(principal, Question((READ,), pattern(space), policy, context))


# ------------------------------------------------------------------------------------------------ against moto

ACTIONS = st.sampled_from(["a:x", "a:y", "b:x", "a:*", "*", "*:x"])
RESOURCES = st.sampled_from(["r:1", "r:2", "r:*", "*", "r*2", "q:1"])
STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Deny"]),
        "Action": st.lists(ACTIONS, min_size=1, max_size=2) | ACTIONS,
        "Resource": st.lists(RESOURCES, min_size=1, max_size=2) | RESOURCES,
    }
)


@given(
    items=st.lists(STATEMENTS, max_size=4),
    action=st.sampled_from(["a:x", "a:y", "b:x", "b:y"]),
    resource=st.sampled_from(["r:1", "r:2", "q:1", "s"]),
)
def test_as_moto_decides(items: list[dict[str, Any]], action: str, resource: str) -> None:
    document = {"Statement": items}
    principal = Principal("role", "fit", ROLE)
    principal.identity = statements(document)
    told = IAMPolicy({"policy_document": json.dumps(document)}).is_action_permitted(action, resource)
    found = may(principal, Question((action,), pattern(resource)))
    assert bool(found) is (told is PermissionResult.PERMITTED)
    assert all(way.example == resource for way in found)


@given(items=st.lists(STATEMENTS, max_size=3), more=STATEMENTS, space=RESOURCES, where=st.sampled_from(["a", "b"]))
def test_an_allowance_takes_nobody_off_and_a_denial_adds_nobody(
    items: list[dict[str, Any]], more: dict[str, Any], space: str, where: str
) -> None:
    def allowed(found: list[dict[str, Any]], elsewhere: list[dict[str, Any]]) -> bool:
        principal = Principal("role", "fit", ROLE)
        principal.identity = statements({"Statement": found})
        policy = statements({"Statement": [{**item, "Principal": {"AWS": ROLE}} for item in elsewhere]})
        return bool(may(principal, Question(("a:x", "b:y"), pattern(space), policy)))

    before = allowed(items, [])
    after = allowed([*items, more], []) if where == "a" else allowed(items, [more])
    assert after >= before if more["Effect"] == "Allow" else after <= before
    assert allowed([], items) == before  # in the resource's account it is the same which of the two says it


# ------------------------------------------------------------------------------------------------ case by case

MINE = {"Principal": {"AWS": ROLE}}
ALL = {"Principal": "*"}


@pytest.mark.parametrize(
    ("identity", "resource", "boundary", "allowed"),
    [
        ([], [], None, False),
        ([statement()], [], None, True),
        ([statement(resource=BUCKET)], [], None, False),
        ([statement(resource="arn:aws:s3:::da*")], [], None, True),
        ([statement(resource="arn:aws:s3:::data2/*")], [], None, False),
        ([], [statement(**MINE)], None, True),
        ([], [statement(**ALL)], None, True),
        ([], [statement(Principal={"AWS": ROOT})], None, False),
        ([], [statement(Principal={"AWS": f"{ROLE}2"})], None, False),
        ([statement(), statement("Deny")], [], None, False),
        ([statement(), statement("Deny", f"{BUCKET}/a/*")], [], None, True),
        ([statement(resource=f"{BUCKET}/a/b"), statement("Deny", f"{BUCKET}/a/*")], [], None, False),
        ([statement()], [statement("Deny", **ALL)], None, False),
        ([statement()], [statement("Deny", **MINE)], None, False),
        ([statement()], [statement("Deny", Principal={"AWS": ROOT})], None, False),
        ([statement()], [statement("Deny", Principal={"AWS": "222222222222"})], None, True),
        ([statement()], [statement("Deny", NotPrincipal={"AWS": ROLE})], None, True),
        ([statement()], [statement("Deny", NotPrincipal={"AWS": "x"})], None, False),
        ([statement()], [statement("Deny", **ALL, Condition={"Bool": {"aws:SecureTransport": "false"}})], None, True),
        (
            [statement()],
            [statement("Deny", **ALL, Condition={"ArnNotEquals": {"aws:PrincipalArn": [ROLE]}})],
            None,
            True,
        ),
        (
            [statement()],
            [statement("Deny", **ALL, Condition={"ArnNotEquals": {"aws:PrincipalArn": [f"{ROLE}2"]}})],
            None,
            False,
        ),
        ([statement()], [], [], False),
        ([statement()], [], [statement()], True),
        ([statement()], [], [statement(resource="arn:aws:s3:::other/*")], False),
        ([statement()], [], [statement(), statement("Deny")], False),
        ([statement(Condition={"StringEquals": {"aws:PrincipalArn": "x"}})], [], None, False),
    ],
)
def test_one(identity: Any, resource: Any, boundary: Any, allowed: bool) -> None:
    assert bool(decide(identity, resource, boundary)) is allowed


def test_what_it_depends_on_is_told() -> None:
    here = {"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}
    (way,) = decide([statement(**here)])
    assert way.only_if == ("aws:SourceVpce StringEquals vpce-1",)
    (way,) = decide([statement()], [statement("Deny", **ALL, **here)])
    assert way.only_if == ("unless aws:SourceVpce StringEquals vpce-1",)
    (way,) = decide([statement()], [statement("Deny", "arn:aws:s3:::other/*", **ALL, **here)])
    assert way.only_if == ()


def test_each_resource_that_is_named_is_a_way() -> None:
    found = decide([statement(resource=[f"{BUCKET}/a/*", "arn:aws:s3:::other/*", f"{BUCKET}/b"])])
    assert [(way.resource, way.example, way.origin) for way in found] == [
        (f"{BUCKET}/a/*", f"{BUCKET}/a/", "fit/policy"),
        (f"{BUCKET}/b", f"{BUCKET}/b", "fit/policy"),
    ]


def test_strangers() -> None:
    other = "arn:aws:iam::222222222222:role/audit"
    policy = statements(
        {
            "Statement": [
                statement(Principal={"AWS": [other, ROLE]}),
                statement(Principal={"Service": "cloudfront.amazonaws.com"}),
                statement(**ALL, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
                statement("Deny", Principal={"AWS": "222222222222"}),
            ]
        }
    )
    question = Question((READ,), pattern(SPACE), policy)
    assert strangers(policy, {ROLE}) == [ANYONE, ("AWS", other), ("Service", "cloudfront.amazonaws.com")]
    assert stranger_may("AWS", other, question, about(other)) == []
    assert len(stranger_may("Service", "cloudfront.amazonaws.com", question, {})) == 1
    (way,) = stranger_may(*ANYONE, question, {})
    assert way.only_if == ("aws:PrincipalOrgID StringEquals o-1",)
