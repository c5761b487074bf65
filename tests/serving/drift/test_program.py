"""The program as its pod runs it: requests logged to moto's S3 by a model server, a real Pushgateway."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlinfra.serving import Served, write_profile
from mlinfra.serving.drift.settings import Settings
from tests.monitoring.programs import program

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def pushgateway(tmp_path: Path) -> Iterator[str]:
    """The address of a Pushgateway that lives as long as the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    log = (tmp_path / "pushgateway.log").open("w")
    process = subprocess.Popen(
        [program("pushgateway"), f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/-/ready", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "pushgateway.log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture
def drift(tmp_path: Path) -> Run:
    """Runs the program in a process of its own, with settings beside the usual ones."""

    def run(**settings: Any) -> subprocess.CompletedProcess[str]:
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"component": "api", "monitor": "drift", "min_rows": 100, **settings}))
        places = {"REQUEST_LOG_URI": "s3://logs/requests", "PROFILE_URI": "s3://logs/models/3/profile.json"}
        return subprocess.run(
            [sys.executable, "-m", "mlinfra.serving.drift", str(config)],
            env={**os.environ, **places},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def rows(count: int, *, older: float = 0) -> list[dict[str, Any]]:
    chance = random.Random(count)
    return [{"age": chance.gauss(40 + older, 10), "country": chance.choice(["it", "no"])} for _ in range(count)]


def serve(monkeypatch: pytest.MonkeyPatch, count: int, older: float) -> None:
    """Requests as a model server takes them: Italians get a yes, Norwegians do not."""
    places = {"REQUEST_LOG_URI": "s3://logs/requests", "MLINFRA_COMPONENT": "api", "MODEL_URI": "s3://logs/models/3"}
    for name, value in {**places, "MODEL_VERSION": "3"}.items():
        monkeypatch.setenv(name, value)
    served = Served.from_environment()
    for row in rows(count, older=older):
        with served.request(row) as seen:
            seen.prediction = float(row["country"] == "it")
    served.close()


def scraped(address: str) -> Samples:
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_from_requests_to_gauges(s3: Any, pushgateway: str, drift: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(rows(1000), "s3://logs/models/3")
    serve(monkeypatch, 400, older=20)
    s3.put_object(Bucket="logs", Key=f"requests/api/date={datetime.now(UTC):%Y-%m-%d}/bad.jsonl.gz", Body=b"no gzip")
    s3.put_object(Bucket="logs", Key="requests/api-2/date=2026-11-21/00-x-1.jsonl.gz", Body=b"somebody else's")
    done = drift(pushgateway=pushgateway, fairness={"groups": ["country"], "min_rows": 50})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["drifted"], told["log"]["unread"]) == (400, ["age"], 1)
    found = scraped(pushgateway)

    def gauge(name: str, **labels: str) -> float | None:
        mine = {"component": "api", "job": "drift", "instance": "", **labels}
        return found.get((name, frozenset(mine.items())))

    assert gauge("data_drift", feature="age", test="psi") == pytest.approx(told_distance(told, "age", "psi"), abs=1e-3)
    assert (gauge("data_drift", feature="age", test="ks") or 0) > 0.5
    assert (gauge("data_drift", feature="country", test="psi") or 0) < 0.05
    assert (gauge("data_drift_confidence", feature="age", test="psi") or 0) > 0.999
    assert gauge("data_missing_ratio", feature="age") == 0
    assert gauge("data_missing_ratio_trained", feature="age") == 0
    assert gauge("data_new_categories", feature="country") == 0
    assert gauge("fairness_difference", group="country") == 1
    assert (gauge("data_rows"), gauge("data_malformed_lines")) == (400, 0)
    assert gauge("data_age_seconds") is not None
    assert gauge("push_time_seconds") is not None
    # The next comparison has too few rows: what the last one said of drift goes.
    few = drift(pushgateway=pushgateway, min_rows=1000)
    assert few.returncode == 0, few.stderr
    assert json.loads(few.stdout)["enough"] is False
    found = scraped(pushgateway)
    assert not [name for name, _ in found if name in ("data_drift", "data_missing_ratio", "fairness_difference")]
    assert gauge("data_rows") == 400


def told_distance(told: Any, feature: str, test: str) -> float:
    (found,) = (item for item in told["features"] if item["name"] == feature)
    value: float = found["distances"][test]["value"]
    return value


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        ({}, 1, "there is no profile s3://logs/models/3/profile.json"),
        ({"hour": 3}, 2, "there is no setting hour"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_what_goes_wrong_is_one_line(drift: Run, settings: dict[str, Any], code: int, says: str) -> None:
    done = drift(**settings)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("drift: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"hours": "3"}, "setting hours is '3', and has to be int, at least 1"),
        ({"hours": 0}, "at least 1"),
        ({"threshold": True}, "has to be float"),
        ({"fairness": []}, "fairness is [], and has to be an object"),
        ({"fairness": {"groups": "country"}}, "setting fairness.groups is 'country'"),
        ({"retrain": {"job": "fit"}}, "there is no setting retrain.job"),
        ({"retrain": {}}, "settings are missing"),
        ([], "it has to be an object"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, settings: Any, says: str) -> None:
    from mlinfra.serving.drift.problems import DriftError

    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(DriftError) as raised:
        Settings.read(tmp_path / "config.json", {"REQUEST_LOG_URI": "s3://logs", "PROFILE_URI": "s3://m/p"})
    assert says in str(raised.value)
