"""Waits, with a probe that is scripted: moto never lets anybody wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mlinfra.providers.aws.resource import Aws, Live, Made, Resource
from mlinfra.providers.aws.waiting import NotReadyError, until


def test_until_nothing_is_pending() -> None:
    answers = iter(["a", "b", ""])
    until(lambda: next(answers), 60, threading.Event())
    assert list(answers) == []


def test_it_gives_up_and_says_what_it_waited_for() -> None:
    with pytest.raises(NotReadyError, match="still waiting for key state Creating: gave up after 0 s"):
        until(lambda: "key state Creating", 0, threading.Event())


def test_it_gives_up_when_the_run_is_cancelled() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(NotReadyError, match="cancelled"):
        until(lambda: "something", 3600, cancelled)


class Scripted(Resource):
    """A resource that takes its time."""

    token, service, fields = "aws:test/slow:Slow", "test", ()

    def __init__(self, lives: Iterator[Live | None]) -> None:
        self.lives = lives

    def create(self, aws: Aws, inputs: Any) -> Made:
        raise AssertionError

    def read(self, aws: Aws, resource_id: str, known: Any) -> Live | None:
        return next(self.lives)

    def delete(self, aws: Aws, resource_id: str, inputs: Any) -> None:
        raise AssertionError


def test_a_resource_is_waited_for_until_it_appears_and_is_ready() -> None:
    lives = iter([None, Live({}, pending="state CREATING"), Live({})])
    aws: Any = Aws(None, "us-east-1", threading.Event(), 60)  # type: ignore[arg-type]
    Scripted(lives).wait(aws, "x", {})
    assert list(lives) == []
