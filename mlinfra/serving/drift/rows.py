"""The rows of a record: a request may ask for one prediction, or for many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Mapping[str, Any], Any]
"""The features of one prediction by their names, and the prediction; None where there is none."""


def rows_of(record: Mapping[str, Any]) -> list[Row] | None:
    """The rows of a record; None where the inputs have no named features.

    Inputs are one row, `{"age": 41}`; a list of rows; columns, `{"age": [41, 17]}`; or, as servers take them, one of
    these under `inputs`, `instances` or `dataframe_records`, names and rows under `dataframe_split` (MLflow), and
    tensors by name, `[{"name": "age", "data": [41, 17]}]` (Open Inference Protocol).
    """
    inputs, prediction = _unwrapped(record.get("inputs")), record.get("prediction")
    if isinstance(inputs, Mapping):
        if not inputs:
            return None
        length = _columns(inputs)
        if length is None:
            return [(inputs, prediction)]
        rows = [{name: column[index] for name, column in inputs.items()} for index in range(length)]
        return list(zip(rows, _predictions(prediction, length), strict=True))
    if isinstance(inputs, Sequence) and not isinstance(inputs, str) and inputs:
        if not all(isinstance(item, Mapping) for item in inputs):
            return None
        return list(zip(inputs, _predictions(prediction, len(inputs)), strict=True))
    return None


def _unwrapped(inputs: Any) -> Any:
    """The rows or columns within what a server wraps around them."""
    if isinstance(inputs, Mapping) and len(inputs) == 1:
        (name, inner), *_ = inputs.items()
        nested = isinstance(inner, Mapping) or (isinstance(inner, list) and inner and isinstance(inner[0], Mapping))
        if name == "dataframe_split" and isinstance(inner, Mapping):
            names, rows = inner.get("columns"), inner.get("data")
            if isinstance(names, list) and isinstance(rows, list) and all(isinstance(row, list) for row in rows):
                return [dict(zip(map(str, names), row, strict=False)) for row in rows]
        if name in ("inputs", "instances", "dataframe_records") and nested:
            inputs = inner
    if isinstance(inputs, list) and inputs and all(isinstance(item, Mapping) for item in inputs):
        tensors = {str(item["name"]): item["data"] for item in inputs if "name" in item and "data" in item}
        return tensors if len(tensors) == len(inputs) else inputs
    return inputs


def _columns(inputs: Mapping[str, Any]) -> int | None:
    """How long the columns are; None where the inputs are a row."""
    lengths = {len(value) if isinstance(value, list) else None for value in inputs.values()}
    return lengths.pop() if len(lengths) == 1 else None


def _predictions(prediction: Any, count: int) -> Iterator[Any]:
    """A prediction for each row, where there are as many; a server may wrap them under `predictions`."""
    if isinstance(prediction, Mapping) and isinstance(prediction.get("predictions"), list):
        prediction = prediction["predictions"]
    several = isinstance(prediction, list) and len(prediction) == count
    yield from prediction if several else [prediction if count == 1 else None] * count
