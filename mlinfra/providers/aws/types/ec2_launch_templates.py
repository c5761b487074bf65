"""Launch templates: what a machine is started with, in versions; and the settings that templates and machines share."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.types.ec2 import API, Ec2, Listing, tags_of

_FINAL: Final = f"{API}/API_ModifyLaunchTemplate.html: nothing of a template but its default version can be changed"
MOST_USER_DATA: Final = 16_384
"""Bytes of user data before it is base64 (EC2 user guide, "Run commands when you launch an EC2 instance")."""

VOLUME_TYPES: Final = ("standard", "gp2", "gp3", "io1", "io2", "sc1", "st1")
SIZES, IOPS, THROUGHPUT = (1, 65_536), (100, 256_000), (125, 2000)
"""Of an EBS volume: GiB, operations a second, MiB/s (EC2 API reference, `CreateVolume`)."""

SWITCH: Final = ("enabled", "disabled")
METADATA: Final = (
    Field("httpEndpoint", computed=True, choices=SWITCH),
    Field("httpProtocolIpv6", computed=True, choices=SWITCH),
    Field("httpPutResponseHopLimit", int, computed=True, bounds=(1, 64)),
    Field("httpTokens", computed=True, choices=("optional", "required")),
    Field("instanceMetadataTags", computed=True, choices=SWITCH),
)
MARKET: Final = (
    Field("marketType", choices=("spot", "capacity-block")),
    Field(
        "spotOptions",
        (
            Field("instanceInterruptionBehavior", computed=True, choices=("hibernate", "stop", "terminate")),
            Field("maxPrice", computed=True),
            Field("spotInstanceType", computed=True, choices=("one-time", "persistent")),
        ),
        computed=True,
    ),
)
SHUTDOWN: Final = ("stop", "terminate")

_FLAG: Final = ("true", "false")
_FLAGS: Final = frozenset({"AssociatePublicIpAddress", "DeleteOnTermination", "EbsOptimized", "Encrypted"})
"""What is true or false to EC2, and a text to pulumi_aws, which tells false from nothing by it."""

_EBS: Final = (
    Field("deleteOnTermination", choices=_FLAG),
    Field("encrypted", choices=_FLAG),
    Field("iops", int, bounds=IOPS),
    Field("kmsKeyId"),
    Field("snapshotId"),
    Field("throughput", int, bounds=THROUGHPUT),
    Field("volumeSize", int, bounds=SIZES),
    Field("volumeType", choices=VOLUME_TYPES),
)
_INTERFACE: Final = (
    Field("associatePublicIpAddress", choices=_FLAG),
    Field("deleteOnTermination", choices=_FLAG),
    Field("description"),
    Field("deviceIndex", int, bounds=(0, 100)),
    Field("interfaceType", choices=("interface", "efa", "efa-only")),
    Field("networkCardIndex", int, bounds=(0, 100)),
    Field("networkInterfaceId"),
    Field("securityGroups", many=True, unordered=True, aws="Groups"),
    Field("subnetId"),
)
_RESERVATION: Final = (
    Field("capacityReservationPreference", choices=("capacity-reservations-only", "open", "none")),
    Field(
        "capacityReservationTarget",
        (Field("capacityReservationId"), Field("capacityReservationResourceGroupArn")),
    ),
)
_PLACEMENT: Final = (
    Field("availabilityZone"),
    Field("groupName"),
    Field("partitionNumber", int, bounds=(1, 7)),
    Field("tenancy", choices=("default", "dedicated", "host")),
)
_DATA: Final = (
    Field(
        "blockDeviceMappings",
        (Field("deviceName"), Field("ebs", _EBS), Field("noDevice"), Field("virtualName")),
        many=True,
    ),
    Field("capacityReservationSpecification", _RESERVATION),
    Field("creditSpecification", (Field("cpuCredits", choices=("standard", "unlimited")),)),
    Field("disableApiStop", bool),
    Field("disableApiTermination", bool),
    Field("ebsOptimized", choices=_FLAG),
    Field("iamInstanceProfile", (Field("arn"), Field("name"))),
    Field("imageId"),
    Field("instanceInitiatedShutdownBehavior", choices=SHUTDOWN),
    Field("instanceMarketOptions", MARKET),
    Field("instanceType"),
    Field("keyName"),
    Field("metadataOptions", METADATA),
    Field("monitoring", (Field("enabled", bool),)),
    Field("networkInterfaces", _INTERFACE, many=True),
    Field("placement", _PLACEMENT),
    Field(
        "tagSpecifications",
        (Field("resourceType"), Field("tags", dict, pairs=("Key", "Value"))),
        many=True,
        unordered=True,
    ),
    Field("userData"),
    Field("vpcSecurityGroupIds", many=True, unordered=True, aws="SecurityGroupIds"),
)
"""What is in a version."""

_OF_A_VERSION: Final = frozenset({"description", *(field.name for field in _DATA)})


class LaunchTemplate(Ec2):
    """A launch template. A change of what a machine is started with is a new version.

    The default version is the first, until it is said which one it is to be: by `updateDefaultVersion` the latest.
    """

    token = "aws:ec2/launchTemplate:LaunchTemplate"  # noqa: S105 — a type token
    listing = Listing(
        "describe_launch_templates",
        "LaunchTemplates",
        "LaunchTemplateId",
        "LaunchTemplateIds",
        frozenset({"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"}),
    )
    thing = "launch-template"
    fields = (
        Field(
            "name",
            pattern=(r"[a-zA-Z0-9().\-/_]{3,128}", "3 to 128 letters, digits and ().-/_"),
            replaces=_FINAL,
        ),
        Field("description", pattern=(r".{0,255}", "at most 255 characters")),
        Field("defaultVersion", int, computed=True, bounds=(1, 10_000)),
        Field("updateDefaultVersion", bool, default=False, apart=True),
        *_DATA,
        TAGS,
        REGION,
    )
    outputs = ("arn", "latestVersion")
    volatile = ("latestVersion",)
    names = ("name",)
    longest = 128

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_RequestLaunchTemplateData: what excludes or needs what."""
        if inputs.get("updateDefaultVersion") is True and inputs.get("defaultVersion") is not None:
            yield ("defaultVersion",), "excludes updateDefaultVersion, which makes it the latest"
        if inputs.get("networkInterfaces") is not None and inputs.get("vpcSecurityGroupIds") is not None:
            yield ("vpcSecurityGroupIds",), "is for the network interfaces to say, where there are any"
        profile = inputs.get("iamInstanceProfile")
        if isinstance(profile, Mapping) and profile.get("arn") is not None and profile.get("name") is not None:
            yield ("iamInstanceProfile", "name"), "excludes arn: one of them says which profile"
        yield from user_data_refusals(inputs.get("userData"), ("userData",))
        yield from market_refusals(inputs.get("instanceMarketOptions"), ("instanceMarketOptions",))
        mappings = inputs.get("blockDeviceMappings")
        for index, mapping in enumerate(mappings if isinstance(mappings, list) else ()):
            if isinstance(mapping, Mapping):
                yield from volume_refusals(mapping.get("ebs"), ("blockDeviceMappings", index, "ebs"))

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, which makes the first version."""
        made = aws.api("ec2").call(
            "create_launch_template",
            LaunchTemplateName=inputs["name"],
            VersionDescription=inputs.get("description"),
            LaunchTemplateData=_sent(inputs),
            TagSpecifications=self.specified(inputs),
        )["LaunchTemplate"]
        return Made(made["LaunchTemplateId"], _outputs(aws, made))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Three calls: the template, its latest version, and its tags, which the emulator lists as they were at first.

        A default version that is not the latest has drifted, where `updateDefaultVersion` says that it is to be.
        """
        record = self.record(aws, resource_id)
        if record is None:
            return None
        api, template = aws.api("ec2"), {"LaunchTemplateId": resource_id}
        found = api.call("describe_launch_template_versions", **template, Versions=["$Latest"])
        version = found["LaunchTemplateVersions"][0]
        inputs = _from_data(version["LaunchTemplateData"])
        inputs |= {
            "name": record["LaunchTemplateName"],
            "description": version.get("VersionDescription") or None,
            "defaultVersion": record["DefaultVersionNumber"],
        }
        if known.get("updateDefaultVersion") is True:
            inputs["updateDefaultVersion"] = record["DefaultVersionNumber"] == record["LatestVersionNumber"]
        tags = api.pages("describe_tags", "Tags", Filters=[{"Name": "resource-id", "Values": [resource_id]}])
        return Live(inputs, _outputs(aws, record), tags_of({"Tags": tags}))

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A new version, where something in it differs; then which one is the default."""
        api, new, template = aws.api("ec2"), change.new, {"LaunchTemplateId": change.id}
        if not change.names.isdisjoint(_OF_A_VERSION):
            api.call(
                "create_launch_template_version",
                **template,
                VersionDescription=new.get("description"),
                LaunchTemplateData=_sent(new),
            )
        record = self.record(aws, change.id) or {}
        latest, default = record["LatestVersionNumber"], record["DefaultVersionNumber"]
        wanted = latest if new.get("updateDefaultVersion") is True else int(new.get("defaultVersion") or default)
        if wanted != default:
            api.call("modify_launch_template", **template, DefaultVersion=str(wanted))
        return {"latestVersion": latest}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call, which takes all versions away; machines that were started from it stay."""
        gone = self.listing.absent | {"InvalidLaunchTemplateName.NotFoundException"}
        aws.api("ec2").find("delete_launch_template", gone, LaunchTemplateId=resource_id)


def _outputs(aws: Aws, record: Mapping[str, Any]) -> dict[str, Any]:
    template = record["LaunchTemplateId"]
    return {"arn": aws.arn("ec2", f"launch-template/{template}"), "latestVersion": record["LatestVersionNumber"]}


def _sent(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_switched(to_aws(_DATA, inputs), lambda value: value == "true"))


def _from_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """A version as inputs. The emulator puts the template's own tags among those of what is started from it."""
    found = from_aws(_DATA, _switched(data, lambda value: str(value).lower()))
    listed = found.get("tagSpecifications") or ()
    found["tagSpecifications"] = [item for item in listed if item.get("resourceType") != LaunchTemplate.thing]
    return {name: value or None if isinstance(value, (str, list, dict)) else value for name, value in found.items()}


def _switched(value: Any, turn: Any) -> Any:
    """`value` with every flag in it turned from one form to the other."""
    if isinstance(value, list):
        return [_switched(item, turn) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: turn(item) if name in _FLAGS and item is not None else _switched(item, turn)
        for name, item in value.items()
    }


# ------------------------------------------------------------------------------------------------ shared with machines


def volume_refusals(volume: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """API_EbsBlockDevice: which settings go with which type of volume."""
    if not isinstance(volume, Mapping):
        return
    kind = volume.get("volumeType")
    if volume.get("throughput") is not None and isinstance(kind, str) and kind != "gp3":
        yield (*path, "throughput"), "is for volumes of type gp3 alone"
    if volume.get("iops") is not None and isinstance(kind, str) and kind not in ("gp3", "io1", "io2"):
        yield (*path, "iops"), "is for volumes of type gp3, io1 and io2 alone"
    if volume.get("kmsKeyId") is not None and volume.get("encrypted") in (None, False, "false"):
        yield (*path, "kmsKeyId"), "wants encrypted"


def market_refusals(options: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """API_InstanceMarketOptionsRequest: options for spot machines are for spot machines."""
    if not isinstance(options, Mapping):
        return
    kind = options.get("marketType")
    if options.get("spotOptions") is not None and (kind is None or (isinstance(kind, str) and kind != "spot")):
        yield (*path, "spotOptions"), "wants marketType spot"


def user_data_refusals(encoded: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """What is wrong with user data in base64."""
    if not isinstance(encoded, str):
        return
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        yield path, "must be base64"
        return
    if size > MOST_USER_DATA:
        yield path, f"must be at most {MOST_USER_DATA} bytes before base64"


RESOURCES: Final = (LaunchTemplate(),)
