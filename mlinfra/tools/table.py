"""The table of tools: versions, what of an installed one fits, official releases, and what else they are had from.

A new version is a change of this file and of `modules/<name>/go.mod` and `go.sum`; the tests hold the two together.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Module:
    """A pinned Go module under `modules/`, of which one `go build` makes one or more tools.

    `minutes` is how long a cold build takes on two cores, download included, and `gigabytes` the disk it needs while it
    runs; both are measured, and serve to tell the user beforehand.
    """

    name: str
    ldflags: str
    minutes: float
    gigabytes: float


@dataclass(frozen=True, slots=True)
class Debian:
    """A package of Debian and Ubuntu that holds tools, in the version that the machine's own release of it has."""

    name: str


@dataclass(frozen=True, slots=True)
class Release:
    """One file of an official release.

    `checksums` is the publisher's own list of SHA-256 sums, or a GitHub release record with its assets' digests.
    `member` is the tool's path inside the archive; empty where the file is the tool itself.
    """

    url: str
    checksums: str
    member: str = ""

    @property
    def file(self) -> str:
        """The last part of the URL: the name by which lists of checksums know the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Tool:
    """One program. An installed one fits from version `at_least` up to, not including, `below`.

    Where its official release cannot be had, it comes from `fallback`: `package` is a package of the Go module, or a
    path in the Debian package.
    """

    name: str
    version: str
    at_least: Version
    below: Version
    ask: tuple[str, ...]
    fallback: Module | Debian
    package: str

    @property
    def variable(self) -> str:
        """The environment variable that names an executable of the user's choice."""
        return "MLINFRA_TOOL_" + self.name.upper().replace("-", "_")

    @property
    def called(self) -> tuple[str, ...]:
        """The names of its executable: its own, and Debian's where that is another."""
        debian = {self.package.rpartition("/")[2]: None} if isinstance(self.fallback, Debian) else {}
        return tuple({self.name: None} | debian)

    @property
    def wanted(self) -> str:
        """The versions that fit, as a requirement: `>=3.222.0,<4.0.0`."""
        return f">={_dotted(self.at_least)},<{_dotted(self.below)}"

    def fits(self, version: Version) -> bool:
        """Whether an installed tool of this version will do."""
        return self.at_least <= version < self.below

    def release(self, system: str, machine: str) -> Release | None:
        """The official release for a platform (`linux` or `darwin`; `amd64` or `arm64`); None where there is none."""
        if system not in ("linux", "darwin") or machine not in ("amd64", "arm64"):
            return None
        return _RELEASES[self.fallback.name](self, system, machine)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


PULUMI_MODULE: Final = Module(
    "pulumi",
    "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.222.0",
    minutes=3,
    gigabytes=2.5,
)
KUBERNETES_MODULE: Final = Module(
    "kubernetes",
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.2"
    " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34",
    minutes=6,
    gigabytes=3,
)
ETCD_MODULE: Final = Module("etcd", "-s -w", minutes=0.5, gigabytes=0.8)
KWOK_MODULE: Final = Module("kwok", "-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v0.7.0", minutes=1.6, gigabytes=1.8)
# Its go.mod has `replace` lines, which only count in a main module: ours repeats them.
ROLLOUTS_MODULE: Final = Module(
    "argo-rollouts",
    "-s -w -X github.com/argoproj/argo-rollouts/utils/version.version=1.8.3",
    minutes=10,
    gigabytes=3,
)


def _kubernetes(name: str) -> Tool:
    # One minor version for all three: https://kubernetes.io/releases/version-skew-policy/ lets the controller manager
    # and the scheduler be older than the API server, never newer.
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Tool(name, "1.34.2", (1, 34, 0), (1, 35, 0), ("--version",), KUBERNETES_MODULE, package)


def _kwok(name: str) -> Tool:
    package = f"sigs.k8s.io/kwok/cmd/{name}"
    return Tool(name, "0.7.0", (0, 7, 0), (0, 8, 0), ("--version",), KWOK_MODULE, package)


def _prometheus(name: str) -> Tool:
    # The version that `Monitoring` runs; rules that it takes are taken from Debian 12's 2.42 on.
    return Tool(name, "3.5.0", (2, 42, 0), (4, 0, 0), ("--version",), Debian("prometheus"), f"usr/bin/{name}")


def _alertmanager(name: str, package: str) -> Tool:
    return Tool(name, "0.28.1", (0, 25, 0), (1, 0, 0), ("--version",), Debian("prometheus-alertmanager"), package)


MONITORING: Final = ("prometheus", "promtool", "alertmanager", "amtool", "pushgateway")
"""What tells whether generated monitoring is right: `mlinfra setup --monitoring`."""
ROLLOUTS: Final = ("rollouts-controller",)
"""What moves canaries on the local target: `mlinfra setup --rollouts`."""

TOOLS: Final[dict[str, Tool]] = {
    tool.name: tool
    for tool in (
        Tool(
            "pulumi",
            "3.222.0",
            (3, 222, 0),
            (4, 0, 0),
            ("version",),
            PULUMI_MODULE,
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        ),
        Tool("etcd", "3.6.5", (3, 6, 0), (3, 7, 0), ("--version",), ETCD_MODULE, "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kwok("kwok"),
        _kwok("kwokctl"),
        _prometheus("prometheus"),
        _prometheus("promtool"),
        _alertmanager("alertmanager", "usr/bin/prometheus-alertmanager"),
        _alertmanager("amtool", "usr/bin/amtool"),
        Tool(
            "pushgateway",
            "1.11.1",
            (1, 5, 0),
            (2, 0, 0),
            ("--version",),
            Debian("prometheus-pushgateway"),
            "usr/bin/prometheus-pushgateway",
        ),
        Tool(
            "rollouts-controller",
            "1.8.3",
            (1, 8, 3),
            (1, 9, 0),
            ("--version",),
            ROLLOUTS_MODULE,
            "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
        ),
    )
}
"""Every tool, by name."""

USUAL: Final = tuple(name for name in TOOLS if name not in MONITORING + ROLLOUTS)
"""The tools of every run on the local target. The others are got only for those who ask for them."""

PINNED: Final[dict[str, str]] = {}
"""SHA-256 sums by URL that overrule the publisher's list. Only sums taken from the publisher belong here."""


def _pulumi_release(tool: Tool, system: str, machine: str) -> Release:
    # https://www.pulumi.com/docs/install/versions/ lists the archives and, beside them, `pulumi-VERSION-checksums.txt`.
    base = "https://get.pulumi.com/releases/sdk"
    chip = {"amd64": "x64", "arm64": "arm64"}[machine]
    return Release(
        f"{base}/pulumi-v{tool.version}-{system}-{chip}.tar.gz",
        f"{base}/pulumi-{tool.version}-checksums.txt",
        "pulumi/pulumi",
    )


def _kubernetes_release(tool: Tool, system: str, machine: str) -> Release | None:
    # https://kubernetes.io/releases/download/ : server binaries exist for Linux alone, each with a `.sha256` beside it.
    if system != "linux":
        return None
    url = f"https://dl.k8s.io/release/v{tool.version}/bin/linux/{machine}/{tool.name}"
    return Release(url, url + ".sha256")


def _etcd_release(tool: Tool, system: str, machine: str) -> Release:
    base = f"https://github.com/etcd-io/etcd/releases/download/v{tool.version}"
    folder = f"etcd-v{tool.version}-{system}-{machine}"
    ending = "tar.gz" if system == "linux" else "zip"
    return Release(f"{base}/{folder}.{ending}", f"{base}/SHA256SUMS", f"{folder}/etcd")


def _kwok_release(tool: Tool, system: str, machine: str) -> Release:
    # KWOK publishes bare executables and no list of sums. GitHub records a digest for each asset of a release
    # (https://docs.github.com/en/rest/releases/releases#get-a-release-by-tag-name); where it has none, KWOK is built.
    repository = "kubernetes-sigs/kwok"
    return Release(
        f"https://github.com/{repository}/releases/download/v{tool.version}/{tool.name}-{system}-{machine}",
        f"https://api.github.com/repos/{repository}/releases/tags/v{tool.version}",
    )


def _prometheus_release(tool: Tool, system: str, machine: str) -> Release:
    # https://prometheus.io/download/ : one archive for each repository, with `sha256sums.txt` beside it.
    repository = {"promtool": "prometheus", "amtool": "alertmanager"}.get(tool.name, tool.name)
    base = f"https://github.com/prometheus/{repository}/releases/download/v{tool.version}"
    folder = f"{repository}-{tool.version}.{system}-{machine}"
    return Release(f"{base}/{folder}.tar.gz", f"{base}/sha256sums.txt", f"{folder}/{tool.name}")


def _no_release(tool: Tool, system: str, machine: str) -> None:
    """Argo Rollouts publishes its controller as a container image alone."""


_RELEASES: Final[dict[str, Callable[[Tool, str, str], Release | None]]] = {
    "pulumi": _pulumi_release,
    "kubernetes": _kubernetes_release,
    "etcd": _etcd_release,
    "kwok": _kwok_release,
    "prometheus": _prometheus_release,
    "prometheus-alertmanager": _prometheus_release,
    "prometheus-pushgateway": _prometheus_release,
    "argo-rollouts": _no_release,
}


def this_platform() -> tuple[str, str]:
    """The running system and machine, in the words of Go: (`linux`, `amd64`)."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
