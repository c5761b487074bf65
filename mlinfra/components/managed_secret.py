"""`ManagedSecret`: a secret value in Secrets Manager, and in the namespaces of clusters whose pods read it."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.access import DataStore, Grant
from mlinfra.components.key import Key, decrypting, encrypting
from mlinfra.components.key_use import check_key
from mlinfra.components.place import Place
from mlinfra.components.secret_sources import Generated, Source, Variable, add_value, value_of
from mlinfra.components.tags import Tags
from mlinfra.components.values import repeated
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value


class ManagedSecret(DataStore):
    """A secret: a password, a token, a signing key.

    Its value is made up, or comes from an environment variable or from a person at the terminal, but never from the
    blueprint or the stack file. It is got once, kept encrypted in the stack's state, and written to AWS Secrets
    Manager. No output, plan, log or file shows it.

        signing = ManagedSecret("signing", in_cluster=[cluster])
        token = ManagedSecret("hub-token", value_from=FromEnvironment("HUB_TOKEN"), in_cluster=[cluster])
        api = Endpoint("api", cluster=cluster, reads=[signing, token], …)

    The endpoint's pods find the values in the environment variables `SIGNING` and `HUB_TOKEN`, and may read these two
    secrets in Secrets Manager (their ARNs are in `SIGNING_ARN` and `HUB_TOKEN_ARN`) and no others. Without
    `in_cluster` there is no Kubernetes Secret, and pods get the ARN alone.

    (The name `Secret` is that of a marked value in a blueprint: `mlinfra.Secret`.)
    """

    holds_data: ClassVar[bool] = True

    value_from: Source = Generated()
    """Where the value comes from: `Generated()`, `FromEnvironment("NAME")` or `FromPrompt()`."""

    generation: int = Field(default=1, ge=1, le=10_000)
    """Raise it for another value: a generator makes one, a prompt asks again, an environment variable must be set."""

    in_cluster: Many[Place] = ()
    """Clusters and teams in whose namespaces there is a Kubernetes Secret with the value, under the key `value`.
    Whoever may read Secrets in such a namespace can read it."""

    variable: Variable | None = None
    """The environment variable in which pods get the value; by default the name in capitals (`HUB_TOKEN`)."""

    key: Key | None = None
    """The KMS key that it is encrypted with; by default Secrets Manager's own in the account."""

    recovery_days: int | None = Field(default=None, ge=0, le=30)
    """Days in which it can be had back after it was deleted, 7 to 30, or 0 for none (Secrets Manager API reference,
    `DeleteSecret`); by default as the tier says. Until then its name is not free."""

    description: str = Field(default="", max_length=2048)
    """What it is for, as the AWS console shows it."""

    tags: Tags = Field(default_factory=dict)
    """Further tags."""

    @model_validator(mode="after")
    def _days(self) -> Self:
        if self.recovery_days is not None and 0 < self.recovery_days < 7:
            raise ValueError(
                f"recovery_days is {self.recovery_days}: Secrets Manager takes 7 to 30, or 0 for none "
                "(API reference, DeleteSecret)"
            )
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def arn(self) -> Ref:
        """The secret's ARN; on AWS."""
        return self.output("secret", "arn")

    @property
    def value(self) -> Ref:
        """The value; it stays secret wherever it is used."""
        return value_of(self.node("value"))

    @property
    def variable_name(self) -> str:
        """The environment variable in which pods get the value."""
        return self.variable or self.identity.replace("-", "_").upper()

    # ------------------------------------------------------------------------------------ access

    def read_grants(self) -> tuple[Grant, ...]:
        """Get the value (Service Authorization Reference, "Actions … for AWS Secrets Manager")."""
        grants = (Grant(("secretsmanager:GetSecretValue",), (self.arn,)),)
        return (*grants, decrypting(self.key.arn, "secretsmanager")) if self.key else grants

    def write_grants(self) -> tuple[Grant, ...]:
        """Put another value, as a program that changes its own token does. The next value of the stack replaces it."""
        grants = (Grant(("secretsmanager:PutSecretValue",), (self.arn,)),)
        return (*grants, encrypting(self.key.arn, "secretsmanager")) if self.key else grants

    def variables(self) -> dict[str, Value]:
        """`HUB_TOKEN_ARN` for a secret `hub-token`."""
        return {f"{self.variable_name}_ARN": self.arn}

    def variables_in(self, scope: Scope, namespace: Value) -> dict[str, Value]:
        """In a namespace that has it also `HUB_TOKEN`, the value."""
        found = super().variables_in(scope, namespace)
        if key := self.key_in(namespace):
            found[self.variable_name] = {"secretKeyRef": key}
        return found

    def key_in(self, namespace: Value) -> dict[str, Value] | None:
        """The Kubernetes Secret in a namespace, `name`, and where in it the value is, `key`; None: it has none."""
        for cluster in self.in_cluster:
            if cluster.namespace == namespace:
                return {"name": self.output(_local(cluster), "metadata", "name"), "key": "value"}
        return None

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The value; the secret and its version on AWS; a Kubernetes Secret in each cluster that is named."""
        if not self._has_a_place(scope):
            return
        check_key(scope, self.key, "secretsmanager")
        value = add_value(scope, self.value_from, self.generation)
        if scope.environment.has_aws:
            self._on_aws(scope, value)
        for cluster in self.in_cluster:
            scope.kubernetes(
                _local(cluster),
                "v1",
                "Secret",
                self.identity,
                {"type": "Opaque", "stringData": {"value": value}},
                namespace=cluster.namespace,
            )

    def _on_aws(self, scope: Scope, value: Ref) -> None:
        defaults = scope.environment.tier.defaults
        days = defaults.secret_recovery_days if self.recovery_days is None else self.recovery_days
        secret = scope.aws(
            "secret",
            "aws:secretsmanager/secret:Secret",
            {
                "name": scope.label_name(),
                "description": self.description or f"{self.name}, of {scope.expansion.blueprint}",
                "recoveryWindowInDays": days,
                "tags": {**self.tags, **scope.tags},
                **({"kmsKeyId": self.key.arn} if self.key else {}),
            },
            protect=scope.protected or defaults.protected,
        )
        version = "aws:secretsmanager/secretVersion:SecretVersion"
        scope.aws("version", version, {"secretId": secret, "secretString": value})

    def _has_a_place(self, scope: Scope) -> bool:
        if twice := repeated(cluster.name for cluster in self.in_cluster):
            scope.problem(
                f"secret {self.name!r} names the cluster {', '.join(twice)} more than once",
                remedy="Name each cluster once in `in_cluster`.",
                code="secret-cluster-twice",
            )
            return False
        if scope.environment.has_aws or self.in_cluster:
            return True
        scope.problem(
            f"secret {self.name!r} has no place: this target has no AWS, and no cluster is named",
            detail="On AWS a secret is in Secrets Manager; without AWS it is a Kubernetes Secret in a cluster.",
            remedy="Name the cluster whose pods read it: `in_cluster=[<a TrainingCluster>]`.",
            code="secret-without-place",
        )
        return False


def _local(cluster: Place) -> str:
    return f"in-{cluster.name}"
