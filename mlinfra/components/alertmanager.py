"""Alertmanager's configuration: who hears of which alert, from a route; what is grouped, and what keeps quiet.

Sources: Alertmanager, "Configuration"; PagerDuty, "Events API v2"; Slack, "Sending messages using incoming webhooks".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from mlinfra import naming
from mlinfra.components.alert_values import MailServer
from mlinfra.components.network_policies import HTTPS
from mlinfra.components.values import Receiver, Route, TeamRoute

CONFIG: Final = "alertmanager.yml"
FOLDER: Final = "/etc/alertmanager"
SECRETS: Final = "/etc/alertmanager-secrets"
MAIL_PASSWORD: Final = "mail"  # noqa: S105 — the name of a file
WEIGHTS: Final = ("critical", "warning")

_SMTPS: Final = 465
_TITLE: Final = (
    '[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] '
    "{{ .CommonLabels.severity }}: {{ .CommonLabels.component }} ({{ .CommonLabels.environment }})"
)
_TEXT: Final = "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ end }}"


def receivers(route: Route) -> tuple[Receiver, ...]:
    """Everybody whom a route names, each once."""
    named = [(item.critical, item.warning) for item in (route, *route.teams.values())]
    return tuple(dict.fromkeys(receiver for pair in named for receiver in pair))


def secret_file(receiver: Receiver) -> str:
    """The name of the file with a receiver's secret."""
    return f"{receiver.kind}-{naming.short_hash(receiver, length=8)}"


def ports(found: Iterable[Receiver], mail: MailServer | None) -> list[int]:
    """The TCP ports that notifications go out by."""
    return sorted({port for receiver in found if (port := _port(receiver, mail))})


def _port(receiver: Receiver, mail: MailServer | None) -> int | None:
    match receiver.kind:
        case "email":
            return mail.port if mail else None
        case "webhook":
            return urlsplit(receiver.address).port or HTTPS
        case _:
            return HTTPS


def configuration(route: Route, secret: Iterable[Receiver] = (), mail: MailServer | None = None) -> dict[str, Any]:
    """`alertmanager.yml` as data. Receivers in `secret` have a file with their secret.

    Alerts of a component are told together, as one notification for each severity; while a critical one fires, the
    warnings of the same component keep quiet. All receivers hear when it is over.
    """
    held, found = frozenset(secret), receivers(route)
    return {
        **({"global": _mail(mail)} if mail else {}),
        "route": {
            # What no rule below knows, so that nothing is lost.
            "receiver": str(route.warning),
            "group_by": ["blueprint", "environment", "team", "component", "severity"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": list(_routes(route)),
        },
        "receivers": [{"name": str(receiver), **_receiver(receiver, receiver in held)} for receiver in found],
        "inhibit_rules": [
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["blueprint", "environment", "component"],
            }
        ],
    }


def _routes(route: Route) -> Iterator[dict[str, Any]]:
    """The teams' ways first: the first that fits is taken."""
    ways: dict[str, TeamRoute] = {**route.teams, "": route}
    for team, way in ways.items():
        whose = [f'team="{team}"'] if team else []
        for severity in WEIGHTS:
            yield {"matchers": [*whose, f'severity="{severity}"'], "receiver": str(getattr(way, severity))}


def _mail(mail: MailServer) -> dict[str, Any]:
    signed = {"smtp_auth_username": mail.user} if mail.user else {}
    if mail.password:
        signed["smtp_auth_password_file"] = f"{SECRETS}/{MAIL_PASSWORD}"
    return {
        "smtp_smarthost": f"{mail.host}:{mail.port}",
        "smtp_from": mail.sender,
        # It means STARTTLS; at this port TLS is there from the start, and servers do not offer it again.
        "smtp_require_tls": mail.port != _SMTPS,
        **signed,
    }


def _receiver(receiver: Receiver, secret: bool) -> Mapping[str, Any]:
    """How one is told; `secret` says whether it has a file."""
    file, ended = f"{SECRETS}/{secret_file(receiver)}", {"send_resolved": True}
    match receiver.kind:
        case "pagerduty":
            weight = "{{ if .CommonLabels.severity }}{{ .CommonLabels.severity }}{{ else }}error{{ end }}"
            return {
                "pagerduty_configs": [{"routing_key_file": file, "severity": weight, "description": _TITLE, **ended}]
            }
        case "slack":
            said = {"channel": receiver.address, "title": _TITLE, "text": _TEXT}
            return {"slack_configs": [{"api_url_file": file, **said, **ended}]}
        case "email":
            return {"email_configs": [{"to": receiver.address, "headers": {"Subject": _TITLE}, **ended}]}
        case _:
            token = {"authorization": {"credentials_file": file}} if secret else {}
            client = {"http_config": token} if token else {}
            return {"webhook_configs": [{"url": receiver.address, **client, **ended}]}
