"""Values that components and parameters share: each is checked where it is written, in a stack file or a blueprint."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from mlinfra.documented import Documented

LabelKey = Annotated[str, Field(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")]
"""Labels' keys and values (Kubernetes, "Labels and Selectors"), whose form taints have, too."""

LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""The numbers of days for which CloudWatch Logs keeps a log (CloudWatch Logs API reference, `PutRetentionPolicy`)."""


def repeated(items: Iterable[str]) -> list[str]:
    """Those that stand among the items more than once, each once, in their order as texts."""
    return sorted(item for item, count in Counter(items).items() if count > 1)


class _Text(str):
    """A text of a certain form; it is a `str` wherever one is wanted."""

    __slots__ = ()
    PATTERN: ClassVar[str]
    FORM: ClassVar[str]

    @classmethod
    def _check(cls, text: str) -> Self:
        if not re.fullmatch(cls.PATTERN, text):
            raise ValueError(f"{text!r} is not {cls.FORM}")
        return cls(text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._check, core_schema.str_schema(strict=True))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^({cls.PATTERN})$", "description": f"Must be {cls.FORM}."}


class Image(_Text):
    """A container image by digest: `registry.example.com/team/name@sha256:…`.

    A tag can be moved to other content, a digest cannot: what was reviewed is what runs. Source of the form: the
    distribution project's reference grammar ("distribution/reference").
    """

    __slots__ = ()
    PATTERN = (
        r"[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]{1,5})?"
        r"(/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*)*"
        r"@sha256:[0-9a-f]{64}"
    )
    FORM = "an image by digest, such as registry.example.com/team/name@sha256:<64 hexadecimal digits>"


class Model(_Text):
    """A model's place: an object or prefix in S3, or a version in an MLflow registry.

    `s3://bucket/path` or `models:/name/version`. Source of the second form: MLflow, "Model Registry Workflows".
    """

    __slots__ = ()
    PATTERN = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\s]+|models:/[^/\s:]+/[0-9]+"
    FORM = "a model, such as s3://bucket/path or models:/name/3"


class Receiver(_Text):
    """Who hears of an alert: `kind:address`.

    `pagerduty:service`, `slack:#channel`, `email:name@example.com`, `webhook:https://…` (no plain http: alerts name
    what is broken).
    """

    __slots__ = ()
    PATTERN = (
        r"pagerduty:[A-Za-z0-9][A-Za-z0-9_.-]*"
        r"|slack:#[a-z0-9][a-z0-9_-]{0,79}"
        r"|email:[^@\s:]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
        r"|webhook:https://[^\s/]+(/[^\s]*)?"
    )
    FORM = "a receiver, such as pagerduty:service, slack:#channel, email:name@example.com or webhook:https://…"

    @property
    def kind(self) -> str:
        """pagerduty, slack, email or webhook."""
        return self.partition(":")[0]

    @property
    def address(self) -> str:
        """What stands after the kind."""
        return self.partition(":")[2]


TeamName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$")]
"""A team, as a route of alerts names it: lower-case letters, digits, hyphens, dots."""

NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
StorageClassName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
"""Names in Kubernetes (Kubernetes, "Object Names and IDs"): labels by RFC 1123, and subdomains."""


class Structure(Documented):
    """Base of values with several fields: no unknown field, no type guessed, frozen."""


class ScaleMetric(Structure):
    """A metric of Prometheus that the number of replicas follows, as the cluster's metrics adapter gives it.

        Autoscale(min=2, max=20, metric=ScaleMetric(name="http_requests", target=50))

    aims at 50 requests a second for each replica, where the Prometheus adapter runs with its default rules, which make
    rates of counters and take `_total` off their names. The cluster has to say that there is an adapter:
    `TrainingCluster(…, metrics_adapter=True)`.
    """

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)
    """Its name in the adapter: of `custom.metrics.k8s.io`, or with `of="elsewhere"` of `external.metrics.k8s.io`."""

    target: float = Field(gt=0, le=1_000_000_000)
    """What each replica should have of it on average. The metric's own unit; three decimals count."""

    of: Literal["pods", "elsewhere"] = "pods"
    """Whose metric it is: the replicas' own, or that of something else, such as the length of a queue, which is shared
    out between them."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Which of the metric's series count; by default all, of `pods` those of the replicas."""


class Autoscale(Structure):
    """Between how many replicas an endpoint runs, and what moves it."""

    min: int = Field(ge=1, le=1000)
    """Fewest replicas."""

    max: int = Field(ge=1, le=1000)
    """Most replicas."""

    cpu_percent: Annotated[int, Field(ge=10, le=100)] | None = 70
    """Average CPU use that the autoscaler aims at, in percent of what each replica requests. None: CPU does not count,
    as where GPUs do the work; then there has to be a metric."""

    metric: ScaleMetric | None = None
    """A metric of Prometheus that counts, too: of what it asks for and what CPU use asks for, the more is taken."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, which is more than max, {self.max}")
        if self.cpu_percent is None and self.metric is None:
            raise ValueError("neither cpu_percent nor metric is given, so nothing would move the number of replicas")
        return self


class TeamRoute(Structure):
    """Where the alerts of one team go, by how much they matter."""

    critical: Receiver
    """Who is woken: something is broken now."""

    warning: Receiver
    """Who should look in working hours: something will break, or works badly."""


class Route(TeamRoute):
    """Where alerts go, by how much they matter, and by whose they are:

    `Route(critical="pagerduty:ml", warning="slack:#ml", teams={"ads": TeamRoute(critical=…, warning=…)})`.
    """

    teams: dict[TeamName, TeamRoute] = Field(default_factory=dict)
    """Teams that hear of their alerts themselves, by name (`team` of what is watched); others' go the common way."""

    def of(self, team: str) -> TeamRoute:
        """Where the alerts of a team go."""
        return self.teams.get(team, self)


class Taint(Structure):
    """A mark on a pool's machines that keeps away pods which do not tolerate it.

    Source: Kubernetes, "Taints and Tolerations".
    """

    key: LabelKey
    """The taint's key, with a prefix or without."""

    value: LabelValue = ""
    """The taint's value."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """What happens to pods that do not tolerate it."""


class Quota(Structure):
    """Most that all pods of a cluster may ask for together; what is left out is counted from the cluster's pools."""

    cpu: float | None = Field(default=None, gt=0)
    """Cores."""

    memory: float | None = Field(default=None, gt=0)
    """GiB."""

    gpus: int | None = Field(default=None, ge=0)
    """GPUs."""

    pods: int | None = Field(default=None, gt=0)
    """Pods."""
