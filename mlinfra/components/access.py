"""Who may read and write what: the one place where permissions come from.

A component that holds data is a `DataStore` and says which actions on which of its ARNs reading and writing take. A
workload gets a Kubernetes service account and, on AWS, a role with exactly what its `reads` and `writes` come to.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator

from mlinfra.authoring import Component
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value

POLICY_VERSION: Final = "2012-10-17"
LOCAL_CLUSTER: Final = "local"
_ACCOUNT = re.compile(r"\d{12}")
_CALLER = "aws:index/getCallerIdentity:getCallerIdentity"


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions that are allowed on resources, which are ARNs."""

    actions: tuple[str, ...]
    resources: tuple[Value, ...]

    def statement(self) -> dict[str, Value]:
        """The grant as a statement of an IAM policy."""
        return {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}


class DataStore(Component):
    """Something that holds data which other components read and write, such as a `Bucket`."""

    @abstractmethod
    def read_grants(self) -> tuple[Grant, ...]:
        """What reading the data takes."""

    @abstractmethod
    def write_grants(self) -> tuple[Grant, ...]:
        """What adding to the data and replacing it takes. It includes neither reading nor deleting."""

    @abstractmethod
    def variables(self) -> dict[str, Value]:
        """Environment variables by which a pod finds the data."""


def _is_store(value: object) -> object:
    if isinstance(value, Component) and not isinstance(value, DataStore):
        raise ValueError(f"{value!r} holds no data that can be read and written; a Bucket does")
    return value


Data = Annotated[DataStore, BeforeValidator(_is_store)]
"""The type of fields that take a `DataStore`."""


def policy(statements: Iterable[Mapping[str, Value]]) -> Document:
    """A policy document."""
    return Document({"Version": POLICY_VERSION, "Statement": [dict(item) for item in statements]})


def account_id(scope: Scope) -> Value:
    """The id of the AWS account: what the stack says, else what AWS answers when it is asked."""
    if _ACCOUNT.fullmatch(scope.environment.account):
        return scope.environment.account
    name = scope.component.node("account")
    known = name in scope.expansion.nodes
    return Ref(name, ("accountId",)) if known else Ref(scope.lookup("account", _CALLER, {}).node, ("accountId",))


def data_grants(reads: Iterable[DataStore], writes: Iterable[DataStore]) -> list[Grant]:
    """The grants of a workload that reads and writes these."""
    return [grant for store in reads for grant in store.read_grants()] + [
        grant for store in writes for grant in store.write_grants()
    ]


def data_variables(reads: Iterable[DataStore], writes: Iterable[DataStore]) -> dict[str, Value]:
    """The environment variables of a workload that reads and writes these."""
    return {key: value for store in (*reads, *writes) for key, value in store.variables().items()}


def service_account(scope: Scope, namespace: Value, grants: Iterable[Grant], *, token: bool = False) -> Ref:
    """Add the component's service account, and on AWS a role with these grants that only its pods can assume.

    `token` says whether pods get a token for the Kubernetes API. Returns a reference to the account's name. Where
    there is nothing to allow, there is no role.
    """
    name = scope.component.identity
    body = {"automountServiceAccountToken": token}
    account = scope.kubernetes("service-account", "v1", "ServiceAccount", name, body, namespace=namespace)
    granted = list(grants)
    if granted and scope.environment.has_aws:
        _role(scope, namespace, name, granted)
    return Ref(account.node, ("metadata", "name"))


def _role(scope: Scope, namespace: Value, account_name: str, grants: list[Grant]) -> None:
    role = scope.aws(
        "role",
        "aws:iam/role:Role",
        {
            "name": scope.label_name(limit=64),  # IAM, "IAM and AWS STS quotas": role names have at most 64 characters
            "description": f"Pods of service account {account_name}, stack {scope.environment.name}",
            "assumeRolePolicy": policy([_trust(scope, namespace, account_name)]),
            "tags": scope.tags,
        },
    )
    statements = [grant.statement() for grant in grants]
    scope.aws("policy", "aws:iam/rolePolicy:RolePolicy", {"role": role, "name": "access", "policy": policy(statements)})
    cluster = scope.environment.cluster
    if cluster and cluster != LOCAL_CLUSTER:  # moto has no pod identity associations, and no pod runs to use one
        scope.aws(
            "identity",
            "aws:eks/podIdentityAssociation:PodIdentityAssociation",
            {
                "clusterName": cluster,
                "namespace": namespace,
                "serviceAccount": account_name,
                "roleArn": Ref(role.node, ("arn",)),
                "tags": scope.tags,
            },
        )


def _trust(scope: Scope, namespace: Value, account_name: str) -> dict[str, Value]:
    """Who may assume the role: pods of one service account, by EKS Pod Identity.

    Sources: EKS user guide, "Create IAM role with trust policy required by EKS Pod Identity" (principal, actions,
    conditions) and "Grant Pods access to AWS resources based on tags" (the session tags that EKS sets); IAM user guide,
    "The confused deputy problem" (`aws:SourceAccount`).
    """
    conditions: dict[str, Value] = {
        "aws:SourceAccount": account_id(scope),
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account_name,
    }
    if scope.environment.cluster not in ("", LOCAL_CLUSTER):
        conditions["aws:RequestTag/eks-cluster-name"] = scope.environment.cluster
    return {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": conditions},
    }
