"""IAM's OpenID Connect providers: issuers of tokens that roles can trust, such as an EKS cluster's."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.tags import Tagging
from mlinfra.providers.aws.types.iam_roles import GONE

_API: Final = "https://docs.aws.amazon.com/IAM/latest/APIReference"
_URL_FINAL: Final = f"{_API}/API_CreateOpenIDConnectProvider.html: the provider's ARN is made of the URL"
_SCHEME: Final = "https://"
MOST_CLIENTS: Final = 100
MOST_THUMBPRINTS: Final = 5
"""Of a provider: IAM user guide, "IAM and AWS STS quotas"; API_CreateOpenIDConnectProvider."""

TAGGING: Final = Tagging(
    "OpenIDConnectProviderArn",
    tag="tag_open_id_connect_provider",
    untag="untag_open_id_connect_provider",
    read="list_open_id_connect_provider_tags",
)


class OpenIdConnectProvider(Resource):
    """An issuer of tokens. Its id is its ARN, which is made of its URL: there is one for each URL in an account."""

    token = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"  # noqa: S105 — a type token
    service = "iam"
    fields = (
        Field("url", required=True, replaces=_URL_FINAL),
        Field("clientIdLists", many=True, required=True, unordered=True),
        Field(
            "thumbprintLists",
            many=True,
            unordered=True,
            computed=True,
            pattern=(r"[0-9A-Fa-f]{40}", "a SHA-1 thumbprint, 40 hexadecimal digits"),
        ),
        TAGS,
    )
    outputs = ("arn",)
    names = ("url",)

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_CreateOpenIDConnectProvider: the form of the URL, and how many clients and thumbprints there may be."""
        url = inputs.get("url")
        if isinstance(url, str):
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.netloc:
                yield ("url",), "must begin with https://"
            elif parts.query or ":" in parts.netloc or len(url) > 255:
                yield ("url",), "must have no port, no query and at most 255 characters"
        for name, most in (("clientIdLists", MOST_CLIENTS), ("thumbprintLists", MOST_THUMBPRINTS)):
            listed = inputs.get(name)
            if isinstance(listed, list) and len(listed) > most:
                yield (name,), f"must be at most {most}"

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str:
        """By account and URL (IAM user guide, "IAM identifiers")."""
        return aws.arn("iam", f"oidc-provider/{_plain(inputs['url'])}", region="")

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A URL with `https://` before it and without, as IAM gives it back; with a slash behind it and without."""
        return name == "url" and isinstance(old, str) and isinstance(new, str) and _plain(old) == _plain(new)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all. Without thumbprints IAM finds them itself."""
        made = aws.api("iam").call(
            "create_open_id_connect_provider",
            Url=inputs["url"],
            ClientIDList=inputs["clientIdLists"],
            ThumbprintList=inputs.get("thumbprintLists"),
            Tags=TAGGING.form(inputs.get("tags")),
        )
        arn = made["OpenIDConnectProviderArn"]
        return Made(arn, {"arn": arn})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: the provider, and its tags, which the emulator does not list with it."""
        found = aws.api("iam").find("get_open_id_connect_provider", GONE, OpenIDConnectProviderArn=resource_id)
        if found is None:
            return None
        inputs = {
            "url": _SCHEME + _plain(found["Url"]),
            "clientIdLists": list(found.get("ClientIDList") or ()),
            "thumbprintLists": list(found.get("ThumbprintList") or ()) or None,
        }
        return Live(inputs, {"arn": resource_id}, TAGGING.live(aws.api("iam"), resource_id))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each client that comes or goes, one for the thumbprints, those for the tags."""
        api, new, arn = aws.api("iam"), change.new, {"OpenIDConnectProviderArn": change.id}
        if change.touches("clientIdLists"):
            before, after = set(change.old.get("clientIdLists") or ()), set(new["clientIdLists"])
            for client in sorted(after - before):
                api.call("add_client_id_to_open_id_connect_provider", **arn, ClientID=client)
            for client in sorted(before - after):
                api.call("remove_client_id_from_open_id_connect_provider", **arn, ClientID=client)
        if change.touches("thumbprintLists"):
            api.call("update_open_id_connect_provider_thumbprint", **arn, ThumbprintList=new["thumbprintLists"])
        if change.touches("tags"):
            TAGGING.change(api, change.id, change.old.get("tags"), new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; roles that trust it stay, and trust nobody through it."""
        aws.api("iam").find("delete_open_id_connect_provider", GONE, OpenIDConnectProviderArn=resource_id)


def _plain(url: str) -> str:
    return url.removeprefix(_SCHEME).rstrip("/")


RESOURCES: Final = (OpenIdConnectProvider(),)
