"""IAM's managed policies."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.tags import Tagging
from mlinfra.providers.aws.types.iam_roles import GONE

_FINAL: Final = (
    "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html: only the document has versions"
)
VERSIONS: Final = 5
"""How many versions of a policy IAM keeps; one more needs the oldest to go (API_CreatePolicyVersion)."""

TAGGING: Final = Tagging("PolicyArn", tag="tag_policy", untag="untag_policy", read="list_policy_tags")


class Policy(Resource):
    """A managed policy. A change of its document is a new version, which becomes the default."""

    token = "aws:iam/policy:Policy"  # noqa: S105 — a type token
    service = "iam"
    fields = (
        Field(
            "name",
            aws="PolicyName",
            pattern=(r"[\w+=,.@-]{1,128}", "1 to 128 letters, digits and +=,.@-_"),
            replaces=_FINAL,
        ),
        Field("path", default="/", replaces=_FINAL),
        Field("description", replaces=_FINAL),
        Field("policy", required=True, document=True, aws="PolicyDocument"),
        TAGS,
    )
    outputs = ("arn", "attachmentCount", "policyId")
    names = ("name",)
    longest = 128

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all."""
        sent = to_aws(self.fields, inputs) | {"Tags": TAGGING.form(inputs.get("tags"))}
        policy = aws.api("iam").call("create_policy", **sent)["Policy"]
        return Made(policy["Arn"], _outputs(policy))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: the policy, and the document of its default version."""
        api = aws.api("iam")
        found = api.find("get_policy", GONE, PolicyArn=resource_id)
        if found is None:
            return None
        policy = found["Policy"]
        version = api.call("get_policy_version", PolicyArn=resource_id, VersionId=policy["DefaultVersionId"])[
            "PolicyVersion"
        ]
        inputs = from_aws(self.fields, policy) | {"policy": json.dumps(version["Document"])}
        del inputs["tags"]
        return Live(inputs, _outputs(policy), TAGGING.plain(policy.get("Tags")))

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str:
        """By account, path and name (IAM user guide, "IAM identifiers")."""
        return aws.arn("iam", f"policy{inputs.get('path') or '/'}{inputs['name']}", region="")

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A new version of the document; the oldest goes where there is no room."""
        api = aws.api("iam")
        if change.touches("policy"):
            others = _other_versions(api, change.id)
            if len(others) >= VERSIONS - 1:
                oldest = min(others, key=lambda version: int(version["VersionId"].removeprefix("v")))
                api.call("delete_policy_version", PolicyArn=change.id, VersionId=oldest["VersionId"])
            api.call(
                "create_policy_version", PolicyArn=change.id, PolicyDocument=change.new["policy"], SetAsDefault=True
            )
        if change.touches("tags"):
            TAGGING.change(api, change.id, change.old.get("tags"), change.new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """The other versions go first (API_DeletePolicy)."""
        api = aws.api("iam")
        try:
            for version in _other_versions(api, resource_id):
                api.find("delete_policy_version", GONE, PolicyArn=resource_id, VersionId=version["VersionId"])
            api.call("delete_policy", PolicyArn=resource_id)
        except AwsError as error:
            if error.code not in GONE:
                raise


def _outputs(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arn": policy["Arn"],
        "attachmentCount": policy.get("AttachmentCount", 0),
        "policyId": policy["PolicyId"],
    }


def _other_versions(api: Api, arn: str) -> list[Any]:
    versions = api.pages("list_policy_versions", "Versions", PolicyArn=arn)
    return [version for version in versions if not version["IsDefaultVersion"]]


RESOURCES: Final = (Policy(),)
