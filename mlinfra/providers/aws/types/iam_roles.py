"""IAM roles, and what is attached to them. IAM has no regions."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, moment, to_aws
from mlinfra.providers.aws.tags import Tagging

GONE: Final = frozenset({"NoSuchEntity", "NoSuchEntityException"})
NAME_RULE: Final = (r"[\w+=,.@-]{1,64}", "1 to 64 letters, digits and +=,.@-_")
_FINAL_NAME: Final = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html: name and path are final"
_NOT_UPDATED: Final = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html: attached or not"

ROLE_TAGGING: Final = Tagging("RoleName", tag="tag_role", untag="untag_role", read="list_role_tags")


class Role(Resource):
    """A role. `forceDetachPolicies` takes its policies off before it is deleted."""

    token = "aws:iam/role:Role"  # noqa: S105 — a type token
    service = "iam"
    fields = (
        Field("name", aws="RoleName", pattern=NAME_RULE, replaces=_FINAL_NAME),
        Field("path", default="/", replaces=_FINAL_NAME),
        Field("assumeRolePolicy", required=True, document=True, aws="AssumeRolePolicyDocument"),
        Field("description", default=""),
        Field("maxSessionDuration", int, default=3600, bounds=(3600, 43200)),
        Field("permissionsBoundary"),
        Field("forceDetachPolicies", bool, default=False, apart=True),
        TAGS,
    )
    outputs = ("arn", "createDate", "uniqueId")
    names = ("name",)
    longest = 64

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all."""
        sent = to_aws(self.fields, inputs) | {"Tags": ROLE_TAGGING.form(inputs.get("tags"))}
        role = aws.api("iam").call("create_role", **sent)["Role"]
        return Made(role["RoleName"], _role_outputs(role))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        found = aws.api("iam").find("get_role", GONE, RoleName=resource_id)
        if found is None:
            return None
        role = found["Role"]
        inputs = from_aws(self.fields, role)
        del inputs["tags"]
        inputs["assumeRolePolicy"] = json.dumps(inputs["assumeRolePolicy"])
        inputs["permissionsBoundary"] = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        return Live(inputs, _role_outputs(role), ROLE_TAGGING.plain(role.get("Tags")))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each group of settings that differs."""
        api, new = aws.api("iam"), change.new
        if change.touches("assumeRolePolicy"):
            api.call("update_assume_role_policy", RoleName=change.id, PolicyDocument=new["assumeRolePolicy"])
        if change.touches("description", "maxSessionDuration"):
            api.call(
                "update_role",
                RoleName=change.id,
                Description=new.get("description", ""),
                MaxSessionDuration=new["maxSessionDuration"],
            )
        if change.touches("permissionsBoundary"):
            if boundary := new.get("permissionsBoundary"):
                api.call("put_role_permissions_boundary", RoleName=change.id, PermissionsBoundary=boundary)
            else:
                api.call("delete_role_permissions_boundary", RoleName=change.id)
        if change.touches("tags"):
            ROLE_TAGGING.change(api, change.id, change.old.get("tags"), new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """A role that has policies is deleted only with `forceDetachPolicies`."""
        api = aws.api("iam")
        try:
            if inputs.get("forceDetachPolicies"):
                for policy in api.pages("list_attached_role_policies", "AttachedPolicies", RoleName=resource_id):
                    api.find("detach_role_policy", GONE, RoleName=resource_id, PolicyArn=policy["PolicyArn"])
                for name in api.pages("list_role_policies", "PolicyNames", RoleName=resource_id):
                    api.find("delete_role_policy", GONE, RoleName=resource_id, PolicyName=name)
            api.call("delete_role", RoleName=resource_id)
        except AwsError as error:
            if error.code not in GONE:
                raise


class RolePolicy(Resource):
    """A policy that is written into a role. Its id is `ROLE:NAME`."""

    token = "aws:iam/rolePolicy:RolePolicy"  # noqa: S105 — a type token
    service = "iam"
    fields = (
        Field("role", required=True, aws="RoleName", replaces=_FINAL_NAME),
        Field(
            "name",
            aws="PolicyName",
            pattern=(r"[\w+=,.@-]{1,128}", "1 to 128 letters, digits and +=,.@-_"),
            replaces=_FINAL_NAME,
        ),
        Field("policy", required=True, document=True, aws="PolicyDocument"),
    )
    names = ("name", "role")
    upserts = True
    longest = 128

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """Of role and name."""
        return f"{inputs['role']}:{inputs['name']}"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Put it."""
        aws.api("iam").call("put_role_policy", **to_aws(self.fields, inputs))
        return Made(self.identity(inputs))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        role, _, name = resource_id.partition(":")
        found = aws.api("iam").find("get_role_policy", GONE, RoleName=role, PolicyName=name)
        if found is None:
            return None
        return Live({"role": role, "name": name, "policy": json.dumps(found["PolicyDocument"])})

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Put it again."""
        aws.api("iam").call("put_role_policy", **to_aws(self.fields, change.new))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Take it out of the role."""
        role, _, name = resource_id.partition(":")
        aws.api("iam").find("delete_role_policy", GONE, RoleName=role, PolicyName=name)


class RolePolicyAttachment(Resource):
    """A managed policy on a role. Its id is `ROLE/POLICY_ARN`, which is also what it is imported by."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"  # noqa: S105 — a type token
    service = "iam"
    fields = (
        Field("role", required=True, aws="RoleName", replaces=_NOT_UPDATED),
        Field("policyArn", required=True, replaces=_NOT_UPDATED),
    )
    names = ("role", "policyArn")

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """Of role and policy."""
        return f"{inputs['role']}/{inputs['policyArn']}"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Attach it; that it is attached already is the same to IAM."""
        aws.api("iam").call("attach_role_policy", **to_aws(self.fields, inputs))
        return Made(self.identity(inputs))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """It is among the role's attached policies, or gone."""
        role, _, arn = resource_id.partition("/")
        try:
            attached = aws.api("iam").pages("list_attached_role_policies", "AttachedPolicies", RoleName=role)
        except AwsError as error:
            if error.code in GONE:
                return None
            raise
        return Live({"role": role, "policyArn": arn}) if any(item["PolicyArn"] == arn for item in attached) else None

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Detach it."""
        role, _, arn = resource_id.partition("/")
        aws.api("iam").find("detach_role_policy", GONE, RoleName=role, PolicyArn=arn)


def _role_outputs(role: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arn": role["Arn"],
        "createDate": moment(role["CreateDate"]),
        "uniqueId": role["RoleId"],
    }


RESOURCES: Final = (Role(), RolePolicy(), RolePolicyAttachment())
