"""Sweeps, and what all templates have in common."""

from __future__ import annotations

import json
from typing import Any

from mlinfra.components.bucket import Bucket
from mlinfra.components.job_values import Sweep
from tests.components import kubelet
from tests.components.test_job_ranks import RUN, config_maps, job_of, pod_of, ranked


def swept(**fields: Any) -> Any:
    sweep = Sweep(parameters={"lr": [0.1, 0.01], "model.layers": [2, 4]}, parallelism=3)
    return ranked(None, sweep=sweep, **fields)


def test_each_pod_of_a_sweep_reads_its_own_combination(expanded: Any) -> None:
    result = expanded(swept(config={"lr": 1, "epochs": 3}))
    maps = config_maps(result)
    seen = []
    for index in range(4):
        pod = pod_of(result, index)
        environment, files = kubelet.environment(pod), kubelet.files(pod, maps)
        assert environment["JOB_COMPLETION_INDEX"] == str(index)
        assert json.loads(files[environment["MLINFRA_CONFIG"]]) == {"lr": 1, "epochs": 3}
        seen.append(json.loads(files[environment["MLINFRA_SWEEP"]]))
    assert seen == [
        {"lr": 0.1, "model": {"layers": 2}},
        {"lr": 0.1, "model": {"layers": 4}},
        {"lr": 0.01, "model": {"layers": 2}},
        {"lr": 0.01, "model": {"layers": 4}},
    ]


def test_a_sweep_goes_on_when_one_of_its_pods_fails(expanded: Any) -> None:
    result = expanded(swept(retries=1, fatal_exit_codes=[3]))
    spec = job_of(result)
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 3)
    assert spec["backoffLimitPerIndex"] == 1
    assert "backoffLimit" not in spec
    assert "maxFailedIndexes" not in spec
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["Ignore", "FailIndex"]
    assert "service" not in result.names_of("fit")


def test_no_more_pods_at_a_time_than_there_are_combinations(expanded: Any) -> None:
    sweep = Sweep(parameters={"lr": [0.1, 0.01]}, parallelism=9, max_failures=1)
    spec = job_of(expanded(ranked(None, sweep=sweep)))
    assert (spec["parallelism"], spec["maxFailedIndexes"]) == (2, 1)


def test_results_and_checkpoints_of_a_sweep_are_apart(expanded: Any) -> None:
    result = expanded(swept(writes=[Bucket("models")], checkpoints=Bucket("scratch")))
    found = kubelet.written(job_of(result)["template"]["spec"]["containers"][0])
    for name in ("MLINFRA_ARTIFACTS", "MLINFRA_CHECKPOINTS"):
        folder = kubelet.expand(found[name].parts[-1], {"MLINFRA_RUN": RUN, "JOB_COMPLETION_INDEX": "2"})
        assert folder.endswith(f"/{RUN}/2")


def test_kubernetes_deletes_no_run_that_kubectl_made(expanded: Any) -> None:
    spec = expanded(ranked(None)).inputs("fit/template")["spec"]
    assert spec["successfulJobsHistoryLimit"] == spec["failedJobsHistoryLimit"] == 1000
