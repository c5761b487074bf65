"""What belongs to a machine and has calls of its own: its instance profile, its root volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import given, to_aws
from mlinfra.providers.aws.types.ec2 import retag, specification, tags_of
from mlinfra.providers.aws.types.ec2_launch_templates import IOPS, SIZES, THROUGHPUT, VOLUME_TYPES

_DEFAULT_DEVICE: Final = "/dev/xvda"
_DEFAULT_GIB: Final = 8

ROOT: Final = (
    Field("deleteOnTermination", bool, default=True),
    Field("encrypted", bool, computed=True),
    Field("iops", int, computed=True, bounds=IOPS),
    Field("kmsKeyId", computed=True),
    Field("tags", dict, computed=True),
    Field("throughput", int, computed=True, bounds=THROUGHPUT),
    Field("volumeSize", int, computed=True, bounds=SIZES),
    Field("volumeType", computed=True, choices=VOLUME_TYPES),
)
_OF_A_VOLUME: Final = ("iops", "throughput", "volumeSize", "volumeType")


# ------------------------------------------------------------------------------------------------ its profile


def profile_of(api: Api, machine: str) -> tuple[str | None, str | None]:
    """The association of a machine with its instance profile, and the profile's name."""
    mine = [{"Name": "instance-id", "Values": [machine]}]
    found = api.pages("describe_iam_instance_profile_associations", "IamInstanceProfileAssociations", Filters=mine)
    for item in found:
        if item["State"] in ("associated", "associating"):
            return item["AssociationId"], item["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    return None, None


def give_profile(api: Api, machine: str, wanted: str | None) -> None:
    """Let a machine have this instance profile, whatever it has; None takes the one that it has."""
    association, _ = profile_of(api, machine)
    if association is None and wanted:
        api.call("associate_iam_instance_profile", InstanceId=machine, IamInstanceProfile={"Name": wanted})
    elif association is not None and wanted:
        profile = {"AssociationId": association, "IamInstanceProfile": {"Name": wanted}}
        api.call("replace_iam_instance_profile_association", **profile)
    elif association is not None:
        api.call("disassociate_iam_instance_profile", AssociationId=association)


# ------------------------------------------------------------------------------------------------ its root volume


def root_mapping(api: Api, image: str, root: Mapping[str, Any]) -> dict[str, Any]:
    """The root volume as RunInstances takes it: under the name that the image has for it, and no smaller than it is.

    The emulator starts from any image, known or not: of one that it does not know, Amazon Linux's are taken.
    """
    answer = api.find("describe_images", frozenset({"InvalidAMIID.NotFound"}), ImageIds=[image])
    found: Mapping[str, Any] = next(iter((answer or {}).get("Images") or ()), {})
    device = found.get("RootDeviceName") or _DEFAULT_DEVICE
    mappings = found.get("BlockDeviceMappings") or ()
    own = next((item.get("Ebs") or {} for item in mappings if item.get("DeviceName") == device), {})
    settings = to_aws(ROOT, {name: value for name, value in root.items() if name != "tags"})
    return {"DeviceName": device, "Ebs": {"VolumeSize": own.get("VolumeSize") or _DEFAULT_GIB, **settings}}


def volume_tags(root: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The TagSpecifications of RunInstances for the root volume; nothing where it has no tags of its own."""
    tags = (root or {}).get("tags")
    return [specification("volume", tags)] if tags else []


def _root_of(record: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """The root volume's device name and attachment; None for a machine that has none."""
    mappings = record.get("BlockDeviceMappings") or ()
    named = [item for item in mappings if item.get("DeviceName") == record.get("RootDeviceName")]
    for item in named or mappings[:1]:
        return str(item["DeviceName"]), item["Ebs"]
    return None


def root_volume(api: Api, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The root volume of a machine as it is, in one call; None where it has none."""
    found = _root_of(record)
    if found is None:
        return None
    (volume,) = api.call("describe_volumes", VolumeIds=[found[1]["VolumeId"]])["Volumes"]
    settings = {
        "deleteOnTermination": found[1].get("DeleteOnTermination"),
        "encrypted": volume.get("Encrypted"),
        "iops": volume.get("Iops"),
        "kmsKeyId": volume.get("KmsKeyId"),
        "tags": tags_of(volume) or None,
        "throughput": volume.get("Throughput"),
        "volumeSize": volume.get("Size"),
        "volumeType": volume.get("VolumeType"),
    }
    return given(settings)


def change_root(api: Api, record: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Bring the root volume to what is wanted; it can be made larger, never smaller (API_ModifyVolume)."""
    found, live = _root_of(record), root_volume(api, record)
    if found is None or live is None:
        return
    device, volume = found[0], str(found[1]["VolumeId"])
    if (wanted.get("volumeSize") or live["volumeSize"]) < live["volumeSize"]:
        raise AwsError("ModifyVolume", "InvalidParameterValue", "a volume cannot be made smaller")
    differing = {
        name: wanted[name] for name in _OF_A_VOLUME if wanted.get(name) is not None and wanted[name] != live.get(name)
    }
    if differing:
        sent = to_aws(ROOT, differing)
        api.call("modify_volume", VolumeId=volume, Size=sent.pop("VolumeSize", None), **sent)
    if wanted.get("tags") is not None:
        retag(api, volume, live.get("tags"), wanted["tags"])
    kept = wanted.get("deleteOnTermination", True)
    if kept != live.get("deleteOnTermination"):
        mapping = {"DeviceName": device, "Ebs": {"DeleteOnTermination": kept}}
        api.call("modify_instance_attribute", InstanceId=record["InstanceId"], BlockDeviceMappings=[mapping])
