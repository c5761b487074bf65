"""The template of a job, the digest of a run's inputs, and what a run is made of."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.workflow.run_job_template import Template, digest, run_config_maps, run_manifest
from mlinfra.workflow.runs_access import Job

POD: dict[str, Any] = {
    "containers": [
        {
            "name": "train",
            "env": [{"name": "MLINFRA_RUN", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job']"}}}],
            "envFrom": [{"configMapRef": {"name": "fit-flags"}}, {"configMapRef": {"name": "common"}}],
        }
    ],
    "volumes": [
        {"name": "config", "configMap": {"name": "fit-config", "optional": False}},
        {"name": "all", "projected": {"sources": [{"configMap": {"name": "fit-config"}}]}},
    ],
}
MANIFEST: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {"app": "fit", "kueue.x-k8s.io/queue-name": "q"}, "annotations": {"a": "b"}},
    "spec": {"ttlSecondsAfterFinished": 0, "template": {"spec": POD}},
}
CONFIG = {"lr": 0.1, "layers": [1, 2]}
JOB = Job("fit", "fit", "ns", "fit", "fit/template")
TEMPLATE = Template(JOB, MANIFEST, {}, {"fit-config": {"config.json": json.dumps(CONFIG)}, "fit-flags": {"FLAG": "1"}})


def test_a_run_reads_copies_of_the_jobs_own_config_maps() -> None:
    made = run_manifest(TEMPLATE, "fit-1", "1", {"by": "ada"})
    spec = made["spec"]["template"]["spec"]
    assert spec["volumes"][0]["configMap"] == {"name": "fit-1-config", "optional": False}
    assert spec["volumes"][1]["projected"]["sources"] == [{"configMap": {"name": "fit-1-config"}}]
    assert [item["configMapRef"]["name"] for item in spec["containers"][0]["envFrom"]] == ["fit-1-flags", "common"]
    assert spec["containers"][0]["env"] == POD["containers"][0]["env"], "the pods read the run's name from a label"
    assert made["metadata"] == {
        "name": "fit-1",
        "namespace": "ns",
        "labels": {
            "app": "fit",
            "kueue.x-k8s.io/queue-name": "q",
            "mlinfra.dev/component": "fit",
            "mlinfra.dev/run": "1",
        },
        "annotations": {"a": "b", "by": "ada"},
    }
    assert made["spec"]["ttlSecondsAfterFinished"] == 60, "whoever follows it sees its end"
    config, flags = run_config_maps(TEMPLATE, "fit-1", "1", {"lr": 2})
    assert (config["metadata"]["name"], flags["metadata"]["name"]) == ("fit-1-config", "fit-1-flags")
    assert json.loads(config["data"]["config.json"]) == {"lr": 2}
    assert flags["data"] == {"FLAG": "1"}
    assert config["immutable"] is flags["immutable"] is True
    assert "kueue.x-k8s.io/queue-name" not in config["metadata"]["labels"]


def test_a_ray_cluster_is_told_the_runs_name() -> None:
    pod = {"spec": {"containers": [{"env": [{"name": "MLINFRA_RUN", "value": "fit"}, {"name": "A", "value": "fit"}]}]}}
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"labels": {}},
        "spec": {"rayClusterSpec": {"headGroupSpec": {"template": pod}}, "ttlSecondsAfterFinished": 0},
    }
    made = run_manifest(Template(replace(JOB, ray=True), manifest, {}), "fit-1", "1", {})
    [container] = made["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "MLINFRA_RUN", "value": "fit-1"}, {"name": "A", "value": "fit"}]
    assert made["spec"]["ttlSecondsAfterFinished"] == 0


def test_the_template_is_not_changed_by_what_is_made_of_it() -> None:
    before = copy.deepcopy(MANIFEST)
    run_manifest(TEMPLATE, "fit-1", "1", {"by": "ada"})
    assert before == MANIFEST


def test_a_digest_is_of_the_inputs_and_of_nothing_else() -> None:
    mark = digest(TEMPLATE, CONFIG)
    assert len(mark) == 10
    assert mark == digest(TEMPLATE, {"layers": [1, 2], "lr": 0.1})
    written_otherwise = {**TEMPLATE.data, "fit-config": {"config.json": json.dumps(CONFIG, indent=4)}}
    assert mark == digest(replace(TEMPLATE, data=written_otherwise), CONFIG)
    assert mark == digest(replace(TEMPLATE, source={"metadata": {"generation": 4}}), CONFIG)
    others = [
        digest(TEMPLATE, {**CONFIG, "lr": 0.2}),
        digest(replace(TEMPLATE, data={**TEMPLATE.data, "fit-flags": {"FLAG": "2"}}), CONFIG),
        digest(replace(TEMPLATE, manifest={**MANIFEST, "spec": {**MANIFEST["spec"], "backoffLimit": 1}}), CONFIG),
    ]
    assert len({mark, *others}) == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_two_configs_have_one_digest_only_if_they_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(TEMPLATE, one) == digest(TEMPLATE, other)) is same


@pytest.mark.parametrize(("text", "config"), [('{"a": 1}', {"a": 1}), ("[1]", None)])
def test_the_config_is_what_the_template_has(text: str, config: Any) -> None:
    assert replace(TEMPLATE, data={"fit-config": {"config.json": text}}).config == config
    assert replace(TEMPLATE, data={}).config is None
