from __future__ import annotations

import pytest

from mlinfra.components.promql import is_among, metrics_in

CASES = {
    "up": {"up"},
    "sum(up) by (job) > 0": {"up"},
    "sum by (le, pod) (rate(x_bucket[5m]))": {"x_bucket"},
    'histogram_quantile(0.95, sum by (le) (rate(x_bucket{a="b"}[5m]))) > 1e-3': {"x_bucket"},
    "a / on (job, pod) group_left (node) b": {"a", "b"},
    "a and ignoring (c) b unless d or e": {"a", "b", "d", "e"},
    'absent(a{b=~"c}[x]"}) == 1': {"a"},
    "max_over_time(rate(a[5m])[1h:5m] offset 1w)": {"a"},
    "level:metric:rate5m > bool 3": {"level:metric:rate5m"},
    ":tensorflow:serving:request_count": {":tensorflow:serving:request_count"},
    '{__name__="a", b="c"}': {"a"},
    "time() - a": {"a"},
    "quantile(0.9, a) + scalar(b) * Inf - NaN": {"a", "b"},
    "count_values('version', a)": {"a"},
    "a # and b\n+ c": {"a", "c"},
    "label_replace(a, 'x', '$1', 'y', '(.*)')": {"a"},
    "a @ end() + b offset -5m": {"a", "b"},
    "1 + 2": set(),
}


@pytest.mark.parametrize(("expression", "metrics"), CASES.items(), ids=list(CASES))
def test_metrics_in(expression: str, metrics: set[str]) -> None:
    assert metrics_in(expression) == metrics


def test_a_name_that_nobody_can_tell() -> None:
    with pytest.raises(ValueError, match="names its metric by something else"):
        metrics_in('{__name__=~"a.*"}')


@pytest.mark.parametrize(
    ("metric", "patterns", "among"),
    [
        ("up", ("up",), True),
        ("upper", ("up",), False),
        ("kube_pod_labels", ("kube_job_*", "kube_pod_*"), True),
        ("kube_node_info", ("kube_job_*", "kube_pod_*"), False),
        ("a", (), False),
    ],
)
def test_is_among(metric: str, patterns: tuple[str, ...], among: bool) -> None:
    assert is_among(metric, patterns) is among
