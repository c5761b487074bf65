"""Every operation of the local EKS, through boto3, which has to understand the answers."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

from mlinfra.local import eks
from mlinfra.local.eks_tables import ADDONS, POLICIES, VERSIONS, policy_arn
from tests.local.eks_place import ONE, Client, cluster, refusal

EDIT = policy_arn("aws", "AmazonEKSEditPolicy")
VIEW = policy_arn("aws", "AmazonEKSViewPolicy")


def test_every_operation_that_is_answered_is_tried_below() -> None:
    """By the method that boto3 gives it, in this file or in what it prepares its clusters with."""
    text = "".join(path.read_text() for path in (Path(__file__), Path(__file__).with_name("eks_place.py")))
    assert [
        name for name in eks.OPERATIONS if f".{_python(name)}(" not in text and f".{_python(name)}," not in text
    ] == []


def test_all_operations_are_awss() -> None:
    known = Loader().load_service_model("eks", "service-2")["operations"]
    assert set(eks.OPERATIONS) < set(known)


def _python(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def test_clusters(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    made = cluster(client, there, tags={"a": "b"})
    assert (made["status"], made["arn"]) == ("CREATING", f"arn:aws:eks:eu-west-1:{ONE}:cluster/train")
    live = api.describe_cluster(name="train")["cluster"]
    assert live["status"] == "ACTIVE"
    assert live["resourcesVpcConfig"]["vpcId"] == there["vpc"]
    updates = [
        api.update_cluster_version(name="train", version="1.35"),
        api.update_cluster_config(name="train", logging={"clusterLogging": [{"types": ["api"], "enabled": True}]}),
        api.update_cluster_config(name="train", deletionProtection=True),
        api.update_cluster_config(name="train", deletionProtection=False),
        api.associate_encryption_config(
            clusterName="train", encryptionConfig=[{"resources": ["secrets"], "provider": {"keyArn": key}}]
        ),
    ]
    assert [each["update"]["status"] for each in updates] == ["InProgress"] * 5
    listed = api.list_updates(name="train")["updateIds"]
    assert listed == [each["update"]["id"] for each in updates]
    done = [api.describe_update(name="train", updateId=each)["update"] for each in listed]
    assert [each["status"] for each in done] == ["Successful"] * 5
    assert done[0]["type"] == "VersionUpdate"
    live = api.describe_cluster(name="train")["cluster"]
    assert (live["version"], live["encryptionConfig"][0]["provider"]["keyArn"]) == ("1.35", key)
    assert api.list_clusters()["clusters"] == ["train"]
    assert api.delete_cluster(name="train")["cluster"]["status"] == "DELETING"
    assert api.list_clusters()["clusters"] == []
    assert refusal(api.describe_cluster, name="train") == (
        "ResourceNotFoundException",
        "No cluster found for name: train.",
    )


def test_node_groups(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there)
    place = {"clusterName": "train", "nodegroupName": "cpu"}
    made = api.create_nodegroup(**place, nodeRole=there["nodes"], subnets=there["subnets"])["nodegroup"]
    assert (made["status"], made["amiType"]) == ("CREATING", "AL2023_x86_64_STANDARD")
    update = api.update_nodegroup_config(
        **place,
        scalingConfig={"maxSize": 9},
        labels={"addOrUpdateLabels": {"a": "b"}},
        taints={"addOrUpdateTaints": [{"key": "k", "effect": "NO_EXECUTE"}]},
        updateConfig={"maxUnavailable": 2},
    )["update"]
    assert {each["type"] for each in update["params"]} == {"MaxSize", "LabelsToAdd", "TaintsToAdd"}
    newer = api.update_nodegroup_version(**place)["update"]
    assert api.list_updates(name="train", nodegroupName="cpu")["updateIds"] == [update["id"], newer["id"]]
    assert api.list_updates(name="train")["updateIds"] == []
    found = api.describe_update(name="train", nodegroupName="cpu", updateId=newer["id"])["update"]
    assert (found["status"], found["type"]) == ("Successful", "VersionUpdate")
    live = api.describe_nodegroup(**place)["nodegroup"]
    assert (live["scalingConfig"]["maxSize"], live["labels"], live["taints"][0]["key"]) == (9, {"a": "b"}, "k")
    assert api.list_nodegroups(clusterName="train")["nodegroups"] == ["cpu"]
    assert refusal(api.delete_cluster, name="train") == ("ResourceInUseException", "Cluster has nodegroups attached")
    assert api.delete_nodegroup(**place)["nodegroup"]["status"] == "DELETING"
    assert refusal(api.describe_nodegroup, **place)[0] == "ResourceNotFoundException"
    api.delete_cluster(name="train")


def test_addons(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there, version="1.34")
    place = {"clusterName": "train", "addonName": "kube-proxy"}
    made = api.create_addon(**place)["addon"]
    assert (made["status"], made["addonVersion"]) == ("CREATING", "v1.34.0-eksbuild.1")
    update = api.update_addon(**place, addonVersion="v1.34.1-eksbuild.2", resolveConflicts="OVERWRITE")["update"]
    assert update["type"] == "AddonUpdate"
    assert api.describe_update(name="train", addonName="kube-proxy", updateId=update["id"])["update"]["id"]
    assert api.describe_addon(**place)["addon"]["addonVersion"] == "v1.34.1-eksbuild.2"
    assert refusal(api.create_addon, **place) == ("ResourceInUseException", "Addon already exists.")
    assert api.list_addons(clusterName="train")["addons"] == ["kube-proxy"]
    assert api.delete_addon(**place)["addon"]["status"] == "DELETING"
    assert api.list_addons(clusterName="train")["addons"] == []


def test_versions_of_addons(client: Client) -> None:
    api = client("eks")
    assert [each["addonName"] for each in api.describe_addon_versions()["addons"]] == sorted(ADDONS)
    (proxy,) = api.describe_addon_versions(addonName="kube-proxy", kubernetesVersion="1.33")["addons"]
    assert proxy["addonVersions"][0]["compatibilities"][0]["clusterVersion"] == "1.33"
    storage = api.describe_addon_versions(types=["storage"])["addons"]
    assert {each["type"] for each in storage} == {"storage"}
    assert refusal(api.describe_addon_versions, addonName="nothing")[0] == "ResourceNotFoundException"


def test_access(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there)
    place = {"clusterName": "train", "principalArn": there["people"]}
    made = api.create_access_entry(**place, kubernetesGroups=["ml"])["accessEntry"]
    assert made["username"] == f"arn:aws:sts::{ONE}:assumed-role/people/{{{{SessionName}}}}"
    api.update_access_entry(**place, kubernetesGroups=["ops"], username="someone")
    live = api.describe_access_entry(**place)["accessEntry"]
    assert (live["kubernetesGroups"], live["username"]) == (["ops"], "someone")
    scope = {"type": "namespace", "namespaces": ["a"]}
    for policy in (EDIT, VIEW):
        found = api.associate_access_policy(**place, policyArn=policy, accessScope=scope)
        assert found["associatedAccessPolicy"]["accessScope"] == scope
    api.disassociate_access_policy(**place, policyArn=VIEW)
    listed = api.list_associated_access_policies(**place)["associatedAccessPolicies"]
    assert [each["policyArn"] for each in listed] == [EDIT]
    entries = api.list_access_entries(clusterName="train", associatedPolicyArn=EDIT)["accessEntries"]
    assert entries == [there["people"]]
    assert len(api.list_access_policies()["accessPolicies"]) == len(POLICIES)
    api.delete_access_entry(**place)
    assert refusal(api.describe_access_entry, **place)[0] == "ResourceNotFoundException"


def test_who_makes_a_cluster_and_its_nodes_are_let_in_by_themselves(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there)
    root = f"arn:aws:iam::{ONE}:root"
    assert api.list_access_entries(clusterName="train")["accessEntries"] == [root]
    admin = api.list_associated_access_policies(clusterName="train", principalArn=root)["associatedAccessPolicies"]
    assert admin[0]["policyArn"] == policy_arn("aws", "AmazonEKSClusterAdminPolicy")
    for name in ("one", "two"):
        api.create_nodegroup(clusterName="train", nodegroupName=name, nodeRole=there["nodes"], subnets=there["subnets"])
    entry = api.describe_access_entry(clusterName="train", principalArn=there["nodes"])["accessEntry"]
    assert (entry["type"], entry["kubernetesGroups"]) == ("EC2_LINUX", ["system:nodes"])
    api.delete_nodegroup(clusterName="train", nodegroupName="one")
    assert there["nodes"] in api.list_access_entries(clusterName="train")["accessEntries"]
    api.delete_nodegroup(clusterName="train", nodegroupName="two")
    assert api.list_access_entries(clusterName="train")["accessEntries"] == [root]


def test_nobody_is_let_in_where_it_is_not_asked_for(client: Client, there: dict[str, Any]) -> None:
    access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    cluster(client, there, accessConfig=access)
    assert client("eks").list_access_entries(clusterName="train")["accessEntries"] == []


def test_pod_identity(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there)
    of = {"clusterName": "train", "namespace": "ml", "serviceAccount": "fit"}
    made = api.create_pod_identity_association(**of, roleArn=there["pods"])["association"]
    place = {"clusterName": "train", "associationId": made["associationId"]}
    code, message = refusal(api.create_pod_identity_association, **of, roleArn=there["pods"])
    assert (code, message) == ("ResourceInUseException", f"Association already exists: {made['associationId']}")
    changed = api.update_pod_identity_association(**place, disableSessionTags=True)["association"]
    assert changed["disableSessionTags"]
    assert api.describe_pod_identity_association(**place)["association"]["roleArn"] == there["pods"]
    assert api.list_pod_identity_associations(clusterName="train", namespace="other")["associations"] == []
    (listed,) = api.list_pod_identity_associations(clusterName="train", namespace="ml")["associations"]
    assert "roleArn" not in listed
    api.delete_pod_identity_association(**place)
    assert refusal(api.describe_pod_identity_association, **place)[0] == "ResourceNotFoundException"


def test_an_addons_association_is_the_addons(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there)
    association = {"serviceAccount": "ebs-csi-controller-sa", "roleArn": there["pods"]}
    api.create_addon(clusterName="train", addonName="aws-ebs-csi-driver", podIdentityAssociations=[association])
    (found,) = api.list_pod_identity_associations(clusterName="train")["associations"]
    place = {"clusterName": "train", "associationId": found["associationId"]}
    assert "is owned by" in refusal(api.delete_pod_identity_association, **place)[1]
    api.delete_addon(clusterName="train", addonName="aws-ebs-csi-driver")
    assert api.list_pod_identity_associations(clusterName="train")["associations"] == []


def test_fargate_profiles(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there)
    place = {"clusterName": "train", "fargateProfileName": "small"}
    given = {"podExecutionRoleArn": there["fargate"], "subnets": there["subnets"]}
    selectors = [{"namespace": "small", "labels": {"a": "b"}}]
    assert api.create_fargate_profile(**place, **given, selectors=selectors)["fargateProfile"]["status"] == "CREATING"
    assert api.describe_fargate_profile(**place)["fargateProfile"]["selectors"] == selectors
    assert api.list_fargate_profiles(clusterName="train")["fargateProfileNames"] == ["small"]
    assert refusal(api.delete_cluster, name="train")[1] == "Cluster has Fargate profiles attached"
    assert refusal(api.create_fargate_profile, **place, **given, selectors=selectors)[0] == "ResourceInUseException"
    api.delete_fargate_profile(**place)
    assert api.list_fargate_profiles(clusterName="train")["fargateProfileNames"] == []


def test_versions(client: Client) -> None:
    api = client("eks")
    found = api.describe_cluster_versions()["clusterVersions"]
    assert [each["clusterVersion"] for each in found] == sorted(VERSIONS, reverse=True)
    assert all(each["releaseDate"] < each["endOfStandardSupportDate"] for each in found)
    (default,) = api.describe_cluster_versions(defaultOnly=True)["clusterVersions"]
    assert default["defaultVersion"]
    assert len(api.describe_cluster_versions(clusterVersions=["1.33"])["clusterVersions"]) == 1


def test_tags_of_everything(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    of = {"clusterName": "train"}
    arns = [cluster(client, there)["arn"]]
    node = {"nodegroupName": "cpu", "nodeRole": there["nodes"], "subnets": there["subnets"]}
    arns.append(api.create_nodegroup(**of, **node)["nodegroup"]["nodegroupArn"])
    arns.append(api.create_addon(**of, addonName="coredns")["addon"]["addonArn"])
    arns.append(api.create_access_entry(**of, principalArn=there["people"])["accessEntry"]["accessEntryArn"])
    pod = {"namespace": "ml", "serviceAccount": "fit", "roleArn": there["pods"]}
    arns.append(api.create_pod_identity_association(**of, **pod)["association"]["associationArn"])
    for arn in arns:
        api.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
        api.untag_resource(resourceArn=arn, tagKeys=["a", "c"])
        assert api.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert refusal(api.list_tags_for_resource, resourceArn=arns[0] + "x")[0] == "NotFoundException"
    assert refusal(api.tag_resource, resourceArn=arns[0], tags={"aws:x": "1"})[0] == "BadRequestException"
    many = {str(n): "x" for n in range(50)}
    assert refusal(api.tag_resource, resourceArn=arns[0], tags=many)[0] == "BadRequestException"


def test_lists_have_pages(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    for number in range(5):
        cluster(client, there, f"c{number}")
    first = api.list_clusters(maxResults=2)
    assert first["clusters"] == ["c0", "c1"]
    assert api.list_clusters(maxResults=2, nextToken=first["nextToken"])["clusters"] == ["c2", "c3"]
    pages = api.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2})
    assert [page["clusters"] for page in pages] == [["c0", "c1"], ["c2", "c3"], ["c4"]]
    for number in range(3):
        name = f"p{number}"
        api.create_pod_identity_association(
            clusterName="c0", namespace="ml", serviceAccount=name, roleArn=there["pods"]
        )
    pages = api.get_paginator("list_pod_identity_associations").paginate(
        clusterName="c0", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["associations"]) for page in pages] == [2, 1]
    versions = api.get_paginator("describe_addon_versions").paginate(PaginationConfig={"PageSize": 10})
    assert sum(len(page["addons"]) for page in versions) == len(ADDONS)
    assert refusal(api.list_clusters, nextToken="guess")[0] == "InvalidParameterException"
    assert refusal(api.list_clusters, nextToken=base64.b64encode(b"eks 99").decode())[0] == "InvalidParameterException"
