"""Names of AWS resources: AWS' own rules, which moto does not all enforce."""

from __future__ import annotations

import re
from typing import Final

from mlinfra.checks.name_rule import NameRule

_DOCS: Final = "https://docs.aws.amazon.com"
_RESERVED_STARTS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def _bucket(name: str) -> str:
    if ".." in name:
        return "It must not have two dots next to each other"
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", name):
        return "It must not look like an IP address"
    start = next((item for item in _RESERVED_STARTS if name.startswith(item)), None)
    end = next((item for item in _RESERVED_ENDS if name.endswith(item)), None)
    if start or end:
        return f"Names that {f'start with {start}' if start else f'end with {end}'} are reserved"
    return ""


def _alias(name: str) -> str:
    return "Names that start with alias/aws/ are reserved for AWS" if name.startswith("alias/aws/") else ""


def _log_group(name: str) -> str:
    return "Names that start with aws/ are reserved for AWS" if name.startswith("aws/") else ""


def _security_group(name: str) -> str:
    return "It must not start with sg-" if name.startswith("sg-") else ""


def _database(name: str) -> str:
    return "It must not have two hyphens next to each other" if "--" in name else ""


def _iam(what: str, longest: int, operation: str) -> NameRule:
    return NameRule(
        f"IAM {what} name",
        1,
        longest,
        r"[\w+=,.@-]+",
        "Letters, digits and _+=,.@- are allowed",
        f"{_DOCS}/IAM/latest/APIReference/API_{operation}.html",
    )


BUCKET: Final = NameRule(
    "S3 bucket name",
    3,
    63,
    r"[a-z0-9][a-z0-9.-]*[a-z0-9]",
    "Lower-case letters, digits, dots and hyphens are allowed, with a letter or a digit at both ends",
    f"{_DOCS}/AmazonS3/latest/userguide/bucketnamingrules.html",
    _bucket,
)
REPOSITORY: Final = NameRule(
    "ECR repository name",
    2,
    256,
    r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
    "Lower-case letters and digits are allowed, with single dots, hyphens, underscores and slashes between them",
    f"{_DOCS}/AmazonECR/latest/APIReference/API_CreateRepository.html",
)
TOPIC: Final = NameRule(
    "SNS topic name",
    1,
    256,
    r"[A-Za-z0-9_-]+(\.fifo)?",
    "Letters, digits, hyphens and underscores are allowed, and .fifo at the end of a FIFO topic's name",
    f"{_DOCS}/sns/latest/api/API_CreateTopic.html",
)
QUEUE: Final = NameRule(
    "SQS queue name",
    1,
    80,
    r"[A-Za-z0-9_-]+(\.fifo)?",
    "Letters, digits, hyphens and underscores are allowed, and .fifo at the end of a FIFO queue's name",
    f"{_DOCS}/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html",
)
LOG_GROUP: Final = NameRule(
    "CloudWatch log group name",
    1,
    512,
    r"[A-Za-z0-9_/.#-]+",
    "Letters, digits and _-/.# are allowed",
    f"{_DOCS}/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html",
    _log_group,
)
KMS_ALIAS: Final = NameRule(
    "KMS alias",
    1,
    256,
    r"alias/[A-Za-z0-9/_-]+",
    "It starts with alias/, then letters, digits, slashes, underscores and hyphens are allowed",
    f"{_DOCS}/kms/latest/APIReference/API_CreateAlias.html",
    _alias,
)
CLUSTER: Final = NameRule(
    "EKS cluster name",
    1,
    100,
    r"[0-9A-Za-z][A-Za-z0-9_-]*",
    "It starts with a letter or a digit, then letters, digits, hyphens and underscores are allowed",
    f"{_DOCS}/eks/latest/APIReference/API_CreateCluster.html",
)
NODE_GROUP: Final = NameRule(
    "EKS node group name",
    1,
    63,
    r"[0-9A-Za-z][A-Za-z0-9_-]*",
    "It starts with a letter or a digit, then letters, digits, hyphens and underscores are allowed",
    f"{_DOCS}/eks/latest/APIReference/API_CreateNodegroup.html",
)
DATABASE: Final = NameRule(
    "RDS instance identifier",
    1,
    63,
    r"[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?",
    "It starts with a letter, then letters, digits and hyphens are allowed, with no hyphen at the end",
    f"{_DOCS}/AmazonRDS/latest/APIReference/API_CreateDBInstance.html",
    _database,
)
TABLE: Final = NameRule(
    "DynamoDB table name",
    3,
    255,
    r"[A-Za-z0-9_.-]+",
    "Letters, digits, underscores, hyphens and dots are allowed",
    f"{_DOCS}/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html",
)
SECURITY_GROUP: Final = NameRule(
    "security group name",
    1,
    255,
    r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+",
    "Letters, digits, spaces and ._-:/()#,@[]+=&;{}!$* are allowed",
    f"{_DOCS}/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html",
    _security_group,
)
SECRET: Final = NameRule(
    "Secrets Manager secret name",
    1,
    512,
    r"[A-Za-z0-9/_+=.@-]+",
    "Letters, digits and /_+=.@- are allowed",
    f"{_DOCS}/secretsmanager/latest/apireference/API_CreateSecret.html",
)

RULES: Final[dict[str, tuple[str, NameRule]]] = {
    "aws:cloudwatch/logGroup:LogGroup": ("name", LOG_GROUP),
    "aws:dynamodb/table:Table": ("name", TABLE),
    "aws:ec2/securityGroup:SecurityGroup": ("name", SECURITY_GROUP),
    "aws:ecr/repository:Repository": ("name", REPOSITORY),
    "aws:eks/cluster:Cluster": ("name", CLUSTER),
    "aws:eks/nodeGroup:NodeGroup": ("nodeGroupName", NODE_GROUP),
    "aws:iam/group:Group": ("name", _iam("group", 128, "CreateGroup")),
    "aws:iam/instanceProfile:InstanceProfile": ("name", _iam("instance profile", 128, "CreateInstanceProfile")),
    "aws:iam/policy:Policy": ("name", _iam("policy", 128, "CreatePolicy")),
    "aws:iam/role:Role": ("name", _iam("role", 64, "CreateRole")),
    "aws:iam/rolePolicy:RolePolicy": ("name", _iam("inline policy", 128, "PutRolePolicy")),
    "aws:iam/user:User": ("name", _iam("user", 64, "CreateUser")),
    "aws:kms/alias:Alias": ("name", KMS_ALIAS),
    "aws:rds/instance:Instance": ("identifier", DATABASE),
    "aws:s3/bucket:Bucket": ("bucket", BUCKET),
    "aws:secretsmanager/secret:Secret": ("name", SECRET),
    "aws:sns/topic:Topic": ("name", TOPIC),
    "aws:sqs/queue:Queue": ("name", QUEUE),
}
"""For each type, the input that is its physical name, and the rule for it."""

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "aws:ec2/securityGroup:SecurityGroup": ("vpcId",),
    "aws:eks/nodeGroup:NodeGroup": ("clusterName",),
    "aws:iam/rolePolicy:RolePolicy": ("role",),
}
"""Inputs within which a name is unique, where that is less than the account and the region."""

ANY_CASE: Final = ("aws:iam/", "aws:rds/")
"""Types in which names that differ only in case are the same name."""

WORLDWIDE: Final = ("aws:s3/bucket",)
"""Types whose names are taken for all accounts and regions."""
