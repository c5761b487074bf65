"""What went wrong, where, why and what to do about it, as values.

Every problem that a user can cause or can mend is a `Diagnostic`. Code that finds problems collects all of them
(`Problems`) and raises one `MlinfraError` that carries the lot, so that a run shows every problem at once. Only the
views turn a diagnostic into text for a person or into JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a diagnostic weighs: an error ends the run with exit code 1, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file that the user wrote; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """`file:line:column`, as editors and terminals make a link of it."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem.

    `summary` says what happened in one sentence; `detail` says why, and may have several lines; `remedy` says what to
    do. `component` and `resource` are names in the graph. `code` is stable and meant for programs.
    """

    summary: str
    detail: str = ""
    remedy: str = ""
    location: Location | None = None
    component: str | None = None
    resource: str | None = None
    code: str = ""
    severity: Severity = Severity.ERROR

    def as_json(self) -> dict[str, Any]:
        """The diagnostic as plain data, without what is empty."""
        place = self.location and {
            "file": self.location.file,
            "line": self.location.line,
            "column": self.location.column,
        }
        record: dict[str, Any] = {
            "severity": str(self.severity),
            "code": self.code,
            "summary": self.summary,
            "detail": self.detail,
            "remedy": self.remedy,
            "location": place,
            "component": self.component,
            "resource": self.resource,
        }
        return {key: value for key, value in record.items() if value}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Diagnostic:
        """Read back what `as_json` made."""
        place = record.get("location")
        fields = {key: value for key, value in record.items() if key not in ("location", "severity")}
        return cls(**fields, location=Location(**place) if place else None, severity=Severity(record["severity"]))


class MlinfraError(Exception):
    """One or more diagnostics that end the run; `debug` holds what only `--debug` shows."""

    def __init__(self, *diagnostics: Diagnostic, debug: str = "") -> None:
        super().__init__("; ".join(diagnostic.summary for diagnostic in diagnostics))
        self.diagnostics = diagnostics
        self.debug = debug


@dataclass(slots=True)
class Problems:
    """Collects diagnostics, so that all problems of one run are told together."""

    found: list[Diagnostic] = field(default_factory=list)

    def error(self, summary: str, **fields: Any) -> None:
        """Note an error; `fields` are those of `Diagnostic`."""
        self.found.append(Diagnostic(summary, **fields))

    def warning(self, summary: str, **fields: Any) -> None:
        """Note a warning; `fields` are those of `Diagnostic`."""
        self.found.append(Diagnostic(summary, severity=Severity.WARNING, **fields))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Note diagnostics that were found elsewhere."""
        self.found.extend(diagnostics)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors found so far."""
        return tuple(item for item in self.found if item.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The warnings found so far."""
        return tuple(item for item in self.found if item.severity is Severity.WARNING)

    def raise_errors(self) -> None:
        """Raise `MlinfraError` with everything found, if there is an error in it."""
        if self.errors:
            raise MlinfraError(*self.found)
