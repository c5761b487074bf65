from __future__ import annotations

import hashlib
import json
import math
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.serving import profile, write_profile
from mlinfra.serving.profiles import MOST_CATEGORIES, QUANTILES, Profiled, category

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-10, 10) | st.fractions(-9, 9)
MISSING = st.sampled_from([None, math.nan, math.inf])
CATEGORIES = st.text(max_size=5) | st.booleans()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60), min_size=1),
       st.lists(MISSING), st.randoms(use_true_random=False))  # fmt: skip
def test_numbers(there: list[float], missing: list[Any], chance: random.Random) -> None:
    values = there + missing
    chance.shuffle(values)
    found = profile({"x": values})
    feature = found["features"]["x"]
    quantiles = feature["quantiles"]
    assert found["rows"] == len(values)
    assert feature["kind"] == "number"
    assert len(quantiles) == QUANTILES + 1
    assert quantiles == sorted(quantiles)
    assert (quantiles[0], quantiles[-1]) == (min(map(float, there)), max(map(float, there)))
    assert feature["missing"] == len(missing) / len(values)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(st.lists(CATEGORIES, min_size=1), st.lists(MISSING))
def test_categories(there: list[Any], missing: list[Any]) -> None:
    found = profile({"x": [*missing, *there]})["features"]["x"]
    assert found["kind"] == "category"
    assert sum(found["counts"].values()) == len(there)
    assert set(found["counts"]) == {category(value) for value in there}
    assert found["missing"] == len(missing) / (len(there) + len(missing))


@given(st.lists(st.fixed_dictionaries({}, optional={"age": NUMBERS | MISSING, "town": CATEGORIES | st.none()})))
def test_rows_and_columns_of_the_same_data_have_the_same_profile(rows: list[dict[str, Any]]) -> None:
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    found = profile(rows)
    assert found == profile(columns) == profile(reversed(rows)) if names else found["features"] == {}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_quantiles_are_interpolated() -> None:
    [feature] = profile({"x": [0, 10]})["features"].values()
    assert feature["quantiles"] == pytest.approx([step / 10 for step in range(101)])
    [alone] = profile({"x": [Fraction(1, 2)]})["features"].values()
    assert alone["quantiles"] == [0.5] * 101


def test_quantiles_as_numpy_has_them() -> None:
    numpy = pytest.importorskip("numpy")
    values = random.Random(7).choices(range(1000), k=317)
    [feature] = profile({"x": numpy.array(values, dtype="float32")})["features"].values()
    assert feature["quantiles"] == pytest.approx(numpy.quantile(values, numpy.linspace(0, 1, 101)).tolist())


def test_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": [41, None, 17], "town": ["Bonn", None, pandas.NA], "is_new": [True, False, True]})
    found = profile(frame)["features"]
    assert found["age"]["missing"] == pytest.approx(1 / 3)
    assert found["town"] == {"kind": "category", "counts": {"Bonn": 1}, "missing": pytest.approx(2 / 3)}
    assert found["is_new"]["counts"] == {"true": 2, "false": 1}


def test_what_is_personal_or_too_varied_is_left_out() -> None:
    rows = [{"id": f"user-{number}", "email": "a", "age": number} for number in range(MOST_CATEGORIES + 1)]
    assert set(profile(rows, unlogged=["email"])["features"]) == {"age"}


def test_a_feature_that_was_never_there() -> None:
    assert profile({"x": [None, None]})["features"]["x"] == {"kind": "category", "counts": {}, "missing": 1.0}
    assert profile({}) == {"format": 1, "rows": 0, "features": {}}


@pytest.mark.parametrize(
    ("data", "error"),
    [({"a": [1], "b": [1, 2]}, ValueError), ([[1, 2], [3, 4]], TypeError), ([{"a": 1}, 2], TypeError)],
)
def test_what_is_no_table_is_refused(data: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        profile(data)


def test_the_digest_is_of_the_file_and_does_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = [{"b": "x", "a": 1}, {"a": 2, "b": "y"}, {"a": 3}]
    digest = write_profile(rows, tmp_path / "one")
    body = (tmp_path / "one" / "profile.json").read_bytes()
    assert digest == hashlib.sha256(body).hexdigest()
    assert digest == write_profile(rows[::-1], f"file://{tmp_path}/two")
    assert json.loads(body) == profile(rows)


def test_beside_a_model_in_a_bucket(s3: Any) -> None:
    digest = write_profile({"age": [1, 2]}, "s3://logs/ranker/41")
    assert s3.get_object(Bucket="logs", Key="ranker/41/profile.json")["Body"].read()
    for uri, expected in (("s3://logs/ranker/41", digest), ("s3://logs/ranker/42/", None), ("s3://gone/x", None)):
        profiled = Profiled(uri)
        profiled._look(())
        assert profiled._found == expected


def test_the_comparison_reads_what_is_written(tmp_path: Path) -> None:
    """`DriftMonitor`'s program has a reader of its own."""
    drift = pytest.importorskip("mlinfra.serving.drift.profile")
    digest = write_profile({"age": [41, 17, None], "town": ["Bonn", "Bonn", "Cadiz"]}, tmp_path)
    read = drift.read((tmp_path / "profile.json").read_bytes())
    assert (read.rows, read.digest, set(read.features)) == (3, digest, {"age", "town"})
    assert read.features["age"].is_number
    assert read.features["town"].counts == {"Bonn": 2, "Cadiz": 1}
