"""Values of models as JSON: what numpy and its kin are made of becomes numbers, texts, lists and objects."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Set
from decimal import Decimal
from typing import Any, Final

MISSING: Final = ("NAType", "NaTType")
"""The types of pandas' values for what is missing."""

_DEEPEST: Final = 32
"""Levels of nesting; what lies deeper is told as text."""


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON has it; NaN and infinities, which it does not have, become None.

    Arrays and scalars of numpy, pandas, PyTorch and the like are known by their methods: nothing of them is imported.
    """
    kind = type(value)
    if value is None or kind in (str, bool, int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth > _DEEPEST:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | Set):
        return [plain(item, depth + 1) for item in value]
    return _foreign(value, depth + 1)


def _foreign(value: Any, depth: int) -> Any:
    """What has a method that says what it holds: `tolist` (numpy, PyTorch, pandas' Series), `to_dict` (DataFrame)."""
    if type(value).__name__ in MISSING:
        return None
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return plain(value.to_dict(orient="records"), depth)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), depth)
    if isinstance(value, Decimal):
        return plain(float(value))
    if isinstance(value, int):  # an enumeration's
        return int(value)
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    return str(value)


def without(inputs: Any, names: Collection[str]) -> Any:
    """Plain inputs without some features, in the forms in which servers take them.

    Objects and columns by name at any depth, `{"instances": [{"age": 41}]}`; MLflow's `dataframe_split` of names and
    rows; tensors of the Open Inference Protocol, `[{"name": "age", "data": [41]}]`.
    """
    if isinstance(inputs, list):
        items = (item for item in inputs if not (isinstance(item, dict) and _named(item) in names))
        return [without(item, names) for item in items]
    if not isinstance(inputs, dict):
        return inputs
    columns, rows = inputs.get("columns"), inputs.get("data")
    if isinstance(columns, list) and isinstance(rows, list):
        keep = [index for index, name in enumerate(columns) if name not in names]
        if len(keep) < len(columns):
            rows = [[row[index] for index in keep if index < len(row)] for row in rows if isinstance(row, list)]
            return {**inputs, "columns": [columns[index] for index in keep], "data": rows}
    return {name: without(value, names) for name, value in inputs.items() if name not in names}


def _named(tensor: dict[str, Any]) -> Any:
    """The name of a tensor; None for what is none."""
    name = tensor.get("name")
    return name if "data" in tensor and isinstance(name, str) else None


def line(record: Mapping[str, Any]) -> bytes:
    """A record of plain values as a line of JSON."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"
