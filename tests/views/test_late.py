"""The view that loads rich late: what it says by itself, and when it hands on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlinfra.diagnostics import Diagnostic
from mlinfra.report import Fact, Note
from mlinfra.views.late import LateView

SENTENCE = "Stack [dev] is valid: a very long sentence" + " that goes on" * 20 + "."


def loads_rich(code: str) -> bool:
    """Whether a process that runs the code has loaded rich in the end."""
    before = "import sys; from mlinfra.views.late import LateView; view = LateView()"
    after = "print('rich' in sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", "\n".join((before, code, after))]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return {"True": True, "False": False}[told.split()[-1]]


def test_sentences_want_no_rich() -> None:
    assert not loads_rich("view.message('well', valid=True); view.diagnostics([]); view.event; view.close()")


@pytest.mark.parametrize("code", ["view.rows('stack', [])", "view.diagnostics([], 'a traceback')", "view.confirm"])
def test_all_else_does(code: str) -> None:
    assert loads_rich(code)


def test_a_sentence_is_the_same_before_and_after(capsys: pytest.CaptureFixture[str]) -> None:
    view = LateView()
    view.message(SENTENCE)
    alone = capsys.readouterr().out
    view.rows("stack", [Fact("dev", True, "")])
    capsys.readouterr()
    view.message(SENTENCE)
    assert capsys.readouterr().out == alone == f"{SENTENCE}\n"


def test_a_problem_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    view, problem = LateView(), Diagnostic("too small", code="small")
    view.event(Note(problem))
    view.diagnostics([problem])
    view.close()
    assert capsys.readouterr().err.count("too small") == 1
