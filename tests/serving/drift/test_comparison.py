"""What a comparison says of records, by way of a log in a folder."""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlinfra.serving import write_profile
from mlinfra.serving.drift.comparison import Comparison, Result, compare
from mlinfra.serving.drift.problems import DriftError
from mlinfra.serving.drift.profile import Profile, Trained, read
from mlinfra.serving.drift.settings import FairnessSettings, Settings

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def people(count: int, *, older: float = 0, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {
            "age": chance.gauss(40 + older, 10),
            "city": chance.choice(["Rome", "Oslo", "Lima"]),
            "plus": chance.random() < 0.3,
        }
        for _ in range(count)
    ]


def put(
    folder: Path, rows: list[Any], at: datetime = NOW - timedelta(hours=2), name: str = "pod-1", **more: Any
) -> Path:
    """An object of the log, a record for each of the rows."""
    lines = [
        json.dumps({"time": at.isoformat(), "inputs": row, "prediction": 1, "profile": None, **more}) for row in rows
    ]
    file = folder / "api" / f"date={at:%Y-%m-%d}" / f"{at:%H}-{name}.jsonl.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    return file


@pytest.fixture
def digest(tmp_path: Path) -> str:
    return write_profile(people(2000), tmp_path / "model")


def compared(tmp_path: Path, **fields: Any) -> Result:
    given = {"component": "api", "min_rows": 100, **fields}
    return compare(
        Settings(requests=str(tmp_path / "log" / "api"), profile=str(tmp_path / "model" / "profile.json"), **given), NOW
    )


def distances(result: Result) -> dict[str, dict[str, float]]:
    return {
        feature.name: {test: found.value for test, found in (feature.distances or {}).items()}
        for feature in result.features
    }


@pytest.mark.usefixtures("digest")
def test_the_same_people_have_not_drifted_and_older_ones_have(tmp_path: Path) -> None:
    put(tmp_path / "log", people(600, seed=2))
    same = compared(tmp_path)
    assert same.drifted(0.2) == []
    assert (same.rows, same.enough, same.age_seconds) == (600, True, 7200)
    assert {name: set(tests) for name, tests in distances(same).items()} == {
        "age": {"psi", "ks"},
        "city": {"psi"},
        "plus": {"psi"},
    }
    put(tmp_path / "log", people(600, older=20, seed=3))
    moved = compared(tmp_path)
    assert moved.drifted(0.2) == ["age"]
    assert distances(moved)["age"]["ks"] > 0.5
    (age,) = (feature for feature in moved.features if feature.name == "age")
    assert age.distances is not None
    assert age.distances["psi"].confidence > 0.999


@pytest.mark.usefixtures("digest")
def test_missing_values_new_categories_and_strange_ones(tmp_path: Path) -> None:
    rows = people(400, seed=2)
    for row in rows[:100]:
        row["age"] = None
    for row in rows[:40]:
        row["city"] = "Paris"
    rows[-1]["city"] = "Rmoe"  # one that is misspelt is no new category
    rows[-1]["age"] = "old"
    for row in rows:
        row.pop("plus")
        row["shoe"] = 42
    put(tmp_path / "log", rows)
    result = compared(tmp_path)
    found = {feature.name: feature for feature in result.features}
    assert found["age"].missing == pytest.approx(101 / 400)
    assert (found["age"].invalid, found["age"].trained_missing) == (1, 0.0)
    assert (found["city"].new, found["city"].new_count) == (("Paris",), 1)
    assert (found["plus"].missing, found["plus"].distances) == (1.0, None)
    assert result.unknown == ("shoe",)
    assert "Paris" in str(result.as_json())
    assert "Paris" not in str(result.as_json(values=False))


@pytest.mark.usefixtures("digest")
def test_a_handful_of_requests_says_nothing(tmp_path: Path) -> None:
    put(tmp_path / "log", people(60, older=50))
    result = compared(tmp_path)
    assert (result.rows, result.enough, result.drifted(0.2)) == (60, False, [])


@pytest.mark.usefixtures("digest")
def test_no_requests_at_all(tmp_path: Path) -> None:
    result = compared(tmp_path, hours=6)
    assert (result.rows, result.age_seconds, result.counts.objects) == (0, 6 * 3600, 0)


def test_only_the_window_and_the_models_own_profile_count(tmp_path: Path, digest: str) -> None:
    put(tmp_path / "log", people(10), NOW - timedelta(hours=25), "old")
    put(tmp_path / "log", people(20), NOW - timedelta(hours=23), "new", profile=digest)
    put(tmp_path / "log", people(30), NOW - timedelta(hours=22), "other", profile="0" * 64)
    put(tmp_path / "log", [{}, [1, 2], "x"], NOW - timedelta(hours=1), "unnamed")
    result = compared(tmp_path)
    assert (result.rows, result.other_profile, result.unreadable) == (20, 30, 3)


@pytest.mark.usefixtures("digest")
def test_what_is_damaged_is_counted_and_the_rest_compared(tmp_path: Path) -> None:
    good = put(tmp_path / "log", people(200))
    cut = good.with_name("10-cut.jsonl.gz")
    cut.write_bytes(good.read_bytes()[:2000])
    lines = ["{", "[]", '{"time": "yesterday"}', '{"time": null}', "", '{"inputs": 1}', "\udcff"]
    bad = good.with_name("10-bad.jsonl.gz")
    bad.write_bytes(gzip.compress("\n".join(lines).encode("utf-8", "surrogateescape")))
    good.with_name("10-none.jsonl.gz").write_bytes(b"no gzip")
    result = compared(tmp_path)
    assert (result.counts.objects, result.counts.unread, result.counts.malformed) == (4, 2, 6)
    assert 200 <= result.rows < 400


def test_a_log_of_which_nothing_can_be_read_is_told(tmp_path: Path, digest: str) -> None:
    put(tmp_path / "log", people(1)).write_bytes(b"no gzip")
    with pytest.raises(DriftError, match="none of 1 objects"):
        compared(tmp_path)


@pytest.mark.usefixtures("digest")
def test_of_many_requests_objects_are_chosen_by_chance(tmp_path: Path) -> None:
    for hour in range(1, 21):
        put(tmp_path / "log", people(50, seed=hour), NOW - timedelta(hours=hour))
    result = compared(tmp_path, max_rows=200)
    assert (result.rows, result.counts.objects, result.counts.objects_left) == (200, 4, 16)
    assert compared(tmp_path, max_rows=200).as_json() == result.as_json()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "damaged"),
        ("{", "damaged"),
        ('{"format": 2}', "has format 2"),
        ('{"format": 1, "rows": 1, "features": {"a": {"kind": "number"}}}', "damaged"),
    ],
)
def test_profiles_that_are_none(text: str, says: str) -> None:
    with pytest.raises(DriftError, match=says):
        read(text.encode())


def test_features_that_nothing_can_be_compared_with_are_skipped() -> None:
    features = {
        "a": {"kind": "number", "quantiles": [1, 2, 3], "missing": 0},
        "b": {"kind": "number", "quantiles": []},
        "c": {"kind": "category", "counts": {}},
        "d": {"kind": "image"},
    }
    found = read(json.dumps({"format": 1, "rows": 3, "features": features}).encode())
    assert (set(found.features), found.skipped) == ({"a"}, ("b", "c", "d"))


def test_no_profile(tmp_path: Path) -> None:
    with pytest.raises(DriftError, match="there is no profile"):
        compared(tmp_path)


def fairness(rows: list[tuple[dict[str, Any], Any]], **settings: Any) -> Any:
    comparison = Comparison(
        Profile(10, {"age": Trained(0.0, quantiles=(1.0, 2.0))}),
        groups=FairnessSettings(groups=("country",), min_rows=10, **settings),
    )
    for inputs, prediction in rows:
        comparison.add({"inputs": inputs, "prediction": prediction})
    from mlinfra.serving.drift.request_log import Counts

    (found,) = comparison.result(NOW - timedelta(hours=1), NOW, Counts()).fairness
    return found


@pytest.mark.parametrize(
    ("settings", "yes", "no"),
    [
        ({}, 0.9, 0.1),
        ({}, True, False),
        ({}, [1], [0]),
        ({"favourable_labels": ("approved",)}, "approved", "refused"),
        ({"prediction_field": "score", "favourable_from": 10.0}, {"score": 10}, {"score": 9}),
    ],
)
def test_the_difference_between_groups(settings: dict[str, Any], yes: Any, no: Any) -> None:
    rows = [({"country": "it"}, yes)] * 30 + [({"country": "it"}, no)] * 10
    rows += [({"country": "no"}, yes)] * 5 + [({"country": "no"}, no)] * 15
    rows += [({"country": "pe"}, yes)] * 3 + [({}, yes)] * 50 + [({"country": "it"}, None)] * 50
    found = fairness(rows, **settings)
    assert found.value == pytest.approx(0.75 - 0.25)
    assert (found.rates, found.small) == ({"it": 0.75, "no": 0.25}, ("pe",))
    assert found.as_json()["rates"] == {"it": 0.75, "no": 0.25}
    assert found.as_json(values=False) == {"group": "country", "value": 0.5, "reason": ""}


def test_where_nothing_can_be_said_of_groups() -> None:
    assert "fewer than two groups" in fairness([({"country": "it"}, 1)] * 50).reason
    assert "more than 100 values" in fairness([({"country": str(index)}, 1) for index in range(200)]).reason
