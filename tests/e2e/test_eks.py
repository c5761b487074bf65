"""A cluster of EKS and what runs in it, from nothing to destroyed, in one run each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
ADMIN = "arn:aws:iam::111122223333:role/ml-admins"
NAME = "whole-dev-train"

BLUEPRINT = (
    f'''
ADMIN, IMAGE = "{ADMIN}", "{IMAGE}"
'''
    + '''
from mlinfra import (
    Blueprint, Bucket, Eks, Environment, Key, Network, NodePool, Params, TrainingCluster, TrainingJob, blueprint,
)


class Values(Params):
    version: str = "1.33"
    gpus: int = 3
    gpu_type: str = "g5.xlarge"
    admins: list[str] = [ADMIN]
    name: str = "train"
    moved_from: str | None = None
    other_key: bool = False


@blueprint("whole", version="1.0.0")
def whole(env: Environment, p: Values) -> Blueprint:
    """A network, a cluster in it, and a job in the cluster."""
    network = Network("network")
    system = NodePool("system", instance_type="m6i.large", min=1, max=2)
    gpu = NodePool("gpu", instance_type=p.gpu_type, max=p.gpus, spot=True)
    key = Key("keys") if p.other_key else None
    eks = Eks(version=p.version, network=network, admins=p.admins, key=key)
    cluster = TrainingCluster(p.name, eks=eks, pools=[system, gpu], moved_from=p.moved_from)
    data = Bucket("data")
    fit = TrainingJob("fit", cluster=cluster, pool=gpu, gpus=1, image=IMAGE, reads=[data])
    return Blueprint(fit, outputs={"cluster": cluster.exported, "endpoint": cluster.eks_endpoint})
'''
)


@pytest.fixture(scope="module")
def whole(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("whole", BLUEPRINT)
    stack(lab)
    yield lab
    lab.run("destroy", "--stack", "dev", "--yes", "--force", code=None)


def stack(lab: Lab, **params: Any) -> None:
    lab.stack("dev", blueprint="whole", params=params, allow_loss=["data", "network", "train", "better"])


def operations(report: dict[str, Any]) -> dict[str, str]:
    return {step["node"]: step["operation"] for step in report["steps"] if step["operation"] != "same"}


def test_life_of_a_cluster(whole: Lab) -> None:
    lab = whole
    plan = lab.report("preview", "--stack", "dev")
    assert set(plan["counts"]) == {"create"}
    made = lab.report("up", "--stack", "dev", "--yes")
    assert set(made["counts"]) == {"create"}
    assert made["outputs"]["cluster"]["name"] == NAME

    aws_sees_it(lab, made["outputs"])
    kubectl_sees_what_is_in_it(lab)
    assert set(lab.report("up", "--stack", "dev", "--yes")["counts"]) == {"same"}
    assert lab.report("refresh", "--stack", "dev")["steps"] == []

    changes_in_place(lab)
    another_machine_type_comes_before_the_old_one_goes(lab)
    a_rename_makes_nothing_anew(lab)
    another_key_is_another_cluster(lab)
    what_the_local_aws_forgot_is_made_again(lab)

    gone = lab.report("destroy", "--stack", "dev", "--yes")
    assert set(gone["counts"]) == {"delete"}
    nothing_is_left(lab)


def aws_sees_it(lab: Lab, outputs: dict[str, Any]) -> None:
    eks, iam = lab.clients("dev", "eks", "iam")
    cluster = eks.describe_cluster(name=NAME)["cluster"]
    assert cluster["status"] == "ACTIVE"
    assert cluster["version"] == "1.33"
    assert cluster["resourcesVpcConfig"]["endpointPrivateAccess"] is True
    assert cluster["resourcesVpcConfig"]["endpointPublicAccess"] is False
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    assert cluster["encryptionConfig"][0]["resources"] == ["secrets"]
    assert cluster["endpoint"] == outputs["endpoint"]
    groups = eks.list_nodegroups(clusterName=NAME)["nodegroups"]
    assert sorted(name.rpartition("-")[0] for name in groups) == ["gpu", "system"]
    [gpu] = [name for name in groups if name.startswith("gpu-")]
    described = eks.describe_nodegroup(clusterName=NAME, nodegroupName=gpu)["nodegroup"]
    assert described["amiType"] == "AL2023_x86_64_NVIDIA"
    assert described["scalingConfig"] == {"minSize": 0, "maxSize": 3, "desiredSize": 0}
    assert described["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
    assert set(eks.list_addons(clusterName=NAME)["addons"]) == {
        "vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent", "aws-ebs-csi-driver",
    }  # fmt: skip
    assert ADMIN in eks.list_access_entries(clusterName=NAME)["accessEntries"]
    [policy] = eks.list_associated_access_policies(clusterName=NAME, principalArn=ADMIN)["associatedAccessPolicies"]
    assert policy["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")
    found = eks.list_pod_identity_associations(clusterName=NAME)["associations"]
    assert {"fit", "cluster-autoscaler"} <= {item["serviceAccount"] for item in found}
    providers = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert [item["Arn"] for item in providers] == [outputs["cluster"]["oidc_provider_arn"]]


def kubectl_sees_what_is_in_it(lab: Lab) -> None:
    spaces = {item["metadata"]["name"] for item in lab.kubectl("dev", "get", "namespaces")["items"]}
    assert NAME in spaces
    templates = lab.kubectl("dev", "get", "cronjobs,podtemplates", "--namespace", NAME)["items"]
    assert [item["metadata"]["name"] for item in templates] == ["fit"]
    nodes = lab.kubectl("dev", "get", "nodes")["items"]
    assert sorted(item["metadata"]["labels"]["mlinfra.dev/pool"] for item in nodes) == ["gpu"] * 3 + ["system"] * 2
    plugin = lab.kubectl("dev", "get", "daemonsets", "--namespace", "kube-system")["items"]
    assert [item["status"]["numberReady"] for item in plugin] == [3]
    [autoscaler] = lab.kubectl("dev", "get", "deployments", "--namespace", "kube-system")["items"]
    assert autoscaler["status"]["readyReplicas"] == 1


def changes_in_place(lab: Lab) -> None:
    stack(lab, version="1.34", gpus=4, admins=[])
    eks = lab.client("dev", "eks")
    [gpu] = [name for name in eks.list_nodegroups(clusterName=NAME)["nodegroups"] if name.startswith("gpu-")]
    # What the autoscaler has done in the meantime is its own affair.
    eks.update_nodegroup_config(clusterName=NAME, nodegroupName=gpu, scalingConfig={"desiredSize": 2})
    done = operations(lab.report("up", "--stack", "dev", "--yes", "--refresh"))
    assert done["train/eks"] == done["train/pool-gpu"] == done["train/pool-system"] == "update"
    assert "replace" not in done.values()
    assert eks.describe_cluster(name=NAME)["cluster"]["version"] == "1.34"
    described = eks.describe_nodegroup(clusterName=NAME, nodegroupName=gpu)["nodegroup"]
    assert described["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 2}
    assert described["version"] == "1.34"
    assert ADMIN not in eks.list_access_entries(clusterName=NAME)["accessEntries"]
    assert set(lab.report("up", "--stack", "dev", "--yes")["counts"]) == {"same"}


def another_machine_type_comes_before_the_old_one_goes(lab: Lab) -> None:
    eks = lab.client("dev", "eks")
    before = set(eks.list_nodegroups(clusterName=NAME)["nodegroups"])
    stack(lab, **LATER)
    done = operations(lab.report("up", "--stack", "dev", "--yes"))
    assert done["train/pool-gpu"] == "replace"
    # What is in the cluster stays where it is, and so does the way into it.
    assert not {node: what for node, what in done.items() if what == "replace"}.keys() - {"train/pool-gpu"}
    after = set(eks.list_nodegroups(clusterName=NAME)["nodegroups"])
    assert len(after) == 2
    assert len(after & before) == 1


LATER = {"version": "1.34", "gpus": 4, "gpu_type": "g6.xlarge", "admins": []}
RENAMED = {**LATER, "name": "better", "moved_from": "train"}


def a_rename_makes_nothing_anew(lab: Lab) -> None:
    stack(lab, **RENAMED)
    done = operations(lab.report("up", "--stack", "dev", "--yes"))
    assert set(done.values()) == {"update"}  # tags and labels say the component's name


def another_key_is_another_cluster(lab: Lab) -> None:
    """It has the name of the first, so that has to go before it, and all that is in it before that."""
    before = lab.kubectl("dev", "get", "namespace", NAME)["metadata"]["uid"]
    made = lab.client("dev", "eks").describe_cluster(name=NAME)["cluster"]["createdAt"]
    stack(lab, other_key=True, **RENAMED)
    done = operations(lab.report("up", "--stack", "dev", "--yes"))
    for node in ("better/eks", "better/pool-gpu", "better/addon-coredns", "better/namespace", "fit/template"):
        assert done[node] == "replace", (node, done)
    assert lab.kubectl("dev", "get", "namespace", NAME)["metadata"]["uid"] != before
    assert lab.client("dev", "eks").describe_cluster(name=NAME)["cluster"]["createdAt"] > made
    kubectl_sees_what_stayed(lab)
    assert set(lab.report("up", "--stack", "dev", "--yes")["counts"]) == {"same"}


def what_the_local_aws_forgot_is_made_again(lab: Lab) -> None:
    """The memory of the local AWS is gone after a restart, the local cluster's is not."""
    lab.run("local", "down")
    plan = lab.report("preview", "--stack", "dev", "--refresh")
    assert "replace" not in plan["counts"], plan["counts"]
    lab.report("up", "--stack", "dev", "--yes")
    assert lab.client("dev", "eks").describe_cluster(name=NAME)["cluster"]["status"] == "ACTIVE"
    kubectl_sees_what_stayed(lab)
    assert set(lab.report("up", "--stack", "dev", "--yes")["counts"]) == {"same"}


def kubectl_sees_what_stayed(lab: Lab) -> None:
    assert lab.kubectl("dev", "get", "namespace", NAME)["status"]["phase"] == "Active"
    assert lab.kubectl("dev", "get", "cronjobs,podtemplates", "--namespace", NAME)["items"]


def nothing_is_left(lab: Lab) -> None:
    eks, iam, ec2, logs = lab.clients("dev", "eks", "iam", "ec2", "logs")
    assert eks.list_clusters()["clusters"] == []
    assert iam.list_roles()["Roles"] == []
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []
    assert logs.describe_log_groups()["logGroups"] == []
    spaces = {item["metadata"]["name"] for item in lab.kubectl("dev", "get", "namespaces")["items"]}
    assert NAME not in spaces
    assert lab.kubectl("dev", "get", "deployments,daemonsets", "--namespace", "kube-system")["items"] == []
