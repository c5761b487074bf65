from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_values import GatewayAddress, IngressAddress
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Image
from mlinfra.graph import Ref

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
HOST = "api.example.com"
INGRESS: dict[str, Any] = {"host": HOST, "ingress_class": "nginx", "controller_namespace": "ingress-nginx"}
GATEWAY: dict[str, Any] = {"host": HOST, "controller_namespace": "envoy-gateway-system"}


def endpoint(address: Any, gateway_api: bool = True, **fields: Any) -> Endpoint:
    cluster = TrainingCluster("train", gateway_api=gateway_api)
    return Endpoint("api", **{"cluster": cluster, "image": IMAGE, "address": address, "auth": "elsewhere", **fields})


@pytest.mark.parametrize(
    ("given", "secret", "annotation"),
    [({"secret": "wildcard"}, "wildcard", None), ({"issuer": "letsencrypt"}, "api-tls", "letsencrypt")],
)
def test_an_ingress_over_tls(expanded: Any, given: dict[str, Any], secret: str, annotation: str | None) -> None:
    notes = {"nginx.ingress.kubernetes.io/auth-url": "https://login.example.com/oauth2/auth"}
    result = expanded(lambda: endpoint(IngressAddress(**INGRESS, **given, annotations=notes)), "eks")
    assert result.codes == []
    made = result.inputs("api/ingress")
    assert made["spec"]["tls"] == [{"hosts": [HOST], "secretName": secret}]
    assert made["spec"]["rules"][0]["host"] == HOST
    assert made["metadata"]["annotations"].get("cert-manager.io/cluster-issuer") == annotation
    assert made["metadata"]["annotations"].items() >= notes.items()
    callers = result.inputs("api/callers")["spec"]["ingress"][0]["from"]
    names = [item["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for item in callers]
    assert names == [Ref("train/namespace", ("metadata", "name")), "ingress-nginx"]
    assert endpoint(IngressAddress(**INGRESS, **given)).public_url == f"https://{HOST}"


@pytest.mark.parametrize(
    ("target", "fields", "waits"),
    [("eks", {}, False), ("local", {}, True), ("eks", {"image": None}, True)],
)
def test_nobody_waits_for_an_address_that_does_not_come(
    expanded: Any, target: str, fields: dict[str, Any], waits: bool
) -> None:
    result = expanded(lambda: endpoint(IngressAddress(**INGRESS, secret="a"), **fields), target)
    assert ("pulumi.com/skipAwait" in result.inputs("api/ingress")["metadata"].get("annotations", {})) is waits


def test_a_route_on_a_gateway_that_is_there(expanded: Any) -> None:
    address = GatewayAddress(**GATEWAY, gateway="shared", gateway_namespace="infra", listener="tls")
    result = expanded(lambda: endpoint(address))
    assert result.codes == []
    spec = result.inputs("api/route")["spec"]
    assert spec["parentRefs"] == [{"name": "shared", "namespace": "infra", "sectionName": "tls"}]
    assert spec["hostnames"] == [HOST]
    service = {"name": Ref("api/service", ("metadata", "name")), "port": 8080}
    assert spec["rules"][0]["backendRefs"] == [service]
    assert "gateway" not in result.names_of("api")


def test_a_gateway_of_its_own(expanded: Any) -> None:
    result = expanded(lambda: endpoint(GatewayAddress(**GATEWAY, gateway_class="envoy", issuer="letsencrypt")))
    gateway = result.inputs("api/gateway")
    (listener,) = gateway["spec"]["listeners"]
    assert (listener["protocol"], listener["hostname"]) == ("HTTPS", HOST)
    assert listener["tls"]["certificateRefs"] == [{"kind": "Secret", "name": "api-tls"}]
    assert gateway["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}
    (parent,) = result.inputs("api/route")["spec"]["parentRefs"]
    assert parent["name"] == Ref("api/gateway", ("metadata", "name"))


def test_the_cluster_has_to_say_that_it_has_the_gateway_api(expanded: Any) -> None:
    (said,) = expanded(lambda: endpoint(GatewayAddress(**GATEWAY, gateway="g"), gateway_api=False)).diagnostics
    assert said.code == "gateway-api-missing"
    assert "gateway_api=True" in said.remedy


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        (IngressAddress, {**INGRESS}, "give one of the two"),
        (IngressAddress, {**INGRESS, "secret": "a", "issuer": "b"}, "give one of the two"),
        (IngressAddress, {**INGRESS, "host": "api", "secret": "a"}, "host"),
        (IngressAddress, {**INGRESS, "host": "*.example.com", "secret": "a"}, "host"),
        (GatewayAddress, {**GATEWAY}, "give `gateway` or `gateway_class`"),
        (GatewayAddress, {**GATEWAY, "gateway": "a", "gateway_class": "b"}, "give `gateway` or `gateway_class`"),
        (GatewayAddress, {**GATEWAY, "gateway": "a", "secret": "b"}, "leave `secret` and `issuer` out"),
        (GatewayAddress, {**GATEWAY, "gateway_class": "a"}, "give one of the two"),
        (GatewayAddress, {**GATEWAY, "gateway": "a", "listener": "a..b"}, "listener"),
        (GatewayAddress, {**GATEWAY, "gateway": "a", "listener": "a.-b"}, "listener"),
        (GatewayAddress, {**GATEWAY, "gateway": "a" * 254}, "gateway"),
    ],
)
def test_mistakes(kind: Any, fields: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        kind(**fields)
