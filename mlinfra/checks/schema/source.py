"""An installed SDK package, read as text: which tokens it has, in which files, and the source of one class at a time.

Nothing is imported: pulumi_aws is 271 MB of Python, and importing one of its modules takes seconds. The files are
generated, so a class is a block of lines that begins in the first column; only that block is parsed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

_RESOURCES: Final = re.compile(r'resource_modules="""(.*?)"""', re.S)
_FUNCTION: Final = re.compile(r"pulumi\.runtime\.invoke\(\s*'([^']+)'")
_NEXT: Final = re.compile(r"^[A-Za-z_@]", re.M)
_OPENED: Final = 24
"""Files kept in memory: a check goes through nodes by type, so few are needed at one time; the largest is 2.6 MB."""


@dataclass(frozen=True)
class Package:
    """An installed package `pulumi_NAME`; `name` is NAME as tokens spell it, `version` the SDK's own."""

    name: str
    version: str
    root: Path

    @cached_property
    def resources(self) -> dict[str, tuple[str, str]]:
        """Every resource token, with the folder (relative to the package, `""` for itself) and the class it is in."""
        found = _RESOURCES.search((self.root / "__init__.py").read_text(encoding="utf-8"))
        index = {}
        for module in json.loads(found[1]) if found else []:
            folder = module["fqn"].partition(".")[2].replace(".", "/")
            index.update({token: (folder, name) for token, name in module["classes"].items()})
        return index

    def functions(self, folder: str) -> dict[str, str]:
        """Every function token of a folder, with its module."""
        found = {}
        for path in sorted((self.root / folder).glob("[a-z]*.py")):
            if token := _FUNCTION.search(path.read_text(encoding="utf-8")):
                found[token[1]] = _module(folder, path.stem)
        return found

    def module_of(self, folder: str, name: str) -> str | None:
        """The module in `folder` that defines the resource class `name`."""
        stems = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(), name]
        rest = sorted(path.stem for path in (self.root / folder).glob("*.py") if not path.stem.startswith("_"))
        for stem in [*stems, *rest]:
            module = _module(folder, stem)
            if self.has_module(module) and self.block(module, name) is not None:
                return module
        return None

    def has_module(self, module: str) -> bool:
        """Whether there is a module, given as its path in the package without `.py`."""
        return (self.root / f"{module}.py").is_file()

    def text(self, module: str) -> str:
        """The source of a module, empty where there is no such module."""
        return _read(self.root / f"{module}.py")

    def block(self, module: str, name: str) -> str | None:
        """The source of the top-level class or function `name`, without decorators."""
        text = self.text(module)
        for opening in (f"\nclass {name}(", f"\nclass {name}:", f"\ndef {name}("):
            if (start := text.find(opening)) >= 0:
                end = _NEXT.search(text, start + len(opening))
                return text[start + 1 : end.start() if end else None]
        return None

    def definition(self, module: str, name: str) -> ast.ClassDef | ast.FunctionDef | None:
        """The top-level class or function `name`, parsed."""
        block = self.block(module, name)
        if block is None:
            return None
        try:
            body = ast.parse(block).body
        except SyntaxError:  # a docstring reaches into the first column: parse the whole file
            body = ast.parse(self.text(module)).body
        return next(
            (item for item in body if isinstance(item, (ast.ClassDef, ast.FunctionDef)) and item.name == name), None
        )


def find_package(name: str) -> Package | None:
    """The installed package for tokens that begin with `name:`, or None where it is not installed."""
    spec = PathFinder.find_spec(f"pulumi_{name.replace('-', '_')}")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    return Package(name, _version(root), root)


def _version(root: Path) -> str:
    try:
        return str(json.loads((root / "pulumi-plugin.json").read_text())["version"])
    except (OSError, ValueError, KeyError):
        # A package without the file is told apart by when it was installed.
        return f"at-{(root / '__init__.py').stat().st_mtime_ns}"


def folders_of(package: Package, token: str) -> Iterator[str]:
    """The folders that may hold a function: the token's module, with Python's keywords spelt `lambda_`."""
    module = token.split(":")[1].partition("/")[0]
    for folder in ("" if module == "index" else module, f"{module}_", module.lower()):
        if (package.root / folder).is_dir():
            yield folder


def forget() -> None:
    """Let go of the files that are kept in memory."""
    _read.cache_clear()


@lru_cache(_OPENED)
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _module(folder: str, stem: str) -> str:
    return f"{folder}/{stem}" if folder else stem
