from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mlinfra.authoring import Blueprint, Component, Params, blueprint, recording
from mlinfra.components.bucket import Bucket
from mlinfra.components.key import Key
from mlinfra.components.network import Network, default_network
from mlinfra.components.network_values import ExistingNetwork, FlowLogs
from mlinfra.environment import Environment
from mlinfra.graph import Join, Ref, to_json
from mlinfra.tiers import Tier
from tests.components.conftest import LOCAL

VPC, SUBNET, OTHER = "vpc-0123456789abcdef0", "subnet-0123456789abcdef0", "subnet-0123456789abcdef1"
EXISTING = ExistingNetwork(
    vpc_id=VPC, cidr="10.9.0.0/16", private_subnet_ids=[SUBNET], public_subnet_ids=[OTHER], zones=["eu-west-1a"]
)
ALWAYS = {"vpc", "default-group", "zones", "account", "logs", "logs-role", "logs-policy", "flow-log"}
ALWAYS |= {"endpoint-s3", "endpoint-dynamodb"}
PUBLIC = {"internet-gateway", "public-routes", "public-out"}


def zone(number: int, *, public: bool = True, nat: bool = True, out: bool = True) -> set[str]:
    """The nodes of one zone."""
    names = {f"private-{number}", f"private-{number}-association", f"private-{number}-routes"}
    names |= {f"public-{number}", f"public-{number}-association"} if public else set()
    names |= {f"nat-{number}", f"nat-{number}-address"} if nat else set()
    return names | ({f"private-{number}-out"} if out else set())


def in_blueprint(declare: Any, tier: Tier = Tier.DEV, **over: Any) -> tuple[list[Component], dict[str, Any]]:
    """What a blueprint made, with its outputs, without an expansion."""

    @blueprint("sample", version="1.0.0")
    def sample(env: Environment, p: Params) -> Blueprint:
        component, outputs = declare()
        return Blueprint(component, outputs=outputs)

    with recording() as notes:
        result = sample(replace(LOCAL, tier=tier, **over), Params())
    assert notes.problems == []
    return notes.components, result.outputs


@pytest.mark.parametrize(
    ("tier", "nodes", "days"),
    [
        (Tier.DEV, ALWAYS | PUBLIC | zone(1) | zone(2, nat=False), 7),
        (Tier.STAGING, ALWAYS | PUBLIC | zone(1) | zone(2, nat=False), 30),
        (Tier.PROD, ALWAYS | PUBLIC | zone(1) | zone(2) | zone(3), 365),
    ],
)
def test_what_a_network_comes_to_in_each_tier(expanded: Any, tier: Tier, nodes: set[str], days: int) -> None:
    result = expanded(lambda: Network("net"), tier=tier)
    assert result.diagnostics == ()
    assert result.names_of("net") == nodes
    assert result.inputs("net/logs")["retentionInDays"] == days


@pytest.mark.parametrize(
    ("fields", "nodes"),
    [
        ({"nat": "none"}, PUBLIC | zone(1, nat=False, out=False) | zone(2, nat=False, out=False)),
        ({"nat": "one"}, PUBLIC | zone(1) | zone(2, nat=False)),
        ({"nat": "per-zone"}, PUBLIC | zone(1) | zone(2)),
        ({"public": False}, zone(1, public=False, nat=False, out=False) | zone(2, public=False, nat=False, out=False)),
        ({"zones": 1}, PUBLIC | zone(1)),
    ],
)
def test_ways_out(expanded: Any, fields: dict[str, Any], nodes: set[str]) -> None:
    assert expanded(lambda: Network("net", **fields)).names_of("net") == ALWAYS | nodes


def test_private_subnets_go_out_by_the_nat_gateway_of_their_zone_or_by_the_only_one(expanded: Any) -> None:
    for nat, gateways in {"one": ["net/nat-1"] * 3, "per-zone": ["net/nat-1", "net/nat-2", "net/nat-3"]}.items():
        result = expanded(lambda nat=nat: Network("net", zones=3, nat=nat))
        assert [result.inputs(f"net/private-{n}-out")["natGatewayId"].node for n in (1, 2, 3)] == gateways
        assert result.inputs("net/public-out")["gatewayId"] == Ref("net/internet-gateway")
        for number, gateway in enumerate(dict.fromkeys(gateways), start=1):
            assert result.inputs(gateway)["subnetId"] == Ref(f"net/public-{number}")
            assert result.inputs(gateway)["allocationId"] == Ref(f"net/nat-{number}-address")
            assert result.node(gateway).options.depends_on == ("net/internet-gateway",)


def test_subnets(expanded: Any) -> None:
    result = expanded(lambda: Network("net", cidr="10.4.0.0/16"))
    first = result.inputs("net/private-1")
    assert (first["cidrBlock"], first["vpcId"]) == ("10.4.0.0/19", Ref("net/vpc"))
    assert first["availabilityZone"] == Ref("net/zones", ("names", 0))
    assert first["tags"]["kubernetes.io/role/internal-elb"] == "1"
    assert first["tags"]["mlinfra:component"] == "net"
    other = result.inputs("net/public-2")
    assert (other["cidrBlock"], other["availabilityZone"]) == ("10.4.228.0/22", Ref("net/zones", ("names", 1)))
    assert other["tags"]["kubernetes.io/role/elb"] == "1"
    for number in (1, 2):
        assert result.inputs(f"net/public-{number}-association")["routeTableId"] == Ref("net/public-routes")
        mine = result.inputs(f"net/private-{number}-association")
        assert mine == {"subnetId": Ref(f"net/private-{number}"), "routeTableId": Ref(f"net/private-{number}-routes")}
        for kind in ("private", "public"):
            node = result.node(f"net/{kind}-{number}")
            assert node.inputs["mapPublicIpOnLaunch"] is False
            assert node.options.ignore_changes == ("availabilityZone",)


def test_everything_that_can_bear_tags_bears_them(expanded: Any) -> None:
    result = expanded(lambda: Network("net", interface_endpoints=["sts"]))
    bare = {"Route", "RouteTableAssociation", "RolePolicy"}
    for node in result.graph:
        if node.component == "net" and node.kind == "resource" and node.type.rpartition(":")[2] not in bare:
            assert node.inputs["tags"]["mlinfra:cost-center"] == "ml-042", node.name


def test_further_tags(expanded: Any) -> None:
    result = expanded(lambda: Network("net", tags={"karpenter.sh/discovery": "ml", "Name": "mine"}))
    for name in ("net/vpc", "net/private-1", "net/public-routes", "net/endpoint-s3"):
        tags = result.inputs(name)["tags"]
        assert (tags["karpenter.sh/discovery"], tags["Name"], tags["mlinfra:component"]) == ("ml", "mine", "net")


def test_named_zones_are_not_looked_up(expanded: Any) -> None:
    result = expanded(lambda: Network("net", zone_names=["us-east-1c", "us-east-1a"]))
    assert "zones" not in result.names_of("net")
    assert result.inputs("net/private-1")["availabilityZone"] == "us-east-1c"
    assert result.node("net/private-1").options.ignore_changes == ()


def test_given_ranges_say_how_many_zones_there_are(expanded: Any) -> None:
    ranges = {"private_cidrs": ["10.0.0.0/20", "10.0.16.0/24"], "public_cidrs": ["10.0.32.0/28", "10.0.33.0/28"]}
    result = expanded(lambda: Network("net", **ranges), tier=Tier.PROD)
    found = [result.inputs(f"net/{kind}-{n}")["cidrBlock"] for kind in ("private", "public") for n in (1, 2)]
    assert found == [*ranges["private_cidrs"], *ranges["public_cidrs"]]
    assert "private-3" not in result.names_of("net")


def test_the_default_group_is_closed(expanded: Any) -> None:
    inputs = expanded(lambda: Network("net")).inputs("net/default-group")
    assert (inputs["vpcId"], inputs["ingress"], inputs["egress"]) == (Ref("net/vpc"), [], [])


def test_gateway_endpoints_are_in_every_table(expanded: Any) -> None:
    result = expanded(lambda: Network("net", gateway_endpoints=["s3"]))
    assert "endpoint-dynamodb" not in result.names_of("net")
    inputs = result.inputs("net/endpoint-s3")
    assert inputs["serviceName"] == "com.amazonaws.us-east-1.s3"
    tables = ["net/private-1-routes", "net/private-2-routes", "net/public-routes"]
    assert inputs["routeTableIds"] == [Ref(name) for name in tables]


def test_interface_endpoints_let_in_the_private_subnets_alone(expanded: Any) -> None:
    full = "com.amazonaws.us-east-1.neptune-graph"
    result = expanded(lambda: Network("net", interface_endpoints=["ecr.api", full]))
    inputs = result.inputs("net/endpoint-ecr-api")
    assert inputs["serviceName"] == "com.amazonaws.us-east-1.ecr.api"
    assert inputs["subnetIds"] == [Ref("net/private-1"), Ref("net/private-2")]
    assert inputs["securityGroupIds"] == [Ref("net/endpoints")]
    assert inputs["privateDnsEnabled"] is True
    assert result.inputs("net/endpoint-com-amazonaws-us-east-1-neptune-graph")["serviceName"] == full
    group = result.inputs("net/endpoints")
    assert {"ingress", "egress"}.isdisjoint(group)
    rules = [node.inputs for node in result.graph if node.type.startswith("aws:vpc/securityGroup")]
    assert [rule["cidrIpv4"] for rule in rules] == ["10.0.0.0/19", "10.0.32.0/19"]
    assert {(rule["ipProtocol"], rule["fromPort"], rule["toPort"]) for rule in rules} == {("tcp", 443, 443)}


def test_flow_logs(expanded: Any) -> None:
    result = expanded(lambda: Network("net", flow_logs=FlowLogs(traffic="rejected", days=90, interval=60)), "eks")
    log = result.inputs("net/flow-log")
    assert (log["vpcId"], log["trafficType"], log["maxAggregationInterval"]) == (Ref("net/vpc"), "REJECT", 60)
    arn = Ref("net/logs", ("arn",))
    assert (log["logDestination"], log["iamRoleArn"]) == (arn, Ref("net/logs-role", ("arn",)))
    assert result.inputs("net/logs")["retentionInDays"] == 90
    (trust,) = result.inputs("net/logs-role")["assumeRolePolicy"].value["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    (writes,) = result.inputs("net/logs-policy")["policy"].value["Statement"]
    assert writes["Resource"] == [arn, Join((arn, ":*"))]
    assert "logs:PutLogEvents" in writes["Action"]


@pytest.mark.parametrize("key", [None, "own"])
def test_flow_logs_in_a_bucket(expanded: Any, key: str | None) -> None:
    fields = {} if key is None else {"key": key}
    result = expanded(lambda: Network("net", flow_logs=FlowLogs(bucket=Bucket("logs", **fields))), "eks")
    assert result.diagnostics == ()
    assert not {"logs", "logs-role", "logs-policy"} & result.names_of("net")
    log = result.inputs("net/flow-log")
    assert (log["logDestinationType"], log["logDestination"]) == ("s3", Ref("logs/bucket", ("arn",)))
    assert "iamRoleArn" not in log
    assert result.node("net/flow-log").options.depends_on == ("logs/policy",)
    service = {"Service": "delivery.logs.amazonaws.com"}
    found = [
        item
        for name in ("logs/policy", *(["logs/key"] if key else []))
        for item in result.inputs(name)["policy"].value["Statement"]
        if item["Principal"] == service
    ]
    assert [item["Effect"] for item in found] == ["Allow"] * (3 if key else 2)
    assert all(item["Condition"]["StringEquals"]["aws:SourceAccount"] == "111122223333" for item in found)
    arn = Ref("logs/bucket", ("arn",))
    assert found[0]["Resource"] == Join((arn, "/AWSLogs/", "111122223333", "/*"))


def test_flow_logs_under_a_key(expanded: Any) -> None:
    result = expanded(lambda: Network("net", flow_logs=FlowLogs(key=Key("keys"))), "eks")
    assert result.diagnostics == ()
    assert result.inputs("net/logs")["kmsKeyId"] == Ref("keys/key", ("arn",))
    service = {"Service": "logs.eu-west-1.amazonaws.com"}
    statements = result.inputs("keys/key")["policy"].value["Statement"]
    (statement,) = (item for item in statements if item["Principal"] == service)
    name = result.inputs("net/logs")["name"]
    place = Join(("arn:aws:logs:eu-west-1:", "111122223333", f":log-group:{name}"))
    assert statement["Condition"] == {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": place}}
    with pytest.raises(ValueError, match="the bucket says itself what it is encrypted with"):
        FlowLogs(bucket=Bucket("logs"), key=Key("other"))


def test_a_bucket_says_for_how_long_it_keeps_flow_logs() -> None:
    with pytest.raises(ValueError, match="days is 7, and the bucket says for how long"):
        FlowLogs(bucket=Bucket("logs"), days=7)


def test_no_flow_logs(expanded: Any) -> None:
    names = expanded(lambda: Network("net", flow_logs=None)).names_of("net")
    assert not {"logs", "flow-log", "logs-role", "logs-policy"} & names


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"existing": EXISTING, "nat": "one", "zones": 2}, "nat, zones: say how a network is made, and this one is"),
        ({"cidr": "10.0.0.0/15"}, "AWS takes ranges from /16 to /28"),
        ({"cidr": "11.0.0.0/16"}, "has public addresses"),
        ({"cidr": "10.0.0.0/24"}, "10.0.0.0/24 is too small to be divided"),
        ({"zones": 7}, "less than or equal to 6"),
        ({"zones": 3, "zone_names": ["us-east-1a"]}, "zones says 3, zone_names says 1: how many zones is it to be?"),
        ({"zone_names": ["us-east-1a", "us-east-1a"]}, "zone_names names us-east-1a more than once"),
        ({"zone_names": ["1a"]}, "zone_names.0"),
        ({"nat": "two"}, "nat: should be 'none', 'one' or 'per-zone'"),
        ({"nat": "one", "public": False}, "there are no public subnets for NAT gateways"),
        ({"private_cidrs": ["10.0.0.0/20"]}, "private_cidrs without public_cidrs"),
        ({"public_cidrs": ["10.0.0.0/20"]}, "public_cidrs without private_cidrs"),
        (
            {"private_cidrs": ["10.0.0.0/20"], "public_cidrs": ["10.0.16.0/20"], "public": False},
            "public_cidrs, and no public subnets",
        ),
        ({"private_cidrs": ["10.0.0.0/29"], "public": False}, "from /16 to /28"),
        ({"private_cidrs": ["10.1.0.0/20"], "public": False}, "not within the VPC's range 10.0.0.0/16"),
        ({"private_cidrs": ["10.0.0.0/20", "10.0.0.0/24"], "public": False}, "10.0.0.0/20 and 10.0.0.0/24 overlap"),
        ({"interface_endpoints": ["ecr.ap"]}, "did you mean 'ecr.api'?"),
        ({"interface_endpoints": ["s3"]}, "is reached by a gateway endpoint, which costs nothing"),
        ({"interface_endpoints": ["frobnicate"]}, "name it in full: com.amazonaws.<region>.<service>"),
        ({"interface_endpoints": ["sts", "sts"]}, "interface_endpoints names sts more than once"),
        ({"gateway_endpoints": ["sqs"]}, "gateway_endpoints.0: should be 's3' or 'dynamodb'"),
        ({"tags": {"mlinfra:x": "y"}}, "the prefixes `aws:` and `mlinfra:` are reserved"),
        ({"flow_logs": True}, "flow_logs is a boolean, not a FlowLogs"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: Network("net", **fields)).diagnostics
    assert says in diagnostic.summary
    assert diagnostic.location is not None
    assert diagnostic.location.file == __file__


def test_zones_of_another_region_are_refused(expanded: Any) -> None:
    (diagnostic,) = expanded(lambda: Network("net", zone_names=["us-east-1a"]), "eks").diagnostics
    assert diagnostic.code == "network-zone"
    assert "names us-east-1a, and the stack's region is eu-west-1" in diagnostic.summary


def test_without_aws(expanded: Any) -> None:
    (diagnostic,) = expanded(lambda: Network("net"), "kubeconfig").diagnostics
    assert diagnostic.code == "target-without-aws"


# ------------------------------------------------------------------------------------ outputs


def test_the_outputs_of_a_network_that_is_made() -> None:
    def declare() -> Any:
        network = Network("net", cidr="10.4.0.0/16")
        return network, {"network": network.exported, "out": network.public_subnet_ids}

    _, outputs = in_blueprint(declare, Tier.PROD)
    assert outputs["out"] == [Ref("net/public-1"), Ref("net/public-2"), Ref("net/public-3")]
    exported = outputs["network"]
    assert exported["vpc_id"] == Ref("net/vpc")
    assert exported["private_subnet_ids"] == [Ref("net/private-1"), Ref("net/private-2"), Ref("net/private-3")]
    assert exported["private_cidrs"] == ["10.4.0.0/19", "10.4.32.0/19", "10.4.64.0/19"]
    assert exported["zones"] == [Ref(f"net/private-{number}", ("availabilityZone",)) for number in (1, 2, 3)]
    assert exported["cidr"] == "10.4.0.0/16"
    assert set(exported) == set(ExistingNetwork.model_fields)


def test_an_existing_network_is_not_made_and_has_the_same_outputs(expanded: Any) -> None:
    result = expanded(lambda: Network("net", existing=EXISTING), tier=Tier.PROD)
    assert result.names_of("net") == set()
    network = Network("net", existing=EXISTING)
    assert (network.vpc_id, network.cidr_block) == (VPC, "10.9.0.0/16")
    assert (network.private_subnet_ids, network.public_subnet_ids) == ([SUBNET], [OTHER])
    assert network.private_ranges == ["10.9.0.0/16"]
    assert network.zone_count() == 1
    assert ExistingNetwork.model_validate_json(json.dumps(to_json(network.exported))).vpc_id == VPC


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"vpc_id": "net"}, "vpc_id"),
        ({"private_subnet_ids": []}, "private_subnet_ids"),
        ({"private_subnet_ids": ["subnet-1"]}, "private_subnet_ids"),
        ({"public_subnet_ids": [SUBNET]}, f"{SUBNET}: a subnet is private or public, not both"),
        ({"cidr": "10.0.0.5/16"}, "is not written as the range that it means"),
    ],
)
def test_an_existing_network_is_checked(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ExistingNetwork(**{"vpc_id": VPC, "cidr": "10.0.0.0/16", "private_subnet_ids": [SUBNET], **fields})


def test_outside_a_blueprint_the_zones_have_to_be_said() -> None:
    with pytest.raises(ValueError, match="`zones` has to say in how many zones it is"):
        _ = Network("net").private_subnet_ids
    assert Network("net", zones=2).private_subnet_ids == [Ref("net/private-1"), Ref("net/private-2")]


# ------------------------------------------------------------------------------------ the default one


def test_the_default_network_is_made_once_or_is_the_one_of_its_name() -> None:
    def declare() -> Any:
        first, second = default_network(), default_network()
        assert first is not None
        assert first is second
        return first, {}

    components, _ = in_blueprint(declare)
    assert [component.name for component in components] == ["network"]

    def declared() -> Any:
        own = Network("network", zones=1)
        assert default_network() is own
        return own, {}

    in_blueprint(declared)


def test_there_is_no_default_network_without_aws_or_without_a_blueprint() -> None:
    def declare() -> Any:
        assert default_network() is None
        return Bucket("data"), {}

    in_blueprint(declare, region="", account="", cluster="")
    assert default_network() is None
