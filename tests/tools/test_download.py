from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from mlinfra.tools import download
from mlinfra.tools.download import Downloader, UnavailableError
from mlinfra.tools.table import Release

HOST = "releases.example"
TOOL = b"#!/bin/sh\necho v1.2.3\n" + bytes(range(256)) * 3000


def tar(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def packed(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, content)
    return buffer.getvalue()


def release(file: str, member: str = "") -> Release:
    return Release(f"https://{HOST}/{file}", f"https://{HOST}/SHA256SUMS", member)


def publish(site, file: str, content: bytes, sum_of: bytes | None = None) -> str:
    digest = hashlib.sha256(content if sum_of is None else sum_of).hexdigest()
    site.files[f"/{HOST}/{file}"] = content
    site.files[f"/{HOST}/SHA256SUMS"] = f"{digest}  {file}\n".encode()
    return digest


def fetcher(site, folder: Path, patience: float = 5.0) -> Downloader:
    return Downloader(folder / "downloads", mirror=site.url, patience=patience)


def ignore(done: int, total: int | None) -> None:
    pass


@pytest.mark.parametrize(
    ("file", "member", "content"),
    [
        ("tool", "", TOOL),
        ("tool.tar.gz", "dist/tool", tar("dist/tool", TOOL)),
        ("tool.zip", "dist/tool", packed("dist/tool", TOOL)),
    ],
)
def test_a_good_release_is_installed(site, tmp_path: Path, file: str, member: str, content: bytes) -> None:
    digest = publish(site, file, content)
    target = tmp_path / "tools" / "tool"
    seen: list[tuple[int, int | None]] = []
    checked = fetcher(site, tmp_path).fetch(release(file, member), target, lambda *at: seen.append(at))
    assert checked == digest
    assert target.read_bytes() == TOOL
    assert target.stat().st_mode & 0o111
    assert seen[-1] == (len(content), len(content))
    assert [path.name for path in target.parent.iterdir()] == ["tool"]
    assert not list((tmp_path / "downloads").iterdir())


def wrong_sum(site) -> None:
    publish(site, "tool", TOOL, sum_of=b"what the publisher meant")


def no_sums(site) -> None:
    publish(site, "tool", TOOL)
    del site.files[f"/{HOST}/SHA256SUMS"]


def no_line(site) -> None:
    publish(site, "tool", TOOL)
    site.files[f"/{HOST}/SHA256SUMS"] = f"{'0' * 64}  another\n".encode()


def not_there(site) -> None:
    publish(site, "tool", TOOL)
    del site.files[f"/{HOST}/tool"]


def truncated(site) -> None:
    publish(site, "tool", TOOL)
    site.short[f"/{HOST}/tool"] = 1000


def hanging(site) -> None:
    publish(site, "tool", TOOL)
    site.silent.add(f"/{HOST}/tool")


def hanging_sums(site) -> None:
    publish(site, "tool", TOOL)
    site.silent.add(f"/{HOST}/SHA256SUMS")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (wrong_sum, "does not have the SHA-256 sum that its publisher gives"),
        (no_sums, "SHA256SUMS answers 404"),
        (no_line, "has no SHA-256 sum for tool"),
        (not_there, "tool answers 404"),
        (truncated, "after"),
        (hanging, "timed out"),
        (hanging_sums, "timed out"),
    ],
)
def test_a_bad_release_leaves_nothing(site, tmp_path: Path, trouble, said: str) -> None:
    trouble(site)
    target = tmp_path / "tools" / "tool"
    with pytest.raises(UnavailableError, match=said):
        fetcher(site, tmp_path, patience=0.5).fetch(release("tool"), target, ignore)
    assert not target.exists()


def test_an_archive_without_the_tool_is_refused(site, tmp_path: Path) -> None:
    publish(site, "tool.tar.gz", tar("dist/readme", b"nothing"))
    target = tmp_path / "tools" / "tool"
    with pytest.raises(UnavailableError, match="does not hold dist/tool"):
        fetcher(site, tmp_path).fetch(release("tool.tar.gz", "dist/tool"), target, ignore)
    assert not list(target.parent.iterdir())


def test_an_interrupted_download_goes_on_where_it_ended(site, tmp_path: Path) -> None:
    publish(site, "tool", TOOL)
    site.short[f"/{HOST}/tool"] = 1000
    target = tmp_path / "tools" / "tool"
    with pytest.raises(UnavailableError):
        fetcher(site, tmp_path).fetch(release("tool"), target, ignore)
    site.short.clear()
    fetcher(site, tmp_path).fetch(release("tool"), target, ignore)
    assert site.ranges == [f"bytes={len(TOOL) - 1000}-"]
    assert target.read_bytes() == TOOL


@pytest.mark.parametrize("kept", [b"of another release", TOOL + b"and more", TOOL])
def test_what_was_kept_of_another_file_does_no_harm(site, tmp_path: Path, kept: bytes) -> None:
    publish(site, "tool", TOOL)
    part = tmp_path / "downloads" / "tool.part"
    part.parent.mkdir()
    part.write_bytes(kept)
    target = tmp_path / "tools" / "tool"
    fetcher(site, tmp_path).fetch(release("tool"), target, ignore)
    assert target.read_bytes() == TOOL


def test_a_stop_ends_a_download_and_keeps_its_part(site, tmp_path: Path) -> None:
    publish(site, "tool", TOOL)
    stop = threading.Event()
    downloader = Downloader(tmp_path / "downloads", mirror=site.url, stop=stop)
    with pytest.raises(UnavailableError, match="interrupted"):
        downloader.fetch(release("tool"), tmp_path / "tool", lambda done, total: stop.set())
    assert (tmp_path / "downloads" / "tool.part").stat().st_size > 0


def test_a_pinned_sum_overrules_the_publishers(site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, "tool", TOOL)
    wanted = release("tool")
    monkeypatch.setitem(download.PINNED, wanted.url, "0" * 64)
    with pytest.raises(UnavailableError, match="0000"):
        fetcher(site, tmp_path).fetch(wanted, tmp_path / "tool", ignore)
    assert site.asked[f"/{HOST}/SHA256SUMS"] == 0


def test_a_host_that_refuses_is_asked_once(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        downloader = Downloader(tmp_path, mirror=url)
        reasons = set()
        for file in ("one", "two"):
            with pytest.raises(UnavailableError) as caught:
                downloader.fetch(release(file), tmp_path / file, ignore)
            reasons.add(str(caught.value))
    assert reasons == {"127.0.0.1: Connection refused"}


def test_a_host_that_hangs_is_asked_once(site, tmp_path: Path) -> None:
    hanging_sums(site)
    downloader = fetcher(site, tmp_path, patience=0.3)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            downloader.fetch(release("tool"), tmp_path / "tool", ignore)
    assert site.asked == {f"/{HOST}/SHA256SUMS": 1}


def test_a_name_that_is_not_resolved_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: never.wait(20))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(UnavailableError, match="not resolved"):
        Downloader(tmp_path, patience=0.2).fetch(release("tool"), tmp_path / "tool", ignore)
    never.set()
