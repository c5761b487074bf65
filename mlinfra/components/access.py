"""Who may read and write what: the one place where permissions come from.

A component that holds data is a `DataStore` and says which actions on which of its ARNs reading and writing take. A
workload gets a Kubernetes service account and, on AWS, a role with exactly what its `reads` and `writes` come to.
"""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from mlinfra.authoring import Component
from mlinfra.components.network_policies import HTTPS, aws, let_out
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Document, Ref, Value, join

POLICY_VERSION: Final = "2012-10-17"
_ACCOUNT = re.compile(r"\d{12}")
_CALLER = "aws:index/getCallerIdentity:getCallerIdentity"

USED_BY_ACCOUNT: Final = "UsedByTheAccount"
"""The statement by which a key's policy leaves its use to the account's IAM policies; without it, a key admits roles
one by one."""

Classification: TypeAlias = Literal["public", "internal", "confidential", "pii"]


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions that are allowed on resources, which are ARNs, where the condition holds (`{operator: {key: value}}`)."""

    actions: tuple[str, ...]
    resources: tuple[Value, ...]
    condition: Mapping[str, Value] = field(default_factory=dict)

    def statement(self) -> dict[str, Value]:
        """The grant as a statement of an IAM policy."""
        allowed = {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}
        return {**allowed, **({"Condition": dict(self.condition)} if self.condition else {})}


class DataStore(Component):
    """Something that holds data which other components read and write, such as a `Bucket`."""

    @abstractmethod
    def read_grants(self) -> tuple[Grant, ...]:
        """What reading the data takes."""

    @abstractmethod
    def write_grants(self) -> tuple[Grant, ...]:
        """What adding to the data and replacing it takes. It includes neither reading nor deleting."""

    def erase_grants(self) -> tuple[Grant, ...]:
        """What erasing single pieces of the data for good takes; nothing where it cannot be done piece by piece."""
        return ()

    @abstractmethod
    def variables(self) -> dict[str, Value]:
        """Environment variables by which a pod finds the data."""

    def variables_in(self, scope: Scope, namespace: Value) -> dict[str, Value]:  # noqa: ARG002 — for those in one
        """`variables`, as pods of `scope`'s component in a namespace get them.

        A value that is a map is where Kubernetes takes it from, `valueFrom`: `{"secretKeyRef": {…}}`.
        """
        return self.variables() if scope.environment.has_aws else {}

    def open_to(self, scope: Scope, namespace: Value) -> None:
        """Let pods of `scope`'s component in a namespace reach it over the network."""

    @property
    def aws_port(self) -> int:
        """The TCP port by which pods reach it where it is on AWS: that of AWS's APIs, unless it has one of its own."""
        return HTTPS

    @property
    def by_iam(self) -> bool:
        """Whether IAM policies say who may use it; where they do not, it is told by `admit_pods`."""
        return True

    def admit_pods(self, scope: Scope, grants: Iterable[Grant]) -> None:
        """Let pods of `scope`'s component do what the grants say, where IAM policies have no say."""

    @property
    def personal(self) -> bool:
        """Whether it is meant for personal data, `classification="pii"`; what is not marked so must get none."""
        return getattr(self, "classification", None) == "pii"


class Workload(Component):
    """Something whose pods read and write data: they have a service account of their own and, on AWS, a role."""

    @property
    def service_account(self) -> Ref:
        """The name of the service account that its pods use."""
        return self.output("service-account", "metadata", "name")

    @property
    def role_arn(self) -> Ref:
        """The ARN of the role of its pods; on AWS, where it reads or writes something."""
        return self.output("role", "arn")


def _is_store(value: object) -> object:
    if isinstance(value, Component) and not isinstance(value, DataStore):
        raise ValueError(f"{value!r} holds no data that can be read and written; a Bucket does")
    return value


Data = Annotated[DataStore, BeforeValidator(_is_store)]
"""The type of fields that take a `DataStore`."""


def _erasable(store: DataStore) -> DataStore:
    if not store.erase_grants():
        raise ValueError(f"{store!r} holds nothing that can be erased piece by piece; a Bucket does")
    return store


Erasable = Annotated[DataStore, BeforeValidator(_is_store), AfterValidator(_erasable)]
"""The type of fields that take a `DataStore` in which single pieces can be erased."""

Anonymizes = Annotated[str, Field(min_length=10, max_length=500)]
"""How a workload makes personal data into data that is not personal any more."""


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


def partition(scope: Scope) -> str:
    """The first part of ARNs in the environment's region (IAM user guide, "Identify AWS resources with ARNs")."""
    region = scope.environment.region
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def arn_here(scope: Scope, service: str, what: str) -> Value:
    """The ARN of something of a service in the account and the region that the stack is in."""
    return join(f"arn:{partition(scope)}:{service}:{scope.environment.region}:", account_id(scope), f":{what}")


def allow(scope: Scope, node: str, statement: Mapping[str, Value]) -> None:
    """Add a statement to the policy of a node of another component, one that this component refers to.

    A queue's policy names the buckets that send to it, a log bucket's those that log to it: a resource has one policy,
    and who uses the resource knows what has to stand in it. What is allowed stands before what is denied; moto, which
    fails on a statement for everybody, finds it there first.
    """
    statements = scope.expansion.nodes[node].inputs["policy"].value["Statement"]
    if statement in statements:
        return
    place = next((index for index, item in enumerate(statements) if item["Effect"] == "Deny"), len(statements))
    scope.expansion.change(node, policy=policy([*statements[:place], statement, *statements[place:]]))


def admit(scope: Scope, grants: Iterable[Grant], role: Ref) -> None:
    """Let a role use the keys that its grants name, where a key's policy does not leave that to IAM policies.

    The principal is the account, on condition of the role's ARN: KMS takes no principal that is not there, and knows a
    role that was made anew under its name as another one (KMS developer guide, "Principal" in key policies).
    """
    for grant in grants:
        for resource in grant.resources:
            key = scope.expansion.nodes.get(resource.node) if isinstance(resource, Ref) else None
            if key is None or key.type != "aws:kms/key:Key":
                continue
            statements = key.inputs["policy"].value["Statement"]
            if any(statement.get("Sid") == USED_BY_ACCOUNT for statement in statements):
                continue
            condition = {**grant.condition, "ArnEquals": {"aws:PrincipalArn": Ref(role.node, ("arn",))}}
            admitted = Grant(grant.actions, ("*",), condition).statement()
            allow(scope, key.name, {**admitted, "Principal": statements[0]["Principal"]})


def trusted(service: str, condition: Mapping[str, Value] | None = None) -> dict[str, Value]:
    """The statement that lets a service of AWS assume a role."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {**statement, "Condition": condition} if condition else statement


def add_role(scope: Scope, local: str, description: str, trust: Mapping[str, Value], *part: str) -> Ref:
    """Add a role, named after the component and `part`, that whoever `trust` says may assume; a reference to its name.

    A role's name has at most 64 characters (IAM user guide, "IAM and AWS STS quotas").
    """
    return scope.aws(
        local,
        "aws:iam/role:Role",
        {
            "name": scope.label_name(*part, limit=64),
            "description": description,
            "assumeRolePolicy": policy([trust]),
            "tags": scope.tags,
        },
    )


def permit(scope: Scope, local: str, role: Ref, grants: Iterable[Grant], name: str = "access") -> Ref:
    """Let a role do what the grants say, by an inline policy."""
    statements = [grant.statement() for grant in grants]
    inputs = {"role": role, "name": name, "policy": policy(statements)}
    return scope.aws(local, "aws:iam/rolePolicy:RolePolicy", inputs)


def attach(scope: Scope, local: str, role: Ref, managed: str) -> Ref:
    """Let a role do what a policy of AWS's own says, given by its name."""
    arn = f"arn:{partition(scope)}:iam::aws:policy/{managed}"
    return scope.aws(local, "aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"role": role, "policyArn": arn})


def data_grants(
    reads: Iterable[DataStore], writes: Iterable[DataStore], erases: Iterable[DataStore] = ()
) -> list[Grant]:
    """The grants by IAM of a workload that reads and writes these, and erases what is in those."""
    return [grant for store, grants in _uses(reads, writes, erases) if store.by_iam for grant in grants]


def _uses(
    reads: Iterable[DataStore], writes: Iterable[DataStore], erases: Iterable[DataStore]
) -> Iterator[tuple[DataStore, tuple[Grant, ...]]]:
    yield from ((store, store.read_grants()) for store in reads)
    yield from ((store, store.write_grants()) for store in writes)
    yield from ((store, store.erase_grants()) for store in erases)


def check_flow(scope: Scope, reads: Iterable[DataStore], writes: Iterable[DataStore], anonymizes: str | None) -> None:
    """Note as an error what would bring personal data into a store that is not marked so: nobody would erase it there.

    `anonymizes` says how the workload keeps that from happening.
    """
    personal = [store.name for store in reads if store.personal]
    others = [store for store in writes if not store.personal]
    if not personal or anonymizes:
        return
    name, sources = scope.component.name, " and ".join(repr(item) for item in personal)
    for store in others:
        scope.problem(
            f"{name} reads personal data from {sources} and writes to {store!r}, which is not marked as personal",
            detail="What is not marked so has no time after which it goes, nobody erases personal data in it on "
            "request, and more people may read it.",
            remedy=f'Mark {store.name!r} with `classification="pii"`. If what is written there holds no personal data '
            'any more, say how that is made sure of: `anonymizes="…"`.',
            code="personal-data-flow",
        )


def data_variables(
    scope: Scope, namespace: Value, reads: Iterable[DataStore], writes: Iterable[DataStore]
) -> dict[str, Value]:
    """The environment variables of a workload in a namespace that reads and writes these."""
    found = [store.variables_in(scope, namespace) for store in (*reads, *writes)]
    return {key: value for variables in found for key, value in variables.items()}


def connect(
    scope: Scope,
    namespace: Value,
    reads: Sequence[DataStore],
    writes: Sequence[DataStore],
    erases: Sequence[DataStore] = (),
    *,
    anonymizes: str | None,
) -> Ref:
    """Give a workload in a namespace what its data takes: its service account, its role and the ways to the stores.

    Returns a reference to the account's name. Notes as errors what must not be.
    """
    check_flow(scope, reads, writes, anonymizes)
    account = service_account(scope, namespace, data_grants(reads, writes, erases), anonymizes=anonymizes)
    _open_ways(scope, namespace, reads, writes, erases)
    return account


def _open_ways(
    scope: Scope,
    namespace: Value,
    reads: Iterable[DataStore],
    writes: Iterable[DataStore],
    erases: Iterable[DataStore],
) -> None:
    """Let a workload in a namespace reach what it reads, writes and erases, and use what IAM policies do not cover."""
    uses = list(_uses(reads, writes, erases))
    for store in dict.fromkeys(store for store, _ in uses):
        store.open_to(scope, namespace)
    keyed = dict.fromkeys(store for store, _ in uses if not store.by_iam)
    roled = dict.fromkeys(store for store, grants in uses if store.by_iam and grants)
    if keyed and roled and scope.environment.has_aws:
        scope.problem(
            f"{scope.component.name} uses {next(iter(keyed))!r} in the cluster and {next(iter(roled))!r} on AWS",
            detail="Programs find one pair of credentials, and those for the store in the cluster come before the "
            'role\'s (AWS SDKs and Tools reference, "Standardized credential providers").',
            remedy="Put both in one place, or divide the work between two components.",
            code="two-credentials",
        )
    if roled and scope.environment.has_aws:
        let_out(scope, namespace, *aws(*sorted({store.aws_port for store in roled})))
    for store, grants in uses:
        if not store.by_iam:
            store.admit_pods(scope, grants)


def service_account(
    scope: Scope, namespace: Value, grants: Iterable[Grant], *, token: bool = False, anonymizes: str | None = None
) -> Ref:
    """Add the component's service account, and on AWS a role with these grants that only its pods can assume.

    `token` says whether pods get a token for the Kubernetes API; `anonymizes`, how its pods make personal data into
    what is not, stands on the account for auditors. Returns a reference to the account's name. Where there is nothing
    to allow, there is no role.
    """
    name = scope.component.identity
    body = {"automountServiceAccountToken": token}
    notes = {f"{DOMAIN}/anonymizes": anonymizes} if anonymizes else None
    account = scope.kubernetes(
        "service-account", "v1", "ServiceAccount", name, body, namespace=namespace, annotations=notes
    )
    granted = list(grants)
    if granted and scope.environment.has_aws:
        _role(scope, namespace, name, granted)
    return Ref(account.node, ("metadata", "name"))


def _role(scope: Scope, namespace: Value, account_name: str, grants: list[Grant]) -> None:
    description = f"Pods of service account {account_name}, stack {scope.environment.name}"
    role = add_role(scope, "role", description, pod_trust(scope, namespace, account_name))
    admit(scope, grants, role)
    permit(scope, "policy", role, grants)
    cluster = scope.cluster_of(namespace)
    if known_as := cluster.known_as if cluster else scope.environment.eks_cluster:
        associate(scope, "identity", known_as, namespace, account_name, role)


def associate(scope: Scope, local: str, cluster: Value, namespace: Value, account_name: str, role: Ref) -> None:
    """Give the pods of a service account in a cluster a role (EKS Pod Identity)."""
    scope.aws(
        local,
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        {
            "clusterName": cluster,
            "namespace": namespace,
            "serviceAccount": account_name,
            "roleArn": Ref(role.node, ("arn",)),
            "tags": scope.tags,
        },
    )


def pod_trust(scope: Scope, namespace: Value, account_name: str) -> dict[str, Value]:
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
    cluster = scope.cluster_of(namespace)
    if name := cluster.name if cluster else scope.environment.eks_cluster:
        conditions["aws:RequestTag/eks-cluster-name"] = name
    return {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": conditions},
    }
