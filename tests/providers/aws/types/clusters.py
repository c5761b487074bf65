"""What clusters of EKS need, made with boto3: a VPC, roles, keys; and a cluster."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.types.test_rds import a_vpc


def a_role(world: Any, name: str, *services: str, path: str = "/") -> str:
    """A role that trusts services; its ARN."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = world.boto("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document)
    return str(role["Role"]["Arn"])


def surroundings(world: Any) -> dict[str, Any]:
    """A VPC with subnets in three zones, security groups, roles, keys."""
    words = a_vpc(world)
    ec2, kms = world.boto("ec2"), world.boto("kms")
    return {
        **words,
        "groups": [
            ec2.create_security_group(GroupName=name, Description=name, VpcId=words["vpc"])["GroupId"] for name in "ab"
        ],
        "role": a_role(world, "eks", "eks.amazonaws.com"),
        "other": a_role(world, "eks-2", "eks.amazonaws.com"),
        "nodes": a_role(world, "nodes", "ec2.amazonaws.com"),
        "pods": a_role(world, "pods", "pods.eks.amazonaws.com"),
        "people": a_role(world, "people", "ec2.amazonaws.com", path="/teams/ml/"),
        "keys": [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)],
    }


def a_cluster(world: Any, name: str = "train", **more: Any) -> dict[str, Any]:
    """A cluster that takes access entries, and what it needs."""
    words = surroundings(world)
    given = {
        "version": "1.33",
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        **more,
    }
    network = {"subnetIds": words["subnets"][:2]}
    world.boto("eks").create_cluster(name=name, roleArn=words["role"], resourcesVpcConfig=network, **given)
    return {**words, "cluster": name}
