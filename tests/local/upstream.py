"""The definitions that the projects themselves publish, out of their Go modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from mlinfra.local.definitions import COMPARED, every
from mlinfra.tools.go import NoGoError, find_go
from mlinfra.tools.process import CommandError, run

FOLDERS: Final[Mapping[str, str]] = {
    "argoproj.io": "manifests/crds",
    "gateway.networking.k8s.io": "config/crd/standard",
    "kueue.x-k8s.io": "config/components/crd/bases",
    "monitoring.coreos.com": "example/prometheus-operator-crd",
    "ray.io": "config/crd/bases",
}
"""Where a group's definitions are within its module."""

Definitions = dict[str, dict[str, Any]]


class _Loader(yaml.CSafeLoader):
    """YAML as Go reads it: a lone `=` is a text."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def definitions(folder: Path) -> Definitions:
    """Those of the kinds that we define, by their names.

    `folder` is for the modules, which come from where Go's settings say, checked against its checksum database. Skips
    the test where there is no Go, or a module cannot be had.
    """
    found: Definitions = {}
    for group, (module, version) in COMPARED.items():
        wanted = [item["metadata"]["name"] for item in every() if item["spec"]["group"] == group]
        for path in sorted((_fetch(module, version, folder) / FOLDERS[group]).glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            if any(f"\n  name: {name}\n" in text for name in wanted):
                (item,) = (item for item in yaml.load_all(text, Loader=_Loader) if item)
                found[item["metadata"]["name"]] = _lighter(item)
    return found


def only(definition: dict[str, Any], version: str) -> dict[str, Any]:
    """A definition with one of its versions, which has to be the stored one: the others are never asked for."""
    spec = definition["spec"]
    kept = [item for item in spec["versions"] if item["name"] == version and item["storage"]]
    assert len(kept) == 1
    return {**definition, "spec": {**spec, "versions": kept}}


def _lighter(value: Any) -> Any:
    """Without what describes fields: an API server takes half a minute for the larger ones as they are."""
    if isinstance(value, dict):
        said = isinstance(value.get("description"), str)
        return {key: _lighter(item) for key, item in value.items() if not (said and key == "description")}
    return [_lighter(item) for item in value] if isinstance(value, list) else value


def _fetch(module: str, version: str, folder: Path) -> Path:
    try:
        go = find_go(print)
        run([go.path, "mod", "download", f"{module}@{version}"], go.environment | {"GOMODCACHE": str(folder)}, folder)
    except (NoGoError, CommandError) as error:
        pytest.skip(f"the definitions of {module} cannot be had: {error}")
    return folder / f"{module}@{version}"
