from __future__ import annotations

import json
from typing import Any

from mlinfra.components.bucket import Bucket
from mlinfra.components.job_queue import JobQueue
from mlinfra.components.job_values import Ray
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.functions import resolve
from tests.components import kubelet
from tests.components.test_job_ranks import IMAGE, outputs


def ray_job(*, queued: bool = False, **fields: Any) -> Any:
    def declare() -> TrainingJob:
        gpu = NodePool("gpu", instance_type="g5.12xlarge", max=4)
        cpu = NodePool("cpu", instance_type="m6i.xlarge", max=2)
        cluster = TrainingCluster("train", pools=[gpu, cpu], kueue=queued)
        given = {
            "ray": Ray(workers=3, version="2.49.0", head_pool=cpu, head_cpu=2, head_memory=6),
            "command": ["python", "tune.py", "--name", "it's"],
            "gpus": 2,
            "image": IMAGE,
            **({"queue": JobQueue("jobs", cluster=cluster, pools=[gpu, cpu])} if queued else {}),
            **fields,
        }
        return TrainingJob("fit", cluster=cluster, pool=gpu, **given)

    return declare


def manifest(result: Any) -> Any:
    data = result.inputs("fit/template")["data"]
    assert set(data) == {"manifest.json"}
    return json.loads(resolve(data["manifest.json"], outputs(result)))


def test_the_template_is_a_config_map_with_the_whole_ray_job(expanded: Any) -> None:
    result = expanded(ray_job(retries=1, deadline_hours=2))
    assert result.diagnostics == ()
    node = result.node("fit/template")
    assert node.type == "kubernetes:core/v1:ConfigMap"
    assert node.inputs["metadata"]["name"] == "fit-template"
    labels = node.inputs["metadata"]["labels"]
    assert labels["mlinfra.dev/template"] == "rayjob"
    assert labels["mlinfra.dev/component"] == "fit"
    found = manifest(result)
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    assert found["metadata"]["name"] == "fit"
    assert found["metadata"]["namespace"] == "sample-test-train"
    spec = found["spec"]
    assert spec["entrypoint"] == "python tune.py --name 'it'\"'\"'s'"
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (1, 7200)
    assert spec["shutdownAfterJobFinishes"] is True
    assert "suspend" not in spec
    assert spec["rayClusterSpec"]["rayVersion"] == "2.49.0"


def test_the_pods_of_the_ray_cluster(expanded: Any) -> None:
    result = expanded(ray_job(config={"trials": 20}, reads=[Bucket("data")], run_as_user=1001))
    cluster = manifest(result)["spec"]["rayClusterSpec"]
    head, (group,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (3, 3, 3)
    assert head["rayStartParams"] == {"num-cpus": "0"}
    types = []
    for template in (head["template"], group["template"]):
        spec = template["spec"]
        types.append(spec["nodeSelector"]["node.kubernetes.io/instance-type"])
        assert template["metadata"]["labels"]["mlinfra.dev/component"] == "fit"
        assert spec["serviceAccountName"] == "fit"
        assert spec["securityContext"]["runAsUser"] == 1001
        assert {volume["name"] for volume in spec["volumes"]} == {"shared-memory", "config"}
        (container,) = spec["containers"]
        env = kubelet.written(container)
        assert env["MLINFRA_RUN"] == "fit"  # whoever makes a run puts its name in the place of this
        assert env["MLINFRA_CONFIG"] == "/etc/mlinfra/config.json"
        assert env["DATA_URI"].startswith("s3://")
        assert "valueFrom" not in str(container["env"])
        assert "command" not in container  # KubeRay's own
    assert types == ["m6i.xlarge", "g5.12xlarge"]
    worker = group["template"]["spec"]["containers"][0]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "nvidia.com/gpu" not in head["template"]["spec"]["containers"][0]["resources"]["limits"]


def test_the_pod_that_hands_the_command_in(expanded: Any) -> None:
    submitter = manifest(expanded(ray_job()))["spec"]["submitterPodTemplate"]["spec"]
    assert submitter["restartPolicy"] == "Never"
    assert submitter["containers"][0]["image"] == IMAGE
    assert submitter["nodeSelector"] == {"node.kubernetes.io/instance-type": "m6i.xlarge"}


def test_the_network_of_a_ray_cluster(expanded: Any) -> None:
    result = expanded(ray_job())
    assert "among" in result.names_of("fit")
    (rule,) = result.inputs("fit/callers")["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8265, "protocol": "TCP"}]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "kuberay-operator"}}


def test_in_a_queue_it_waits_for_kueue(expanded: Any) -> None:
    result = expanded(ray_job(queued=True))
    assert result.diagnostics == ()
    found = manifest(result)
    assert found["spec"]["suspend"] is True
    assert found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "jobs"


def test_alerts_know_its_runs_by_name(expanded: Any) -> None:
    failed, deadline, *_ = ray_job()().signals()
    assert 'job_name=~"fit-[0-9a-f]{10}.*"' in failed.expression
    assert "kube_pod_start_time" in deadline.expression
