"""Packages that are laid out otherwise than the two that are installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlinfra.checks.schema.derive import derive_resource
from mlinfra.checks.schema.model import STRING, Property, Shape, Type
from mlinfra.checks.schema.source import Package, find_package, folders_of

INIT = '''
_utilities.register(
    resource_modules="""
[{"pkg": "toy", "mod": "box/v1", "fqn": "pulumi_toy.box", "classes": {
  "toy:box/v1:TVBox": "TVBox", "toy:box/v1:Gone": "Gone", "toy:box/v1:Chart": "Chart"}}]
""")
'''
BOX = '''
import pulumi

@pulumi.input_type
class TVBoxArgs:
    def __init__(__self__, *, wide: pulumi.Input['SizeArgs'], lambda_: Optional[pulumi.Input[str]] = None):
        """
A docstring that reaches into the first column, where
class Other: would begin.
        """

    @property
    @pulumi.getter
    def wide(self) -> pulumi.Input['SizeArgs']: ...

    @property
    @pulumi.getter(name="lambda")
    def lambda_(self) -> Optional[pulumi.Input[str]]: ...

class TVBox(pulumi.CustomResource):
    def _internal_init(__self__, resource_name: str, opts=None, wide=None, lambda_=None, __props__=None):
        __props__ = TVBoxArgs.__new__(TVBoxArgs)
        __props__.__dict__["lambda_"] = None if lambda_ is None else pulumi.Output.secret(lambda_)

    @property
    @pulumi.getter
    def wide(self) -> pulumi.Output['outputs.Nothing']: ...

class Chart(pulumi.ComponentResource):
    def __init__(self, name): ...
'''
SIZES = """
@pulumi.input_type
class SizeArgs:
    def __init__(__self__, *, height: pulumi.Input[float]): ...
"""


@pytest.fixture
def toy(tmp_path: Path) -> Package:
    root = tmp_path / "pulumi_toy"
    (root / "box").mkdir(parents=True)
    (root / "lambda_").mkdir()
    (root / "__init__.py").write_text(INIT)
    (root / "box" / "odd_file.py").write_text(BOX)
    (root / "box" / "_inputs.py").write_text(SIZES)
    return Package("toy", "1.0.0", root)


def test_a_class_in_a_file_of_another_name_with_a_docstring_in_the_first_column(toy: Package) -> None:
    schema = derive_resource(toy, "toy:box/v1:TVBox")

    assert schema is not None
    assert schema.inputs == {
        "wide": Property(Type(Shape.OBJECT, name="box/_inputs:SizeArgs"), True, "wide"),
        "lambda": Property(STRING, False, "lambda_", secret=True),
    }
    assert schema.outputs["wide"].type.shape is Shape.ANY
    assert not schema.open


@pytest.mark.parametrize("name", ["Gone", "Chart"])
def test_a_class_that_is_built_by_hand_or_missing_has_an_open_schema(toy: Package, name: str) -> None:
    schema = derive_resource(toy, f"toy:box/v1:{name}")

    assert schema is not None
    assert schema.open


def test_a_token_that_the_package_does_not_list(toy: Package) -> None:
    assert derive_resource(toy, "toy:box/v1:Other") is None


@pytest.mark.parametrize(
    ("token", "folders"), [("toy:lambda/f:f", ["lambda_"]), ("toy:index/f:f", [""]), ("toy:none/f:f", [])]
)
def test_folders_of_functions(toy: Package, token: str, folders: list[str]) -> None:
    found = [folder.rstrip("/") for folder in folders_of(toy, token)]

    assert list(dict.fromkeys(found)) == folders


def test_versions_with_and_without_a_plugin_file(toy: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(toy.root.parent), *sys.path])

    unversioned = find_package("toy")
    (toy.root / "pulumi-plugin.json").write_text('{"resource": true, "name": "toy", "version": "2.1.0"}')
    versioned = find_package("toy")

    assert unversioned is not None
    assert unversioned.version.startswith("at-")
    assert versioned is not None
    assert (versioned.root, versioned.version) == (toy.root, "2.1.0")
