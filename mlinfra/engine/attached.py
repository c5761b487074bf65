"""The embedded providers, served by a process of their own while this one registers the graph and keeps the state.

All three are Python: in one process they share one core, in two they have two (bench/README.md has what that saves).
The process is started before anything heavy is loaded here and before the blueprint is compiled, so that boto and all
else is at hand by the time the engine asks for it. It ends when it is stopped here, and with its standard input when
this process is killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlinfra.diagnostics import Diagnostic, MlinfraError

_SHOWN = 15  # lines of what it printed that are shown


@dataclass(frozen=True)
class Attached:
    """The process that serves the embedded providers."""

    _process: subprocess.Popen[bytes]
    _printed: IO[bytes]

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def load(self, packages: Sequence[str]) -> None:
        """Say of which packages the providers will be wanted, so that they are loaded while others work.

        Where it is none, as on real clouds, the process ends.
        """
        self._say(list(packages))

    def serve(self, begun: Path, kubeconfig: Path | None = None) -> Mapping[str, int]:
        """Serve what was loaded; the port of each package.

        `begun` is the log of creates, `kubeconfig` that of the local target's cluster. Raises `MlinfraError` when the
        process has ended instead.
        """
        return dict(self._ask({"begun": str(begun), "kubeconfig": kubeconfig and str(kubeconfig)}))

    def look_for(self, unfinished: Mapping[str, Collection[str]]) -> None:
        """Say which creations were cut off; to be called before the engine runs.

        They are named by the URNs of resources, each with the ids that the state has for it: what else is there of them
        is taken over. Raises as `serve`.
        """
        self._ask({urn: sorted(ids) for urn, ids in unfinished.items()})

    def trouble(self) -> Diagnostic | None:
        """What is to be told when the process has ended by itself; None while it runs."""
        if self._process.poll() is None:
            return None
        return self._told("the embedded providers ended in the middle of the run")

    def _say(self, what: Any) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has ended, which is told once an answer is wanted
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    def _ask(self, question: Any) -> Any:
        self._say(question)
        assert self._process.stdout
        if answer := self._process.stdout.readline():
            return json.loads(answer)
        raise MlinfraError(self._told("the embedded providers did not start"))

    def _told(self, summary: str) -> Diagnostic:
        code = self._process.wait()
        self._printed.seek(0)
        printed = self._printed.read().decode(errors="replace").strip().splitlines()[-_SHOWN:]
        how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        return Diagnostic(
            summary,
            detail="\n".join([f"Their process, {self.pid}, {how}.", *printed]),
            remedy="Run the command again: what was begun is looked for first. If it ends so each time, report it.",
            code="providers-ended",
        )


@contextmanager
def attached() -> Iterator[Attached]:
    """Start the process; it lasts as long as the block."""
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            # -P: nothing that lies in the user's folder is taken for a module.
            [sys.executable, "-P", "-m", "mlinfra.engine.attached_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            start_new_session=True,  # Ctrl-C is for us alone: what is in flight is to come to its end
        )
        try:
            yield Attached(process, printed)
        finally:
            process.kill()  # no engine is there any more that could be answered
            process.communicate()
