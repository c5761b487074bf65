"""The repository's stacks through the official plugins, on moto and the local cluster: `make conformance`.

It wants a network that gives the plugins; where that does not, the tests fail. They are no part of `make test`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Lab, close_lab, new_lab

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tools: Mapping[str, Path]) -> Iterator[Lab]:
    made = new_lab(tmp_path_factory.mktemp("conformance"))
    for path in (made.root / "stacks").glob("*.yaml"):
        values = yaml.safe_load(path.read_text())
        values["target"] = {"kind": "local", "provider": "official"}
        path.write_text(yaml.safe_dump(values))
    yield made
    close_lab(made)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_both_kinds_of_providers_agree(lab: Lab, stack: str) -> None:
    """What the plugins make needs no second update, and the embedded providers find nothing to change in it."""
    made = lab.report("up", "--stack", stack, "--yes")
    assert made["counts"].keys() == {"create"}
    assert lab.report("up", "--stack", stack, "--yes")["counts"].keys() == {"same"}
    path = lab.root / "stacks" / f"{stack}.yaml"
    text = path.read_text()
    path.write_text(text.replace("provider: official", "provider: embedded"))
    assert lab.report("preview", "--stack", stack)["counts"].keys() == {"same"}
    path.write_text(text)
    lab.report("destroy", "--stack", stack, "--yes", "--force", "--confirm", stack)
