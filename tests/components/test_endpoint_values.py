from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.components.endpoint_values import WarmUp, WorkingHours


@pytest.mark.parametrize(
    ("body", "text"), [(None, None), ("a b", "a b"), ({"ä": [1]}, '{"ä": [1]}'), ([], "[]"), ({}, "{}")]
)
def test_the_body_of_a_first_request(body: Any, text: str | None) -> None:
    assert WarmUp(body=body).text == text


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        (WarmUp, {"body": "ä" * 9000}, "longer than 16 KiB"),
        (WarmUp, {"path": "predict"}, "path"),
        (WarmUp, {"content_type": "json"}, "content_type"),
        (WarmUp, {"content_type": "a/b\nX-Evil: 1"}, "content_type"),
        (WorkingHours, {"start": "20:00", "stop": "07:00"}, "not before stop"),
        (WorkingHours, {"start": "7:00"}, "start"),
        (WorkingHours, {"stop": "24:00"}, "stop"),
        (WorkingHours, {"days": []}, "days"),
        (WorkingHours, {"days": ["mon", "mon"]}, "more than once: mon"),
        (WorkingHours, {"time_zone": "berlin"}, "time_zone"),
    ],
)
def test_mistakes(kind: Any, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        kind(**fields)


def test_a_time_as_cron_has_it() -> None:
    assert WorkingHours(days=["mon", "sat"]).cron("07:05") == "5 7 * * mon,sat"
