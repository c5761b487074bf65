"""The Alertmanager of a `Monitoring`: its pods, the files with receivers' secrets, and its ways out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mlinfra import naming
from mlinfra.components import alertmanager
from mlinfra.components.alert_values import SECRETIVE, AlertSecret, ExistingSecret
from mlinfra.components.config_files import as_yaml
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.monitoring_part import Part
from mlinfra.components.network_policies import NETWORKING, is_closed, tcp
from mlinfra.components.values import Receiver
from mlinfra.components.workload import Request
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.monitoring import Monitoring

PORT: Final = 9093
_GOSSIP: Final = 9094
_DATA: Final = "/alertmanager"
_NAME: Final = "alertmanager"
REQUEST: Final = Request(cpu=0.05, memory=0.125)


def addresses(monitoring: Monitoring, scope: Scope) -> list[str]:
    """Where Prometheus sends alerts: to each replica, as Alertmanager wants it ("High Availability")."""
    if monitoring.alertmanager:
        return [monitoring.alertmanager]
    return [f"{host}:{PORT}" for host in _hosts(part_of(monitoring, scope))]


def secret_of(monitoring: Monitoring, receiver: Receiver) -> AlertSecret | None:
    """The secret of a receiver: its own, else that of its kind."""
    return monitoring.secrets.get(receiver) or monitoring.secrets.get(receiver.kind)


def add(monitoring: Monitoring, scope: Scope, account: Ref) -> None:
    """Alertmanager, its configuration and its policy; nothing where the stack has another one."""
    if monitoring.alertmanager:
        return
    check(monitoring, scope)
    part = part_of(monitoring, scope)
    text = as_yaml(configuration(monitoring))
    config = scope.kubernetes(
        f"{_NAME}-config",
        "v1",
        "ConfigMap",
        part.identity,
        {"data": {alertmanager.CONFIG: text}},
        namespace=part.namespace,
    )
    ways_out(monitoring, part)
    service = part.add_service(headless=True)
    notes = {**part.scraped(), f"{DOMAIN}/config-hash": naming.short_hash(text, length=16)}
    replicas = len(_hosts(part))
    pod = _pod(monitoring, part, account, Ref(config.node, ("metadata", "name")))
    spec = {
        "replicas": replicas,
        "serviceName": service,
        # All at once: they find each other by names which the Service has before they are ready.
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": part.selector},
        "template": {"metadata": {"labels": part.labels(), "annotations": notes}, "spec": pod},
    }
    scope.kubernetes(_NAME, "apps/v1", "StatefulSet", part.identity, {"spec": spec}, namespace=part.namespace)
    if replicas > 1:
        budget = {"selector": {"matchLabels": part.selector}, "maxUnavailable": 1}
        kind = "PodDisruptionBudget"
        scope.kubernetes(
            f"{_NAME}-budget", "policy/v1", kind, part.identity, {"spec": budget}, namespace=part.namespace
        )


def configuration(monitoring: Monitoring) -> dict[str, Value]:
    """`alertmanager.yml` as data."""
    route = monitoring.route
    held = [receiver for receiver in alertmanager.receivers(route) if secret_of(monitoring, receiver)]
    return alertmanager.configuration(route, held, monitoring.mail)


def part_of(monitoring: Monitoring, scope: Scope) -> Part:
    """Its name, port and labels."""
    return Part(scope, monitoring.cluster.namespace, _NAME, PORT)


def _hosts(part: Part) -> list[str]:
    """The names of the replicas, as pods of the namespace find them."""
    replicas = part.scope.environment.tier.defaults.alertmanager_replicas
    return [f"{part.identity}-{number}.{part.identity}" for number in range(replicas)]


def _pod(monitoring: Monitoring, part: Part, account: Ref, config: Ref) -> dict[str, Value]:
    """Silences, and what has been told, are in the pod's own storage; replicas keep a copy of each other's."""
    hosts = _hosts(part)
    # Without a listener for the others there is no cluster, and nothing to wait for (`alertmanager --help`).
    gossip = [f"--cluster.listen-address=0.0.0.0:{_GOSSIP}", *(f"--cluster.peer={host}:{_GOSSIP}" for host in hosts)]
    container = {
        "image": monitoring.alertmanager_image,
        "args": [
            f"--config.file={alertmanager.FOLDER}/{alertmanager.CONFIG}",
            f"--storage.path={_DATA}",
            f"--web.listen-address=:{PORT}",
            *(gossip if len(hosts) > 1 else ["--cluster.listen-address="]),
        ],
        "ports": [{"name": _NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": REQUEST.resources(),
        "volumeMounts": [
            {"name": "config", "mountPath": alertmanager.FOLDER, "readOnly": True},
            {"name": "data", "mountPath": _DATA},
        ],
        **part.probes("/-/ready", "/-/healthy"),
    }
    volumes = [{"name": "config", "configMap": {"name": config}}, {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}]
    if sources := list(_secrets(monitoring)):
        container["volumeMounts"].append({"name": "secrets", "mountPath": alertmanager.SECRETS, "readOnly": True})
        volumes.append({"name": "secrets", "projected": {"defaultMode": 0o440, "sources": sources}})
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": part.selector},
    }
    more = {"topologySpreadConstraints": [spread]} if len(hosts) > 1 else {}
    return part.pod(account, monitoring.cluster.priority_class("serving"), container, volumes=volumes, **more)


def _secrets(monitoring: Monitoring) -> Iterator[dict[str, Value]]:
    """The sources of a projected volume that has a file for each secret."""
    if monitoring.mail and monitoring.mail.password:
        yield _source(monitoring, monitoring.mail.password, alertmanager.MAIL_PASSWORD)
    for receiver in alertmanager.receivers(monitoring.route):
        if secret := secret_of(monitoring, receiver):
            yield _source(monitoring, secret, alertmanager.secret_file(receiver))


def _source(monitoring: Monitoring, secret: AlertSecret, file: str) -> dict[str, Value]:
    if isinstance(secret, ExistingSecret):
        return {"secret": {"name": secret.name, "items": [{"key": secret.key, "path": file}]}}
    key = secret.key_in(monitoring.cluster.namespace) or {"name": secret.identity, "key": "value"}
    return {"secret": {"name": key["name"], "items": [{"key": key["key"], "path": file}]}}


def ways_out(monitoring: Monitoring, part: Part) -> None:
    """Let its pods reach the receivers and each other's gossip, where the namespace is closed."""
    if not is_closed(part.scope, part.namespace):
        return
    ports = alertmanager.ports(alertmanager.receivers(monitoring.route), monitoring.mail)
    spec = {"podSelector": {"matchLabels": part.selector}, "policyTypes": ["Egress"], "egress": [tcp(*ports)]}
    name = f"{part.scope.component.identity}.{_NAME}"
    local = f"{_NAME}-egress"
    part.scope.kubernetes(local, NETWORKING, "NetworkPolicy", name, {"spec": spec}, namespace=part.namespace)


def check(monitoring: Monitoring, scope: Scope) -> None:
    """Note as errors receivers that could not be reached."""
    for receiver in alertmanager.receivers(monitoring.route):
        secret = secret_of(monitoring, receiver)
        if receiver.kind in SECRETIVE and secret is None:
            scope.problem(
                f"{monitoring.name} cannot reach the receiver {receiver}: it has no secret for it",
                detail=f"Alertmanager needs {SECRETIVE[receiver.kind]}, in a file.",
                remedy=f'Name where it is: `secrets={{"{receiver}": ExistingSecret(name="alerting", key="…")}}`, or a '
                'ManagedSecret. Or name an Alertmanager that is there: `alertmanager="host:9093"`.',
                code="receiver-without-secret",
            )
        if receiver.kind == "email" and monitoring.mail is None:
            scope.problem(
                f"{monitoring.name} cannot reach the receiver {receiver}: it knows no server for mail",
                remedy='Name one: `mail=MailServer(host="smtp.example.com", sender="alerts@example.com")`. Or name an '
                'Alertmanager that is there: `alertmanager="host:9093"`.',
                code="receiver-without-mail",
            )
    mail = [monitoring.mail.password] if monitoring.mail else []
    for secret in {id(item): item for item in (*monitoring.secrets.values(), *mail)}.values():
        if isinstance(secret, ManagedSecret) and secret.key_in(monitoring.cluster.namespace) is None:
            scope.problem(
                f"{monitoring.name} wants secret {secret.name!r} as a file, and its namespace does not have it",
                detail="Pods mount Secrets of their own namespace alone.",
                remedy=f"Name the place in the secret: `in_cluster=[{monitoring.cluster.name}]`.",
                code="secret-elsewhere",
            )
