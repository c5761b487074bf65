"""Standard output and standard error, whose reader may go: `mlinfra up | head`, a closed terminal, a full disk."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO, cast

from mlinfra.emit import ReaderGoneError


class Stream:
    """A text stream. From when nobody reads it any more, or it cannot be written to, what is written is dropped.

    With `tells`, the first write after that raises `ReaderGoneError`: results that go nowhere are not wanted any more.
    Progress and problems nobody has asked for, and so they are dropped without a word.
    """

    def __init__(self, stream: TextIO, *, tells: bool) -> None:
        self._stream = stream
        self._tells = tells
        # A terminal that was closed answers with EIO; on a file that is an error of the disk.
        self._gone = (errno.EPIPE, errno.EIO) if stream.isatty() else (errno.EPIPE,)
        self.trouble = ""
        """Why it cannot be written to; empty where it can be, or has lost its reader."""

    def write(self, text: str) -> int:
        """Write, maybe later; as `TextIO` does."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write them all."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write now."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if error.errno not in self._gone:
            self.trouble = error.strerror or str(error)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what the stream still holds goes there, too
        os.close(nowhere)
        if self._tells:
            raise ReaderGoneError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard() -> Stream:
    """Let standard output and standard error outlive their readers; one that was closed from the start goes nowhere.

    Returns the first of the two.
    """
    out, err = Stream(sys.stdout or _nowhere(), tells=True), Stream(sys.stderr or _nowhere(), tells=False)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    return out


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")
