"""What a comparison is told: the file of its `DriftMonitor`, and where to read, from the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from mlinfra.serving.drift.problems import DriftError


@dataclass(frozen=True, slots=True)
class FairnessSettings:
    """Among whom predictions are compared, and which of them are favourable."""

    groups: tuple[str, ...] = ()
    """Features whose values are the groups."""
    favourable_from: float = 0.5
    """The least number that is a favourable prediction; of truth values, `true` is 1."""
    favourable_labels: tuple[str, ...] = ()
    """The predictions that are favourable where they are texts."""
    prediction_field: str = ""
    """The field of a prediction that counts, where predictions have fields."""
    min_rows: int = 100
    """Groups with fewer predictions are left out."""


@dataclass(frozen=True, slots=True)
class RetrainSettings:
    """The training job that is run when there is drift."""

    cron_job: str
    """The CronJob that holds the job's template."""
    days: int = 1
    """Days in which one run is made at most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a comparison is told.

    `requests` is where an endpoint's records are, `s3://bucket/prefix/endpoint` or a folder; `profile` is a file in the
    same forms. `component` is the endpoint's identity, `monitor` that of the `DriftMonitor`.
    """

    requests: str
    profile: str
    component: str
    monitor: str = "drift"
    hours: int = 24
    """Hours of requests, up to now."""
    min_rows: int = 500
    """With fewer rows nothing is said of drift."""
    max_rows: int = 200_000
    """Rows that are read at most, of objects that are chosen at random."""
    threshold: float = 0.2
    """PSI and KS above it are drift."""
    tell_values: bool = True
    """Whether the log of the program may name categories and groups, which can hold personal data."""
    new_category_share: float = 0.001
    """The share of rows from which a value that training did not have is a new category."""
    fairness: FairnessSettings | None = None
    pushgateway: str = ""
    """The address of the Pushgateway, `http://host:port`; empty: the result is told in the log alone."""
    retrain: RetrainSettings | None = None

    @classmethod
    def read(cls, file: Path, environment: Mapping[str, str]) -> Self:
        """The settings in a file, as JSON, and in `REQUEST_LOG_URI`, `PROFILE_URI`; raises `DriftError`."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DriftError(f"{file} cannot be read: {error}") from None
        if not isinstance(found, dict):
            raise DriftError(f"{file} holds no settings: it has to be an object")
        places = {
            key: environment[name]
            for key, name in (("requests", "REQUEST_LOG_URI"), ("profile", "PROFILE_URI"))
            if name in environment
        }
        # The log has a folder for each endpoint.
        if "requests" in places:
            places["requests"] = f"{places['requests'].rstrip('/')}/{found.get('component', '')}"
        for key, kind in (("fairness", FairnessSettings), ("retrain", RetrainSettings)):
            if found.get(key) is not None:
                found[key] = _made(kind, found[key], f"{key}.")
        made: Self = _made(cls, {**places, **found}, "")
        return made


_AT_LEAST = {"hours": 1, "min_rows": 2, "max_rows": 1, "days": 1, "threshold": 0, "new_category_share": 0}


def _made(kind: type[Any], given: Any, place: str) -> Any:
    """A structure of these values: lists become tuples, each value has the type of its field, no field is unknown."""
    if not isinstance(given, Mapping):
        raise DriftError(f"{place.removesuffix('.')} is {given!r}, and has to be an object")
    known = {field.name: str(field.type) for field in fields(kind)}
    if strange := sorted(set(given) - set(known)):
        raise DriftError(f"there is no setting {place}{strange[0]}; there are {', '.join(known)}")
    values = {key: _checked(key, known[key], value, place) for key, value in given.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise DriftError(f"settings are missing: {str(error).partition(': ')[2] or error}") from None


def _checked(key: str, wanted: str, value: Any, place: str) -> Any:
    fits = {
        "str": isinstance(value, str),
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "tuple[str, ...]": isinstance(value, list | tuple) and all(isinstance(item, str) for item in value),
    }.get(wanted, True)
    if not fits or (key in _AT_LEAST and value < _AT_LEAST[key]):
        least = f", at least {_AT_LEAST[key]}" if key in _AT_LEAST else ""
        raise DriftError(f"setting {place}{key} is {value!r}, and has to be {wanted}{least}")
    return tuple(value) if wanted.startswith("tuple") else value
