"""Finding and loading blueprints: the project's `blueprints/`, then installed libraries.

An installed package offers blueprints by entry points of the group `mlinfra.blueprints`, each naming a module.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from mlinfra.authoring import BlueprintFunction
from mlinfra.checks.lint import SYNTAX, lint_source
from mlinfra.diagnostics import Diagnostic, Location, MlinfraError, Problems
from mlinfra.project import Project

ENTRY_POINTS = "mlinfra.blueprints"
_BINARY = "blueprint-binary"


def blueprint_names(project: Project) -> list[str]:
    """The names of the blueprints that a stack of this project can use, sorted."""
    from importlib.metadata import entry_points  # it loads what reads e-mail, zip and CSV files

    own = {path.stem for path in project.blueprints.glob("*.py") if not path.stem.startswith("_")}
    installed = {point.name for point in entry_points(group=ENTRY_POINTS)}
    return sorted(own | installed)


def load_blueprint(project: Project, name: str, asked_at: Location | None = None) -> BlueprintFunction[Any]:
    """The blueprint `name`; `asked_at` is where a stack names it.

    Raises `MlinfraError` when there is none, and for whatever is wrong with its file.
    """
    found = _find(project, name)
    if found is None:
        close = difflib.get_close_matches(name, blueprint_names(project), n=1)
        raise MlinfraError(
            Diagnostic(
                f"there is no blueprint {name!r}",
                detail=f"The blueprints are {', '.join(blueprint_names(project)) or 'none yet'}.",
                remedy=f"Did you mean {close[0]!r}?"
                if close
                else f"Write blueprints/{name}.py, or install its library.",
                location=asked_at,
                code="blueprint-unknown",
            )
        )
    path, installed = found
    lint_blueprint(project, path).raise_errors()
    with guarded(project, path, f"loading blueprint {name}"):
        module = importlib.import_module(installed) if installed else _import(project, name, path)
    return _declared(project, module, name, path)


@contextlib.contextmanager
def guarded(project: Project, path: Path, doing: str) -> Iterator[None]:
    """Run code of a blueprint: whatever it raises or exits with becomes a diagnostic; its prints go to stderr."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except MlinfraError as error:
        raise MlinfraError(*relative(project, error.diagnostics), debug=error.debug) from None
    except BaseException as error:  # SystemExit too: a blueprint must not end the command
        raise MlinfraError(_failure(project, path, doing, error), debug=traceback.format_exc()) from None


def relative(project: Project, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics with paths as the user knows them; a detail may name a place, too."""
    prefix = f"{project.root}/"
    return [
        replace(
            item,
            location=item.location and replace(item.location, file=project.relative(Path(item.location.file))),
            detail=item.detail.replace(prefix, ""),
        )
        for item in diagnostics
    ]


def lint_blueprint(project: Project, path: Path) -> Problems:
    """What can be said of a blueprint's file without running it."""
    problems = Problems()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        place = Location(project.relative(path), path.read_bytes()[: error.start].count(b"\n") + 1)
        detail = f"Byte {error.start} is not UTF-8."
        problems.error(f"{place.file} is not a text file", detail=detail, location=place, code=_BINARY)
        return problems
    if "\0" in text:  # Python's own message has no place
        place = Location(project.relative(path), text[: text.index("\0")].count("\n") + 1)
        problems.error(f"{place.file} is not a text file", detail="It holds a null byte.", location=place, code=_BINARY)
    else:
        problems.extend(lint_source(text, project.relative(path)))
    return problems


def _find(project: Project, name: str) -> tuple[Path, str] | None:
    """A blueprint's file, and its module where it is of an installed library."""
    own = project.blueprints / f"{name}.py"
    if own.is_file():
        return own, ""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        if point.name == name:
            with contextlib.suppress(ModuleNotFoundError):  # the library's package is gone, its metadata is not
                spec = importlib.util.find_spec(point.module)
                if spec and spec.origin:
                    return Path(spec.origin), point.module
    return None


def _import(project: Project, name: str, path: Path) -> ModuleType:
    if str(project.root) not in sys.path:
        sys.path.insert(0, str(project.root))  # so that a blueprint can import from its neighbours
    spec = importlib.util.spec_from_file_location(f"mlinfra_blueprints.{name}", path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _declared(project: Project, module: ModuleType, name: str, path: Path) -> BlueprintFunction[Any]:
    functions = [item for item in vars(module).values() if isinstance(item, BlueprintFunction)]
    for item in functions:
        if item.name == name:
            return item
    others = ", ".join(sorted(item.name for item in functions))
    raise MlinfraError(
        Diagnostic(
            f"{project.relative(path)} declares no blueprint {name!r}",
            detail=f"It declares {others}." if others else "It has no function with @blueprint(…).",
            remedy=f'Write @blueprint("{name}", version="1.0.0") above the function that is the blueprint.',
            location=Location(project.relative(path), 1),
            code="blueprint-undeclared",
        )
    )


def _failure(project: Project, path: Path, doing: str, error: BaseException) -> Diagnostic:
    place = _place(project, path, error)
    if isinstance(error, SyntaxError):
        return Diagnostic(
            f"{place.file} is not valid Python: {error.msg}",
            detail=(error.text or "").strip(),
            location=place,
            code=SYNTAX,
        )
    if isinstance(error, SystemExit):
        return Diagnostic(
            f"{doing}: the blueprint calls exit({error.code!r})",
            detail="A blueprint describes; it cannot end the command.",
            remedy="Raise an exception that says what is wrong, or return a Blueprint.",
            location=place,
            code="blueprint-exit",
        )
    if isinstance(error, ImportError):
        remedy = "Install the package in the environment that mlinfra runs in, or correct the name."
        return Diagnostic(f"{doing}: {error}", remedy=remedy, location=place, code="blueprint-import")
    return Diagnostic(f"{doing}: {type(error).__name__}: {error}", location=place, code="blueprint-error")


def _place(project: Project, path: Path, error: BaseException) -> Location:
    """The innermost line within the project that led to the error, else the blueprint's first."""
    if isinstance(error, SyntaxError) and error.filename:
        return Location(project.relative(Path(error.filename)), error.lineno, error.offset)
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        file = Path(frame.filename)
        if file == path or file.is_relative_to(project.blueprints):
            return Location(project.relative(file), frame.lineno)
    return Location(project.relative(path), 1)
