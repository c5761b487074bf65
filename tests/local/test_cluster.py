"""A cluster whose processes are killed, whose ports are taken, whose files are broken."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from mlinfra.diagnostics import Diagnostic
from mlinfra.local import ports
from mlinfra.local.cluster import KwokCluster
from mlinfra.local.kwokctl import COMPONENTS, PORTS, TOOLS
from mlinfra.local.oidc import Issuer
from mlinfra.local.target import LocalAccess, LocalTarget
from mlinfra.processes import identity, kill
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.report import Event, Note
from mlinfra.tools.install import ensure

MARK = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mark", "namespace": "default"}}


@pytest.fixture
def kwok(project: Project, access: LocalAccess) -> KwokCluster:
    """The stack's cluster, which is up, seen from inside."""
    folder = project.folder("local", "kubernetes")
    return KwokCluster(folder, "staging", lambda: ensure(TOOLS), lambda detail: None, lambda diagnostic: None)


@pytest.fixture
def marked(cluster: Cluster) -> Cluster:
    cluster.apply(MARK, manager="test")
    return cluster


def is_marked(kubeconfig: Path) -> bool:
    return Cluster.from_kubeconfig(kubeconfig).get("v1", "ConfigMap", "mark", "default") is not None


def test_it_listens_on_loopback_alone(kwok: KwokCluster) -> None:
    text = (kwok._home / "kwok.yaml").read_text()
    assert "0.0.0.0" not in text
    assert len(re.findall(r"127\.0\.0\.1", text)) > len(COMPONENTS)


@pytest.mark.parametrize(
    "components", [["kube-apiserver"], ["etcd"], ["kube-scheduler", "kwok-controller"], list(COMPONENTS)]
)
def test_killed_components_are_brought_back_with_all_they_held(
    kwok: KwokCluster, target: LocalTarget, access: LocalAccess, marked: Cluster, components: list[str]
) -> None:
    before = kwok.processes()
    kill(pid for name, pid in before.items() if name in components and pid)
    assert target.status().cluster in ("broken", "stopped")
    again = target.up()
    assert again.cluster_instance == access.cluster_instance
    assert is_marked(again.kubeconfig)
    after = kwok.processes()
    assert all(after.values())
    assert {name for name in COMPONENTS if after[name] != before[name]} >= set(components)


def test_numbers_that_other_processes_have_now_are_left_alone(
    kwok: KwokCluster, target: LocalTarget, access: LocalAccess, marked: Cluster
) -> None:
    """As after a reboot: kwokctl would take a stranger for its etcd, and kill it to stop it."""
    target.down()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        for component in COMPONENTS:
            (kwok._home / "pids" / f"{component}.pid").write_text(str(stranger.pid))
        assert target.status().cluster == "stopped"
        target.down()
        assert identity(stranger.pid)
        again = target.up()
        assert identity(stranger.pid)
        assert again.cluster_instance == access.cluster_instance
        assert is_marked(again.kubeconfig)
        stranger.kill()


def test_a_port_that_somebody_took_meanwhile_is_given_up(
    kwok: KwokCluster, target: LocalTarget, access: LocalAccess, marked: Cluster
) -> None:
    target.down()
    config = (kwok._home / "kwok.yaml").read_text()
    mine = re.findall(r"^  (?:kubeApiserverPort|etcdPort|etcdPeerPort): (\d+)$", config, re.M)
    assert len(mine) == 3
    strangers = []
    for port in mine:
        stranger = socket.socket()
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", int(port)))
        stranger.listen()
        strangers.append(stranger)
    again = target.up()
    assert again.kubernetes_server != access.kubernetes_server
    assert again.cluster_instance == access.cluster_instance
    assert is_marked(again.kubeconfig)
    for stranger in strangers:
        stranger.close()


def test_a_port_that_somebody_takes_while_it_is_made_is_given_up(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two clusters are made at the same moment, and both find the same ports free."""
    first, choose = ports.choose(len(PORTS)), ports.choose
    answers = iter([first])
    monkeypatch.setattr(ports, "choose", lambda count, but=(): next(answers, None) or choose(count, but))
    folder, notes = project.folder("local", "kubernetes"), list[Diagnostic]()
    cluster = KwokCluster(folder.resolve(), "race", lambda: ensure(TOOLS), lambda detail: None, notes.append)
    with socket.create_server(("127.0.0.1", first[PORTS.index("kubeApiserverPort")])):
        info = cluster.ensure()
        assert info.server.rpartition(":")[2] not in map(str, first)
    assert cluster.info() == info
    assert not notes
    cluster.delete()


@pytest.mark.slow
def test_one_that_cannot_be_mended_is_made_anew_and_says_so(
    project: Project, kwok: KwokCluster, target: LocalTarget, access: LocalAccess, marked: Cluster
) -> None:
    target.down()
    [database] = (kwok._home / "etcd").rglob("db")
    database.write_bytes(b"not a database")
    for log in (kwok._home / "etcd").rglob("*.wal"):
        log.write_bytes(b"not a log")
    events: list[Event] = []
    again = LocalTarget(project, "staging", events.append).up()
    assert again.cluster_instance != access.cluster_instance
    assert not is_marked(again.kubeconfig)
    [note] = [event for event in events if isinstance(event, Note)]
    assert note.diagnostic.code == "local-cluster-recreated"
    assert "etcd: " in note.diagnostic.detail


@pytest.mark.slow
def test_one_that_hangs_is_started_again(
    kwok: KwokCluster, target: LocalTarget, access: LocalAccess, marked: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlinfra.local.cluster._READY_SECONDS", 20.0)
    pid = kwok.processes()["etcd"]
    assert pid
    os.kill(pid, signal.SIGSTOP)
    again = target.up()
    assert identity(pid) is None
    assert again.cluster_instance == access.cluster_instance
    assert is_marked(again.kubeconfig)


def signs_in(kwok: KwokCluster, access: LocalAccess) -> bool:
    token = Issuer(kwok._home).token("ada", ["ml-leads"], seconds=60)
    return Issuer(kwok._home).takes(access.kubernetes_server, token)


@pytest.mark.parametrize("components", [[], ["kube-apiserver"], ["etcd"], list(COMPONENTS)])
def test_tokens_are_taken_however_it_was_started(
    kwok: KwokCluster, target: LocalTarget, access: LocalAccess, components: list[str]
) -> None:
    before = Issuer(kwok._home).token("ada", [], seconds=600)
    kill(pid for name, pid in kwok.processes().items() if name in components and pid)
    again = target.up()
    assert signs_in(kwok, again)
    assert Issuer(kwok._home).takes(again.kubernetes_server, before), "the key is the cluster's for as long as it is"


def test_one_from_before_there_were_tokens_takes_them_after_its_next_start(
    kwok: KwokCluster, target: LocalTarget, access: LocalAccess, marked: Cluster
) -> None:
    target.down()
    config = kwok._home / "kwok.yaml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "--authentication-config=" not in line))
    shutil.rmtree(kwok._home / "oidc")
    again = target.up()
    assert again.cluster_instance == access.cluster_instance
    assert is_marked(again.kubeconfig)
    assert signs_in(kwok, again)


def test_what_an_interrupted_start_left_without_a_record_is_stopped_too(
    kwok: KwokCluster, target: LocalTarget, access: LocalAccess
) -> None:
    pid = kwok.processes()["kwok-controller"]
    assert pid
    (kwok._home / "pids" / "kwok-controller.pid").unlink()
    target.down()
    assert identity(pid) is None
