"""What the engine asks of providers is settled by its environment: seen with the real engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlinfra.engine.verb import Verb
from mlinfra.report import Operation
from tests.state.running import opened

pytestmark = pytest.mark.e2e


def test_only_resources_whose_inputs_have_changed_are_compared(tmp_path: Path) -> None:
    with opened(tmp_path) as stack:
        stack.run(Verb.UP)
        assert set(stack.run(Verb.UP).counts) == {Operation.SAME}
        assert stack.compared == []
        assert stack.run(Verb.UP, value="2").counts[Operation.UPDATE] == 3
        assert sorted(stack.compared) == ["data/t0", "data/t1", "data/t2"]


def test_official_plugins_are_asked_always(tmp_path: Path) -> None:
    with opened(tmp_path) as stack:
        official = replace(stack.session, attached={})
        for session, told in ((stack.session, True), (official, False)):
            assert ("PULUMI_ENABLE_LEGACY_DIFF" in session.environment()) is told
