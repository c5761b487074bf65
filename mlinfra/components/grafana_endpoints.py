"""The page of endpoints: traffic, errors, latency, saturation, replicas.

Metrics are those that an `Endpoint` has, and kube-state-metrics' ("Horizontal Pod Autoscaler Metrics").
"""

from __future__ import annotations

from collections.abc import Sequence

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.grafana_panels import WINDOW, Page, Panel, Query, Row, limit
from mlinfra.components.slo import RATIO

_OPEN = 3
"""More endpoints than these are shown closed, each to be opened by a click."""


def page(endpoints: Sequence[Endpoint]) -> Page | None:
    """All endpoints at a glance, then each by itself; those without an image have nothing to show."""
    served = [endpoint for endpoint in endpoints if endpoint.waits_for is None]
    if not served:
        return None
    closed = len(served) > _OPEN
    rows = (_all(served), *(_one(endpoint, collapsed=closed) for endpoint in served))
    return Page("endpoints", "Endpoints", rows)


def _all(endpoints: Sequence[Endpoint]) -> Row:
    which = "|".join(endpoint.identity for endpoint in endpoints)
    me = f'component=~"{which}"'
    rate = f"sum by (component) (rate(http_requests_total{{{me}}}[{WINDOW}]))"
    failed = f'sum by (component) (rate(http_requests_total{{{me},status=~"5.."}}[{WINDOW}]))'
    name = "{{component}}"
    return Row(
        "All endpoints",
        (
            Panel("Replicas that answer", (Query(f"sum by (component) (up{{{me}}})", name),), kind="stat", width=6),
            Panel("Requests", (Query(rate, name),), "reqps", "stat", 6),
            Panel(
                "Errors",
                (Query(f"({failed} or 0 * {rate}) / {rate}", name),),
                "percentunit",
                "stat",
                6,
                "Share of answers with a 5xx status.",
            ),
            Panel("95th percentile", (Query(_quantile(0.95, me, "component"), name),), "s", "stat", 6),
        ),
    )


def _one(endpoint: Endpoint, *, collapsed: bool) -> Row:
    me = f'component="{endpoint.identity}"'
    rate = f"sum by (variant) (rate(http_requests_total{{{me}}}[{WINDOW}]))"
    failed = f'sum by (variant) (rate(http_requests_total{{{me},status=~"5.."}}[{WINDOW}]))'
    by_status = f"sum by (status, variant) (rate(http_requests_total{{{me}}}[{WINDOW}]))"
    return Row(
        endpoint.name,
        (
            Panel(
                "Traffic",
                (Query(by_status, "{{status}} {{variant}}"),),
                "reqps",
                says="Requests by status, and by variant where there are several.",
                stacked=True,
            ),
            Panel(
                "Errors",
                (
                    Query(f"({failed} or 0 * {rate}) / {rate}", "errors {{variant}}"),
                    limit(endpoint.error_percent / 100, "alert"),
                ),
                "percentunit",
                says="Share of answers with a 5xx status, and where an alert goes out.",
            ),
            _latency(endpoint, me),
            _replicas(endpoint),
            _saturation(endpoint),
            *_budget(endpoint, me),
            Panel(
                "Request log: records lost",
                (Query(f"sum(rate(request_log_dropped_total{{{me}}}[{WINDOW}]))", "lost"),),
                "reqps",
                says="Requests that were answered and not logged, since the log was full or could not be written.",
            ),
        ),
        collapsed,
    )


def _latency(endpoint: Endpoint, me: str) -> Panel:
    shares = (0.5, 0.95, 0.99)
    queries = [Query(_quantile(share, me, "variant"), f"{share * 100:g} % {{{{variant}}}}") for share in shares]
    return Panel(
        "Latency",
        (*queries, limit(endpoint.latency_seconds, "warning")),
        "s",
        says="The time within which so many of a hundred requests were answered; above the line the 95th percentile "
        "is warned of.",
    )


def _budget(endpoint: Endpoint, me: str) -> tuple[Panel, ...]:
    """What `slo` is held by, from the series that are recorded for it."""
    if endpoint.slo is None:
        return ()
    shares = tuple(Query(f"{RATIO}{window}{{{me}}}", f"{{{{slo}}}}, {window}") for window in ("1h", "6h", "1d"))
    says = "Share of requests that use up the budgets of the objectives, over an hour, six hours and a day."
    return (Panel("Objectives: bad requests", shares, "percentunit", says=says),)


def _quantile(share: float, me: str, *by: str) -> str:
    groups = ", ".join(("le", *by))
    buckets = f"http_request_duration_seconds_bucket{{{me}}}"
    return f"histogram_quantile({share:g}, sum by ({groups}) (rate({buckets}[{WINDOW}])))"


def _replicas(endpoint: Endpoint) -> Panel:
    scaler = f'{{horizontalpodautoscaler="{endpoint.identity}"}}'
    metric = "kube_horizontalpodautoscaler"
    return Panel(
        "Replicas",
        (
            Query(f'sum(up{{component="{endpoint.identity}"}})', "answering"),
            Query(f"max({metric}_status_desired_replicas{scaler})", "wanted"),
            Query(f"max({metric}_spec_max_replicas{scaler})", "most"),
        ),
        says="How many answer, how many the autoscaler wants, and how many it may have.",
    )


def _saturation(endpoint: Endpoint) -> Panel:
    scaler = f'horizontalpodautoscaler="{endpoint.identity}",metric_target_type="utilization"'
    return Panel(
        "Saturation",
        (
            Query(
                f"max by (metric_name) (kube_horizontalpodautoscaler_status_target_metric{{{scaler}}}) / 100",
                "{{metric_name}}",
            ),
            Query(
                f"max by (metric_name) (kube_horizontalpodautoscaler_spec_target_metric{{{scaler}}}) / 100",
                "{{metric_name}}, aimed at",
            ),
        ),
        "percentunit",
        says="Use of what each replica requests, as the autoscaler sees it.",
    )
