"""The report on capacity for a person and as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from mlinfra.checks.capacity.record import AtOnce, CapacityReport, LimitUse, PoolUse, Range, VcpuUse, WorkloadUse
from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.views import capacity_words as words
from mlinfra.views.json_view import FORMAT, JsonView
from mlinfra.views.person import PersonView

GIB = 1024**3
GPU = "nvidia.com/gpu"
EACH = {"cpu": 47_810, "memory": 169 * GIB, GPU: 4, "pods": 100}
POOL = PoolUse(
    "gpu",
    "g5.12xlarge",
    spot=True,
    min=0,
    max=2,
    each=EACH,
    daemons={"cpu": 150, "pods": 3},
    whole={key: count * 2 for key, count in EACH.items()},
    asked_fewest={"cpu": 1_000, "memory": 2 * GIB, GPU: 2, "pods": 4},
    asked_most={"cpu": 40_000, "memory": 200 * GIB, GPU: 8, "pods": 10},
    machines_fewest=1,
    machines_most=2,
    largest={"cpu": 46_000, "memory": 160 * GIB, GPU: 4},
    gpu_hours=Range(0, 5840),
)
API = WorkloadUse(
    "api", "api/deployment", "api", "Deployment", "always", Range(2, 8), {"": {"cpu": 1000, GPU: 1}}, ("gpu",),
    Range(0, 0), gpu_hours=Range(1460, 5840),
)  # fmt: skip
FIT = WorkloadUse(
    "fit", "fit/template", "fit", "CronJob", "run", Range(4, 4), {"": {"cpu": 2000, "memory": GIB, GPU: 1}}, ("gpu",),
    Range(0, 2), AtOnce(6, 6, 1), AtOnce(0, 0, 0), AtOnce(4, 4, 1), hours=24, gpu_hours=Range(96, 96),
)  # fmt: skip
PROBLEM = Diagnostic("fit asks for [too] much", code="capacity-never-fits")
REPORT = CapacityReport(
    "rec",
    "1.0.0",
    "prod",
    (POOL,),
    (API, FIT),
    (LimitUse("train", "ResourceQuota", "ml", {"requests.cpu": 50_000, "pods": 10}, {"pods": 10}, {"pods": 12}),),
    (VcpuUse("L-1", "Running G", Range(48, 96), ("pool gpu",), 64), VcpuUse("L-2", "Running P", Range(0, 8), ("box",))),
    ("nobody was asked",),
    (PROBLEM,),
)


@pytest.mark.parametrize(
    ("fewest", "most", "whole", "wanted"),
    [
        (0, 0, 10, "··········"),
        (5, 5, 10, "█████·····"),
        (2, 7, 10, "██▒▒▒▒▒···"),
        (0.001, 0.001, 10, "█·········"),
        (9.99, 9.99, 10, "█████████·"),
        (10, 10, 10, "██████████"),
        (3, 99, 10, "███▒▒▒▒▒▒▒"),
        (1, 1, 0, "··········"),
    ],
)
def test_bars(fewest: float, most: float, whole: float, wanted: str) -> None:
    assert words.bar(fewest, most, whole, width=10) == wanted


@pytest.mark.parametrize(
    ("item", "fits"),
    [
        (API, "yes"),
        (replace(API, missing=Range(1, 3)), "no: 1 without a place"),
        (replace(API, missing=Range(0, 3)), "up to 5"),
        (replace(API, pools=()), "no machine takes it"),
        (replace(API, problem="?"), "cannot be read"),
        (FIT, "1 run at once (6 pods, 6 GPUs), 0 pods beside the most replicas, 4 pods if the others are spread"),
        (replace(FIT, pods=Range(1, 1), at_once_most=None, at_once_spread=None), "6 at once (6 pods, 6 GPUs)"),
        (replace(FIT, pods=Range(1, 1), at_once=AtOnce(3, 0, 3), at_once_most=None, at_once_spread=None), "3 at once"),
        (
            replace(FIT, pods=Range(1, 1), at_once=AtOnce(1, 1, 1), at_once_most=AtOnce(0, 0, 0), at_once_spread=None),
            "1 at once (1 pod, 1 GPU), 0 pods beside the most replicas",
        ),
    ],
)
def test_what_fits_in_words(item: WorkloadUse, fits: str) -> None:
    assert words.workload(item)["fits"] == fits


def test_a_person_sees_pools_workloads_and_quotas() -> None:
    out, err = io.StringIO(), io.StringIO()
    PersonView(Console(file=out, width=400), Console(file=err, width=400)).capacity(REPORT, "prod")
    text = out.getvalue()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == f"Capacity of prod {' '.join(words.LEGEND.split())}"
    assert "gpu 0–2 × g5.12xlarge, spot, each with 47.8 cores, 169 GiB, 4 GPUs, 100 pods" in lines
    assert "GPUs ████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ 2–8 of 8" in lines
    assert "1–2 of 2 machines are taken; one more pod can have 46 cores, 160 GiB, 4 GPUs" in lines
    assert "on every machine: 0.15 cores, 3 pods" in lines
    assert "ResourceQuota of train, namespace ml" in lines
    assert "pods ██████████████████████████████ 10–12 of 10" in lines
    assert "Running G L-1 48–96 64 pool gpu" in lines
    assert "Running P L-2 0–8 not asked box" in lines
    assert "api Deployment 2–8 1 core, 1 GPU gpu yes 1460–5840" in lines
    assert lines[-2] == "Nobody was asked."
    assert lines[-1] == "Not everything finds room. What always runs uses 1460–5840 GPU hours a month."
    assert "fit asks for [too] much" in err.getvalue()


@pytest.mark.parametrize(
    ("used", "most", "wanted"),
    [
        ((1, 2), 2, "1–2 of 2 machines are taken"),
        ((1, 1), 2, "1 of 2 machines is taken"),
        ((1, 1), 1, "1 of 1 machine is taken"),
    ],
)
def test_one_machine_and_many(used: tuple[int, int], most: int, wanted: str) -> None:
    item = replace(POOL, machines_fewest=used[0], machines_most=used[1], max=most)
    assert next(words.pool_notes(item)).startswith(f"{wanted};")


def test_without_colors_a_line_holds_the_same() -> None:
    plain, colored = io.StringIO(), io.StringIO()
    for stream, terminal in ((plain, False), (colored, True)):
        console = Console(file=stream, width=400, force_terminal=terminal)
        PersonView(console, Console(file=io.StringIO())).capacity(REPORT, "prod")
    assert "\x1b" not in plain.getvalue()
    assert plain.getvalue().count("█") == colored.getvalue().count("█")


@pytest.mark.parametrize(
    ("problems", "says"),
    [
        ((), "Everything finds room."),
        ((replace(PROBLEM, severity=Severity.WARNING),), "What always runs finds room; see the warnings."),
    ],
)
def test_the_last_line(problems: tuple[Diagnostic, ...], says: str) -> None:
    assert words.summary(replace(REPORT, problems=problems, workloads=())) == says


def test_json_is_one_line_with_everything() -> None:
    out = io.StringIO()
    JsonView(out).capacity(REPORT, "prod")
    (line,) = out.getvalue().splitlines()
    record = json.loads(line)
    assert (record["format"], record["type"], record["stack"]) == (FORMAT, "capacity", "prod")
    assert record == {"format": FORMAT, "type": "capacity", "stack": "prod", **json.loads(json.dumps(REPORT.as_json()))}
    assert record["problems"] == [PROBLEM.as_json()]
    assert record["workloads"][1]["at_once_if_spread"] == {"pods": 4, "gpus": 4, "runs": 1}
    assert record["aws_quotas"][1]["quota"] is None
