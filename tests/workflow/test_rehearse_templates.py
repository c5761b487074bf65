"""Copies of templates: what of a run they keep, and what they change for a trial."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlinfra.local.kwokctl import HELD
from mlinfra.workflow.rehearse_templates import PRIORITY, PRIORITY_CLASS, TRIAL, templates


def cron_job(name: str = "fit", **job: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "priorityClassName": "training-high", "containers": [{"name": "train"}]}
    spec = {"template": {"metadata": {"labels": {"app": "fit"}}, "spec": pod}, **job}
    return {
        "metadata": {"name": name, "namespace": "ml", "labels": {"mlinfra.dev/component": "fitting"}},
        "spec": {
            "suspend": True,
            "jobTemplate": {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "research"}}, "spec": spec},
        },
    }


def ray_map() -> dict[str, Any]:
    def pods(cpu: str) -> dict[str, Any]:
        container = {"name": "ray", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
        return {"metadata": {"labels": {"ray": "yes"}}, "spec": {"containers": [container]}}

    cluster = {
        "headGroupSpec": {"template": pods("1")},
        "workerGroupSpecs": [
            {"groupName": "workers", "replicas": 3, "numOfHosts": 2, "template": pods("4")},
            {"groupName": "idle", "minReplicas": 0, "maxReplicas": 4, "template": pods("4")},
        ],
    }
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "tune", "namespace": "ml", "labels": {}},
        "spec": {"rayClusterSpec": cluster, "submitterPodTemplate": pods("500m")},
    }
    return {
        "metadata": {"name": "tune-template", "namespace": "ml", "labels": {"mlinfra.dev/template": "rayjob"}},
        "data": {"manifest.json": json.dumps(manifest)},
    }


def test_a_job_is_let_go_and_held_where_it_was_placed() -> None:
    made = cron_job(completions=10, parallelism=4, suspend=True, managedBy="kueue.x-k8s.io/multikueue")
    before = json.dumps(made, sort_keys=True)
    [found] = templates([made], [])
    assert (found.name, found.namespace, found.component, found.kind) == ("fit", "ml", "fitting", "Job")
    assert (found.pods, found.queue, found.key) == (4, "research", "job-ml-fit")
    [job] = found.objects
    assert job["metadata"]["name"] == "fit-trial"
    assert job["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "research", TRIAL: "job-ml-fit"}
    assert job["spec"]["suspend"] is False
    assert "managedBy" not in job["spec"]
    template = job["spec"]["template"]
    assert template["metadata"] == {"labels": {"app": "fit", TRIAL: "job-ml-fit"}, "annotations": {HELD: "true"}}
    assert template["spec"]["priorityClassName"] == PRIORITY
    assert template["spec"]["terminationGracePeriodSeconds"] == 0
    assert json.dumps(made, sort_keys=True) == before  # what was read from the cluster is left as it is


@pytest.mark.parametrize(
    ("given", "pods"), [({}, 1), ({"completions": 2, "parallelism": 5}, 2), ({"parallelism": 3}, 3)]
)
def test_how_many_pods_a_job_has_at_once(given: dict[str, Any], pods: int) -> None:
    assert templates([cron_job("fit", **given)], [])[0].pods == pods


def test_nobody_is_pushed_out_for_a_trial_and_no_trial_is() -> None:
    assert PRIORITY_CLASS["preemptionPolicy"] == "Never"
    assert PRIORITY_CLASS["value"] == 1_000_000_000  # the most that a class of users may have


def test_the_pods_of_a_ray_cluster_are_made_as_its_manifest_says() -> None:
    [found] = templates([], [ray_map()])
    assert (found.name, found.kind, found.pods) == ("tune", "RayJob", 8)
    assert found.manifest is not None
    names = [item["metadata"]["name"] for item in found.objects]
    assert names == ["tune-head-0", *(f"tune-workers-{index}" for index in range(6)), "tune-submitter-0"]
    assert all(item["kind"] == "Pod" and item["metadata"]["annotations"] == {HELD: "true"} for item in found.objects)
    assert [count for _, count in found.shapes] == [1, 6, 0, 1]


def test_what_kueue_adds_on_admission() -> None:
    toleration = {"key": "spot", "operator": "Exists"}
    for found in templates([cron_job()], [ray_map()]):
        for item in found.admitted({"type": "gpu"}, [toleration]).objects:
            spec = item["spec"]["template"]["spec"] if item["kind"] == "Job" else item["spec"]
            assert spec["nodeSelector"] == {"type": "gpu"}
            assert spec["tolerations"] == [toleration]
        assert "nodeSelector" not in json.dumps(found.objects)


def test_long_names_stay_names_of_pods() -> None:
    [found] = templates([cron_job("f" * 52)], [])
    name = found.objects[0]["metadata"]["name"]
    assert len(f"{name}-0-abcde") <= 63
