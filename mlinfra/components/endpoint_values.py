"""What an `Endpoint` is told in more than a word: its first request, its hours, its address, its keys, its helpers."""

import json
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.schedule import TimeZone
from mlinfra.components.values import Image, NamespaceName, Structure, repeated

HttpPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~:/-]*$", max_length=200)]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HostName = Annotated[str, Field(pattern=rf"^{_LABEL}(\.{_LABEL})+$", max_length=253)]
_PART: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
ObjectName = Annotated[str, Field(pattern=rf"^{_PART}(\.{_PART})*$", max_length=253)]
"""A host, and an object's name (Kubernetes, "Object Names and IDs"); a listener's is of the same form (Gateway API,
"SectionName")."""


class WarmUp(Structure):
    """A request that a replica has to answer before it gets any other, so that nobody waits for caches to fill.

    `WarmUp(path="/predict", body={"inputs": [[1, 2]]})` is sent with POST; without a body it is a GET. An answer with a
    status from 200 to 299 will do; anything else is asked again, until `startup_seconds` are over.
    """

    path: HttpPath | None = None
    """Where it is sent; by default where the runtime takes predictions. An image of one's own has to say it."""

    body: dict[str, object] | list[object] | str | None = Field(default=None)
    """What is sent: data, which becomes JSON, or a text as it is."""

    content_type: str = Field(
        default="application/json", pattern=r"^[A-Za-z0-9.+*-]+/[A-Za-z0-9.+*-]+(; ?[^\x00-\x1f]+)?$"
    )
    """What the body is."""

    seconds: int = Field(default=30, ge=1, le=600)
    """Longest that the answer may take."""

    @property
    def text(self) -> str | None:
        """The body as it is sent."""
        if self.body is None or isinstance(self.body, str):
            return self.body
        return json.dumps(self.body, sort_keys=True, ensure_ascii=False, allow_nan=False)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len((self.text or "").encode()) > 16_384:
            raise ValueError("body is longer than 16 KiB: it stands in the pod's description; a small example will do")
        return self


class WorkingHours(Structure):
    """When an endpoint outside prod runs; at night and at the weekend there is no replica, and its machines can go.

    `WorkingHours(start="07:00", stop="20:00", time_zone="Europe/Berlin")` is Monday to Friday.
    """

    start: Clock = "07:00"
    """When it starts, as on a clock with 24 hours."""

    stop: Clock = "20:00"
    """When it stops, later on the same day."""

    days: Annotated[Many[Day], Field(min_length=1, max_length=7)] = ("mon", "tue", "wed", "thu", "fri")
    """On which days."""

    time_zone: TimeZone = "UTC"
    """Whose clock it is, such as `Europe/Berlin`; summer time is followed."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.stop:
            raise ValueError(f"start is {self.start}, which is not before stop, {self.stop}")
        if twice := repeated(self.days):
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return self

    def cron(self, clock: str) -> str:
        """A time of these days, as CronJobs have it (Kubernetes, "CronJob", "Schedule syntax")."""
        hour, minute = clock.split(":")
        return f"{int(minute)} {int(hour)} * * {','.join(self.days)}"


class ApiKeys(Structure):
    """Who may call: whoever sends one of these keys, in the header `X-API-Key` or as `Authorization: Bearer …`.

        alice, shop = ManagedSecret("alice", in_cluster=[cluster]), ManagedSecret("shop", in_cluster=[cluster])
        api = Endpoint("api", cluster=cluster, auth=ApiKeys(keys=[alice, shop]), …)

    A key for each caller can be taken away, or made anew (`generation`), without the others'. A proxy in each replica
    asks for the key (HAProxy); the program behind it never sees one.
    """

    keys: Annotated[Many[ManagedSecret], Field(min_length=1, max_length=50)]
    """The keys, secrets that are in the endpoint's namespace (`in_cluster`)."""


class _Address(Structure):
    host: HostName
    """The name by which the world calls it: `api.example.com`. Its entry in the DNS is not made."""

    controller_namespace: NamespaceName
    """The namespace of the pods that take the world's requests, which may call the endpoint where the network is
    closed: `ingress-nginx`, `envoy-gateway-system`."""

    secret: ObjectName | None = None
    """The Secret with the certificate for the host, in the endpoint's namespace, of the type `kubernetes.io/tls`."""

    issuer: ObjectName | None = None
    """Instead: the ClusterIssuer of cert-manager that makes the certificate, and makes it anew in time."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations by which its controller is told more, such as how to sign people in."""

    def _needs_certificate(self) -> None:
        if (self.secret is None) == (self.issuer is None):
            raise ValueError("its certificate comes from `secret` or from `issuer`: give one of the two")

    def certificate(self, identity: str) -> str:
        """The name of the Secret with the certificate."""
        return self.secret or f"{identity}-tls"

    @property
    def notes(self) -> dict[str, str]:
        """The annotations, with the one by which cert-manager knows that it is to make the certificate.

        Source: cert-manager, "Annotated Ingress resource" and "Annotated Gateway resource".
        """
        made = {"cert-manager.io/cluster-issuer": self.issuer} if self.issuer else {}
        return {**self.annotations, **made}


class IngressAddress(_Address):
    """An address in the world by an Ingress, over TLS only:

    host = "api.example.com"
    IngressAddress(host=host, ingress_class="nginx", controller_namespace="ingress-nginx", issuer="letsencrypt")
    """

    ingress_class: ObjectName
    """The IngressClass, whose controller runs in the cluster already."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._needs_certificate()
        return self


class GatewayAddress(_Address):
    """An address in the world by the Gateway API, over TLS only; the cluster has to say `gateway_api=True`.

    Either through a Gateway that others look after, certificate included, `gateway="shared"`; or through one of the
    endpoint's own, `gateway_class="envoy"`, with `secret` or `issuer`.
    """

    gateway: ObjectName | None = None
    """The name of a Gateway that is there."""

    gateway_namespace: NamespaceName | None = None
    """The namespace of that Gateway; by default the endpoint's own."""

    listener: ObjectName = "https"
    """The name of the Gateway's listener, which has to be one for HTTPS."""

    gateway_class: ObjectName | None = None
    """Instead: the GatewayClass that a Gateway of its own is of."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.gateway is None) == (self.gateway_class is None):
            raise ValueError(
                "it goes through a Gateway that is there, or one of its own: give `gateway` or `gateway_class`"
            )
        if self.gateway_class:
            self._needs_certificate()
        elif self.secret or self.issuer:
            raise ValueError(
                f"the certificate is that of the Gateway {self.gateway!r}: leave `secret` and `issuer` out"
            )
        return self


class HelperImages(Structure):
    """The images of what works beside the model, for example a mirror's. In protected tiers those that are used have
    to be given by digest, where the default is a tag."""

    model: Image | None = None
    """What copies the model: `sh` and the AWS CLI, or `mlflow` where the model is in a registry."""

    proxy: Image | None = None
    """What asks callers for their key, and what leads them to another endpoint (`failover`): HAProxy 2.6 or newer."""

    warm_up: Image | None = None
    """What sends the first request: `sh` and `curl`."""

    schedule: Image | None = None
    """What starts and stops it by the clock: `kubectl`."""


STRUCTURES: Final = (WarmUp, WorkingHours, ApiKeys, IngressAddress, GatewayAddress, HelperImages)
"""The values above, in the order in which documentation shows them."""
