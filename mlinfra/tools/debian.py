"""Tools out of packages of Debian and Ubuntu, on machines that have apt: downloaded and unpacked, never installed.

apt knows the machine's mirrors, proxies and keys, and checks a package against an index that the distribution has
signed. Nothing is run that a package brings along, nothing is written outside the given folder, and no root is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mlinfra.tools.download import PATIENCE, UnavailableError
from mlinfra.tools.process import CommandError, run
from mlinfra.tools.table import Debian

# What apt would do to the rest of the machine after an update: hooks of other packages. `#clear` is apt's own word.
_CONFIGURATION: Final = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "{patience:.0f}";
Acquire::https::Timeout "{patience:.0f}";
Dir::Cache "{folder}/cache";
"""
_OWN_LISTS: Final = 'Dir::State::Lists "{folder}/lists";\n'


def unpack(package: Debian, members: Mapping[str, Path], folder: Path) -> None:
    """Put files of a package where `members` says, executable; each appears there whole or not at all.

    `folder` is apt's for as long as this takes. The machine's package lists are used, and where they do not lead to the
    package (a container image often has none) newer ones that are kept in `folder`. Raises `UnavailableError`.
    """
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise UnavailableError(f"there is no `{program}` on PATH")
    try:
        with tempfile.TemporaryDirectory(prefix="package-", dir=_made(folder)) as here:
            file = _download(package, folder, Path(here))
            for member, path in _extracted(file, members, Path(here)):
                target = members[member]
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.chmod(0o755)
                draft = target.with_name(f".{target.name}.{os.getpid()}")
                shutil.move(path, draft)
                draft.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path) -> Path:
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _download(package: Debian, folder: Path, here: Path) -> Path:
    settings = _CONFIGURATION.format(folder=folder, patience=PATIENCE)
    if _apt(settings, here, "download", package.name):  # no lists, or lists of what has been replaced since
        settings += _OWN_LISTS.format(folder=folder)
        # A mirror of somebody else that does not answer makes this fail, and need not matter.
        trouble = _apt(settings, here, "update")
        if failed := _apt(settings, here, "download", package.name):
            raise UnavailableError("; ".join(dict.fromkeys([*trouble, *failed])))
    [file] = here.glob("*.deb")
    return file


def _apt(settings: str, here: Path, *arguments: str) -> list[str]:
    """Run apt-get in `here`, and return its errors in its own words; none when all went well."""
    configuration = here / "apt.conf"
    configuration.write_text(settings)
    # This file is read after the machine's own settings; the one that APT_CONFIG names comes before them.
    command: list[str | Path] = ["apt-get", "--quiet", "--config-file", configuration, *arguments]
    try:
        run(command, {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}, here)
    except CommandError as error:
        lines = str(error).splitlines()
        return [line.removeprefix("E: ") for line in lines if line.startswith("E: ")] or lines[-1:]
    return []


def _extracted(file: Path, members: Mapping[str, Path], here: Path) -> Iterator[tuple[str, Path]]:
    """The wanted files of a package, each in `here` until the next is asked for."""
    missing = set(members)
    with _contents(file) as pack:
        for entry in pack:
            name = entry.name.removeprefix("./")
            content = pack.extractfile(entry) if name in missing and entry.isfile() else None
            if content is None:
                continue
            missing.remove(name)
            draft = here / "draft"
            with content, draft.open("wb") as target:
                shutil.copyfileobj(content, target)
            yield name, draft
    if missing:
        raise UnavailableError(f"{file.name} does not hold {', '.join(sorted(missing))}")


@contextmanager
def _contents(file: Path) -> Iterator[tarfile.TarFile]:
    """A package's files as a stream. dpkg knows all its compressions; Python has no zstd, which Ubuntu uses."""
    command: list[str | Path] = ["dpkg-deb", "--fsys-tarfile", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as pack:
                yield pack
        except tarfile.TarError as error:
            raise UnavailableError(f"{file.name} cannot be unpacked: {error}") from None
        finally:
            process.stdout.close()
            process.kill()
