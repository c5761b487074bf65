"""YAML with places: which line of the file each value stands in, so that errors can point at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError

_LIMIT = 200_000  # bytes; a stack file is values only, the largest sensible one is a few hundred lines
_VALUES = 20_000
_DEPTH = 50
_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


@dataclass(slots=True)
class Positions:
    """Where in a file each value stands, by its path of keys and indices."""

    file: str
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)

    def place(self, path: tuple[str | int, ...]) -> Location:
        """Where the value at `path` stands, or the nearest value above it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return Location(self.file, self.lines[path[:length]])
        return Location(self.file, 1)


def read_yaml(path: Path, shown: str) -> tuple[Any, Positions]:
    """The data in a YAML file, and where it stands. `shown` is the file's name in messages.

    Raises `MlinfraError` for what is not text, not YAML, too large, or names a key twice.
    """
    positions = Positions(shown)
    if (size := path.stat().st_size) > _LIMIT:
        raise _refused(shown, None, "is too large", f"It has {size:,} bytes; the most is {_LIMIT:,}.", "stack-size")
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise _refused(shown, None, "is not a text file", f"Byte {error.start} is not UTF-8.", "stack-binary") from None
    except yaml.reader.ReaderError as error:
        raise _refused(shown, None, "is not a text file", error.reason, "stack-binary") from None
    try:
        root = loader.get_single_node()
        if root is None:
            return None, positions
        _note(root, (), positions)
        return loader.construct_document(root), positions
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        detail = ". ".join(part for part in (error.problem, error.context) if part)
        raise _refused(shown, mark.line + 1 if mark else None, "is not valid YAML", detail, "stack-yaml") from None
    except RecursionError:
        raise _refused(shown, None, "is not valid YAML", _too_deep(), "stack-yaml") from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """The safe loader, with a place for every value that is not what its form or tag says, such as month 13."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            reason = f": {error}" if isinstance(error, ValueError) else ""
            problem = f"a value that reads as {kind} is not a valid one{reason}. Put it in quotes if it is a text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


def _note(node: yaml.Node, path: tuple[str | int, ...], positions: Positions) -> None:
    positions.lines.setdefault(path, node.start_mark.line + 1)
    if len(positions.lines) > _VALUES:  # anchors within anchors: a short file that means billions of values
        problem = f"it holds more than {_VALUES:,} values, anchors counted as often as they are used"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    if len(path) > _DEPTH:
        raise yaml.MarkedYAMLError(problem=_too_deep(), problem_mark=node.start_mark)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if key.tag not in _KEYS:
                problem = f"a key reads as {key.tag.rpartition(':')[2]}, not as a text. Put it in quotes"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {name!r} is there twice", problem_mark=key.start_mark)
            seen.add(name)
            positions.lines[*path, name] = key.start_mark.line + 1
            _note(value, (*path, name), positions)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note(value, (*path, index), positions)


def _too_deep() -> str:
    return f"values stand within each other more than {_DEPTH} deep, or an anchor holds itself"


def _refused(shown: str, line: int | None, summary: str, detail: str, code: str) -> MlinfraError:
    return MlinfraError(Diagnostic(f"{shown} {summary}", detail=detail, location=Location(shown, line or 1), code=code))
