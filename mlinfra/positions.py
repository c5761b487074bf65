"""YAML with places: which line of the file each value stands in, so that errors can point at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError

_LIMIT = 1_000_000  # characters; a stack file is values only, the largest sensible one is a few hundred lines
_VALUES = 20_000


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
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _refused(shown, None, "is not a text file", f"Byte {error.start} is not UTF-8.", "stack-binary") from None
    if len(text) > _LIMIT:
        raise _refused(
            shown, None, "is too large", f"It has {len(text):,} characters; the most is {_LIMIT:,}.", "stack-size"
        )
    loader = yaml.SafeLoader(text)
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
    except yaml.reader.ReaderError as error:
        raise _refused(shown, None, "is not a text file", error.reason, "stack-binary") from None
    except (ValueError, RecursionError) as error:
        raise _refused(shown, None, "is not valid YAML", str(error), "stack-yaml") from None
    finally:
        loader.dispose()


def _note(node: yaml.Node, path: tuple[str | int, ...], positions: Positions) -> None:
    positions.lines.setdefault(path, node.start_mark.line + 1)
    if len(positions.lines) > _VALUES:  # anchors within anchors: a short file that means billions of values
        raise ValueError(f"it holds more than {_VALUES:,} values")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {name!r} is there twice", problem_mark=key.start_mark)
            seen.add(name)
            positions.lines[*path, name] = key.start_mark.line + 1
            _note(value, (*path, name), positions)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note(value, (*path, index), positions)


def _refused(shown: str, line: int | None, summary: str, detail: str, code: str) -> MlinfraError:
    return MlinfraError(Diagnostic(f"{shown} {summary}", detail=detail, location=Location(shown, line or 1), code=code))
