from __future__ import annotations

from pathlib import Path

import pytest

import mlinfra
from mlinfra.authoring import Component
from mlinfra.components.registry import KINDS
from mlinfra.documented import descriptions

HOME = Path(mlinfra.__file__).parent / "components"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_is_documented(kind: type[Component]) -> None:
    assert (kind.__doc__ or "").strip()
    assert [name for name in kind.model_fields if not descriptions(kind).get(name)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_public_has_a_file_and_a_test(kind: type[Component]) -> None:
    assert getattr(mlinfra, kind.__name__) is kind
    module = kind.__module__.rpartition(".")[2]
    assert (HOME / f"{module}.py").is_file()
    assert Path(__file__).with_name(f"test_{module}.py").is_file()
    assert module.replace("_", "") == kind.__name__.lower()


def test_no_kind_is_there_twice() -> None:
    assert len({kind.__name__ for kind in KINDS}) == len(KINDS)
