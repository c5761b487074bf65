"""Clusters, against the local EKS."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.types import eks, eks_cluster
from mlinfra.wire.values import decode
from tests.providers.aws.types.clusters import a_cluster, surroundings
from tests.providers.aws.types.unknowns import judged

CLUSTER = "aws:eks/cluster:Cluster"
LOOKUP = "aws:eks/getCluster:getCluster"


def base(words: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "train",
        "roleArn": words["role"],
        "version": "1.33",
        "vpcConfig": {
            "subnetIds": words["subnets"][:2],
            "endpointPrivateAccess": True,
            "publicAccessCidrs": ["203.0.113.0/24"],
        },
        "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"},
        "enabledClusterLogTypes": ["audit", "api"],
        "encryptionConfig": {"provider": {"keyArn": words["keys"][0]}, "resources": ["secrets"]},
        "tags": {"team": "ml"},
    }


def cluster(world: Any, name: str) -> Any:
    try:
        live = world.boto("eks").describe_cluster(name=name)["cluster"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    network = live["resourcesVpcConfig"]
    return {
        "version": live["version"],
        "subnets": sorted(network["subnetIds"]),
        "groups": sorted(network["securityGroupIds"]),
        "endpoint": (network["endpointPublicAccess"], network["endpointPrivateAccess"], network["publicAccessCidrs"]),
        "access": live["accessConfig"]["authenticationMode"],
        "logs": [group["types"] for group in live["logging"]["clusterLogging"] if group["enabled"]],
        "keys": [item["provider"]["keyArn"] for item in live.get("encryptionConfig", ())],
        "safety": (live["deletionProtection"], live["upgradePolicy"]["supportType"], live["zonalShiftConfig"]),
        "tags": live["tags"],
    }


def test_cluster(lifecycle: Any) -> None:
    lifecycle(
        CLUSTER,
        prepare=surroundings,
        inputs=base,
        look=cluster,
        made=lambda words: {
            "version": "1.33",
            "subnets": sorted(words["subnets"][:2]),
            "groups": [],
            "endpoint": (True, True, ["203.0.113.0/24"]),
            "access": "API_AND_CONFIG_MAP",
            "logs": [["api", "audit"]],
            "keys": [words["keys"][0]],
            "safety": (False, "EXTENDED", {"enabled": False}),
            "tags": {"team": "ml"},
        },
        outputs=lambda words: {
            "arn": f"arn:aws:eks:us-east-1:{words['account']}:cluster/train",
            "status": "ACTIVE",
        },
        change=lambda words: {
            "version": "1.34",
            "vpcConfig": {
                "subnetIds": words["subnets"][1:],
                "securityGroupIds": words["groups"],
                "endpointPrivateAccess": True,
                "endpointPublicAccess": False,
            },
            "accessConfig": {"authenticationMode": "API"},
            "enabledClusterLogTypes": ["scheduler"],
            "upgradePolicy": {"supportType": "STANDARD"},
            "zonalShiftConfig": {"enabled": True},
            "tags": {"tier": "prod"},
        },
        changed=lambda words: {
            "version": "1.34",
            "subnets": sorted(words["subnets"][1:]),
            "groups": sorted(words["groups"]),
            "endpoint": (False, True, ["203.0.113.0/24"]),
            "access": "API",
            "logs": [["scheduler"]],
            "keys": [words["keys"][0]],
            "safety": (False, "STANDARD", {"enabled": True}),
            "tags": {"tier": "prod"},
        },
        replaces=lambda words: [
            {"name": "other"},
            {"roleArn": words["other"]},
            {"accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}},
            {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.100.0.0/16"}},
            {"bootstrapSelfManagedAddons": False},
            {"encryptionConfig": {"provider": {"keyArn": words["keys"][1]}, "resources": ["secrets"]}},
            {"encryptionConfig": None},
        ],
        drift=lambda world, name: world.boto("eks").update_cluster_config(
            name=name, logging={"clusterLogging": [{"types": ["scheduler"], "enabled": False}]}
        ),
        drifted={"enabledClusterLogTypes": None},
    )


def made(world: Any, **more: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    words = surroundings(world)
    given = {name: value for name, value in {**base(words), **more}.items() if value is not None}
    inputs = world.engine.checked(CLUSTER, given)
    resource_id, state = world.engine.create(CLUSTER, inputs)
    return resource_id, inputs, state


def test_what_aws_adds_is_in_the_outputs(world: Any) -> None:
    _, inputs, state = made(world)
    group = state["vpcConfig"]["clusterSecurityGroupId"]
    (found,) = world.boto("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert found["VpcId"] == state["vpcConfig"]["vpcId"]
    assert {"aws:eks:cluster-name": "train", "kubernetes.io/cluster/train": "owned"}.items() <= {
        tag["Key"]: tag["Value"] for tag in found["Tags"]
    }.items()
    assert state["vpcConfig"]["subnetIds"] == inputs["vpcConfig"]["subnetIds"]
    assert state["identities"][0]["oidcs"][0]["issuer"].startswith("https://oidc.eks.us-east-1.amazonaws.com/id/")
    assert set(state["certificateAuthority"]) == {"data"}


def test_encryption_is_put_on_once(world: Any) -> None:
    resource_id, inputs, state = made(world, encryptionConfig=None)
    key = world.boto("kms").create_key()["KeyMetadata"]["Arn"]
    changed = {**inputs, "encryptionConfig": {"provider": {"keyArn": key}, "resources": ["secrets"]}}
    assert not world.engine.diff(CLUSTER, inputs, changed, state).replaces
    world.engine.update(CLUSTER, resource_id, inputs, changed, state)
    assert cluster(world, resource_id)["keys"] == [key]


def test_each_cluster_has_an_issuer_of_its_own(world: Any) -> None:
    _, inputs, state = made(world)
    _, other = world.engine.create(CLUSTER, {**inputs, "name": "other"})
    assert state["identities"] != other["identities"]


def test_a_preview_knows_what_it_was_given(world: Any) -> None:
    words = surroundings(world)
    _, planned = world.engine.create(CLUSTER, world.engine.checked(CLUSTER, base(words)), preview=True)
    assert planned["vpcConfig"]["subnetIds"] == words["subnets"][:2]


def test_the_cluster_is_waited_for_through_every_change(world: Any, slow: Any) -> None:
    slow(world, 3)
    resource_id, inputs, state = made(world)
    assert state["status"] == "ACTIVE"
    changed = {**inputs, "version": "1.34", "enabledClusterLogTypes": ["audit"], "deletionProtection": True}
    state = world.engine.update(CLUSTER, resource_id, inputs, changed, state)
    assert cluster(world, resource_id)["version"] == "1.34"
    assert world.boto("eks").describe_cluster(name=resource_id)["cluster"]["status"] == "ACTIVE"
    free = {**changed, "deletionProtection": False}
    state = world.engine.update(CLUSTER, resource_id, changed, free, state)
    world.boto("eks").update_cluster_config(name=resource_id, zonalShiftConfig={"enabled": True})
    world.engine.delete(CLUSTER, resource_id, free, state)  # in the middle of that
    assert cluster(world, resource_id) is None


def test_a_protected_cluster_is_not_deleted(world: Any, failure: Any) -> None:
    resource_id, inputs, state = made(world, deletionProtection=True)
    error, _ = failure(world.engine.delete, CLUSTER, resource_id, inputs, state)
    assert "train has deletion protection" in error.details()
    assert "Set deletionProtection to false" in error.details()
    free = {**inputs, "deletionProtection": False}
    state = world.engine.update(CLUSTER, resource_id, inputs, free, state)
    world.engine.delete(CLUSTER, resource_id, free, state)
    assert cluster(world, resource_id) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "1.35"}, "Unsupported Kubernetes minor version update from 1.33 to 1.35"),
        ({"version": "1.32"}, "Unsupported Kubernetes minor version update from 1.33 to 1.32"),
        ({"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "Unsupported authentication mode update"),
    ],
)
def test_what_cannot_go_back_or_jump(world: Any, failure: Any, change: dict[str, Any], says: str) -> None:
    resource_id, inputs, state = made(world)
    before = cluster(world, resource_id)
    changed = {**inputs, **change}
    assert not world.engine.diff(CLUSTER, inputs, changed, state).replaces
    error, _ = failure(world.engine.update, CLUSTER, resource_id, inputs, changed, state)
    assert says in error.details()
    assert cluster(world, resource_id) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "1.19"}, "unsupported Kubernetes version"),
        ({"roleArn": "arn:aws:iam::{account}:role/nobody"}, "could not be assumed because it does not exist"),
        ({"roleArn": "{nodes}"}, "the trusted entity is not correct"),
        ({"vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}, "The subnet ID 'subnet-1' does not exist"),
        ({"kubernetesNetworkConfig": {"serviceIpv4Cidr": "8.8.8.0/24"}}, "must be within a private range"),
    ],
)
def test_what_the_local_eks_refuses_as_aws_does(world: Any, failure: Any, change: dict[str, Any], says: str) -> None:
    words = surroundings(world)
    filled = {name: value.format(**words, account=world.account) if isinstance(value, str) else value
              for name, value in change.items()}  # fmt: skip
    inputs = world.engine.checked(CLUSTER, {**base(words), **filled})
    error, _ = failure(world.engine.create, CLUSTER, inputs)
    assert says in error.details()
    assert cluster(world, "train") is None


def test_what_was_cut_off_is_taken_over_and_waited_for(elsewhere: Any, unfinished: Any, slow: Any) -> None:
    inputs = elsewhere.engine.checked(CLUSTER, base(surroundings(elsewhere)))
    slow(elsewhere, 2)
    network = {"subnetIds": inputs["vpcConfig"]["subnetIds"]}
    elsewhere.boto("eks").create_cluster(
        name="train", roleArn=inputs["roleArn"], version="1.33", resourcesVpcConfig=network
    )
    unfinished[f"urn:pulumi:dev::tests::{CLUSTER}::thing"] = set()
    resource_id, state = elsewhere.engine.create(CLUSTER, inputs)
    assert (resource_id, state["status"], state["tagsAll"]) == ("train", "ACTIVE", {"team": "ml"})
    assert cluster(elsewhere, "train")["access"] == "API_AND_CONFIG_MAP"
    assert elsewhere.engine.read(CLUSTER, resource_id, inputs, state) == (inputs, state)


def test_a_name_that_is_taken(world: Any, failure: Any) -> None:
    _, inputs, _ = made(world)
    error, _ = failure(world.engine.create, CLUSTER, inputs)
    assert "belongs to somebody else" in error.details()


def test_a_cluster_with_node_groups_is_not_deleted(world: Any, failure: Any) -> None:
    resource_id, inputs, state = made(world)
    words = {"nodeRole": world.boto("iam").get_role(RoleName="nodes")["Role"]["Arn"]}
    subnets = inputs["vpcConfig"]["subnetIds"]
    world.boto("eks").create_nodegroup(clusterName=resource_id, nodegroupName="cpu", subnets=subnets, **words)
    error, _ = failure(world.engine.delete, CLUSTER, resource_id, inputs, state)
    assert "Cluster has nodegroups attached" in error.details()


def test_a_lookup(world: Any) -> None:
    a_cluster(world)
    found = decode(getattr(world.engine.invoke(LOOKUP, {"name": "train"}), "return"))
    assert (found["name"], found["version"], found["status"]) == ("train", "1.33", "ACTIVE")
    assert set(found["vpcConfig"]) >= {"vpcId", "clusterSecurityGroupId", "subnetIds"}
    assert len(found["certificateAuthorities"]) == 1


def test_a_lookup_of_none(world: Any, failure: Any) -> None:
    error, _ = failure(world.engine.invoke, LOOKUP, {"name": "nowhere"})
    assert "No cluster found for name: nowhere" in error.details()


class Stub:
    """An AWS whose calls give what they are told to: what has failed at AWS cannot be had otherwise."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.session, self.region, self.seconds = answers, None, "us-east-1", 1.0
        self.cancelled = threading.Event()

    def api(self, service: str) -> Stub:
        return self

    def call(self, operation: str, **parameters: Any) -> Any:
        return self.answers[operation]

    def find(self, operation: str, absent: Any, **parameters: Any) -> Any:
        return self.answers[operation]


def test_what_has_failed_says_why() -> None:
    issue = {"code": "Ec2SubnetNotFound", "message": "it is gone", "resourceIds": ["subnet-1"]}
    record = {"cluster": {"status": "FAILED", "health": {"issues": [issue]}}}
    (kind,) = eks_cluster.RESOURCES
    with pytest.raises(AwsError, match=r"FAILED: Ec2SubnetNotFound: it is gone \(subnet-1\)"):
        kind.wait(Stub(describe_cluster=record), "train", {})


def test_an_update_that_has_failed_says_why() -> None:
    failed = {"status": "Failed", "errors": [{"errorCode": "IpNotAvailable", "errorMessage": "no addresses"}]}
    stub: Any = Stub(
        update_cluster_version={"update": {"id": "1", "type": "VersionUpdate"}}, describe_update={"update": failed}
    )
    with pytest.raises(AwsError, match="Failed: IpNotAvailable: no addresses"):
        eks.follow(stub, "update_cluster_version", {"name": "train"}, version="1.34")


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"name": "-train"}, "a letter or a digit first"),
        ({"version": "latest"}, "a minor version of Kubernetes"),
        ({"vpcConfig": {"subnetIds": ["subnet-1"]}}, "two availability zones"),
        ({"vpcConfig": {"subnetIds": ["a", "b"], "endpointPublicAccess": False}}, "must be true where"),
        ({"enabledClusterLogTypes": ["etcd"]}, "must be one of api, audit"),
        ({"accessConfig": {"authenticationMode": "RBAC"}}, "must be one of CONFIG_MAP"),
        ({"accessConfig": {"bootstrapClusterCreatorAdminPermissions": False}}, "authentication mode is CONFIG_MAP"),
        ({"encryptionConfig": {"provider": {"keyArn": "k"}, "resources": ["all"]}}, "must be one of secrets"),
        ({"upgradePolicy": {"supportType": "FOREVER"}}, "must be one of STANDARD"),
        ({"outpostConfig": {}}, "is not supported"),
    ],
)
def test_what_aws_refuses(world: Any, inputs: dict[str, Any], says: str) -> None:
    words = {"role": "arn:aws:iam::1:role/eks", "subnets": ["subnet-1", "subnet-2"], "keys": ["key"]}
    (failed,) = world.engine.check(CLUSTER, {**base(words), **inputs}).failures
    assert says in failed.reason


def test_nothing_unknown_is_judged(world: Any) -> None:
    words = {"role": "arn:aws:iam::1:role/eks", "subnets": ["subnet-1", "subnet-2"], "keys": ["key"]}
    assert judged(world, CLUSTER, base(words)) > len(base(words))
