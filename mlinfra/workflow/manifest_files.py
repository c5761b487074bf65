"""Kubernetes objects as YAML: a file for each component, in an order in which `kubectl apply` works.

`kubectl apply -f FOLDER` takes files by their names, so these begin with a number. Within a file each object stands
after those that it refers to, a namespace before all that is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.expansion import KUBERNETES
from mlinfra.naming import component_of
from mlinfra.workflow.manifests import LeftOut, Manifest

MARK: Final = "# Written by mlinfra export"
"""How every file begins: by it a later export knows the files that are its own to take away."""

OWN: Final = "stack"
"""The folder of the stack's own cluster, where it has objects in others too."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
"""What some readers of YAML take for something else than a text; kubectl's takes a lone `y` for true."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """The objects of a component in a cluster; `name` is the file's path within the folder."""

    name: str
    component: str
    cluster: str
    manifests: tuple[Manifest, ...]


def files(found: Sequence[Manifest], needs: Mapping[str, Iterable[str]]) -> list[ManifestFile]:
    """The objects by cluster and component. `needs` has for a component those that its objects refer to."""
    clusters = list(dict.fromkeys(item.cluster for item in found))
    made = []
    for cluster in clusters:
        folder = f"{OWN if cluster == KUBERNETES else component_of(cluster)}/" if len(clusters) > 1 else ""
        here = [item for item in found if item.cluster == cluster]
        names = ordered(list(dict.fromkeys(item.component for item in here)), needs)
        width = max(2, len(str(len(names))))
        for number, name in enumerate(names, start=1):
            own = tuple(item for item in here if item.component == name)
            made.append(ManifestFile(f"{folder}{number:0{width}}-{name}.yaml", name, cluster, own))
    return made


def ordered(names: Sequence[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The components, each after those that it needs; where they need each other, as they come."""
    waiting, done = list(names), list[str]()
    while waiting:
        blocked = {name: set(needs.get(name, ())) & set(waiting) - {name} for name in waiting}
        chosen = next((name for name in waiting if not blocked[name]), waiting[0])
        waiting.remove(chosen)
        done.append(chosen)
    return done


def text(file: ManifestFile, title: str, left_out: Iterable[LeftOut], notes: Iterable[str] = ()) -> str:
    """A file's text: what it is, what is to be known of it, what is not in it or to be filled in, and the objects."""
    lines = [f"{MARK}: {title}, component {file.component}.", *(f"# {note}." for note in notes)]
    lines += [f"# Left out: {item.title} ({item.why})." for item in left_out]
    awaited = dict.fromkeys(name for item in file.manifests for name in item.awaited)
    lines += [f"# To be filled in: {name}." for name in awaited]
    return "\n".join([*lines, *(f"---\n{dumped(item.body)}".rstrip("\n") for item in file.manifests), ""])


def write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write the files, and take away what an earlier export has left; files of others stay.

    Raises `MlinfraError` where there are such among them: `kubectl apply` would take them, too.
    """
    before = [path for path in sorted(folder.rglob("*")) if path.suffix in (".yaml", ".yml", ".json")]
    strangers = [path for path in before if not path.read_text(encoding="utf-8", errors="replace").startswith(MARK)]
    if strangers:
        raise MlinfraError(
            Diagnostic(
                f"{folder} has a file that is no export of mlinfra: {strangers[0].relative_to(folder)}",
                detail="`kubectl apply -f` takes every file in a folder.",
                remedy="Name a folder of its own, or take the file away.",
                code="export-folder",
            )
        )
    for path in before:
        path.unlink()
    written = [folder / name for name in texts]
    for path, content in zip(written, texts.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return written


# ------------------------------------------------------------------------------------------------ YAML


def dumped(body: Mapping[str, Any]) -> str:
    """An object as YAML that every reader reads alike: texts that could be taken for something else are quoted."""
    return yaml.dump(dict(body), Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """No anchors: each object stands for itself."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, content: str) -> yaml.Node:
    style = "|" if "\n" in content else '"'
    if _PLAIN.fullmatch(content) and content.lower() not in _WORDS:
        style = ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", content, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(str, _text)  # images and models are texts of a form
