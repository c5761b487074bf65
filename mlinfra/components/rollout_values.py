"""How a new version of an `Endpoint` takes over, and how traffic is shared: what people write of it."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.endpoint_model import ServedModel
from mlinfra.components.values import Autoscale, Image, Structure, repeated

_SHORT: Final = 10
_LONGEST: Final = 86_400
_WHOLE: Final = 100

VariantName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$")]
"""The name of a variant: lower-case letters, digits and hyphens, a letter first, at most 20."""

TAKEN: Final = ("stable", "canary", "active", "preview")
"""What the label of a variant says of an endpoint's pods while a rollout goes on; no variant is called so."""


Address = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$")]


class Gate(Structure):
    """What a new version has to keep to: `Gate(error_percent=1, accuracy=0.9)`.

    Prometheus is asked again and again while a step lasts. One look that is above a limit ends the rollout, and all
    traffic goes back to the version before; `forgiven` lets some pass. A look that finds no requests says nothing, and
    where all looks of a step find none, the rollout stops there and waits for a person: `mlinfra rollout promote` or
    `abort`. Where Prometheus cannot be asked five times in a row, the rollout goes back.

    The metrics are those that alerts have, such as `http_requests_total` and `http_request_duration_seconds`, and
    `model_accuracy`; of the new version's pods alone.
    """

    error_percent: float | None = Field(default=None, gt=0, le=100)
    """Most answers with a 5xx status, in percent; by default the endpoint's own `error_percent`."""

    latency_seconds: float | None = Field(default=None, gt=0)
    """Longest 95th percentile of response times; by default the endpoint's own `latency_seconds`."""

    accuracy: float | None = Field(default=None, gt=0, le=1)
    """Least `model_accuracy`, from 0 to 1; None: it is not looked at. Labels have to arrive while a step lasts."""

    every_seconds: int = Field(default=30, ge=5, le=3600)
    """Seconds between two looks."""

    window_seconds: int = Field(default=120, ge=10, le=3600)
    """Over how long rates are taken; it has to hold some of Prometheus' own looks at the pods."""

    forgiven: int = Field(default=0, ge=0, le=100)
    """How many looks at each metric may be above the limit."""

    load_test: str | None = Field(default=None, min_length=1, max_length=30)
    """The name of a `LoadTest` of the blueprint that has to succeed, too: it runs once, when the gate opens."""


class Step(Structure):
    """One step of a canary: `Step(weight=10, seconds=600)`."""

    weight: int = Field(ge=1, le=99)
    """Percent of the traffic that the new version gets."""

    seconds: int = Field(default=300, ge=_SHORT, le=_LONGEST)
    """How long the step lasts at least; its gate looks on all the while."""

    gate: Gate | None = None
    """What the new version has to keep to in this step; by default the canary's gate."""

    approve: bool = False
    """Whether somebody has to say `mlinfra rollout promote` at the end of the step."""


class Rolling(Structure):
    """A new version takes over pod by pod: none goes before another one is ready. Kubernetes does it by itself."""

    kind: Literal["rolling"] = "rolling"
    """`rolling`."""


class BlueGreen(Structure):
    """A new version comes up beside the old one, and takes over all traffic at once when all of it is ready.

    Where the cluster says `argo_rollouts=True`, Argo Rollouts' controller does it: as many pods come up as the old
    version has; the old ones stay for `keep_seconds`, and `gate`, `approve` and `mlinfra rollout` are there. Without
    the controller `mlinfra up` does it, by a second Deployment and the Service's selector: the new pods, as many as the
    autoscaler's minimum, are waited for before the switch, and the old ones go right after it. An `up` that fails
    before the switch leaves the old version as it is.
    """

    kind: Literal["blue-green"] = "blue-green"
    """`blue-green`."""

    gate: Gate | None = None
    """What the new version has to keep to once it has the traffic; if it does not, the old one gets it back. A
    `load_test` has to succeed before the switch."""

    seconds: int = Field(default=300, ge=_SHORT, le=_LONGEST)
    """How long the gate looks on after the switch."""

    approve: bool = False
    """Whether somebody has to say `mlinfra rollout promote` before the switch."""

    keep_seconds: int = Field(default=600, ge=30, le=_LONGEST)
    """How long the old version's pods stay after the switch. Argo Rollouts recommends 30 seconds at least."""

    prometheus: Address | None = None
    """The address of the Prometheus that the gate asks, such as `http://prometheus.monitoring.svc:9090`; by default
    that of the `Monitoring` which watches the endpoint."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_looks(self.gate, self.seconds)
        if self.gate and self.gate.window_seconds + self.seconds > self.keep_seconds:
            raise ValueError(
                f"keep_seconds is {self.keep_seconds}: the old version would be gone before the gate has looked on for "
                f"{self.seconds} s; make it {self.gate.window_seconds + self.seconds} or more"
            )
        return self

    @property
    def wants(self) -> tuple[str, ...]:
        """The fields that only a controller can keep to, of those that say something else than the default."""
        fields = {"gate": self.gate is not None, "approve": self.approve, "keep_seconds": self.keep_seconds != 600}
        return tuple(name for name, said in fields.items() if said)


class Canary(Structure):
    """A new version gets a growing share of the traffic, as long as it keeps to the gate:

        rollout=Canary(steps=[Step(weight=10, seconds=600), Step(weight=50, seconds=600, approve=True)],
                       gate=Gate(error_percent=1, accuracy=0.9))

    After the last step it has all of it. What fails a gate, or is not ready in time, goes back by itself. Argo
    Rollouts' controller does all this, so that the cluster has to say `argo_rollouts=True`; `mlinfra up` begins it and
    does not wait for its end, which `mlinfra rollout status` shows. A version that is new to nobody, one of the last
    three, comes back without steps.
    """

    kind: Literal["canary"] = "canary"
    """`canary`."""

    steps: Annotated[Many[Step], Field(min_length=1, max_length=20)]
    """The steps, with growing weights."""

    gate: Gate = Gate()
    """What the new version has to keep to in each step that has no gate of its own."""

    traffic: Literal["replicas", "gateway"] = "replicas"
    """How traffic is shared. `replicas`: by the number of pods of each version, which needs nothing more, but 10 % of
    the traffic takes ten pods. `gateway`: by the weights of the endpoint's HTTPRoute, which needs Argo Rollouts' plugin
    for Gateway API in the cluster (`TrainingCluster(argo_gateway_plugin=True)`)."""

    prometheus: Address | None = None
    """The address of the Prometheus that gates ask, such as `http://prometheus.monitoring.svc:9090`; by default that of
    the `Monitoring` which watches the endpoint."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        weights = [step.weight for step in self.steps]
        if weights != sorted(set(weights)):
            raise ValueError(f"the weights of the steps are {weights}: each has to be more than the one before")
        for step in self.steps:
            _check_looks(step.gate or self.gate, step.seconds)
        return self


def _check_looks(gate: Gate | None, seconds: int) -> None:
    if gate and gate.every_seconds > seconds:
        raise ValueError(
            f"the gate looks every {gate.every_seconds} s, and has {seconds} s: it would never look; let it look more "
            "often (`every_seconds`), or longer (`seconds`)"
        )


Rollout = Annotated[Rolling | BlueGreen | Canary, Field(discriminator="kind")]
"""How a new version takes over."""


class Variant(Structure):
    """One of several versions that serve side by side: `Variant(name="challenger", weight=10, image=p.new_image)`.

    What it does not say is as the endpoint has it. Its pods find its name in `MLINFRA_VARIANT`, and its metrics have
    the label `variant`.
    """

    name: VariantName
    """What it is called, such as `champion`."""

    weight: int = Field(ge=0, le=100)
    """Percent of the traffic; those of all variants come to 100."""

    image: Image | None = None
    """Its image, by digest; by default the endpoint's."""

    model: ServedModel | None = None
    """Its model; by default the endpoint's."""

    scale: Autoscale | None = None
    """How many replicas it has; by default as many as the endpoint would."""

    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables besides the endpoint's. Not for secrets: they are stored as plain text."""


class Shadow(Structure):
    """A version that gets a copy of every request, and whose answers nobody sees: `Shadow(image=p.next_image)`."""

    name: VariantName = "shadow"
    """What it is called."""

    image: Image | None = None
    """Its image, by digest; by default the endpoint's."""

    model: ServedModel | None = None
    """Its model; by default the endpoint's."""

    scale: Autoscale | None = None
    """How many replicas it has; by default as many as the endpoint would."""

    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables besides the endpoint's. Not for secrets: they are stored as plain text."""


def _whole(variants: Sequence[Variant]) -> Sequence[Variant]:
    if not variants:
        return variants
    if twice := repeated(item.name for item in variants):
        raise ValueError(f"more than one variant is called {', '.join(twice)}")
    if taken := [item.name for item in variants if item.name in TAKEN]:
        raise ValueError(f"{', '.join(taken)} is what pods are called while a rollout goes on; take another name")
    if (total := sum(item.weight for item in variants)) != _WHOLE:
        said = " + ".join(str(item.weight) for item in variants)
        raise ValueError(f"the weights of the variants come to {total} ({said}), not to 100")
    return variants


STRUCTURES: Final = (Rolling, BlueGreen, Canary, Step, Gate, Variant, Shadow)
"""The values above, in the order in which documentation shows them."""

Variants = Annotated[Many[Variant], AfterValidator(_whole), Field(max_length=10)]
"""Versions that serve side by side, with weights that come to 100."""
