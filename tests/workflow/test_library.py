"""Blueprints are found in the project first, then among what is installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import compile_stack
from mlinfra.workflow.library import blueprint_names, load_blueprint

BODY = '''
class P(Params):
    pass


@blueprint("{name}", version="{version}")
def {name}(env: Environment, p: P) -> Blueprint:
    """What it is for.

    And more.
    """
    return Blueprint(make())
'''
IMPORTS = "from mlinfra import Blueprint, Bucket, Environment, Params, blueprint\n"
OWN = IMPORTS + "\n\ndef make():\n    return Bucket('data')\n\n" + BODY
PARTS = "from mlinfra import Bucket\n\n\ndef make():\n    return Bucket('shared')\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that offers `shared` and `own`, and what is left of one that is gone."""
    site = tmp_path / "site"
    package = site / "mlinfra_acme"  # a name that begins as ours does
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(PARTS)
    for name in ("shared", "own"):
        text = IMPORTS + "from .parts import make\n" + BODY.format(name=name, version="2.0.0")
        (package / f"{name}.py").write_text(text)
    metadata = site / "acme_blueprints-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-blueprints\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[mlinfra.blueprints]\nshared = mlinfra_acme.shared\nown = mlinfra_acme.own\ngone = acme_gone.blueprints\n"
    )
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.startswith("mlinfra_acme")]:
        del sys.modules[name]


def test_names_are_those_of_the_project_and_of_what_is_installed(installed: None, project: Any) -> None:
    own = project(blueprints={"zeta": OWN, "_parts": PARTS, "own": OWN})
    assert blueprint_names(own) == ["gone", "own", "shared", "zeta"]


def test_the_projects_own_comes_first(installed: None, project: Any) -> None:
    own = project(blueprints={"own": OWN.format(name="own", version="1.0.0")})
    assert load_blueprint(own, "own").version == "1.0.0"
    assert load_blueprint(own, "shared").version == "2.0.0"
    assert load_blueprint(own, "shared").summary == "What it is for."


def test_an_installed_blueprint_compiles_and_its_components_have_places(installed: None, project: Any) -> None:
    stack = "blueprint: shared@2.0.0\nenvironment: {name: dev, tier: dev}\nowner: {team: t, cost_center: c}\n"
    own = project(stacks={"dev": stack})
    graph = compile_stack(own, load_stack(own, "dev")).graph
    assert (graph.blueprint, graph.version) == ("shared", "2.0.0")
    assert graph.sources["shared"].file.endswith("mlinfra_acme/parts.py")
    assert graph.sources["shared"].line == 5


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("shraed", ["Did you mean 'shared'?", "The blueprints are gone, own, shared."]),
        ("nothing-like-it", ["Write blueprints/nothing-like-it.py, or install its library."]),
        ("gone", ["there is no blueprint 'gone'"]),
    ],
)
def test_what_is_not_there(name: str, says: list[str], installed: None, project: Any) -> None:
    with pytest.raises(MlinfraError) as caught:
        load_blueprint(project(), name)
    (told,) = caught.value.diagnostics
    assert told.code == "blueprint-unknown"
    for words in says:
        assert words in f"{told.summary} {told.detail} {told.remedy}"


def test_an_interrupt_is_no_mistake_of_the_blueprint(project: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_blueprint(project(blueprints={"case": "raise KeyboardInterrupt\n"}), "case")
