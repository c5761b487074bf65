"""Official releases: fetched over HTTPS, checked against the publisher's SHA-256 sum, unpacked.

A network that refuses or hangs is given up on in seconds, and a host that failed is not asked again by the same
`Downloader`: there is always another way to come by a tool, which the user is waiting for.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import tarfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mlinfra.tools.checksums import sha256, sum_for
from mlinfra.tools.table import PINNED, Release

PATIENCE: Final = 5.0
"""Seconds to wait for a name, a connection, and each piece of an answer."""
_PIECE = 1 << 18
_LISTING_LIMIT = 4 << 20

Progress = Callable[[int, int | None], None]
"""Called with the bytes fetched so far and the bytes in all, where the server tells."""


class UnavailableError(Exception):
    """A release that cannot be had; the text says why, for the message that names every source tried.

    `status` is the HTTP status that said so, 0 where it was something else.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class Downloader:
    """Fetches releases into `folder`, which keeps what an interrupted download has fetched so far.

    `mirror` is the base URL of a mirror that has `HOST/PATH` of each official URL beneath it. `stop` ends downloads
    that are under way.
    """

    def __init__(
        self, folder: Path, mirror: str = "", stop: threading.Event | None = None, patience: float = PATIENCE
    ) -> None:
        self._folder = folder
        self._mirror = mirror.rstrip("/")
        self._stop = stop or threading.Event()
        self._patience = patience
        self._failed: dict[str, str] = {}
        self._lock = threading.Lock()

    def fetch(self, release: Release, target: Path, progress: Progress, *, keep: bool = False) -> str:
        """Put the tool of a release at `target`, executable, and return the sum that its file was checked against.

        `keep` leaves the archive where it is, for the next tool that is in it, too. Raises `UnavailableError`;
        `target` is then untouched.
        """
        wanted = PINNED.get(release.url) or self._published(release)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        archive = self._folder / release.file
        if not (archive.is_file() and sha256(archive) == wanted):
            self._download(release.url, archive, wanted, progress)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _extract(archive, release.member, draft)
            draft.chmod(0o755)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        if not keep:
            archive.unlink()
        return wanted

    def _published(self, release: Release) -> str:
        with self._open(release.checksums) as answer:
            listing = answer.read(_LISTING_LIMIT).decode("utf-8", "replace")
        found = sum_for(listing, release.file)
        if found is None:
            raise UnavailableError(f"{release.checksums} has no SHA-256 sum for {release.file}")
        return found

    def _download(self, url: str, archive: Path, wanted: str, progress: Progress) -> None:
        """Fetch to a `.part` file, going on where an earlier one ended, and rename it once its sum is right."""
        part = archive.with_name(archive.name + ".part")
        kept = part.stat().st_size if part.exists() else 0
        try:
            with self._open(url, kept) as answer:
                resumed = kept if answer.status == http.client.PARTIAL_CONTENT else 0
                size = answer.headers.get("Content-Length")
                total = int(size) + resumed if size else None
                with part.open("ab" if resumed else "wb") as file:
                    self._copy(url, answer, file, resumed, total, progress)
        except UnavailableError as error:
            if error.status != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise  # what was kept stays for the next time
        if sha256(part) == wanted:
            part.replace(archive)
            return
        part.unlink()
        if not kept:
            raise UnavailableError(f"{url} does not have the SHA-256 sum that its publisher gives, {wanted}")
        self._download(url, archive, wanted, progress)  # what was kept was of another file: once more, from the start

    def _copy(self, url: str, answer: Any, file: Any, done: int, total: int | None, progress: Progress) -> None:
        try:
            while piece := answer.read(_PIECE):
                file.write(piece)
                done += len(piece)
                progress(done, total)
                if self._stop.is_set():
                    raise UnavailableError("interrupted")
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"{url}: {_reason(error)} after {done} bytes") from None
        if total is not None and done < total:
            raise UnavailableError(f"{url} ended after {done} of {total} bytes")

    def _open(self, url: str, start: int = 0) -> Any:
        where = self._locate(url)
        host = urllib.parse.urlsplit(where).hostname or ""
        with self._lock:
            if host in self._failed:
                raise UnavailableError(self._failed[host])
        headers = {"User-Agent": "mlinfra"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            if not urllib.request.getproxies().get("https"):
                _resolve(host, self._patience)
            request = urllib.request.Request(where, headers=headers)  # noqa: S310 — https, see _locate
            answer = urllib.request.urlopen(request, timeout=self._patience)  # noqa: S310
        except urllib.error.HTTPError as error:
            raise UnavailableError(f"{where} answers {error.code} {error.reason}", error.code) from None
        except (OSError, http.client.HTTPException) as error:
            text = f"{host}: {_reason(error)}"
            with self._lock:
                self._failed[host] = text
            raise UnavailableError(text) from None
        if where.startswith("https:") and not answer.url.startswith("https:"):
            answer.close()
            raise UnavailableError(f"{where} leads to {answer.url}, which is not HTTPS")
        return answer

    def _locate(self, url: str) -> str:
        if not self._mirror:
            return url
        parts = urllib.parse.urlsplit(url)
        return f"{self._mirror}/{parts.netloc}{parts.path}"


def _resolve(host: str, patience: float) -> None:
    """Raise `OSError` if a name has no address, or none after `patience` seconds: resolvers have no timeout to set."""
    result: list[OSError | None] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, None)
            result.append(None)
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(patience)
    if not result:
        raise TimeoutError(f"its name was not resolved within {patience:.0f} s")
    if result[0] is not None:
        raise result[0]


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


def _extract(archive: Path, member: str, target: Path) -> None:
    """Copy one member of an archive to `target`, or the whole file where `member` is empty."""
    try:
        if not member:
            shutil.copyfile(archive, target)
        elif archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed, packed.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
        else:
            with tarfile.open(archive) as pack:
                found = pack.extractfile(member)
                if found is None:
                    raise KeyError(member)
                with found, target.open("wb") as file:
                    shutil.copyfileobj(found, file)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise UnavailableError(f"{archive.name} does not hold {member}: {error}") from None
