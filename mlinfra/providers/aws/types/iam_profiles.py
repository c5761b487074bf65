"""IAM's instance profiles: what gives a role to a machine. IAM has no regions."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.fields import TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import moment
from mlinfra.providers.aws.tags import Tagging
from mlinfra.providers.aws.types.iam_roles import GONE

_FINAL: Final = (
    "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateInstanceProfile.html: "
    "there is no call that changes a profile's name or path"
)
TAGGING: Final = Tagging(
    "InstanceProfileName",
    tag="tag_instance_profile",
    untag="untag_instance_profile",
    read="list_instance_profile_tags",
)


class InstanceProfile(Resource):
    """An instance profile, which holds one role or none."""

    token = "aws:iam/instanceProfile:InstanceProfile"  # noqa: S105 — a type token
    service = "iam"
    fields = (
        Field("name", pattern=(r"[\w+=,.@-]{1,128}", "1 to 128 letters, digits and +=,.@-_"), replaces=_FINAL),
        Field("path", default="/", replaces=_FINAL),
        Field("role", apart=True),
        TAGS,
    )
    outputs = ("arn", "createDate", "uniqueId")
    names = ("name",)
    longest = 128

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all; the role is for `complete`."""
        made = aws.api("iam").call(
            "create_instance_profile",
            InstanceProfileName=inputs["name"],
            Path=inputs["path"],
            Tags=TAGGING.form(inputs.get("tags")),
        )["InstanceProfile"]
        return Made(made["InstanceProfileName"], _outputs(made))

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The role."""
        _take(aws.api("iam"), made.id, inputs.get("role"))
        return None

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        found = aws.api("iam").find("get_instance_profile", GONE, InstanceProfileName=resource_id)
        if found is None:
            return None
        profile = found["InstanceProfile"]
        inputs = {"name": profile["InstanceProfileName"], "path": profile["Path"], "role": _role(profile)}
        return Live(inputs, _outputs(profile), TAGGING.plain(profile.get("Tags")))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """The role, then the tags."""
        api = aws.api("iam")
        if change.touches("role"):
            _take(api, change.id, change.new.get("role"))
        if change.touches("tags"):
            TAGGING.change(api, change.id, change.old.get("tags"), change.new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """The role goes first (API_DeleteInstanceProfile)."""
        api = aws.api("iam")
        if api.find("get_instance_profile", GONE, InstanceProfileName=resource_id) is not None:
            _take(api, resource_id, None)
            api.find("delete_instance_profile", GONE, InstanceProfileName=resource_id)


def _take(api: Api, name: str, role: str | None) -> None:
    """Let the profile hold this role and no other: it can hold one (IAM user guide, "IAM and AWS STS quotas")."""
    held = _role(api.call("get_instance_profile", InstanceProfileName=name)["InstanceProfile"])
    if held == role:
        return
    if held is not None:
        api.find("remove_role_from_instance_profile", GONE, InstanceProfileName=name, RoleName=held)
    if role is not None:
        api.call("add_role_to_instance_profile", InstanceProfileName=name, RoleName=role)


def _role(profile: Mapping[str, Any]) -> str | None:
    return next((str(role["RoleName"]) for role in profile.get("Roles") or ()), None)


def _outputs(profile: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arn": profile["Arn"],
        "createDate": moment(profile["CreateDate"]),
        "uniqueId": profile["InstanceProfileId"],
    }


RESOURCES: Final = (InstanceProfile(),)
