from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.eks_values import VERSIONS, Eks, ExistingEks
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.network import Network
from mlinfra.components.node_pool import NodePool
from mlinfra.components.raw import Raw
from mlinfra.components.secret_sources import Generated
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Autoscale, Route
from mlinfra.expansion import KUBERNETES
from mlinfra.functions import UNKNOWN, resolve
from mlinfra.graph import Call, Graph, Kind, Ref
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
ADMIN, VIEWER, SEARCH = (f"arn:aws:iam::111122223333:role/{name}" for name in ("ml-admins", "auditors", "path/search"))
ROUTE = Route(critical="webhook:https://example.com/hook", warning="email:team@example.com")

SYSTEM = {"instance_type": "m6i.large", "min": 2, "max": 4}
CLUSTER_ITSELF = {
    "eks", "eks-logs", "eks-key", "eks-alias", "eks-role", "eks-role-1", "oidc", "kubernetes",
    "machines-role", "machines-role-1", "machines-role-2", "pool-system", "pool-system-template",
    "addon-coredns", "addon-kube-proxy", "addon-vpc-cni", "addon-eks-pod-identity-agent", "addon-aws-ebs-csi-driver",
    "network-role", "network-policy", "volumes-role", "volumes-policy", "storage-class",
}  # fmt: skip
AUTOSCALER = {
    "autoscaler-role", "autoscaler-policy", "autoscaler-identity", "autoscaler-account", "autoscaler-pods",
    "autoscaler-everywhere", "autoscaler-everywhere-binding", "autoscaler-own", "autoscaler-own-binding",
}  # fmt: skip


def cluster(*pools: NodePool, name: str = "train", **fields: Any) -> TrainingCluster:
    given = {"version": "1.34", **fields}
    return TrainingCluster(name, eks=Eks(**given), pools=[NodePool("system", **SYSTEM), *pools])


def own(result: Any, name: str = "train") -> set[str]:
    """The nodes that a cluster of EKS adds to those of a `TrainingCluster` without one."""
    without = {"namespace", "limits", "quota", "quota-system", "closed", "egress", "service-account", "role", "policy"}
    without |= {"repository", "repository-lifecycle", "identity", "account"}
    names: set[str] = result.names_of(name)
    return {item for item in names - without if not item.startswith("priority-")}


def kubernetes_nodes(graph: Graph) -> dict[str, str | None]:
    return {node.name: node.options.provider for node in graph if node.type.startswith("kubernetes:")}


# ------------------------------------------------------------------------------------------------ what it comes to


@pytest.mark.parametrize("target", ["local", "eks", "aws-only"])
def test_what_a_cluster_of_its_own_comes_to(expanded: Any, target: str) -> None:
    result = expanded(cluster, target)
    assert result.codes == []
    assert own(result) == CLUSTER_ITSELF | AUTOSCALER
    assert KUBERNETES not in result.graph.nodes
    assert not result.graph.dangling()
    assert [node.name for node in result.graph.topological()]  # no circle
    without = expanded(lambda: cluster(autoscaler=False), target)
    assert own(without) == CLUSTER_ITSELF


def test_a_target_without_aws_has_a_cluster_itself(expanded: Any) -> None:
    result = expanded(cluster, "kubeconfig")
    assert result.codes == []
    assert own(result) == set()
    assert set(kubernetes_nodes(result.graph).values()) == {KUBERNETES}


@pytest.mark.parametrize("tier", list(Tier))
def test_safe_by_default(expanded: Any, tier: Tier) -> None:
    result = expanded(cluster, "aws-only", tier=tier)
    made = result.inputs("train/eks")
    assert made["version"] == "1.34"
    assert made["vpcConfig"]["endpointPrivateAccess"] is True
    assert made["vpcConfig"]["endpointPublicAccess"] is False
    assert made["vpcConfig"]["subnetIds"] == [
        Ref(f"network/private-{number}") for number in range(1, tier.defaults.zones + 1)
    ]
    assert made["accessConfig"]["authenticationMode"] == "API"
    assert len(made["enabledClusterLogTypes"]) == 5
    assert made["encryptionConfig"] == {
        "provider": {"keyArn": Ref("train/eks-key", ("arn",))},
        "resources": ["secrets"],
    }
    assert made["deletionProtection"] is tier.protected
    assert made["upgradePolicy"] == {"supportType": "STANDARD"}
    assert result.inputs("train/eks-logs") == {
        "name": "/aws/eks/sample-test-train/cluster",
        "retentionInDays": tier.defaults.cluster_log_days,
        "tags": made["tags"],
    }
    assert result.node("train/eks").options.protect is tier.protected
    # EKS makes the log group where it is not there, and the role has to be able to do what it is for.
    assert set(result.node("train/eks").options.depends_on) == {"train/eks-logs", "train/eks-role-1"}


def test_what_can_be_said_otherwise(expanded: Any) -> None:
    result = expanded(
        lambda: cluster(
            public_cidrs=["203.0.113.0/24"],
            private_cidrs=["10.0.0.0/16"],
            key=Key("keys"),
            log_days=14,
            addon_versions={"vpc-cni": "v1.20.4-eksbuild.1"},
            creator_is_admin=False,
            extended_support=True,
            deletion_protection=True,
            images={"cluster-autoscaler": IMAGE},
            tags={"project": "recs"},
        )
    )
    assert result.codes == []
    made = result.inputs("train/eks")
    assert made["vpcConfig"]["endpointPublicAccess"] is True
    assert made["vpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]
    assert made["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] is False
    assert made["encryptionConfig"]["provider"] == {"keyArn": Ref("keys/key", ("arn",))}
    assert made["upgradePolicy"] == {"supportType": "EXTENDED"}
    assert made["deletionProtection"] is True
    assert made["tags"]["project"] == "recs"
    assert result.inputs("train/eks-logs")["retentionInDays"] == 14
    assert result.inputs("train/addon-vpc-cni")["addonVersion"] == "v1.20.4-eksbuild.1"
    assert "addonVersion" not in result.inputs("train/addon-coredns")
    assert "train/eks-key" not in result.graph.nodes
    rule = result.inputs("train/api-from-1")
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.0.0.0/16", 443, 443)
    assert rule["securityGroupId"] == Ref("train/eks", ("vpcConfig", "clusterSecurityGroupId"))
    [container] = result.inputs("train/autoscaler-pods")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE


def test_who_is_let_in(expanded: Any) -> None:
    result = expanded(lambda: cluster(admins=[ADMIN], viewers=[VIEWER], groups={SEARCH: ["search-devs"]}))
    entries = {node.name: node.inputs for node in result.graph if node.type.endswith(":AccessEntry")}
    assert {item["principalArn"]: item.get("kubernetesGroups") for item in entries.values()} == {
        ADMIN: None,
        VIEWER: None,
        SEARCH: ["search-devs"],
    }
    policies = [node.inputs for node in result.graph if node.type.endswith(":AccessPolicyAssociation")]
    assert {item["policyArn"].rpartition("/")[2] for item in policies} == {
        "AmazonEKSClusterAdminPolicy",
        "AmazonEKSViewPolicy",
    }
    assert all(item["accessScope"] == {"type": "cluster"} for item in policies)
    # EKS makes the entry of the machines' role itself, and refuses another one.
    assert not any("EC2" in str(item.get("type")) for item in entries.values())


def test_the_roles_of_the_cluster_and_its_machines(expanded: Any) -> None:
    result = expanded(cluster, "aws-only")

    def trusted(name: str) -> Any:
        [statement] = result.inputs(f"train/{name}")["assumeRolePolicy"].value["Statement"]
        return statement["Principal"]["Service"], statement.get("Condition")

    account = "111122223333"
    assert trusted("machines-role") == ("ec2.amazonaws.com", None)
    service, condition = trusted("eks-role")
    assert service == "eks.amazonaws.com"
    assert resolve(condition, {}) == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:eks:us-east-1:{account}:cluster/sample-test-train"}
    }
    for role, service_account in (("network-role", "aws-node"), ("volumes-role", "ebs-csi-controller-sa")):
        service, condition = trusted(role)
        assert service == "pods.eks.amazonaws.com"
        assert condition["StringEquals"] == {
            "aws:SourceAccount": account,
            "aws:RequestTag/kubernetes-namespace": "kube-system",
            "aws:RequestTag/kubernetes-service-account": service_account,
            "aws:RequestTag/eks-cluster-name": "sample-test-train",
        }


def test_the_autoscaler_changes_this_clusters_pools_alone(expanded: Any) -> None:
    result = expanded(cluster, "aws-only")
    looks, describes, changes = result.inputs("train/autoscaler-policy")["policy"].value["Statement"]
    assert not [action for action in looks["Action"] if not action.partition(":")[2].startswith(("Describe", "Get"))]
    assert resolve(describes["Resource"], {}) == ["arn:aws:eks:us-east-1:111122223333:nodegroup/sample-test-train/*/*"]
    tag = "k8s.io/cluster-autoscaler/sample-test-train"
    assert changes["Condition"] == {"StringEquals": {f"aws:ResourceTag/{tag}": "owned"}}
    assert result.inputs("train/pool-system")["tags"][tag] == "owned"
    [container] = result.inputs("train/autoscaler-pods")["spec"]["template"]["spec"]["containers"]
    assert any(tag in part for part in container["command"])
    assert container["image"].endswith(f":{VERSIONS['1.34'].autoscaler}")


def test_the_device_plugin_is_for_gpus(expanded: Any) -> None:
    assert "device-plugin-pods" not in expanded(cluster).names_of("train")
    result = expanded(lambda: cluster(NodePool("gpu", instance_type="g5.xlarge")))
    pod = result.inputs("train/device-plugin-pods")["spec"]["template"]["spec"]
    labels = result.inputs("train/pool-gpu")["labels"]
    assert pod["nodeSelector"].items() <= labels.items()
    assert pod["tolerations"] == [{"operator": "Exists"}]


# ------------------------------------------------------------------------------------------------ the way into it


def test_the_way_into_it_is_a_reference(expanded: Any) -> None:
    result = expanded(cluster)
    provider = result.node("train/kubernetes")
    assert (provider.kind, provider.type) == (Kind.PROVIDER, "pulumi:providers:kubernetes")
    kubeconfig = provider.inputs["kubeconfig"]
    assert isinstance(kubeconfig, Call)
    outputs: dict[str, Any] = {"train/eks": {"name": UNKNOWN, "endpoint": UNKNOWN, "certificateAuthority": UNKNOWN}}
    assert resolve(kubeconfig, outputs) is UNKNOWN
    known = {"train/eks": {"name": "n", "endpoint": "https://127.0.0.1:1", "certificateAuthority": {"data": "Q0E="}}}
    assert "eks" in resolve(kubeconfig, known)
    # What is in the cluster comes after machines and add-ons, and goes before them.
    after = set(provider.options.depends_on)
    assert after == {"train/pool-system", "train/addon-coredns", "train/addon-aws-ebs-csi-driver"}
    nodes = result.node("train/pool-system").options.depends_on
    assert {"train/addon-vpc-cni", "train/addon-kube-proxy", "train/machines-role-1"} <= set(nodes)


def test_what_is_in_it_goes_with_it(expanded: Any) -> None:
    """An output of the cluster is what the engine takes for unknown while it finds out what goes before the cluster."""
    provider = expanded(cluster).node("train/kubernetes")
    assert provider.inputs["cluster"] == Ref("train/eks", ("name",))
    assert provider.inputs["clusterIdentifier"] == "sample-test-train"
    assert provider.options.replace_on_changes == ("cluster",)
    assert expanded(cluster).node("train/eks").options.delete_before_replace


def everything() -> list[Any]:
    gpu = NodePool("gpu", instance_type="g5.xlarge", max=2)
    place = cluster(gpu)
    team = Team("search", cluster=place, developers=["search-devs"])
    data = Bucket("data")
    features = Database("features")
    small = Database("small", place="cluster", cluster=place, image=IMAGE)
    token = ManagedSecret("token", value_from=Generated(), in_cluster=[place])
    api = Endpoint("api", cluster=place, image=IMAGE, scale=Autoscale(min=1, max=2), reads=[features, small, token])
    fit = TrainingJob("fit", cluster=team, pool=gpu, gpus=1, image=IMAGE, reads=[data])
    watch = Monitoring("watch", cluster=place, watches=[api], route=ROUTE, alertmanager="alertmanager.example.com:9093")
    extra = Raw(
        "extra",
        type="kubernetes:core/v1:ConfigMap",
        inputs={"metadata": {"name": "extra", "namespace": place.namespace}, "data": {}},
    )
    return [watch, fit, extra]


@pytest.mark.parametrize("target", ["local", "aws-only", "eks"])
def test_all_that_is_in_it_goes_there(expanded: Any, target: str) -> None:
    """Workloads, teams and stores need not know that the cluster is the stack's own."""
    result = expanded(everything, target)
    assert result.codes == []
    providers = kubernetes_nodes(result.graph)
    assert {"search/namespace", "fit/service-account", "api/deployment", "small/instance", "extra/resource"} <= set(
        providers
    )
    assert set(providers.values()) == {"train/kubernetes"}
    assert result.inputs("fit/identity")["clusterName"] == Ref("train/eks", ("name",))
    [statement] = result.inputs("fit/role")["assumeRolePolicy"].value["Statement"]
    assert statement["Condition"]["StringEquals"]["aws:RequestTag/eks-cluster-name"] == "sample-test-train"
    rule = result.inputs("api/to-features")
    assert rule["referencedSecurityGroupId"] == Ref("train/eks", ("vpcConfig", "clusterSecurityGroupId"))


def test_two_clusters_side_by_side(expanded: Any) -> None:
    def two() -> list[Any]:
        pools = [NodePool("system", **SYSTEM)]
        one = TrainingCluster("one", eks=Eks(version="1.34"), pools=pools)
        other = TrainingCluster("other", eks=Eks(version="1.35"), pools=pools)
        stacks = TrainingCluster("stacks")
        token = ManagedSecret("token", value_from=Generated(), in_cluster=[one, other])
        readers = [Endpoint(f"in-{place.name}", cluster=place, image=IMAGE, reads=[token]) for place in (one, other)]
        return [*readers, Endpoint("in-stacks", cluster=stacks, image=IMAGE)]

    result = expanded(two, "eks")
    assert result.codes == []
    found = kubernetes_nodes(result.graph)
    for name in ("one", "other"):
        mine = {node: provider for node, provider in found.items() if node.startswith((f"{name}/", f"in-{name}/"))}
        assert set(mine.values()) == {f"{name}/kubernetes"}
    assert {provider for node, provider in found.items() if node.startswith(("stacks/", "in-stacks/"))} == {KUBERNETES}
    secrets = {provider for node, provider in found.items() if node.startswith("token/")}
    assert secrets == {"one/kubernetes", "other/kubernetes"}
    assert result.inputs("one/pool-system")["clusterName"] != result.inputs("other/pool-system")["clusterName"]


def test_insights_and_alarms(expanded: Any) -> None:
    def watched(**fields: Any) -> Any:
        place = cluster(**fields)
        api = Endpoint("api", cluster=place, image=IMAGE)
        return Monitoring(
            "watch", cluster=place, watches=[api], route=ROUTE, alertmanager="alertmanager.example.com:9093"
        )

    def alarms(result: Any) -> list[Any]:
        return [node.inputs for node in result.graph if node.type.endswith(":MetricAlarm")]

    assert alarms(expanded(watched)) == []
    with_them = expanded(lambda: watched(container_insights=True))
    assert "addon-amazon-cloudwatch-observability" in with_them.names_of("train")
    assert alarms(with_them)
    assert all(item["dimensions"]["ClusterName"] == "sample-test-train" for item in alarms(with_them))


# ------------------------------------------------------------------------------------------------ one that is there


@pytest.mark.parametrize("target", ["aws-only", "eks"])
def test_a_cluster_that_is_there(expanded: Any, target: str) -> None:
    def declared() -> Any:
        place = TrainingCluster("train", eks=ExistingEks(name="ml-shared"))
        return Endpoint("api", cluster=place, image=IMAGE, reads=[Bucket("data"), Database("features")])

    result = expanded(declared, target)
    assert result.codes == []
    assert result.inputs("train/eks") == {"name": "ml-shared"}
    assert result.node("train/eks").kind is Kind.LOOKUP
    assert set(kubernetes_nodes(result.graph).values()) == {"train/kubernetes"}
    assert result.inputs("api/identity")["clusterName"] == "ml-shared"
    group = result.inputs("api/to-features")["referencedSecurityGroupId"]
    assert group == Ref("train/eks", ("vpcConfig", "clusterSecurityGroupId"))
    assert own(result) == {"eks", "kubernetes"}


def test_on_the_local_target_the_stacks_own_stands_in_for_it(expanded: Any) -> None:
    result = expanded(lambda: TrainingCluster("train", eks=ExistingEks(name="ml-shared")))
    assert own(result) == set()
    assert set(kubernetes_nodes(result.graph).values()) == {KUBERNETES}


def test_what_one_stack_exports_another_imports() -> None:
    made = cluster(network=Network("network"))
    exported = made.exported
    assert set(exported) == set(ExistingEks.model_fields)
    outputs = {
        "train/eks": {"name": "sample-test-train", "identities": [{"oidcs": [{"issuer": "https://oidc.example/1"}]}]},
        "train/oidc": {"arn": "arn:aws:iam::111122223333:oidc-provider/oidc.example/1"},
    }
    imported = ExistingEks(**resolve(exported, outputs))
    again = TrainingCluster("train", eks=imported)
    assert again.eks_name == "sample-test-train"
    assert again.oidc_issuer == "https://oidc.example/1"
    assert again.exported == imported.model_dump()


def test_a_rename_keeps_the_cluster(expanded: Any) -> None:
    def renamed(name: str, **fields: Any) -> Any:
        pools = [NodePool("system", **SYSTEM)]
        return expanded(lambda: TrainingCluster(name, eks=Eks(version="1.34"), pools=pools, **fields))

    before, after = renamed("train"), renamed("better", moved_from="train")
    for local in own(before):
        assert f"train/{local}" in after.node(f"better/{local}").options.aliases
    for local in ("eks", "pool-system", "eks-role", "storage-class"):
        one, other = (result.inputs(f"{name}/{local}") for result, name in ((before, "train"), (after, "better")))
        names = ("name", "nodeGroupName", "metadata")
        assert [replaced(one.get(key)) for key in names] == [replaced(other.get(key)) for key in names]


def replaced(value: Any) -> Any:
    return value.get("name") if isinstance(value, dict) else value


def test_the_targets_differ_in_nothing_else(expanded: Any) -> None:
    """What is rehearsed on the local target is what goes to AWS."""
    local, aws = (expanded(cluster, target) for target in ("local", "aws-only"))
    assert local.names_of("train") - {"account"} == aws.names_of("train")
    for node in aws.graph:
        if node.name.startswith("train/") and node.kind is Kind.RESOURCE:
            assert replace(node, inputs={}) == replace(local.node(node.name), inputs={})
