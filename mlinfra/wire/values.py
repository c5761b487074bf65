"""Values as Pulumi's protocols carry them: `google.protobuf.Struct` with marks for secrets and unknowns.

In Python a secret is a `Secret` and an unknown is `UNKNOWN`, at any depth. A Struct knows only doubles, so a number
without a fraction comes back as an int.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.struct_pb2 import NULL_VALUE, Struct
from google.protobuf.struct_pb2 import Value as StructValue

from mlinfra.functions import UNKNOWN, Unknown
from mlinfra.graph import Path, Secret

# The engine's own marks: sdk/go/common/resource/properties.go and plugin/rpc.go of pulumi/pulumi.
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 — a mark, not a password
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_EXACT: Final = 2**53


class UnsupportedValueError(ValueError):
    """An asset, an archive or a resource reference: no provider of ours has a use for one."""


def encode(value: Mapping[str, Any]) -> Struct:
    """Python to Struct."""
    struct = Struct()
    for key, item in value.items():
        _put(struct.fields[key], item)
    return struct


def decode(struct: Struct) -> dict[str, Any]:
    """Struct to Python, with `Secret` and `UNKNOWN` where they stood."""
    return {key: _take(item) for key, item in struct.fields.items()}


def _put(target: StructValue, value: Any) -> None:
    if value is None:
        target.null_value = NULL_VALUE
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = _exact(value)
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _put(target.struct_value.fields[key], item)
    elif isinstance(value, (list, tuple)):
        target.list_value.SetInParent()
        for item in value:
            _put(target.list_value.values.add(), item)
    elif isinstance(value, Secret):
        target.struct_value.fields[SIGNATURE].string_value = SECRET
        _put(target.struct_value.fields["value"], value.value)
    elif isinstance(value, Unknown):
        target.string_value = UNKNOWN_TEXT
    else:
        raise UnsupportedValueError(f"a {type(value).__name__} cannot be sent to the engine")


def _exact(number: float) -> float:
    """A number as a double; raises `UnsupportedValueError` for an integer that would become another one."""
    try:
        double = float(number)
    except OverflowError:
        double = math.inf
    if isinstance(number, int) and double != number:
        raise UnsupportedValueError(f"{number} has more digits than the engine's numbers hold; write it as a text")
    return double


def _take(value: StructValue) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE in fields:
            return _marked(fields)
        return {key: _take(item) for key, item in fields.items()}
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < _EXACT else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_take(item) for item in value.list_value.values]
    return None


def _marked(fields: Mapping[str, StructValue]) -> Any:
    mark = fields[SIGNATURE].string_value
    if mark not in (SECRET, OUTPUT):
        raise UnsupportedValueError("assets, archives and resource references are not supported")
    inner = _take(fields["value"]) if "value" in fields else UNKNOWN
    secret = mark == SECRET or ("secret" in fields and fields["secret"].bool_value)
    return Secret(inner) if secret and not isinstance(inner, Secret) else inner


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Where two values differ: the path, what was there and what is; an absent side is None, and None is absent."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from differences(
                old[index] if index < len(old) else None, new[index] if index < len(new) else None, (*path, index)
            )
    elif isinstance(old, bool) != isinstance(new, bool) or old != new:
        yield path, old, new


def property_path(path: Path) -> str:
    """A path in the engine's notation: `spec.ports[0]["a.b"]`.

    Source: `PropertyPath` in sdk/go/common/resource/properties_path.go of pulumi/pulumi, which escapes quotes alone.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier():
            text += f".{part}" if text else part
        else:
            text += '["' + part.replace('"', '\\"') + '"]'
    return text


_PART = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:\\"|[^"])*)"\]')


def parse_property_path(text: str) -> Path:
    """Read back what `property_path` or the engine made of a path."""
    return tuple(_part(found) for found in _PART.finditer(text))


def _part(found: re.Match[str]) -> str | int:
    name, index, quoted = found.groups()
    if index is not None:
        return int(index)
    return str(name) if name is not None else str(quoted).replace('\\"', '"')
