"""The real apt and dpkg, on a repository of our own on loopback; and once on the machine's own mirror."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from mlinfra.tools.debian import unpack
from mlinfra.tools.download import UnavailableError
from mlinfra.tools.find import ask_version
from mlinfra.tools.install import ensure
from mlinfra.tools.table import MONITORING, TOOLS, Debian

pytestmark = pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="apt is what Debian and Ubuntu have"
)

PROGRAM = b"#!/bin/sh\necho small 1.2.3\n" + b"x" * 200_000
CONTROL = """\
Package: small
Version: 1.2.3-1
Architecture: all
Maintainer: Nobody <nobody@example.com>
Description: something small
"""
POOL = "/pool/small_1.2.3-1_all.deb"
PREINST = "#!/bin/sh\ntouch {mark}\n"


@pytest.fixture
def package(tmp_path: Path) -> bytes:
    """A package with a program, and with a script that would leave a mark were it run."""
    root = tmp_path / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(CONTROL)
    (root / "DEBIAN" / "preinst").write_text(PREINST.format(mark=tmp_path / "mark"))
    (root / "DEBIAN" / "preinst").chmod(0o755)
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "small").write_bytes(PROGRAM)
    (root / "usr" / "bin" / "other").symlink_to("small")
    command = ["dpkg-deb", "--root-owner-group", "--build", root, tmp_path / "small.deb"]
    subprocess.run(command, check=True, capture_output=True)
    return (tmp_path / "small.deb").read_bytes()


@pytest.fixture
def repository(site, package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The package in a repository that is the machine's only one; its machine-wide lists are empty."""
    stanza = (
        f"{CONTROL}Filename: pool/small_1.2.3-1_all.deb\nSize: {len(package)}\n"
        f"SHA256: {hashlib.sha256(package).hexdigest()}\n"
    ).encode()
    index = gzip.compress(stanza)
    site.files |= {
        POOL: package,
        "/./Packages": stanza,
        "/./Packages.gz": index,
        "/./Release": (
            "Suite: small\nSHA256:\n"
            f" {hashlib.sha256(stanza).hexdigest()} {len(stanza)} Packages\n"
            f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages.gz\n"
        ).encode(),
    }
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] {site.url}/ ./\n")
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{tmp_path}/sources.list";\nDir::Etc::SourceParts "-";\n'
        f'Dir::State::Lists "{tmp_path}/lists";\n'
        f'APT::Update::Post-Invoke {{ "touch {tmp_path}/mark"; }};\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return site


def test_a_file_of_a_package_without_a_list_on_the_machine(repository, tmp_path: Path) -> None:
    target = tmp_path / "tools" / "small"
    unpack(Debian("small"), {"usr/bin/small": target}, tmp_path / "apt")
    assert target.read_bytes() == PROGRAM
    assert target.stat().st_mode & 0o111
    assert [path.name for path in target.parent.iterdir()] == ["small"]
    assert repository.asked[POOL] == 1
    # Nothing is left, nothing of the package has run, and the machine's lists are as they were.
    assert not (tmp_path / "apt").exists()
    assert not (tmp_path / "mark").exists()
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["partial"]


@pytest.mark.parametrize(
    ("package_name", "member", "said"),
    [
        ("small", "usr/bin/none", r"small_1\.2\.3-1_all\.deb does not hold usr/bin/none"),
        ("small", "usr/bin/other", "does not hold usr/bin/other"),
        ("large", "usr/bin/large", "Unable to locate package large"),
    ],
)
def test_what_is_not_there_is_told(repository, tmp_path: Path, package_name: str, member: str, said: str) -> None:
    target = tmp_path / "tools" / "x"
    with pytest.raises(UnavailableError, match=said):
        unpack(Debian(package_name), {member: target}, tmp_path / "apt")
    assert not target.exists()
    assert not (tmp_path / "apt").exists()


def test_a_package_that_is_not_the_indexs_is_refused(repository, package: bytes, tmp_path: Path) -> None:
    repository.files[POOL] = package[:-1] + bytes([package[-1] ^ 1])
    with pytest.raises(UnavailableError, match=r"Hash Sum mismatch|Failed to fetch|Unable to fetch"):
        unpack(Debian("small"), {"usr/bin/small": tmp_path / "x"}, tmp_path / "apt")
    assert not (tmp_path / "x").exists()


def test_a_mirror_that_does_not_answer_does_not_matter(repository, tmp_path: Path) -> None:
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] {repository.url}/gone ./\n{sources.read_text()}")
    unpack(Debian("small"), {"usr/bin/small": tmp_path / "x"}, tmp_path / "apt")
    assert (tmp_path / "x").read_bytes() == PROGRAM


def test_without_apt_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="no `apt-get` on PATH"):
        unpack(Debian("small"), {}, tmp_path / "apt")


def test_the_tools_of_monitoring_run_here(tmp_path: Path) -> None:
    """From wherever this machine has them: on its PATH, in its cache, as a release, or from its own mirror."""
    found = ensure(MONITORING)
    for name, path in found.items():
        version = ask_version(TOOLS[name], path)
        assert version
        assert TOOLS[name].fits(version)
    (tmp_path / "rules.yaml").write_text("groups: []\n")
    subprocess.run([found["promtool"], "check", "rules", tmp_path / "rules.yaml"], check=True, capture_output=True)
