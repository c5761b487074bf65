"""The Alertmanager of a `Monitoring` as custom resources of the Prometheus operator: `Alertmanager`, and who is told as
`AlertmanagerConfig`.

Source: Prometheus Operator, "API Reference" (monitoring.coreos.com/v1 and v1alpha1), and "Alerting", "Using
AlertmanagerConfig for global Alertmanager configuration": it is for all alerts, not for those of its namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.components import alertmanager, alertmanager_pod
from mlinfra.components.alert_values import AlertSecret, ExistingSecret
from mlinfra.components.monitoring_part import NOBODY
from mlinfra.components.values import Receiver
from mlinfra.components.workload import UNAWAITED, pod_security
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.alert_values import MailServer
    from mlinfra.components.monitoring import Monitoring

_API: Final = "monitoring.coreos.com/v1"
_CONFIG_API: Final = "monitoring.coreos.com/v1alpha1"
_SERVICE: Final = r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.[a-z0-9.-]+)?:([0-9]+)"
_MATCHER: Final = r'(\w+)(=~|!~|!=|=)"(.*)"'


def add(monitoring: Monitoring, scope: Scope, account: Ref) -> dict[str, Value]:
    """Add Alertmanager; returns by which Service Prometheus finds it, or finds the one that is there already."""
    namespace = monitoring.cluster.namespace
    if monitoring.alertmanager:
        return _named(monitoring, scope)
    alertmanager_pod.check(monitoring, scope)
    part = alertmanager_pod.part_of(monitoring, scope)
    alertmanager_pod.ways_out(monitoring, part)
    config = scope.kubernetes(
        "alertmanager-config",
        _CONFIG_API,
        "AlertmanagerConfig",
        part.identity,
        {"spec": configuration(monitoring)},
        namespace=namespace,
    )
    spec = {
        "image": monitoring.alertmanager_image,
        "replicas": scope.environment.tier.defaults.alertmanager_replicas,
        "alertmanagerConfiguration": {"name": Ref(config.node, ("metadata", "name"))},
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "priorityClassName": monitoring.cluster.priority_class("serving"),
        "securityContext": pod_security(NOBODY),
        "podMetadata": {"labels": part.labels(), "annotations": part.scraped()},
        "resources": alertmanager_pod.REQUEST.resources(),
    }
    scope.kubernetes("alertmanager", _API, "Alertmanager", part.identity, {"spec": spec}, namespace=namespace)
    port = {"name": part.name, "port": part.port, "targetPort": part.port, "protocol": "TCP"}
    service = {"clusterIP": "None", "selector": part.selector, "ports": [port]}
    scope.kubernetes(
        "alertmanager-service",
        "v1",
        "Service",
        part.identity,
        {"spec": service},
        namespace=namespace,
        annotations=UNAWAITED,
    )
    return {"name": part.identity, "namespace": namespace, "port": part.name}


def _named(monitoring: Monitoring, scope: Scope) -> dict[str, Value]:
    """The operator wants an Alertmanager's Service, not its address."""
    if found := re.fullmatch(_SERVICE, monitoring.alertmanager or ""):
        name, namespace, port = found.groups()
        return {"name": name, "namespace": namespace, "port": int(port)}
    scope.problem(
        f"{monitoring.name} names the Alertmanager {monitoring.alertmanager}, which is no Service of the cluster",
        detail="The Prometheus operator finds it by name and namespace of a Service "
        '(Prometheus Operator, "API Reference", AlertmanagerEndpoints).',
        remedy='Write it so: `alertmanager="name.namespace.svc:9093"`, or leave it out.',
        code="alertmanager-no-service",
    )
    return {}


# ------------------------------------------------------------------------------------------------ who is told


def configuration(monitoring: Monitoring) -> dict[str, Value]:
    """The spec of the AlertmanagerConfig: what `alertmanager.yml` says elsewhere."""
    said: Mapping[str, Any] = alertmanager_pod.configuration(monitoring)
    receivers = {str(item): item for item in alertmanager.receivers(monitoring.route)}
    route = said["route"]
    return {
        "route": {
            "receiver": route["receiver"],
            "groupBy": route["group_by"],
            "groupWait": route["group_wait"],
            "groupInterval": route["group_interval"],
            "repeatInterval": route["repeat_interval"],
            "routes": [
                {"matchers": _matchers(item["matchers"]), "receiver": item["receiver"]} for item in route["routes"]
            ],
        },
        "receivers": [_receiver(monitoring, item, receivers[item["name"]]) for item in said["receivers"]],
        "inhibitRules": [
            {
                "sourceMatch": _matchers(rule["source_matchers"]),
                "targetMatch": _matchers(rule["target_matchers"]),
                "equal": rule["equal"],
            }
            for rule in said["inhibit_rules"]
        ],
    }


def _matchers(written: Iterable[str]) -> list[Value]:
    """`severity="critical"` in its three parts."""
    parts = (re.fullmatch(_MATCHER, text) for text in written)
    return [{"name": found[1], "matchType": found[2], "value": found[3]} for found in parts if found]


def _receiver(monitoring: Monitoring, said: Mapping[str, Any], receiver: Receiver) -> dict[str, Value]:
    """How one is told: secrets are named by their Kubernetes Secrets instead of files."""
    secret = alertmanager_pod.secret_of(monitoring, receiver)
    key = _key(monitoring, secret) if secret else None
    kind, ended = receiver.kind, {"sendResolved": True}
    settings = said[f"{kind}_configs"][0]
    match kind:
        case "pagerduty":
            how = {"routingKey": key, "severity": settings["severity"], "description": settings["description"]}
        case "slack":
            how = {"apiURL": key, **{name: settings[name] for name in ("channel", "title", "text")}}
        case "email":
            headers = [{"key": name, "value": value} for name, value in settings["headers"].items()]
            how = {"to": settings["to"], "headers": headers, **_mail(monitoring, monitoring.mail)}
        case _:
            token = {"httpConfig": {"authorization": {"credentials": key}}} if key else {}
            how = {"url": settings["url"], **token}
    return {"name": said["name"], f"{kind}Configs": [{**how, **ended}]}


def _mail(monitoring: Monitoring, mail: MailServer | None) -> dict[str, Value]:
    """The server is said of each receiver: there are no settings for all."""
    if mail is None:
        return {}
    server = alertmanager.configuration(monitoring.route, (), mail)["global"]
    found: dict[str, Value] = {
        "smarthost": server["smtp_smarthost"],
        "from": server["smtp_from"],
        "requireTLS": server["smtp_require_tls"],
    }
    if mail.user:
        found["authUsername"] = mail.user
    if mail.password:
        found["authPassword"] = _key(monitoring, mail.password)
    return found


def _key(monitoring: Monitoring, secret: AlertSecret) -> dict[str, Value]:
    """Name and key of the Kubernetes Secret in the namespace; where it has none, `check` says so."""
    if isinstance(secret, ExistingSecret):
        return {"name": secret.name, "key": secret.key}
    return secret.key_in(monitoring.cluster.namespace) or {"name": secret.identity, "key": "value"}
