"""Subnet groups and parameter groups, against moto."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.providers.aws.types import rds

SUBNETS = "aws:rds/subnetGroup:SubnetGroup"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"


def a_vpc(world: Any) -> dict[str, Any]:
    ec2 = world.boto("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]
        for index, zone in enumerate("abc")
    ]
    return {"vpc": vpc, "subnets": [subnet["SubnetId"] for subnet in subnets]}


def subnet_group(world: Any, name: str) -> Any:
    try:
        live = world.boto("rds").describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "DBSubnetGroupNotFoundFault":
            raise
        return None
    subnets = sorted(subnet["SubnetIdentifier"] for subnet in live["Subnets"])
    return live["DBSubnetGroupDescription"], subnets, world.tags("rds", ResourceName=live["DBSubnetGroupArn"])


def test_subnet_group(lifecycle: Any) -> None:
    lifecycle(
        SUBNETS,
        prepare=a_vpc,
        inputs=lambda words: {"name": "ml-data", "subnetIds": words["subnets"][:2], "tags": {"team": "ml"}},
        look=subnet_group,
        made=lambda words: ("Managed by Pulumi", sorted(words["subnets"][:2]), {"team": "ml"}),
        outputs=lambda words: {
            "arn": f"arn:aws:rds:us-east-1:{words['account']}:subgrp:ml-data",
            "vpcId": words["vpc"],
        },
        change=lambda words: {"description": "for data", "subnetIds": words["subnets"], "tags": {"tier": "dev"}},
        changed=lambda words: ("for data", sorted(words["subnets"]), {"tier": "dev"}),
        replaces=lambda words: [{"name": "other"}],
        drift=lambda world, name: world.boto("rds").add_tags_to_resource(
            ResourceName=f"arn:aws:rds:us-east-1:{world.account}:subgrp:{name}", Tags=[{"Key": "theirs", "Value": "1"}]
        ),
        drifted={"tags": {"tier": "dev", "theirs": "1"}},
    )


def test_moto_takes_a_changed_subnet_group_away_and_the_provider_makes_it_again(world: Any) -> None:
    words = a_vpc(world)
    api = world.boto("rds")
    api.create_db_subnet_group(DBSubnetGroupName="bare", DBSubnetGroupDescription="a", SubnetIds=words["subnets"][:2])
    api.modify_db_subnet_group(DBSubnetGroupName="bare", SubnetIds=words["subnets"])
    assert subnet_group(world, "bare") is None, "moto has been mended: the provider's way round can go"
    old = world.engine.checked(SUBNETS, {"name": "kept", "subnetIds": words["subnets"][:2], "tags": {"a": "b"}})
    resource_id, state = world.engine.create(SUBNETS, old)
    new = {**old, "subnetIds": words["subnets"]}
    world.engine.update(SUBNETS, resource_id, old, new, state)
    assert subnet_group(world, "kept") == ("Managed by Pulumi", sorted(words["subnets"]), {"a": "b"})


def test_a_subnet_group_of_somebody_else_is_not_taken_over(world: Any, failure: Any) -> None:
    words = a_vpc(world)
    inputs = world.engine.checked(SUBNETS, {"name": "theirs", "subnetIds": words["subnets"]})
    world.engine.create(SUBNETS, inputs)
    error, _ = failure(world.engine.create, SUBNETS, inputs)
    assert "this stack did not make it" in error.details()


def parameter_group(world: Any, name: str) -> Any:
    api = world.boto("rds")
    found = api.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"]
    if not found:
        return None
    settings = api.describe_db_parameters(DBParameterGroupName=name)["Parameters"]
    return (
        found[0]["DBParameterGroupFamily"],
        {item["ParameterName"]: (item["ParameterValue"], item["ApplyMethod"]) for item in settings},
        world.tags("rds", ResourceName=found[0]["DBParameterGroupArn"]),
    )


def test_parameter_group(lifecycle: Any) -> None:
    lifecycle(
        PARAMETERS,
        inputs=lambda words: {
            "name": "ml-postgres",
            "family": "postgres17",
            "parameters": [
                {"name": "rds.force_ssl", "value": "1"},
                {"name": "log_connections", "value": "1"},
                {"name": "max_connections", "value": "200", "applyMethod": "pending-reboot"},
            ],
            "tags": {"team": "ml"},
        },
        look=parameter_group,
        made=lambda words: (
            "postgres17",
            {
                "rds.force_ssl": ("1", "immediate"),
                "log_connections": ("1", "immediate"),
                "max_connections": ("200", "pending-reboot"),
            },
            {"team": "ml"},
        ),
        outputs=lambda words: {"arn": f"arn:aws:rds:us-east-1:{words['account']}:pg:ml-postgres"},
        change=lambda words: {
            "parameters": [
                {"name": "rds.force_ssl", "value": "1"},
                {"name": "max_connections", "value": "300", "applyMethod": "pending-reboot"},
            ],
            "tags": {"tier": "dev"},
        },
        changed=lambda words: (
            "postgres17",
            {"rds.force_ssl": ("1", "immediate"), "max_connections": ("300", "pending-reboot")},
            {"tier": "dev"},
        ),
        replaces=lambda words: [{"name": "other"}, {"family": "postgres18"}, {"description": "other"}],
        drift=lambda world, name: world.boto("rds").modify_db_parameter_group(
            DBParameterGroupName=name,
            Parameters=[{"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"}],
        ),
        drifted={
            "parameters": [
                {"name": "rds.force_ssl", "value": "0", "applyMethod": "immediate"},
                {"name": "max_connections", "value": "300", "applyMethod": "pending-reboot"},
            ]
        },
    )


def test_more_parameters_than_one_call_takes(world: Any) -> None:
    names = [f"setting.number_{index}" for index in range(45)]
    settings = [{"name": name, "value": "1"} for name in names]
    inputs = world.engine.checked(PARAMETERS, {"name": "many", "family": "postgres17", "parameters": settings})
    resource_id, state = world.engine.create(PARAMETERS, inputs)
    assert set(parameter_group(world, "many")[1]) == set(names)
    fewer = {**inputs, "parameters": settings[:2]}
    world.engine.update(PARAMETERS, resource_id, inputs, fewer, state)
    assert set(parameter_group(world, "many")[1]) == set(names[:2])
    assert all(len(batch) <= 20 for batch in rds._batches(settings))


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (PARAMETERS, {"name": "cut-off", "family": "postgres17", "parameters": [{"name": "a", "value": "1"}]}),
        (SUBNETS, {"name": "cut-off"}),
    ],
)
def test_what_was_cut_off_is_taken_over(elsewhere: Any, unfinished: Any, token: str, inputs: dict[str, Any]) -> None:
    if token == SUBNETS:
        inputs = {**inputs, "subnetIds": a_vpc(elsewhere)["subnets"]}
    inputs = elsewhere.engine.checked(token, inputs)
    made, outputs = elsewhere.engine.create(token, inputs)
    unfinished[f"urn:pulumi:dev::tests::{token}::thing"] = set()
    assert elsewhere.engine.create(token, inputs) == (made, outputs)


@pytest.mark.parametrize(
    ("token", "inputs", "says"),
    [
        (SUBNETS, {"name": "one", "subnetIds": ["subnet-1"]}, "two availability zones"),
        (SUBNETS, {"name": "default", "subnetIds": ["subnet-1", "subnet-2"]}, "not `default`"),
        (SUBNETS, {"name": "Big", "subnetIds": ["subnet-1", "subnet-2"]}, "small letters"),
        (PARAMETERS, {"name": "a--b", "family": "postgres17"}, "single hyphens"),
        (PARAMETERS, {"name": "a"}, "is required"),
        (
            PARAMETERS,
            {"name": "a", "family": "f", "parameters": [{"name": "x", "value": "1", "applyMethod": "later"}]},
            "immediate, pending-reboot",
        ),
    ],
)
def test_what_aws_refuses(world: Any, token: str, inputs: dict[str, Any], says: str) -> None:
    (failed,) = world.engine.check(token, inputs).failures
    assert says in failed.reason
