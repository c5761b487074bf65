"""What Alertmanager needs in order to deliver: the secrets of receivers, and a server for mail."""

from typing import Annotated, Final

from pydantic import Discriminator, Field, Tag

from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.values import Structure


class ExistingSecret(Structure):
    """A value in a Kubernetes Secret that somebody else keeps in the same namespace, such as External Secrets."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
    """The Secret's name."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")] = "value"
    """Under which key the value is."""


AlertSecret = Annotated[
    Annotated[ManagedSecret, Tag("managed")] | Annotated[ExistingSecret, Tag("existing")],
    Discriminator(lambda value: "managed" if isinstance(value, ManagedSecret) else "existing"),
]
"""Where a secret is: a `ManagedSecret` of the blueprint, or an `ExistingSecret`."""


class MailServer(Structure):
    """The SMTP server that mail goes out by, always over TLS.

    `MailServer(host="smtp.example.com", sender="alerts@example.com", user="alerts", password=secret)`.
    """

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]
    """The server's name."""

    port: int = Field(default=587, ge=1, le=65535)
    """Its port: 587 for STARTTLS, 465 for TLS from the start."""

    sender: Annotated[str, Field(pattern=r"^[^@\s]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]
    """The address that mail comes from."""

    user: str | None = Field(default=None, min_length=1)
    """Who signs in; by default nobody does."""

    password: AlertSecret | None = None
    """The password of who signs in."""


STRUCTURES: Final = (ExistingSecret, MailServer)
"""The values above, in the order in which documentation shows them."""

SECRETIVE: Final = {
    "pagerduty": "the integration key of the service (Events API v2)",
    "slack": "the URL of an incoming webhook",
}
"""Kinds of receivers that cannot be reached without a secret, and what it is."""
