"""Flow logs, against moto."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.aws.types.test_ec2_vpc import tags

LOG = "aws:ec2/flowLog:FlowLog"
ROLE = "arn:aws:iam::111122223333:role/flow-logs"


def network(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"]
    bucket = f"flow-{world.account}"
    world.boto("s3").create_bucket(Bucket=bucket)
    group = f"arn:aws:logs:us-east-1:{world.account}:log-group"
    return {
        "vpc": vpc,
        "subnet": subnet,
        "eni": ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"],
        "bucket": f"arn:aws:s3:::{bucket}",
        "group": f"{group}:flow",
        "other": f"{group}:other",
    }


def log(world: Any, resource_id: str) -> Any:
    found = world.boto("ec2").describe_flow_logs(FlowLogIds=[resource_id])["FlowLogs"]
    if not found:
        return None
    (live,) = found
    return live["ResourceId"], live["TrafficType"], live["LogDestination"], live["MaxAggregationInterval"], tags(live)


def test_flow_log(lifecycle: Any) -> None:
    lifecycle(
        LOG,
        prepare=network,
        inputs=lambda words: {
            "vpcId": words["vpc"],
            "trafficType": "ALL",
            "logDestination": f"{words['group']}:*",
            "iamRoleArn": ROLE,
            "tags": {"team": "ml"},
        },
        look=log,
        made=lambda words: (words["vpc"], "ALL", words["group"], 600, {"team": "ml"}),
        change=lambda words: {"tags": {"tier": "dev"}},
        changed=lambda words: (words["vpc"], "ALL", words["group"], 600, {"tier": "dev"}),
        replaces=lambda words: [
            {"trafficType": "REJECT"},
            {"maxAggregationInterval": 60},
            {"logFormat": "${srcaddr} ${dstaddr}"},
            {"logDestination": words["other"]},
            {"vpcId": None, "subnetId": words["subnet"]},
            {"logDestinationType": "s3", "logDestination": words["bucket"], "iamRoleArn": None},
        ],
        drift=lambda world, resource_id: world.boto("ec2").delete_tags(Resources=[resource_id], Tags=[{"Key": "tier"}]),
        drifted={"tags": None},
    )


@pytest.mark.parametrize(("name", "word"), [("subnetId", "subnet"), ("eniId", "eni")])
def test_other_sources(world: Any, name: str, word: str) -> None:
    words = network(world)
    program = {
        name: words[word],
        "trafficType": "REJECT",
        "logDestinationType": "s3",
        "logDestination": words["bucket"],
        "maxAggregationInterval": 60,
        "destinationOptions": {"fileFormat": "parquet", "perHourPartition": True},
    }
    inputs = world.engine.checked(LOG, program)
    resource_id, state = world.engine.create(LOG, inputs)
    assert log(world, resource_id) == (words[word], "REJECT", words["bucket"], 60, {})
    assert world.engine.read(LOG, resource_id, inputs, state) == (inputs, state)
    assert state["arn"] == f"arn:aws:ec2:us-east-1:{world.account}:vpc-flow-log/{resource_id}"
    plain = world.engine.checked(LOG, {**program, "destinationOptions": {"fileFormat": "plain-text"}})
    assert list(world.engine.diff(LOG, inputs, plain, state).replaces) == ["destinationOptions"]


def test_what_aws_could_not_make_is_told(world: Any, failure: Any) -> None:
    words = network(world)
    program = {"vpcId": words["vpc"], "trafficType": "ALL", "logDestinationType": "s3"}
    inputs = world.engine.checked(LOG, {**program, "logDestination": "arn:aws:s3:::not-there"})
    error, _ = failure(world.engine.create, LOG, inputs)
    assert "not-there does not exist" in error.details()


def test_a_log_that_is_there_already(world: Any, failure: Any) -> None:
    words = network(world)
    program = {"vpcId": words["vpc"], "trafficType": "ALL", "logDestination": words["group"], "iamRoleArn": ROLE}
    inputs = world.engine.checked(LOG, program)
    world.engine.create(LOG, inputs)
    error, _ = failure(world.engine.create, LOG, inputs)
    assert "FlowLogAlreadyExists" in error.details()


PROGRAM = {"vpcId": "vpc-1", "trafficType": "ALL", "logDestination": "arn:x", "iamRoleArn": ROLE}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"vpcId": None}, "another source is required"),
    ({"subnetId": "subnet-1"}, "excludes vpcId"),
    ({"trafficType": None}, "trafficType is required"),
    ({"trafficType": "SOME"}, "one of ACCEPT, REJECT, ALL"),
    ({"logDestination": None}, "logDestination is required"),
    ({"iamRoleArn": None}, "is required for CloudWatch Logs"),
    ({"logDestinationType": "s3"}, "is not for S3"),
    ({"maxAggregationInterval": 300}, "one of 60, 600"),
    ({"transitGatewayId": "tgw-1"}, "not supported"),
]


@pytest.mark.parametrize(("change", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: Any, change: dict[str, Any], why: str) -> None:
    program = {name: value for name, value in {**PROGRAM, **change}.items() if value is not None}
    failures = world.engine.check(LOG, program).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures
