"""Systems Manager parameters."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import capital, to_aws
from mlinfra.providers.aws.tags import Tagging

_API: Final = "https://docs.aws.amazon.com/systems-manager/latest/APIReference"
_NAME_FINAL: Final = f"{_API}/API_PutParameter.html: a parameter is known by its name"
_TYPE_FINAL: Final = f"{_API}/API_PutParameter.html, HierarchyTypeMismatchException: a parameter's type is final"
_TIER_FINAL: Final = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html: "
    "an advanced parameter cannot be reverted"
)
_GONE: Final = frozenset({"ParameterNotFound", "InvalidResourceId"})

TAGGING: Final = Tagging(
    "ResourceId",
    tag="add_tags_to_resource",
    untag="remove_tags_from_resource",
    listed="TagList",
    extra={"ResourceType": "Parameter"},
)
_DESCRIBED: Final = ("description", "tier", "allowedPattern", "keyId")


class Parameter(Resource):
    """A parameter. Its id is its name. `value` is always secret in the state, `insecureValue` is not."""

    token = "aws:ssm/parameter:Parameter"  # noqa: S105 — a type token
    service = "ssm"
    fields = (
        Field("name", pattern=(r"[\w./-]{1,1011}", "1 to 1011 letters, digits and . _ - /"), replaces=_NAME_FINAL),
        Field("type", required=True, choices=("String", "StringList", "SecureString"), replaces=_TYPE_FINAL),
        Field("value", secret=True, computed=True),
        Field("insecureValue", aws="Value", computed=True),
        Field("description", default=""),
        Field("tier", default="Standard", choices=("Standard", "Advanced", "Intelligent-Tiering")),
        Field("allowedPattern"),
        Field("keyId", computed=True),
        Field("dataType", default="text", choices=("text", "aws:ec2:image", "aws:ssm:integration")),
        Field("overwrite", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "version")
    volatile = ("version",)
    names = ("name",)
    longest = 1011

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all, except where it overwrites, which PutParameter does not do with tags."""
        overwrites = inputs["overwrite"]
        tags = None if overwrites else TAGGING.form(inputs.get("tags"))
        version = self._put(aws, inputs, overwrites, tags)
        name = inputs["name"]
        arn = aws.arn("ssm", f"parameter/{name.removeprefix('/')}")
        return Made(name, {"arn": arn, "version": version})

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """The tags of a parameter that was overwritten."""
        if inputs["overwrite"]:
            TAGGING.change(aws.api("ssm"), made.id, {}, inputs.get("tags"))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Three calls: the value, what describes it, its tags."""
        api = aws.api("ssm")
        found = api.find("get_parameter", _GONE, Name=resource_id, WithDecryption=True)
        if found is None:
            return None
        value = found["Parameter"]
        described = api.call("describe_parameters", ParameterFilters=[{"Key": "Name", "Values": [resource_id]}])[
            "Parameters"
        ]
        more = described[0] if described else {}
        inputs: dict[str, Any] = {
            "name": resource_id,
            "type": value["Type"],
            "dataType": value.get("DataType"),
            **{name: more.get(capital(name)) or None for name in _DESCRIBED},
        }
        inputs["value"] = value["Value"]
        inputs["insecureValue"] = value["Value"] if value["Type"] != "SecureString" else None
        return Live(inputs, {"arn": value["ARN"], "version": value["Version"]}, TAGGING.live(api, resource_id))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Put it again, which makes a version; tags by calls of their own."""
        outputs: dict[str, Any] = {}
        if change.names - {"tags", "overwrite"}:
            outputs["version"] = self._put(aws, change.new, True, None)
        if change.touches("tags"):
            TAGGING.change(aws.api("ssm"), change.id, change.old.get("tags"), change.new.get("tags"))
        return outputs

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call."""
        aws.api("ssm").find("delete_parameter", _GONE, Name=resource_id)

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """An advanced parameter cannot become a standard one."""
        return _TIER_FINAL if field.name == "tier" and (old, new) == ("Advanced", "Standard") else field.replaces

    def _put(self, aws: Aws, inputs: Mapping[str, Any], overwrite: bool, tags: Any) -> Any:
        sent = to_aws(self.fields, inputs) | {"Overwrite": overwrite, "Tags": tags}
        return aws.api("ssm").call("put_parameter", **sent)["Version"]


RESOURCES: Final = (Parameter(),)
