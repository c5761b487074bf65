"""Endpoints: what is on this machine, and what is not."""

from __future__ import annotations

import ast
import importlib.util
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.aws.configuration import ENDPOINTS, configure, local_inputs, why_not_local
from mlinfra.providers.aws.registry import RESOURCES

PORTS = st.integers(1, 65535)


@given(st.ip_addresses(v=4, network="127.0.0.0/8") | st.just(ipaddress.ip_address("::1")), PORTS)
def test_loopback_addresses_are_of_this_machine(address: ipaddress.IPv4Address, port: int) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    assert why_not_local(f"http://{host}:{port}") == ""
    assert why_not_local(f"https://{host}:{port}/") == ""


@given(st.ip_addresses().filter(lambda address: not address.is_loopback), PORTS)
def test_other_addresses_are_not(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    assert why_not_local(f"http://{host}:{port}")


@given(st.text())
def test_nor_is_anything_else(text: str) -> None:
    assert why_not_local(text)
    assert why_not_local(f"http://{text}.example.com:80")
    assert why_not_local(f"http://127.0.0.1:80@{text}.example.com/")
    assert why_not_local(f"http://127.0.0.1:80/{text}x")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.example.com:5000",
        "http://127.0.0.1.nip.io:5000",
        "http://127.0.0.1:5000@example.com",
        "http://user@127.0.0.1:5000",
        "http://example.com\\@127.0.0.1:5000",
        "http://127.0.0.1:5000#@example.com",
        "http://127.0.0.1:5000?x",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:5000\n",
        "http://127.1:5000",
        "http://2130706433:5000",
        "http://0x7f.0.0.1:5000",
        "http://0.0.0.0:5000",
        "http://[::ffff:10.0.0.1]:5000",
        "http://[::1%25eth0]:5000",
        "http://१२७.0.0.1:5000",
        "file:///127.0.0.1",
        "127.0.0.1:5000",
        5000,
        None,
    ],
)
def test_tricks(url: object) -> None:
    assert why_not_local(url)


def test_localhost_is_where_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_local("http://localhost:5000") == ""
    elsewhere = [(2, 1, 6, "", ("127.0.0.1", 0)), (2, 1, 6, "", ("10.0.0.1", 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: elsewhere)
    assert why_not_local("http://localhost:5000")


def test_secrets_stay_out_of_representations_and_errors() -> None:
    inputs = {**local_inputs("http://127.0.0.1:5000", "us-east-1"), "secretKey": "hunter2", "token": "hunter3"}
    assert "hunter" not in repr(configure(inputs))
    with pytest.raises(MlinfraError) as caught:
        configure({**inputs, "endpoints": [{"s3": "https://hunter2.example.com"}], "profile": "p", "region": ""})
    assert len(caught.value.diagnostics) == 3
    assert "hunter" not in str(caught.value)


def test_endpoints_are_those_of_the_official_provider_and_cover_every_type() -> None:
    spec = importlib.util.find_spec("pulumi_aws")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse((Path(spec.origin).parent / "_inputs.py").read_text())
    arguments = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ProviderEndpointArgs"
    )
    official = {node.name for node in arguments.body if isinstance(node, ast.FunctionDef)}
    assert set(ENDPOINTS) <= official
    assert {kind.service for kind in RESOURCES.values()} <= set(ENDPOINTS)
