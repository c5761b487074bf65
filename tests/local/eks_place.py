"""What clusters of EKS need, made with boto3: a VPC and roles; and what a refused call says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ONE, TWO = "111111111111", "222222222222"

Client = Callable[..., Any]


def role(client: Client, name: str, service: str, account: str = ONE) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": statement})
    return str(client("iam", account).create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"])


def place(client: Client, account: str = ONE, region: str = "eu-west-1") -> dict[str, Any]:
    """A VPC with two subnets, and a role, in an account and a region."""
    ec2 = client("ec2", account, region)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{region}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    return {"vpc": vpc, "subnets": subnets, "role": role(client, f"eks-{region}", "eks.amazonaws.com", account)}


def cluster(client: Client, there: dict[str, Any], name: str = "train", account: str = ONE, **more: Any) -> Any:
    given = {"accessConfig": {"authenticationMode": "API"}, "resourcesVpcConfig": {"subnetIds": there["subnets"]}}
    region = there.get("region", "eu-west-1")
    return client("eks", account, region).create_cluster(name=name, roleArn=there["role"], **{**given, **more})[
        "cluster"
    ]


def refusal(call: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
