"""AWS's own managed policies, as far as they let read data or are known to let read none.

Source: AWS Managed Policy Reference Guide. It is no copy: of each policy stands here what bears on reading data. A
policy that is not here is not judged, and whoever has it is told of in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra.checks.access.policies import Statement


def _allow(*actions: str, resources: tuple[str, ...] = ("*",)) -> list[Statement]:
    return [Statement(True, actions, resources=resources, origin="AWS managed policy")]


def _all_but(*actions: str) -> list[Statement]:
    return [Statement(True, actions, not_actions=True, origin="AWS managed policy")]


MANAGED: Final[Mapping[str, list[Statement]]] = {
    "AdministratorAccess": _allow("*"),
    "PowerUserAccess": _all_but("iam:*", "organizations:*", "account:*"),
    "ReadOnlyAccess": _allow(
        "s3:Get*", "s3:List*", "dynamodb:BatchGet*", "dynamodb:Get*", "dynamodb:PartiQLSelect", "dynamodb:Query",
        "dynamodb:Scan", "ssm:Get*", "ecr:BatchGet*", "ecr:Get*", "sqs:Receive*",
    ),
    "AmazonS3FullAccess": _allow("s3:*", "s3-object-lambda:*"),
    "AmazonS3ReadOnlyAccess": _allow("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*"),
    "AmazonSQSFullAccess": _allow("sqs:*"),
    "AmazonSQSReadOnlyAccess": _allow("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*"),
    "SecretsManagerReadWrite": [
        *_allow("secretsmanager:*"),
        *_allow(
            "s3:GetObject",
            resources=("arn:aws:s3:::awsserverlessrepo-changesets*", "arn:aws:s3:::secrets-manager-rotation-apps-*/*"),
        ),
    ],
    "AmazonSSMReadOnlyAccess": _allow("ssm:Describe*", "ssm:Get*", "ssm:List*"),
    "AmazonSSMFullAccess": _allow("ssm:*"),
    "AmazonSSMManagedInstanceCore": _allow("ssm:GetParameter", "ssm:GetParameters"),
    "AmazonDynamoDBFullAccess": _allow("dynamodb:*"),
    "AmazonDynamoDBReadOnlyAccess": _allow(
        "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLSelect", "dynamodb:Query", "dynamodb:Scan",
    ),
    "AmazonElasticFileSystemClientFullAccess": _allow("elasticfilesystem:Client*"),
    "AmazonElasticFileSystemClientReadWriteAccess": _allow(
        "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite",
    ),
    "AmazonElasticFileSystemClientReadOnlyAccess": _allow("elasticfilesystem:ClientMount"),
    "AmazonEC2ContainerRegistryReadOnly": _allow(
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer",
        "ecr:GetAuthorizationToken",
    ),
    "AmazonEC2ContainerRegistryPullOnly": _allow(
        "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetAuthorizationToken",
    ),
    "AmazonEC2ContainerRegistryPowerUser": _allow("ecr:Batch*", "ecr:Get*"),
    # These let read no data that a report lists.
    "AmazonEKSClusterPolicy": [],
    "AmazonEKSWorkerNodePolicy": [],
    "AmazonEKS_CNI_Policy": [],
    "service-role/AmazonEBSCSIDriverPolicy": [],
    "service-role/AmazonEC2ContainerServiceforEC2Role": _allow("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    "service-role/AmazonRDSEnhancedMonitoringRole": [],
    "service-role/AWSLambdaBasicExecutionRole": [],
    "service-role/AWSLambdaVPCAccessExecutionRole": [],
}  # fmt: skip
"""Statements by the policy's name, its path included."""
