"""Requests go to another endpoint while the first one does not answer: as a graph, and with a real HAProxy."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_values import ApiKeys, HelperImages
from mlinfra.components.failover import PORT
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.functions import resolve
from mlinfra.graph import Ref
from mlinfra.local.ports import choose
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/serve@sha256:" + "ab" * 32


def pair(**fields: Any) -> Endpoint:
    cluster = TrainingCluster("train")
    other = Endpoint("popular", cluster=cluster, image=IMAGE)
    return Endpoint("api", **{"cluster": cluster, "image": IMAGE, "failover": other, **fields})


def test_without_one_nothing_stands_between(expanded: Any) -> None:
    result = expanded(lambda: pair(failover=None))
    assert not {name for name in result.names_of("api") if "failover" in name}
    assert pair(failover=None).url.parts[1] == Ref("api/service", ("metadata", "name"))


def test_callers_go_through_the_proxy(expanded: Any) -> None:
    result = expanded(pair)
    assert result.diagnostics == ()
    assert pair().url.parts[1] == Ref("api/failover-service", ("metadata", "name"))
    service = result.inputs("api/failover-service")["spec"]
    deployment = result.inputs("api/failover")["spec"]
    assert service["selector"] == deployment["selector"]["matchLabels"] == {"mlinfra.dev/component": "api.failover"}
    assert service["selector"].items() <= deployment["template"]["metadata"]["labels"].items()
    assert service["selector"] != result.inputs("api/service")["spec"]["selector"]
    assert service["ports"][0]["port"] == 8080
    assert deployment["replicas"] == 2
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == PORT


def test_its_image_is_by_digest_where_loss_hurts(expanded: Any) -> None:
    def asking() -> Endpoint:
        cluster = TrainingCluster("train")
        keys = ApiKeys(keys=[ManagedSecret("shop", in_cluster=[cluster])])
        other = Endpoint("popular", cluster=cluster, image=IMAGE)
        return Endpoint("api", cluster=cluster, image=IMAGE, failover=other, auth=keys)

    for declare in (pair, asking):  # what asks for keys is the same image, and is told of once
        told = [item for item in expanded(declare, tier=Tier.PROD).diagnostics if item.code == "image-without-digest"]
        assert [item.remedy.rpartition(": ")[2] for item in told] == ["`helpers=HelperImages(proxy=…)`."]
    given = expanded(lambda: pair(helpers=HelperImages(proxy=IMAGE)), tier=Tier.PROD)
    assert given.codes == []
    (container,) = given.inputs("api/failover")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE


def test_a_closed_namespace_lets_callers_in_and_out(expanded: Any) -> None:
    result = expanded(pair)
    came = result.inputs("api/failover-callers")
    went = result.inputs("api/failover-calls-from-train")
    assert came["metadata"]["name"] == "api.failover.callers"
    assert came["spec"]["podSelector"]["matchLabels"] == {"mlinfra.dev/component": "api.failover"}
    assert (
        came["spec"]["ingress"][0]["ports"] == went["spec"]["egress"][0]["ports"] == [{"port": PORT, "protocol": "TCP"}]
    )


def test_what_cannot_fail_over(expanded: Any) -> None:
    def elsewhere(*, called: bool) -> Endpoint:
        cluster = TrainingCluster("train")
        team = Team("search", cluster=cluster, developers=["devs"])
        other = Endpoint("popular", cluster=cluster, image=IMAGE, callers=[team] if called else [])
        return Endpoint("api", cluster=team, image=IMAGE, failover=other)

    assert expanded(lambda: elsewhere(called=True)).codes == []
    assert expanded(lambda: elsewhere(called=False)).codes == ["failover-not-a-caller"]
    assert expanded(lambda: pair(health_path="/alive")).codes == ["failover-other-paths"]
    with pytest.raises(ValidationError, match="write an Endpoint"):
        pair(failover={"name": "popular"})


# ------------------------------------------------------------------------------------------------ a real proxy


@contextmanager
def model(port: int, name: str) -> Iterator[None]:
    class Model(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def answer(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/predict", timeout=10) as reply:
            return str(reply.read().decode())
    except (urllib.error.URLError, ConnectionError) as error:
        return f"nobody: {error}"


def eventually(ask: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + 60
    while (found := ask()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not on PATH")
def test_haproxy_loses_no_request_and_gives_them_back(expanded: Any, tmp_path: Path) -> None:
    first, other, port = choose(3)
    known = {
        "api/service": {"metadata": {"name": "first"}},
        "popular/service": {"metadata": {"name": "other"}},
        "train/namespace": {"metadata": {"name": "ns"}},
    }
    text = str(resolve(expanded(pair).inputs("api/failover-config")["data"]["haproxy.cfg"], known))
    for name, own in (("first", first), ("other", other)):
        assert f"{name}.ns.svc:8080" in text
        text = text.replace(f"{name}.ns.svc:8080", f"127.0.0.1:{own}")
    file = tmp_path / "haproxy.cfg"
    file.write_text(text.replace(f"bind :{PORT}", f"bind 127.0.0.1:{port}"))
    checked = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with model(other, "other"):
        with model(first, "first"):
            proxy = subprocess.Popen(["haproxy", "-db", "-f", str(file)])
            eventually(lambda: answer(port), "first")
        try:
            # Nobody is there any more: the very next request is answered by the other one, and all after it.
            assert {answer(port) for _ in range(20)} == {"other"}
            with model(first, "first"):
                eventually(lambda: answer(port), "first")
                assert {answer(port) for _ in range(20)} == {"first"}
        finally:
            proxy.terminate()
            proxy.wait()
