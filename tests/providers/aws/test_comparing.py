"""What means the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.functions import UNKNOWN
from mlinfra.providers.aws.comparing import agrees, as_left, changed, normal
from mlinfra.providers.aws.fields import Field

POLICY = Field("policy", document=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = st.lists(st.sampled_from(["s3:Get*", "s3:Put*", "sns:Publish"]), min_size=1, max_size=3, unique=True)
STATEMENTS = st.lists(
    st.fixed_dictionaries({"Effect": st.just("Allow"), "Action": NAMES, "Resource": NAMES}), min_size=1
)


@given(JSON)
def test_documents_are_compared_by_what_they_hold(value: Any) -> None:
    assert normal(POLICY, json.dumps(value)) == normal(POLICY, json.dumps(value, indent=2, ensure_ascii=False))


@given(STATEMENTS, st.randoms())
def test_order_and_lists_of_one_mean_nothing_in_a_policy(statements: list[dict[str, Any]], random: Any) -> None:
    def shuffled(items: list[Any]) -> list[Any]:
        return random.sample(items, len(items))

    def bare(items: list[str]) -> Any:
        return items[0] if len(items) == 1 else shuffled(items)

    other = [{**item, "Action": bare(item["Action"]), "Resource": bare(item["Resource"])} for item in statements]
    one, same = ({"Version": "2012-10-17", "Statement": items} for items in (statements, shuffled(other)))
    assert normal(POLICY, json.dumps(one)) == normal(POLICY, json.dumps(same))
    denied = {**one, "Statement": [{**statements[0], "Effect": "Deny"}, *statements[1:]]}
    assert normal(POLICY, json.dumps(one)) != normal(POLICY, json.dumps(denied))


RULE = (
    Field("id"),
    Field("key", computed=True),
    Field("size", int, forgotten=True),
    Field("enabled", bool, default=False),
)
CASES: list[tuple[Field, Any, Any, bool]] = [
    (Field("a"), None, None, True),
    (Field("a"), "x", None, False),
    (Field("a", default="x"), "x", None, True),
    (Field("a", dict), {}, None, True),
    (Field("a", many=True), [], None, True),
    (Field("a", many=True), ["x", "y"], ["y", "x"], False),
    (Field("a", many=True, unordered=True), ["x", "y"], ["y", "x"], True),
    (Field("a", many=True, unordered=True), ["x"], [UNKNOWN], False),
    (Field("a", float), 1, 1.0, True),
    (Field("a"), UNKNOWN, "x", False),
    (Field("a", RULE), {"id": "x", "enabled": False}, {"id": "x"}, True),
    (Field("a", RULE, many=True), [{"id": "x"}], [{"id": "x", "enabled": True}], False),
    (POLICY, "not json", "not json", True),
    (POLICY, '{"Statement": {"Principal": "*"}}', '{"Statement": [{"Principal": {"AWS": ["*"]}}]}', True),
    (
        POLICY,
        '{"Statement": [{"Condition": {"Bool": {"aws:SecureTransport": false}}}]}',
        '{"Statement": [{"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}}]}',
        True,
    ),
    (POLICY, '{"Statement": []}', '{"Statement": [], "Id": "x"}', False),
]


@pytest.mark.parametrize(("field", "one", "other", "same"), CASES)
def test_normal(field: Field, one: Any, other: Any, same: bool) -> None:
    assert (normal(field, one) == normal(field, other)) is same


def test_what_is_left_to_aws_is_no_change() -> None:
    fields = (Field("a"), Field("b", computed=True), Field("c", RULE, many=True))
    old = {"a": "1", "b": "chosen", "c": [{"id": "x", "key": "chosen"}]}
    assert changed(fields, old, {"a": "1", "c": [{"id": "x"}]}) == []
    assert [
        field.name for field in changed(fields, old, {"a": "2", "b": "mine", "c": [{"id": "x", "key": "mine"}]})
    ] == [
        "a",
        "b",
        "c",
    ]


def test_what_moto_forgets_is_no_drift() -> None:
    field = Field("c", RULE, many=True)
    assert agrees(field, [{"id": "x", "size": 3}], [{"id": "x", "key": "chosen"}])
    assert not agrees(field, [{"id": "x", "size": 3}], [{"id": "y"}])
    assert not agrees(field, [{"id": "x"}], [])
    assert agrees(Field("c", forgotten=True), "x", None)
    assert as_left(field, [{"id": "x", "key": "chosen"}], [{"id": "x"}]) == [{"id": "x"}]
