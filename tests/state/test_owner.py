"""A process that has ended is known to have; one that lives, or is elsewhere, is not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

from mlinfra.state.owner import Owner, this_process

ASK = """
import json
from mlinfra.state.owner import this_process
print(json.dumps(this_process().as_json()), flush=True)
input()
"""


def test_a_process_lives_until_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        owner = Owner(**json.loads(process.stdout.readline()))
        assert owner.pid == process.pid
        assert not owner.is_me()
        assert not owner.has_ended()
        process.kill()
        process.stdout.read()
        process.wait()
        assert owner.has_ended()


def test_this_process_lives() -> None:
    assert this_process().is_me()
    assert not this_process().has_ended()


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    assert replace(this_process(), started="1").has_ended()


def test_of_a_process_elsewhere_nothing_is_known() -> None:
    assert not replace(this_process(), place="another machine", pid=1, started="1").has_ended()
