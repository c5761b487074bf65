"""The pod of Grafana, and the files by which it is provisioned.

Sources: Grafana, "Configure Grafana", "Provision Grafana" and "Configure a Grafana Docker image".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.components.config_files import as_yaml
from mlinfra.components.grafana_panels import SOURCE
from mlinfra.components.workload import Request, pod_security
from mlinfra.graph import Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.grafana_values import Grafana, Oidc
    from mlinfra.components.monitoring_part import Part

PORT: Final = 3000
_USER: Final = 472  # the image's own
_HEALTH: Final = "/api/health"
_FOLDER: Final = "/etc/grafana"
_DASHBOARDS: Final = "/etc/dashboards"
_SECRETS: Final = "/etc/secrets"
_DATA: Final = "/var/lib/grafana"

SETTINGS: Final = "grafana.ini"
SOURCES: Final = "datasources.yaml"
PROVIDERS: Final = "dashboards.yaml"
PASSWORD: Final = "admin-password"  # noqa: S105 — names of volumes
CLIENT: Final = "client-secret"
KEY: Final = "value"
"""The key in a Secret of a `ManagedSecret`."""


def files(grafana: Grafana, prometheus: str, scrape_seconds: int, home: str) -> dict[str, str]:
    """All that Grafana reads when it starts. `home` is the file of the dashboard that it opens with."""
    return {
        SETTINGS: _settings(grafana, home),
        SOURCES: as_yaml(_sources(prometheus, scrape_seconds)),
        PROVIDERS: as_yaml(_providers()),
    }


def _settings(grafana: Grafana, home: str) -> str:
    """`grafana.ini`: nothing without signing in, nothing sent to anybody, no secret in the file itself."""
    sections: dict[str, dict[str, Any]] = {
        "server": {"http_port": PORT, **({"root_url": grafana.address} if grafana.address else {})},
        "security": {
            "admin_user": "admin",
            "admin_password": _file(PASSWORD),
            "cookie_secure": bool(grafana.address),
            "cookie_samesite": "lax",
            "disable_gravatar": True,
            "strict_transport_security": bool(grafana.address),
            "content_security_policy": True,
        },
        "users": {"allow_sign_up": False, "allow_org_create": False, "viewers_can_edit": False},
        "auth.anonymous": {"enabled": False},
        "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False},
        "news": {"news_feed_enabled": False},
        "plugins": {"plugin_admin_enabled": False, "preinstall_disabled": True},
        "snapshots": {"external_enabled": False},
        "public_dashboards": {"enabled": False},
        # Alerts are Prometheus' and Alertmanager's alone.
        "unified_alerting": {"enabled": False},
        "dashboards": {"default_home_dashboard_path": f"{_DASHBOARDS}/{home}"},
        "log": {"mode": "console"},
    }
    if grafana.oidc:
        sections["auth.generic_oauth"] = _oidc(grafana.oidc)
    lines = []
    for section, settings in sections.items():
        lines += [f"[{section}]", *(f"{key} = {_written(value)}" for key, value in settings.items()), ""]
    return "\n".join(lines)


def _oidc(oidc: Oidc) -> dict[str, Any]:
    """Who is in none of the groups does not get in."""
    roles = [(oidc.admins, "Admin"), (oidc.viewers, "Viewer")]
    tests = [f"contains(groups[*], '{group}') && '{role}'" for groups, role in roles for group in groups]
    everybody = [] if oidc.viewers else ["'Viewer'"]
    return {
        "enabled": True,
        "name": "OpenID Connect",
        "client_id": oidc.client_id,
        "client_secret": _file(CLIENT),
        "scopes": " ".join(oidc.scopes),
        "auth_url": oidc.auth_url,
        "token_url": oidc.token_url,
        "api_url": oidc.userinfo_url,
        "use_pkce": True,
        "allow_sign_up": True,
        "role_attribute_path": " || ".join([*tests, *everybody]),
        "role_attribute_strict": True,
        "allow_assign_grafana_admin": False,
    }


def _file(name: str) -> str:
    """Grafana reads the value from a file (Grafana, "Configure Grafana", "Variable expansion")."""
    return f"$__file{{{_SECRETS}/{name}/{KEY}}}"


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sources(prometheus: str, scrape_seconds: int) -> dict[str, Any]:
    source = {
        "name": "Prometheus",
        **SOURCE,
        "access": "proxy",
        "url": prometheus,
        "isDefault": True,
        "editable": False,
        "jsonData": {"timeInterval": f"{scrape_seconds}s", "httpMethod": "POST"},
    }
    return {"apiVersion": 1, "prune": True, "datasources": [source]}


def _providers() -> dict[str, Any]:
    provider = {
        "name": "mlinfra",
        "type": "file",
        "folder": "mlinfra",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": _DASHBOARDS},
    }
    return {"apiVersion": 1, "providers": [provider]}


def spec(
    part: Part,
    grafana: Grafana,
    account: Ref,
    priority: Value,
    maps: Mapping[str, Value],
    secrets: Mapping[str, Value],
) -> dict[str, Value]:
    """The pod's spec. `maps` are the names of the ConfigMaps `config` and `dashboards`, `secrets` those of Secrets."""
    mounts: list[Value] = [
        {"name": "config", "mountPath": f"{_FOLDER}/{SETTINGS}", "subPath": SETTINGS, "readOnly": True},
        *(
            {"name": "config", "mountPath": f"{_FOLDER}/provisioning/{kind}/{file}", "subPath": file, "readOnly": True}
            for kind, file in (("datasources", SOURCES), ("dashboards", PROVIDERS))
        ),
        {"name": "dashboards", "mountPath": _DASHBOARDS, "readOnly": True},
        *({"name": name, "mountPath": f"{_SECRETS}/{name}", "readOnly": True} for name in secrets),
        {"name": "data", "mountPath": _DATA},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 — the container's own
    ]
    container = {
        "image": grafana.image,
        "ports": [{"name": part.name, "containerPort": part.port, "protocol": "TCP"}],
        "resources": Request(grafana.cpu, grafana.memory).resources(),
        "volumeMounts": mounts,
        # It writes its own database when it starts for the first time.
        "startupProbe": {"httpGet": {"path": _HEALTH, "port": part.port}, "periodSeconds": 5, "failureThreshold": 36},
        **part.probes(_HEALTH, _HEALTH),
    }
    volumes = [
        *({"name": name, "configMap": {"name": held}} for name, held in maps.items()),
        *({"name": name, "secret": {"secretName": held}} for name, held in secrets.items()),
        {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "100Mi"}},
    ]
    return part.pod(account, priority, container, securityContext=pod_security(_USER), volumes=volumes)
