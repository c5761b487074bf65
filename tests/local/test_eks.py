"""The local EKS: what it refuses, what is around it, whose API server it leads to, and any request at all."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.local import eks
from mlinfra.local.eks_records import Cluster, Held
from mlinfra.local.moto import Moto, Server
from tests.local.eks_place import ONE, TWO, Client, cluster, place, refusal

# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ({"version": "1.19"}, "InvalidParameterException", "unsupported Kubernetes version"),
        ({"roleArn": "arn:aws:iam::{one}:role/nobody"}, "InvalidParameterException", "does not exist"),
        ({"roleArn": "arn:aws:iam::{two}:role/eks"}, "InvalidParameterException", "Cross-account"),
        ({"roleArn": "{nodes}"}, "InvalidParameterException", "trusted entity is not correct"),
        ({"resourcesVpcConfig": {"subnetIds": ["{first}"]}}, "InvalidParameterException", "two different AZs"),
        (
            {"resourcesVpcConfig": {"subnetIds": ["{first}", "subnet-9"]}},
            "InvalidParameterException",
            "'subnet-9' does",
        ),
        (
            {"resourcesVpcConfig": {"subnetIds": ["{first}", "{second}"], "securityGroupIds": ["sg-9"]}},
            "InvalidParameterException",
            "'sg-9' does not exist",
        ),
        (
            {
                "resourcesVpcConfig": {
                    "subnetIds": ["{first}", "{second}"],
                    "endpointPublicAccess": False,
                    "endpointPrivateAccess": False,
                }
            },
            "InvalidParameterException",
            "cannot be false",
        ),
        ({"name": "-train"}, "InvalidParameterException", "does not match"),
        ({"upgradePolicy": {"supportType": "ETERNAL"}}, "InvalidParameterException", "is none of STANDARD, EXTENDED"),
        (
            {"encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:x:{one}:key/9"}}]},
            "InvalidParameterException",
            "does not exist",
        ),
        (
            {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.16.0.0/28"}},
            "InvalidParameterException",
            "between /12 and /24",
        ),
    ],
)
def test_clusters_that_aws_refuses(
    client: Client, there: dict[str, Any], given: dict[str, Any], code: str, says: str
) -> None:
    first, second = there["subnets"]
    words = {**there, "one": ONE, "two": TWO, "first": first, "second": second}
    filled = {
        "name": "train",
        "roleArn": there["role"],
        "resourcesVpcConfig": {"subnetIds": there["subnets"]},
        **_filled(given, words),
    }
    found = refusal(client("eks").create_cluster, **filled)
    assert found[0] == code
    assert says in found[1]
    assert client("eks").list_clusters()["clusters"] == []


def _filled(value: Any, words: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, words) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, words) for item in value]
    return value.format(**words) if isinstance(value, str) else value


def test_a_name_that_is_taken(client: Client, there: dict[str, Any]) -> None:
    cluster(client, there)
    given = {"roleArn": there["role"], "resourcesVpcConfig": {"subnetIds": there["subnets"]}}
    code, message = refusal(client("eks").create_cluster, name="train", **given)
    assert (code, message) == ("ResourceInUseException", "Cluster already exists with name: train")


def test_a_call_that_comes_twice_with_its_token_has_one_effect(client: Client, there: dict[str, Any]) -> None:
    one = cluster(client, there, clientRequestToken="once")
    two = cluster(client, there, clientRequestToken="once")
    assert one["createdAt"] == two["createdAt"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "No changes needed"),
        ({"deletionProtection": False}, "already at the desired configuration"),
        ({"logging": {"clusterLogging": [{"types": ["api"], "enabled": False}]}}, "logging config provided"),
        ({"deletionProtection": True, "zonalShiftConfig": {"enabled": True}}, "Only one type of update"),
        ({"resourcesVpcConfig": {"endpointPublicAccess": False}}, "cannot be false"),
        ({"resourcesVpcConfig": {"subnetIds": ["subnet-9"]}}, "does not exist"),
        ({"resourcesVpcConfig": {"securityGroupIds": [], "endpointPrivateAccess": True}}, "Only one type of update"),
        ({"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "Unsupported authentication mode update"),
    ],
)
def test_updates_that_aws_refuses(client: Client, there: dict[str, Any], change: dict[str, Any], says: str) -> None:
    cluster(client, there)
    before = client("eks").describe_cluster(name="train")["cluster"]
    code, message = refusal(client("eks").update_cluster_config, name="train", **change)
    assert code == "InvalidParameterException"
    assert says in message
    assert client("eks").describe_cluster(name="train")["cluster"] == before


def test_node_groups_hold_back_the_clusters_next_version(client: Client, there: dict[str, Any]) -> None:
    api = client("eks")
    cluster(client, there, version="1.33")
    place = {"clusterName": "train", "nodegroupName": "cpu"}
    api.create_nodegroup(**place, nodeRole=there["nodes"], subnets=there["subnets"], version="1.32")
    assert "must be updated to match" in refusal(api.update_cluster_version, name="train", version="1.34")[1]
    api.update_nodegroup_version(**place, version="1.33")
    api.update_cluster_version(name="train", version="1.34")


def test_things_take_their_time_where_they_are_told_to(moto: Moto, server: Server, client: Client, there: Any) -> None:
    api = client("eks")
    moto.tell_eks(server, ONE, {"looks": 2})
    cluster(client, there)
    node = {"clusterName": "train", "nodegroupName": "cpu", "nodeRole": there["nodes"], "subnets": there["subnets"]}
    assert refusal(api.create_nodegroup, **node) == (
        "InvalidRequestException",
        "Cluster 'train' is not in ACTIVE status",
    )
    look = lambda: api.describe_cluster(name="train")["cluster"]["status"]  # noqa: E731
    assert [look() for _ in range(3)] == ["CREATING", "CREATING", "ACTIVE"]
    update = api.update_cluster_version(name="train", version="1.35")["update"]["id"]
    code, message = refusal(api.update_cluster_config, name="train", deletionProtection=True)
    assert code == "ResourceInUseException"
    assert "in progress" in message
    state = lambda: api.describe_update(name="train", updateId=update)["update"]["status"]  # noqa: E731
    assert [state() for _ in range(2)] == ["InProgress", "Successful"]
    api.delete_cluster(name="train")
    assert [look() for _ in range(2)] == ["DELETING", "DELETING"]
    assert refusal(api.describe_cluster, name="train")[0] == "ResourceNotFoundException"


def test_what_is_not_served_says_so(client: Client) -> None:
    code, message = refusal(client("eks").list_insights, clusterName="train")
    assert (code, message) == ("NotEmulated", "the local EKS cannot do ListInsights")


# ------------------------------------------------------------------------------------------------ what is around it


def test_the_group_of_a_cluster_comes_and_goes_with_it(client: Client, there: dict[str, Any]) -> None:
    before = len(client("ec2").describe_security_groups()["SecurityGroups"])
    group = cluster(client, there)["resourcesVpcConfig"]["clusterSecurityGroupId"]
    (found,) = client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert found["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group
    client("eks").delete_cluster(name="train")
    assert len(client("ec2").describe_security_groups()["SecurityGroups"]) == before


def test_a_control_plane_that_logs_has_a_group_which_stays(client: Client, there: dict[str, Any]) -> None:
    groups = lambda: [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]]  # noqa: E731
    cluster(client, there)
    assert groups() == []
    cluster(client, there, "logs", logging={"clusterLogging": [{"types": ["audit"], "enabled": True}]})
    client("eks").delete_cluster(name="logs")
    assert groups() == ["/aws/eks/logs/cluster"]


def test_accounts_and_regions_are_worlds_apart(moto: Moto, client: Client, there: dict[str, Any]) -> None:
    cluster(client, there)
    cluster(client, place(client, TWO), account=TWO)
    cluster(client, {**place(client, ONE, "us-east-1"), "region": "us-east-1"})
    assert client("eks").describe_cluster(name="train")["cluster"]["arn"].split(":")[3] == "eu-west-1"
    moto.wipe(ONE)
    assert client("eks").list_clusters()["clusters"] == []
    assert client("eks", region="us-east-1").list_clusters()["clusters"] == []
    assert client("eks", TWO).list_clusters()["clusters"] == ["train"]


# ------------------------------------------------------------------------------------------------ the API server


def reach(client: Client, name: str, account: str = ONE) -> tuple[str, str]:
    found = client("eks", account).describe_cluster(name=name)["cluster"]
    return found["endpoint"], found["certificateAuthority"]["data"]


def told(stack: str, blueprint: str, port: int) -> dict[str, str]:
    return {"stack": stack, "blueprint": blueprint, "server": f"https://127.0.0.1:{port}", "authority": f"CA{port}"}


def test_who_stands_for_a_cluster(moto: Moto, server: Server, client: Client, there: dict[str, Any]) -> None:
    cluster(client, there, "ours", tags={eks.BLUEPRINT: "recommender"})
    cluster(client, there, "theirs", tags={eks.BLUEPRINT: "platform"})
    cluster(client, there, "nobodys")
    assert reach(client, "ours")[0].endswith(".eks.invalid")
    moto.tell_eks(server, ONE, told("staging", "recommender", 1))
    assert {reach(client, name) for name in ("ours", "theirs", "nobodys")} == {("https://127.0.0.1:1", "CA1")}
    moto.tell_eks(server, ONE, told("platform-staging", "platform", 2))
    assert [reach(client, name)[1] for name in ("ours", "theirs", "nobodys")] == ["CA1", "CA2", "CA2"]
    moto.tell_eks(server, ONE, told("staging", "recommender", 3))
    assert [reach(client, name)[1] for name in ("ours", "theirs", "nobodys")] == ["CA3", "CA2", "CA3"]
    moto.tell_eks(server, TWO, told("prod", "recommender", 4))
    assert reach(client, "ours")[1] == "CA3"
    moto.wipe(ONE)
    cluster(client, place(client))
    assert reach(client, "train")[1] == ""


# ------------------------------------------------------------------------------------------------ plain requests


@pytest.mark.parametrize(
    ("method", "uri", "body", "status", "code"),
    [
        ("GET", "/clusters", b"", "200 OK", None),
        ("GET", "/clusters?maxResults=two", b"", "400 Bad Request", "InvalidParameterException"),
        ("POST", "/clusters", b"{", "400 Bad Request", "InvalidParameterException"),
        ("POST", "/clusters", b"[]", "400 Bad Request", "InvalidParameterException"),
        ("POST", "/clusters", b"{}", "400 Bad Request", "InvalidParameterException"),
        ("POST", "/clusters", b'{"name": 1}', "400 Bad Request", "InvalidParameterException"),
        ("GET", "/clusters/a%2Fb", b"", "404 Not Found", "ResourceNotFoundException"),
        ("GET", "/nothing", b"", "501 Not Implemented", "NotEmulated"),
        ("PATCH", "/clusters", b"", "501 Not Implemented", "NotEmulated"),
        ("GET", "/tags/arn:aws:eks:eu-west-1:1:cluster/a", b"", "404 Not Found", "NotFoundException"),
    ],
)
def test_any_request_has_an_answer(method: str, uri: str, body: bytes, status: str, code: str | None) -> None:
    answer = eks.Eks().answer(method, uri, body, ONE, "eu-west-1")
    assert answer.status == status
    assert dict(answer.headers).get("x-amzn-ErrorType") == code
    assert isinstance(json.loads(answer.body), dict)


@pytest.mark.parametrize(
    ("authorization", "region"),
    [
        ("AWS4-HMAC-SHA256 Credential=LOCAL1/20260101/eu-west-1/eks/aws4_request, SignedHeaders=host", "eu-west-1"),
        ("AWS4-HMAC-SHA256 Credential=LOCAL1/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host", ""),
        ("", ""),
    ],
)
def test_what_is_meant_for_eks(authorization: str, region: str) -> None:
    assert eks.region_of({"HTTP_AUTHORIZATION": authorization}) == region


NAMES = {"clusterName": "train", "name": "train", "nodegroupName": "cpu", "addonName": "coredns"}


def an_eks() -> eks.Eks:
    """One with a cluster, a node group and an add-on, as far as they can be had without other services."""
    found = eks.Eks()
    network = {"vpcId": "vpc-1", "subnetIds": [], "securityGroupIds": [], "clusterSecurityGroupId": "sg-1",
               "endpointPublicAccess": True, "endpointPrivateAccess": False, "publicAccessCidrs": []}  # fmt: skip
    record = {
        "name": "train", "arn": "arn", "version": "1.34", "tags": {}, "deletionProtection": False, "createdAt": 1,
        "resourcesVpcConfig": network, "accessConfig": {"authenticationMode": "API"}, "zonalShiftConfig": {},
        "logging": {"clusterLogging": []}, "upgradePolicy": {}, "identity": {"oidc": {"issuer": "x" * 40}},
    }  # fmt: skip
    node = {"nodegroupName": "cpu", "nodeRole": "r", "version": "1.34", "labels": {}, "taints": [], "tags": {},
            "scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 1}}  # fmt: skip
    addon = {"addonName": "coredns", "addonArn": "a", "addonVersion": "v1.0.0", "tags": {},
             "namespaceConfig": {"namespace": "kube-system"}}  # fmt: skip
    cluster = Cluster(record, node_groups={"cpu": Held(node)}, addons={"coredns": Held(addon)})
    found._clusters[ONE, "eu-west-1"] = {"train": cluster}
    return found


def values(shape: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Parameters of the right types, with anything in them."""
    if name in NAMES:
        return st.sampled_from([NAMES[name], "other"])
    if shape.type_name == "structure":
        required = {
            each: values(member, each) for each, member in shape.members.items() if each in shape.required_members
        }
        more = {each: values(member, each) for each, member in shape.members.items() if each not in required}
        return st.fixed_dictionaries(required, optional=more)
    if shape.type_name == "list":
        return st.lists(values(shape.member), max_size=2)
    if shape.type_name == "map":
        return st.dictionaries(st.text(max_size=5), values(shape.value), max_size=2)
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name in ("integer", "long"):
        return st.integers(-1, 200)
    words = st.sampled_from(["1.34", "1.35", "arn:aws:iam::111111111111:role/x", "10.0.0.0/16"])
    return st.sampled_from(shape.enum) | st.text(max_size=5) if shape.enum else words | st.text(max_size=10)


@pytest.mark.parametrize("name", sorted(eks.OPERATIONS))
@given(data=st.data())
@settings(max_examples=25)
def test_whatever_is_asked_there_is_an_answer(name: str, data: Any) -> None:
    operation = next(item for _, _, item in eks._routes() if item.name == name)
    asked = data.draw(values(operation.input_shape))
    places = {each: member.serialization for each, member in operation.input_shape.members.items()}
    path = {spot.get("name", each): quote(str(asked[each]), safe="") or "x" for each, spot in places.items()
            if spot.get("location") == "uri"}  # fmt: skip
    query = {spot.get("name", each): asked[each] for each, spot in places.items()
             if spot.get("location") == "querystring" and each in asked}  # fmt: skip
    body = {each: asked[each] for each, spot in places.items() if not spot.get("location") and each in asked}
    uri = operation.http["requestUri"].format(**path) + (f"?{urlencode(query, doseq=True)}" if query else "")
    answer = an_eks().answer(operation.http["method"], uri, json.dumps(body).encode(), ONE, "eu-west-1")
    assert answer.status in {"200 OK", *eks.STATUS.values()}
    assert isinstance(json.loads(answer.body), dict)
