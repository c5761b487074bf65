from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mlinfra.components.values import Autoscale, Image, Model, Quota, Receiver, Route, Taint, repeated

DIGEST = "sha256:" + "0123456789abcdef" * 4

ACCEPTED: list[tuple[type, Any]] = [
    (Image, f"registry.example.com/team/serve@{DIGEST}"),
    (Image, f"localhost:5000/serve@{DIGEST}"),
    (Image, f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/a__b/c.d-e@{DIGEST}"),
    (Image, f"python@{DIGEST}"),
    (Model, "s3://models/recommender/3/model.tar.gz"),
    (Model, "models:/recommender/42"),
    (Receiver, "pagerduty:recsys"),
    (Receiver, "slack:#recsys-alerts"),
    (Receiver, "email:recsys@example.com"),
    (Receiver, "webhook:https://hooks.example.com/a?b=c"),
    (Autoscale, {"min": 1, "max": 1}),
    (Autoscale, {"min": 1, "max": 20, "cpu_percent": 50}),
    (Route, {"critical": "pagerduty:a", "warning": "slack:#b"}),
    (Taint, {"key": "team.example.com/only", "effect": "NoExecute"}),
    (Quota, {}),
]

REFUSED: list[tuple[type, Any, str]] = [
    (Image, "python:3.11", "by digest"),
    (Image, "registry.example.com/serve", "by digest"),
    (Image, f"registry.example.com/serve:1.2@{DIGEST}", "by digest"),
    (Image, f"registry.example.com/serve@{DIGEST[:-1]}", "by digest"),
    (Image, f"registry.example.com/serve@{DIGEST.upper()}", "by digest"),
    (Image, f"registry.example.com/serve@{DIGEST}\n", "by digest"),
    (Image, 3, "string"),
    (Model, "s3://models", "s3://bucket/path"),
    (Model, "models:/recommender/latest", "models:/name/3"),
    (Model, "/home/me/model", "s3://bucket/path"),
    (Receiver, "webhook:http://hooks.example.com", "https"),
    (Receiver, "slack:recsys", "slack:#channel"),
    (Receiver, "email:nobody", "email:"),
    (Receiver, "phone:123", "pagerduty:service"),
    (Autoscale, {"min": 3, "max": 2}, "min is 3, which is more than max, 2"),
    (Autoscale, {"min": 0, "max": 2}, "greater than or equal to 1"),
    (Autoscale, {"min": "1", "max": 2}, "integer"),
    (Autoscale, {"min": 1, "max": 2, "cpu": 3}, "Extra inputs"),
    (Route, {"critical": "pagerduty:a"}, "required"),
    (Taint, {"key": "spaces are not allowed"}, "pattern"),
    (Quota, {"gpus": -1}, "greater than or equal"),
]


@pytest.mark.parametrize(("kind", "value"), ACCEPTED)
def test_accepted_from_yaml_and_from_python(kind: type, value: Any) -> None:
    adapter = TypeAdapter(kind)
    assert adapter.validate_json(json.dumps(value)) == adapter.validate_python(value)


@pytest.mark.parametrize(("kind", "value", "says"), REFUSED)
def test_refused(kind: type, value: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        TypeAdapter(kind).validate_json(json.dumps(value))


def test_texts_are_plain_strings_wherever_one_is_wanted() -> None:
    image = TypeAdapter(Image).validate_python(f"python@{DIGEST}")
    assert isinstance(image, str)
    assert json.dumps([image]) == f'["python@{DIGEST}"]'
    receiver = TypeAdapter(Receiver).validate_python("webhook:https://hooks.example.com:8443/a")
    assert (receiver.kind, receiver.address) == ("webhook", "https://hooks.example.com:8443/a")


@pytest.mark.parametrize("kind", [Image, Model, Receiver])
def test_the_json_schema_has_the_form(kind: type) -> None:
    schema = TypeAdapter(kind).json_schema()
    for accepted, value in ACCEPTED:
        if accepted is kind:
            assert re.match(schema["pattern"], value)
    for refused, value, _ in REFUSED:
        if refused is kind and isinstance(value, str) and not value.endswith("\n"):
            assert not re.match(schema["pattern"], value)


@given(st.text(alphabet="0123456789abcdefABCDEF:@/.-_ ", max_size=80))
def test_no_image_is_accepted_without_a_whole_digest(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Image).validate_python(f"registry.example.com/{text}")


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_autoscale_is_ordered(least: int, most: int) -> None:
    if least <= most:
        assert Autoscale(min=least, max=most).max == most
    else:
        with pytest.raises(ValidationError):
            Autoscale(min=least, max=most)


def test_what_stands_there_more_than_once_is_told_once() -> None:
    assert repeated(["b", "a", "c", "b", "a", "b"]) == ["a", "b"]
    assert repeated(["a", "b"]) == []
