"""`Raw`: any Pulumi resource, for what has no kind of its own yet."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from mlinfra.authoring import Component
from mlinfra.components.targets import needs_aws, needs_kubernetes
from mlinfra.expansion import AWS, Scope
from mlinfra.graph import Call, Document, Join, Kind, Options, Ref, Secret, Value, references
from mlinfra.naming import component_of

Token = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*:[A-Za-z0-9][A-Za-z0-9._/-]*:[A-Za-z0-9]+$")]
_NEEDS = {"aws": needs_aws, "kubernetes": needs_kubernetes}


class Raw(Component):
    """One Pulumi resource by its type token, as the provider documents it.

    Names, tags and permissions are the author's own affair. Resources of `aws` and `kubernetes` use the stack's
    providers; those of another package get a provider instance of their own, for which the engine wants the package's
    plugin.
    """

    holds_data: ClassVar[bool] = True  # nobody knows, so its author may say that it does

    type: Token
    """Type token, such as `aws:sqs/queue:Queue`."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    """Inputs by their names in Pulumi's schema (`visibilityTimeoutSeconds`). Outputs of other components, secrets
    (`Secret`, pydantic's `SecretStr`) and texts made with `join` may stand at any depth."""

    provider: dict[str, Any] | None = None
    """Inputs of a provider instance of its own; None: the stack's, or the package's without inputs."""

    protect: bool = False
    """Whether no update or destroy may delete it."""

    @field_validator("inputs", "provider")
    @classmethod
    def _in_a_graph(cls, values: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if values is None else {key: _value(item, key) for key, item in values.items()}

    def output(self, local: str, *path: str | int) -> Ref:
        """An output of the resource: `queue.output("arn")`, `queue.output("endpoints", 0)`."""
        return Ref(self.node("resource"), (local, *path))

    def parts(self) -> Iterator[Component]:
        """The components whose outputs stand in the inputs."""
        yield from super().parts()
        made = self._recording.named if self._recording else {}
        owners = [component_of(reference.node) for reference in references([self.inputs, self.provider])]
        yield from (made[name] for name in dict.fromkeys(owners) if name in made)

    def expand(self, scope: Scope) -> None:
        """The resource, and its provider instance where it has one of its own."""
        package = self.type.partition(":")[0]
        if package in _NEEDS and not _NEEDS[package](scope):
            return
        options = Options(protect=self.protect or scope.protected, provider=self._provider(scope, package))
        scope.add("resource", self.type, self.inputs, Kind.RESOURCE, options)

    def _provider(self, scope: Scope, package: str) -> str:
        """The stack's; for a Kubernetes object that of the cluster which its namespace, or what it refers to, is in;
        where the stack has none, or inputs are given, one of its own."""
        if self.provider is None and package == "aws":
            return scope.expansion.provider(AWS)
        if self.provider is None and package == "kubernetes":
            metadata = self.inputs.get("metadata")
            return scope.kubernetes_provider(metadata.get("namespace") if isinstance(metadata, Mapping) else None)
        return scope.add("provider", f"pulumi:providers:{package}", self.provider or {}, Kind.PROVIDER, Options()).node


def _value(value: Any, where: str) -> Value:
    """A value as it may stand in a graph; raises `ValueError` that says where another one stands."""
    match value:
        case SecretStr():
            return Secret(value.get_secret_value())
        case Secret(inner):
            return Secret(_value(inner, where))
        case None | bool() | int() | str() | Ref() | Join() | Document() | Call():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: _value(item, f"{where}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [_value(item, f"{where}[{index}]") for index, item in enumerate(value)]
        case Component():
            raise ValueError(f"{where} is the component {value!r}; give one of its outputs, such as its ARN")
    raise ValueError(f"{where} is a {type(value).__name__}; inputs are JSON values, outputs of components and secrets")
