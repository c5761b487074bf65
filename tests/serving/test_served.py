from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from mlinfra.serving import RequestLog, Served
from mlinfra.serving.accuracy import Accuracy
from mlinfra.serving.metrics import Metrics
from mlinfra.serving.sinks import Folder
from tests.serving.conftest import Records

Make = Callable[..., Served]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def served(**more: Any) -> Served:
        metrics = Metrics("41", CollectorRegistry())
        log = RequestLog(Folder(tmp_path), "api", "api-0", dropped=metrics.dropped.inc)
        return Served("41", metrics=metrics, log=log, **more)

    return served


def samples(served: Served) -> dict[str, float]:
    families = text_string_to_metric_families(served.text().decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_without_a_web_framework_each_prediction_is_a_request(make: Make, tmp_path: Path, records: Records) -> None:
    served = make(profile=lambda: "5ha")
    with served.request({"age": 41}, request_id="one") as seen:
        seen.prediction = 0.7
    with pytest.raises(ZeroDivisionError), served.request({"age": 0}):
        seen.prediction = 1 / 0
    served.close()
    one, two = records(tmp_path)
    assert (one["request_id"], one["prediction"], one["status"], one["profile"]) == ("one", 0.7, 200, "5ha")
    assert (two["prediction"], two["status"]) == (None, 500)
    found = samples(served)
    assert found["http_request_duration_seconds_count"] == 2
    assert found["model_latency_seconds_count"] == 1


def test_inputs_are_logged_as_they_came(make: Make, tmp_path: Path, records: Records) -> None:
    served = make()
    inputs = {"age": 41}
    with served.request(inputs) as seen:
        inputs["age"] = -1
        seen.prediction = answer = [1]
    answer.append(2)
    served.close()
    assert [(record["inputs"], record["prediction"]) for record in records(tmp_path)] == [({"age": 41}, [1])]


def test_redaction_has_the_last_word(make: Make, tmp_path: Path, records: Records) -> None:
    def redact(record: dict[str, Any]) -> dict[str, Any] | None:
        if record["inputs"]["age"] < 18:
            return None
        return {**record, "prediction": "hidden", "inputs": {"age": record["inputs"]["age"] // 10 * 10}}

    served = make(redact=redact, unlogged=["email"])
    for age in (41, 17):
        with served.request({"age": age, "email": "a@example.com"}) as seen:
            seen.prediction = "yes"
    served.close()
    [record] = records(tmp_path)
    assert (record["inputs"], record["prediction"]) == ({"age": 40}, "hidden")
    assert samples(served)["request_log_dropped_total"] == 0


def test_a_record_that_redaction_fails_on_is_never_logged(
    make: Make, tmp_path: Path, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    served = make(redact=lambda record: record["none"])
    with caplog.at_level(logging.WARNING), served.request({"age": 41}) as seen:
        seen.prediction = "secret"
    served.close()
    assert records(tmp_path) == []
    assert samples(served)["request_log_dropped_total"] == 1
    assert "A record was not logged: KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_accuracy_is_of_a_window(make: Make) -> None:
    served = make(window=4)
    assert "model_accuracy" not in samples(served)
    for truth in (0, 0, 1, 1, 1, 1):
        served.accuracy(1, truth)
    assert samples(served)["model_accuracy"] == 1
    assert served.accuracy(1, 0) == 0.75


def test_labels_find_their_predictions(make: Make) -> None:
    served = make(kept=2)
    for name in ("a", "b", "c"):
        with served.request({}, request_id=name) as seen:
            seen.prediction = name
    assert not served.labelled("a", "a")  # two came since
    assert served.labelled("b", "b")
    assert not served.labelled("b", "b")
    assert served.labelled("elsewhere", "x", prediction="y")
    assert samples(served)["model_accuracy"] == 0.5


def test_what_counts_as_right_is_the_models_own(make: Make) -> None:
    served = make(right=lambda prediction, truth: abs(prediction - truth) < 0.5)
    assert served.accuracy(1.2, 1) == 1
    assert Accuracy(10, 10).add((1, 2), [1, 2]) == 1


def test_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL_URI", "MODEL_VERSION", "REQUEST_LOG_URI", "MLINFRA_COMPONENT"):
        monkeypatch.delenv(name, raising=False)
    served = Served.from_environment(registry=CollectorRegistry())
    with served.request({"age": 41}) as seen:
        seen.prediction = 1
    served.close()
    assert samples(served)["http_requests_total"] == 1
    monkeypatch.setenv("REQUEST_LOG_URI", "ftp://nowhere")
    with pytest.raises(ValueError, match="ftp://nowhere"):
        Served.from_environment(registry=CollectorRegistry())


def test_metrics_at_a_port_of_their_own(make: Make) -> None:
    import urllib.request

    served = make()
    port = served.serve_metrics(0, "127.0.0.1")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert b'model_info{model_version="41"} 1.0' in answer.read()


def test_the_metrics_are_those_that_rules_and_panels_go_by(make: Make) -> None:
    served = make()
    with served.request({}) as seen:
        seen.prediction = 1
    served.accuracy(1, 1)
    text = served.text().decode()
    kinds = {family.name: (family.type, {name for s in family.samples for name in s.labels}) for family in
             text_string_to_metric_families(text) if not family.name.endswith("_created")}  # fmt: skip
    assert kinds == {
        "http_requests": ("counter", {"status"}),
        "http_request_duration_seconds": ("histogram", {"le"}),
        "model_latency_seconds": ("histogram", {"le"}),
        "model_accuracy": ("gauge", {"model_version"}),
        "model_info": ("gauge", {"model_version"}),
        "request_log_dropped": ("counter", set()),
    }
