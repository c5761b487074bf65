"""The page of models: versions, accuracy, time in `predict`, drift, fairness.

Metrics are those of `mlinfra.serving` and those that a `DriftMonitor` pushes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlinfra.components.endpoint import Endpoint
from mlinfra.components.grafana_panels import WINDOW, Page, Panel, Query, Row
from mlinfra.components.promql import is_among
from mlinfra.components.signals import Watched


def page(watched: Sequence[Watched]) -> Page | None:
    """Models that are served, and what their inputs are compared with."""
    served = [item.identity for item in watched if isinstance(item, Endpoint) and item.waits_for is None]
    compared = [item.identity for item in watched if is_among("data_drift", item.exports())]
    if not served and not compared:
        return None
    rows = [_models(served)] if served else []
    if compared:
        rows.append(_drift(sorted({*served, *compared})))
    return Page("models", "Models", tuple(rows), hours=24)


def _models(served: Sequence[str]) -> Row:
    me = f'component=~"{"|".join(served)}"'
    name, version = "{{component}}", "{{component}} {{variant}} {{model_version}}"
    times = f"sum by (le, component) (rate(model_latency_seconds_bucket{{{me}}}[{WINDOW}]))"
    return Row(
        "Served models",
        (
            Panel(
                "Version",
                (Query(f"count by (component, variant, model_version) (model_info{{{me}}})", version),),
                kind="stat",
                width=24,
                says="The versions that replicas answer with now; two while one takes the other's place.",
                names=True,
            ),
            Panel(
                "Accuracy",
                (Query(f"avg by (component, variant, model_version) (model_accuracy{{{me}}})", version),),
                "percentunit",
                width=12,
                most=1,
                says="Of the predictions whose true labels have arrived.",
            ),
            Panel(
                "Time in predict",
                (Query(f"histogram_quantile(0.95, {times})", name),),
                "s",
                width=12,
                says="The 95th percentile of the time that the model itself takes.",
            ),
        ),
    )


def _drift(components: Sequence[str]) -> Row:
    me = f'component=~"{"|".join(components)}"'
    return Row(
        "Data and fairness",
        (
            Panel(
                "Drift",
                (
                    Query(
                        f"max by (component, feature, test) (data_drift{{{me}}})",
                        "{{component}} {{feature}} ({{test}})",
                    ),
                ),
                says="How far requests are from the data that the model was trained on, by feature and test.",
            ),
            Panel(
                "Missing values",
                (Query(f"max by (component, feature) (data_missing_ratio{{{me}}})", "{{component}} {{feature}}"),),
                "percentunit",
                most=1,
            ),
            Panel(
                "New categories",
                (Query(f"max by (component, feature) (data_new_categories{{{me}}})", "{{component}} {{feature}}"),),
                says="Values that the training data did not have.",
            ),
            Panel(
                "Fairness",
                (Query(f"max by (component, group) (fairness_difference{{{me}}})", "{{component}} {{group}}"),),
                says="Largest difference of predictions between the parts of a group.",
            ),
            Panel(
                "Age of the newest data",
                (Query(f"max by (component) (data_age_seconds{{{me}}})", "{{component}}"),),
                "s",
            ),
        ),
    )
