"""EC2: machines."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import capital, from_aws, given, to_aws
from mlinfra.providers.aws.types.ec2 import API, Ec2, Listing, tags_of
from mlinfra.providers.aws.types.ec2_launch_templates import (
    MARKET,
    METADATA,
    MOST_USER_DATA,
    SHUTDOWN,
    market_refusals,
    user_data_refusals,
    volume_refusals,
)
from mlinfra.providers.aws.types.ec2_machine_parts import (
    ROOT,
    change_root,
    give_profile,
    profile_of,
    root_mapping,
    root_volume,
    volume_tags,
)
from mlinfra.providers.aws.waiting import until

_MODIFY: Final = f"{API}/API_ModifyInstanceAttribute.html"
_FINAL: Final = f"{_MODIFY}: not among the attributes of a machine that can be changed"
_ENCRYPTION_FINAL: Final = f"{API}/API_ModifyVolume.html: a volume is encrypted when it is created, with one key"
_GONE: Final = frozenset({"terminated", "shutting-down"})
_SWITCHES: Final = ("disableApiStop", "disableApiTermination", "sourceDestCheck")
"""Attributes that are on or off, and can be changed of a machine that runs."""

_WHILE_STOPPED: Final = ("ebsOptimized", "instanceType", "userData", "userDataBase64")
"""What can be changed of a stopped machine alone (API_ModifyInstanceAttribute)."""


class _Machines(Listing):
    """Machines are listed within the reservations that they were started by."""

    def records(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The machines of all reservations."""
        return [machine for reservation in listed for machine in reservation["Instances"]]


class Instance(Ec2):
    """A machine with a root volume and one network interface.

    Whether it runs or is stopped is no setting: one that stops itself when nobody uses it has not drifted. A change
    that wants it stopped stops it, if it runs, and starts it again.
    """

    token = "aws:ec2/instance:Instance"  # noqa: S105 — a type token
    listing = _Machines(
        "describe_instances",
        "Reservations",
        "InstanceId",
        "InstanceIds",
        frozenset({"InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"}),
    )
    thing = "instance"
    gone = _GONE
    failed = _GONE
    fields = (
        Field(
            "ami", replaces=_FINAL, pattern=(r"ami-[0-9a-f]{8,17}", "the id of an image, such as ami-0123456789abcdef0")
        ),
        Field("instanceType"),
        Field("availabilityZone", computed=True, replaces=_FINAL),
        Field("subnetId", computed=True, replaces=_FINAL),
        Field("vpcSecurityGroupIds", many=True, unordered=True, computed=True),
        Field("associatePublicIpAddress", bool, computed=True, replaces=_FINAL),
        Field("iamInstanceProfile"),
        Field("keyName", replaces=_FINAL),
        Field("userData"),
        Field("userDataBase64"),
        Field("metadataOptions", METADATA, computed=True),
        Field("rootBlockDevice", ROOT, computed=True),
        Field("instanceMarketOptions", MARKET, computed=True, replaces=_FINAL),
        Field("instanceInitiatedShutdownBehavior", default="stop", choices=SHUTDOWN),
        Field("disableApiStop", bool, default=False),
        Field("disableApiTermination", bool, default=False),
        Field("ebsOptimized", bool, computed=True),
        Field("sourceDestCheck", bool, default=True),
        Field("forceDestroy", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "primaryNetworkInterfaceId", "privateDns", "privateIp", "publicDns", "publicIp")
    volatile = ("publicDns", "publicIp")

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """API_RunInstances: what a machine needs, and what excludes what."""
        for name in ("ami", "instanceType"):
            if inputs.get(name) is None:
                yield (name,), "is required without a launch template"
        text = inputs.get("userData")
        if text is not None and inputs.get("userDataBase64") is not None:
            yield ("userDataBase64",), "excludes userData: one of them says what to run"
        if isinstance(text, str) and len(text.encode()) > MOST_USER_DATA:
            yield ("userData",), f"must be at most {MOST_USER_DATA} bytes"
        yield from user_data_refusals(inputs.get("userDataBase64"), ("userDataBase64",))
        yield from volume_refusals(inputs.get("rootBlockDevice"), ("rootBlockDevice",))
        yield from market_refusals(inputs.get("instanceMarketOptions"), ("instanceMarketOptions",))

    def replacement(self, field: Field, old: Any, new: Any) -> str:
        """A root volume that is to be encrypted otherwise is another one."""
        if field.name != "rootBlockDevice":
            return field.replaces
        if not isinstance(old, Mapping) or not isinstance(new, Mapping):
            return ""
        settled = [name for name in ("encrypted", "kmsKeyId") if new.get(name) is not None]
        return _ENCRYPTION_FINAL if any(old.get(name) != new[name] for name in settled) else ""

    def state(self, record: Mapping[str, Any]) -> str:
        """Such as `running`; EC2 tells it with a number."""
        return str(record["State"]["Name"])

    def reason(self, record: Mapping[str, Any]) -> tuple[str, str]:
        """Why a machine went away while it was started, such as a key that its volume may not use."""
        found = record.get("StateReason") or {}
        return str(found.get("Code", "")), str(found.get("Message", ""))

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, and one before it for the name of the image's root volume; `complete` waits until it runs."""
        api = aws.api("ec2")
        root = inputs.get("rootBlockDevice")
        started = api.call(
            "run_instances",
            **_as_started(inputs),
            BlockDeviceMappings=[root_mapping(api, inputs["ami"], root)] if root else None,
            TagSpecifications=[*self.specified(inputs), *volume_tags(root)],
            MinCount=1,
            MaxCount=1,
        )
        (machine,) = started["Instances"]
        return Made(machine["InstanceId"], _outputs(aws, machine))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """The machine, its volume, its profile, and a call for each of four attributes, which EC2 lists nowhere."""
        record = self.record(aws, resource_id)
        if record is None:
            return None
        api, interface = aws.api("ec2"), _interface(record)
        inputs: dict[str, Any] = {
            "ami": record["ImageId"],
            "instanceType": record["InstanceType"],
            "availabilityZone": record["Placement"]["AvailabilityZone"],
            "subnetId": record.get("SubnetId"),
            "vpcSecurityGroupIds": [group["GroupId"] for group in interface.get("Groups") or ()] or None,
            "iamInstanceProfile": profile_of(api, resource_id)[1],
            "keyName": record.get("KeyName") or None,
            "metadataOptions": given(from_aws(METADATA, record.get("MetadataOptions") or {})),
            "rootBlockDevice": root_volume(api, record),
            "ebsOptimized": record.get("EbsOptimized"),
            "sourceDestCheck": record.get("SourceDestCheck"),
            "disableApiStop": _attribute(api, resource_id, "disableApiStop"),
            "disableApiTermination": _attribute(api, resource_id, "disableApiTermination"),
            "instanceInitiatedShutdownBehavior": _attribute(api, resource_id, "instanceInitiatedShutdownBehavior"),
            **_user_data(_attribute(api, resource_id, "userData"), known),
        }
        if not known:  # a stopped machine has no public address, and one that somebody gave it is no setting of it
            inputs["associatePublicIpAddress"] = bool(interface.get("Association"))
            spot = record.get("InstanceLifecycle") == "spot"
            inputs["instanceMarketOptions"] = {"marketType": "spot"} if spot else None
        pending = "it to run" if self.state(record) == "pending" else ""
        return Live(inputs, _outputs(aws, record), tags_of(record), pending)

    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each attribute that differs: EC2 takes one at a time."""
        api = aws.api("ec2")
        self._attributes(api, change)
        if change.touches("iamInstanceProfile"):
            give_profile(api, change.id, change.new.get("iamInstanceProfile"))
        if change.touches("metadataOptions"):
            options = to_aws(METADATA, {**(change.old.get("metadataOptions") or {}), **change.new["metadataOptions"]})
            api.call("modify_instance_metadata_options", InstanceId=change.id, **options)
        record = self.record(aws, change.id) or {}
        if change.touches("vpcSecurityGroupIds"):
            api.call(
                "modify_network_interface_attribute",
                NetworkInterfaceId=_interface(record)["NetworkInterfaceId"],
                Groups=change.new["vpcSecurityGroupIds"],
            )
        if change.touches("rootBlockDevice"):
            change_root(api, record, change.new["rootBlockDevice"])
        if change.touches(*_WHILE_STOPPED):
            self._while_stopped(aws, change)
            record = self.record(aws, change.id) or {}
        return _outputs(aws, record) if record else {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Terminate it, with `forceDestroy` in spite of its protection, and wait until it is gone with all it holds."""
        if self.record(aws, resource_id) is not None:
            if inputs.get("forceDestroy"):
                for name in ("disableApiTermination", "disableApiStop"):
                    _switch(aws.api("ec2"), resource_id, name, False)
            try:
                aws.api("ec2").find("terminate_instances", self.listing.absent, InstanceIds=[resource_id])
            except AwsError as error:
                raise _explained(error, resource_id) from None

        def probe() -> str:
            found = self.listing.one(aws.api("ec2"), resource_id)
            return "" if found is None or self.state(found) == "terminated" else "it to be terminated"

        until(probe, aws.seconds, aws.cancelled)

    # ------------------------------------------------------------------------------------ parts of an update

    def _attributes(self, api: Api, change: Change) -> None:
        for name in _SWITCHES:
            if change.touches(name):
                _switch(api, change.id, name, bool(change.new.get(name)))
        name = "instanceInitiatedShutdownBehavior"
        if change.touches(name):
            # Not by its own parameter, which the emulator takes for an empty list of security groups.
            api.call("modify_instance_attribute", InstanceId=change.id, Attribute=name, Value=change.new[name])

    def _while_stopped(self, aws: Aws, change: Change) -> None:
        api, new, machine = aws.api("ec2"), change.new, {"InstanceId": change.id}
        ran = self._stop_it(aws, change.id)
        if change.touches("instanceType"):
            api.call("modify_instance_attribute", **machine, InstanceType={"Value": new["instanceType"]})
        if change.touches("ebsOptimized"):
            _switch(api, change.id, "ebsOptimized", bool(new["ebsOptimized"]))
        if change.touches("userData", "userDataBase64"):
            api.call("modify_instance_attribute", **machine, Attribute="userData", Value=_encoded(new) or "")
        if ran:
            api.call("start_instances", InstanceIds=[change.id])
            until(lambda: self._not_yet(aws, change.id, "running"), aws.seconds, aws.cancelled)

    def _stop_it(self, aws: Aws, machine: str) -> bool:
        """Stop a machine and wait until it is; says whether it ran."""
        until(lambda: "it to run" if self._is(aws, machine, "pending") else "", aws.seconds, aws.cancelled)
        ran = self._is(aws, machine, "running")
        if ran:
            aws.api("ec2").call("stop_instances", InstanceIds=[machine])
        until(lambda: self._not_yet(aws, machine, "stopped"), aws.seconds, aws.cancelled)
        return ran

    def _is(self, aws: Aws, machine: str, state: str) -> bool:
        record = self.listing.one(aws.api("ec2"), machine)
        return record is not None and self.state(record) == state

    def _not_yet(self, aws: Aws, machine: str, state: str) -> str:
        return "" if self._is(aws, machine, state) else f"it to be {state}"


# ------------------------------------------------------------------------------------------------ its start


def _as_started(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What RunInstances is given. With an interface that is spelt out, its subnet and groups are said there."""
    interface = {
        "DeviceIndex": 0,
        "DeleteOnTermination": True,
        "SubnetId": inputs.get("subnetId"),
        "Groups": inputs.get("vpcSecurityGroupIds"),
        "AssociatePublicIpAddress": inputs.get("associatePublicIpAddress"),
    }
    profile, zone = inputs.get("iamInstanceProfile"), inputs.get("availabilityZone")
    market = inputs.get("instanceMarketOptions")
    encoded = _encoded(inputs)
    return {
        "ImageId": inputs["ami"],
        "InstanceType": inputs["instanceType"],
        "KeyName": inputs.get("keyName"),
        "NetworkInterfaces": [given(interface)],
        "Placement": {"AvailabilityZone": zone} if zone else None,
        "IamInstanceProfile": {"Name": profile} if profile else None,
        "UserData": base64.b64decode(encoded) if encoded else None,  # botocore encodes it for this call
        "MetadataOptions": to_aws(METADATA, inputs.get("metadataOptions") or {}) or None,
        "InstanceMarketOptions": to_aws(MARKET, market) if market else None,
        "InstanceInitiatedShutdownBehavior": inputs["instanceInitiatedShutdownBehavior"],
        "DisableApiStop": inputs["disableApiStop"],
        "DisableApiTermination": inputs["disableApiTermination"],
        "EbsOptimized": inputs.get("ebsOptimized"),
    }


def _encoded(inputs: Mapping[str, Any]) -> str | None:
    """User data in base64, whichever way it is given."""
    text: str | None = inputs.get("userData")
    return base64.b64encode(text.encode()).decode() if text is not None else inputs.get("userDataBase64")


def _user_data(encoded: str | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """User data as it was given, as text or in base64; as text where nobody knows, if it is one."""
    if known.get("userDataBase64") is not None:
        return {"userData": None, "userDataBase64": encoded}
    try:
        return {"userData": base64.b64decode(encoded).decode() if encoded else None, "userDataBase64": None}
    except UnicodeDecodeError:
        return {"userData": None, "userDataBase64": encoded}


def _attribute(api: Api, machine: str, name: str) -> Any:
    found = api.call("describe_instance_attribute", InstanceId=machine, Attribute=name)
    return (found.get(capital(name)) or {}).get("Value")


def _switch(api: Api, machine: str, name: str, on: bool) -> None:
    api.call("modify_instance_attribute", InstanceId=machine, **{capital(name): {"Value": on}})


def _interface(record: Mapping[str, Any]) -> Mapping[str, Any]:
    found = record.get("NetworkInterfaces") or ()
    return next((item for item in found if item.get("Attachment", {}).get("DeviceIndex") == 0), {})


def _outputs(aws: Aws, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arn": aws.arn("ec2", f"instance/{record['InstanceId']}"),
        "primaryNetworkInterfaceId": _interface(record).get("NetworkInterfaceId", ""),
        "privateDns": record.get("PrivateDnsName", ""),
        "privateIp": record.get("PrivateIpAddress", ""),
        "publicDns": record.get("PublicDnsName", ""),
        "publicIp": record.get("PublicIpAddress", ""),
    }


def _explained(error: AwsError, machine: str) -> AwsError:
    if error.code != "OperationNotPermitted":
        return error
    remedy = "Set disableApiTermination to false and update the stack, or set forceDestroy; then delete it."
    return AwsError(error.operation, error.code, f"{machine} is protected from termination", remedy)


RESOURCES: Final = (Instance(),)
