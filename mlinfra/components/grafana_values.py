"""What `Monitoring` is told of Grafana."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.values import NamespaceName, Structure

IMAGE: Final = "docker.io/grafana/grafana:12.3.3"

Address = Annotated[
    str, Field(pattern=r"^https://[^\s?#;$%`\"]+$", max_length=500, examples=["https://id.example.com/token"])
]
"""An address that passwords and tokens are sent to, and thus none without TLS. It stands in a file of settings, where
some signs mean something else."""

GroupName = Annotated[str, Field(pattern=r"^[^\s'\"\\`;#$%][^'\"\\`;#$%\x00-\x1f]{0,199}$")]
"""A group of people as the identity provider names it. It stands in an expression, where quotes would end it."""


class Oidc(Structure):
    """How people sign in to Grafana by OpenID Connect: `Oidc(client_id="grafana", client_secret=token, …)`.

    The provider has to know `<address>/login/generic_oauth` as a place to send people back to, and has to give the
    claim `groups`. Source: Grafana, "Configure generic OAuth authentication".
    """

    auth_url: Address
    """Where people are sent to sign in: `authorization_endpoint` in the provider's
    `/.well-known/openid-configuration`."""

    token_url: Address
    """Where Grafana asks for tokens: `token_endpoint` there."""

    userinfo_url: Address
    """Where Grafana asks who somebody is: `userinfo_endpoint` there."""

    client_id: str = Field(pattern=r"^[A-Za-z0-9._:/@-]{1,200}$")
    """The id under which the provider knows this Grafana."""

    client_secret: ManagedSecret
    """The secret that belongs to the id, with the namespace of `Monitoring` in its `in_cluster`."""

    scopes: Many[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]+$")]] = (
        "openid",
        "profile",
        "email",
        "groups",
    )
    """What is asked of the provider (RFC 6749, section 3.3)."""

    admins: Many[GroupName] = ()
    """Groups whose members may change everything in Grafana."""

    viewers: Many[GroupName] = ()
    """Groups whose members may look; by default everybody whom the provider lets in."""


class Grafana(Structure):
    """Grafana, with dashboards of what is watched: `Grafana(oidc=Oidc(…), address="https://grafana.example.com")`.

    Dashboards are written from the blueprint and cannot be changed in Grafana; those that people make there are in the
    pod's own storage, and go when the pod moves. Nobody gets in without signing in.
    """

    admin_password: ManagedSecret | None = None
    """The password of the user `admin`, with the namespace of `Monitoring` in its `in_cluster`; by default one that is
    made up, in the Secret `<name>-grafana` of that namespace under the key `value`. It counts when the pod starts."""

    oidc: Oidc | None = None
    """How people sign in; by default `admin` alone can, with the password."""

    address: Address | None = None
    """Where people reach it, such as `https://grafana.example.com`: by your ingress controller, which `called_from`
    lets in. By default it is reached by `kubectl port-forward` alone."""

    called_from: Many[NamespaceName] = ()
    """Namespaces whose pods may call it where its own is closed, such as the ingress controller's."""

    image: str = IMAGE
    """Image of Grafana, for example a mirror's."""

    cpu: float = Field(default=0.1, gt=0)
    """Cores."""

    memory: float = Field(default=0.5, ge=0.25)
    """GiB."""

    @model_validator(mode="after")
    def _reached(self) -> Self:
        if self.oidc and not self.address:
            raise ValueError(
                "oidc needs `address`: the identity provider sends people back to it "
                '(Grafana, "Configure generic OAuth authentication", `root_url`)'
            )
        return self


STRUCTURES: Final = (Grafana, Oidc)
"""What documentation shows beside the components."""
