"""Machines, against moto."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.providers.aws.conftest import World
from tests.providers.aws.types.test_ec2 import IMAGE
from tests.providers.aws.types.test_ec2_vpc import tags
from tests.providers.aws.types.unknowns import judged

MACHINE = "aws:ec2/instance:Instance"
ARM = "ami-065b1b834d2a83a7a"
SCRIPT = "#!/bin/sh\necho héllo\n"


def place(world: Any) -> dict[str, Any]:
    ec2, iam = world.boto("ec2"), world.boto("iam")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate(("us-east-1a", "us-east-1b"))
    ]
    groups = [
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("one", "two")
    ]
    for name in ("box", "crate"):
        iam.create_instance_profile(InstanceProfileName=name)
    key = world.boto("kms").create_key()["KeyMetadata"]["Arn"]
    return {"subnet": subnets[0], "elsewhere": subnets[1], "group": groups[0], "other": groups[1], "key": key}


def record(world: Any, machine: str) -> Any:
    try:
        found = world.boto("ec2").describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidInstanceID.NotFound":
            raise
        return None
    return None if found["State"]["Name"] == "terminated" else found


def disk(world: Any, machine: str) -> Any:
    (mapping,) = record(world, machine)["BlockDeviceMappings"]
    (volume,) = world.boto("ec2").describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
    return volume | {"DeviceName": mapping["DeviceName"], "DeleteOnTermination": mapping["Ebs"]["DeleteOnTermination"]}


def attribute(world: Any, machine: str, name: str) -> Any:
    answer = world.boto("ec2").describe_instance_attribute(InstanceId=machine, Attribute=name)
    return (answer.get(name[:1].upper() + name[1:]) or {}).get("Value")


def machine(world: Any, machine_id: str) -> Any:
    live = record(world, machine_id)
    if live is None:
        return None
    volume = disk(world, machine_id)
    mine = [{"Name": "instance-id", "Values": [machine_id]}]
    profiles = world.boto("ec2").describe_iam_instance_profile_associations(Filters=mine)
    interface = live["NetworkInterfaces"][0]
    script = attribute(world, machine_id, "userData")
    return {
        "type": live["InstanceType"],
        "state": live["State"]["Name"],
        "groups": {group["GroupId"] for group in interface["Groups"]},
        "goes with it": interface["Attachment"]["DeleteOnTermination"],
        "public": live.get("PublicIpAddress"),
        "profile": [
            item["IamInstanceProfile"]["Arn"].rpartition("/")[2] for item in profiles["IamInstanceProfileAssociations"]
        ],
        "tokens": (live["MetadataOptions"]["HttpTokens"], live["MetadataOptions"]["HttpPutResponseHopLimit"]),
        "script": base64.b64decode(script).decode() if script else None,
        "shutdown": attribute(world, machine_id, "instanceInitiatedShutdownBehavior"),
        "protected": attribute(world, machine_id, "disableApiTermination"),
        "disk": tuple(volume.get(name) for name in ("Size", "VolumeType", "Encrypted", "Iops", "Throughput")),
        "disk tags": {tag["Key"]: tag["Value"] for tag in volume.get("Tags", [])},
        "tags": tags(live),
    }


def program(words: dict[str, Any]) -> dict[str, Any]:
    return {
        "ami": IMAGE,
        "instanceType": "m5.large",
        "subnetId": words["subnet"],
        "vpcSecurityGroupIds": [words["group"]],
        "associatePublicIpAddress": False,
        "iamInstanceProfile": "box",
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "rootBlockDevice": {
            "encrypted": True,
            "volumeSize": 100,
            "volumeType": "gp3",
            "iops": 3000,
            "throughput": 125,
            "tags": {"team": "ml"},
        },
        "userData": SCRIPT,
        "tags": {"team": "ml"},
    }


MADE: dict[str, Any] = {
    "type": "m5.large",
    "state": "running",
    "goes with it": True,
    "public": None,
    "profile": ["box"],
    "tokens": ("required", 1),
    "script": SCRIPT,
    "shutdown": "stop",
    "protected": False,
    "disk": (100, "gp3", True, 3000, 125),
    "disk tags": {"team": "ml"},
    "tags": {"team": "ml"},
}


def test_machine(lifecycle: Any) -> None:
    def drift(world: Any, machine_id: str) -> None:
        ec2 = world.boto("ec2")
        ec2.modify_instance_attribute(InstanceId=machine_id, DisableApiTermination={"Value": False})
        ec2.modify_instance_metadata_options(
            InstanceId=machine_id,
            HttpTokens="optional",
            HttpPutResponseHopLimit=2,
            HttpEndpoint="enabled",
            HttpProtocolIpv6="disabled",
            InstanceMetadataTags="disabled",
        )
        ec2.modify_volume(VolumeId=disk(world, machine_id)["VolumeId"], Throughput=125)

    changed = {
        "instanceType": "m5.xlarge",
        "iamInstanceProfile": "crate",
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2},
        "userData": "#!/bin/sh\n",
        "instanceInitiatedShutdownBehavior": "terminate",
        "disableApiTermination": True,
        "forceDestroy": True,
        "sourceDestCheck": False,
        "tags": None,
    }
    bigger = {"encrypted": True, "volumeSize": 200, "volumeType": "gp3", "iops": 4000, "throughput": 250}
    lifecycle(
        MACHINE,
        prepare=place,
        inputs=program,
        look=machine,
        made=lambda words: {**MADE, "groups": {words["group"]}},
        change=lambda words: {
            **changed,
            "vpcSecurityGroupIds": [words["other"]],
            "rootBlockDevice": {**bigger, "tags": {"tier": "dev"}},
        },
        changed=lambda words: {
            **MADE,
            "type": "m5.xlarge",
            "groups": {words["other"]},
            "profile": ["crate"],
            "tokens": ("required", 2),
            "script": "#!/bin/sh\n",
            "shutdown": "terminate",
            "protected": True,
            "disk": (200, "gp3", True, 4000, 250),
            "disk tags": {"tier": "dev"},
            "tags": {},
        },
        replaces=lambda words: [
            {"ami": ARM},
            {"subnetId": words["elsewhere"]},
            {"availabilityZone": "us-east-1b"},
            {"associatePublicIpAddress": True},
            {"keyName": "ops"},
            {"rootBlockDevice": {**bigger, "encrypted": False}},
            {"rootBlockDevice": {**bigger, "kmsKeyId": words["key"]}},
        ],
        drift=drift,
        drifted={
            "disableApiTermination": False,
            "metadataOptions": {"httpTokens": "optional", "httpPutResponseHopLimit": 2},
            "rootBlockDevice": {**bigger, "throughput": 125, "deleteOnTermination": True, "tags": {"tier": "dev"}},
        },
    )


def test_a_machine_that_stopped_has_not_drifted_and_stays_so(world: World) -> None:
    first = world.engine.checked(MACHINE, program(place(world)))
    machine_id, state = world.engine.create(MACHINE, first)
    world.boto("ec2").stop_instances(InstanceIds=[machine_id])
    assert world.engine.read(MACHINE, machine_id, first, state) == (first, state)
    larger = {**first, "instanceType": "m5.2xlarge"}
    world.engine.update(MACHINE, machine_id, first, larger, state)
    live = record(world, machine_id)
    assert (live["InstanceType"], live["State"]["Name"]) == ("m5.2xlarge", "stopped")


def test_the_least_that_a_machine_wants(world: World) -> None:
    """In the default network, with what the image says."""
    inputs = world.engine.checked(MACHINE, {"ami": IMAGE, "instanceType": "m5.large"})
    machine_id, state = world.engine.create(MACHINE, inputs)
    assert world.engine.read(MACHINE, machine_id, inputs, state) == (inputs, state)
    assert state["privateIp"]


def test_the_root_volume_has_the_name_and_at_least_the_size_that_the_image_says(world: World) -> None:
    ec2 = world.boto("ec2")
    other = ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    image_id = ec2.create_image(InstanceId=other, Name="golden")["ImageId"]
    (image,) = ec2.describe_images(ImageIds=[image_id])["Images"]
    program = {"ami": image_id, "instanceType": "m5.large", "rootBlockDevice": {"encrypted": True}}
    inputs = world.engine.checked(MACHINE, program)
    machine_id, state = world.engine.create(MACHINE, inputs)
    volume = disk(world, machine_id)
    assert volume["DeviceName"] == image["RootDeviceName"]
    assert volume["Size"] == image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]
    assert world.engine.read(MACHINE, machine_id, inputs, state) == (inputs, state)


def test_user_data_in_base64(world: World) -> None:
    given = base64.b64encode(b"\xff\x00\x01").decode()
    inputs = world.engine.checked(MACHINE, {"ami": IMAGE, "instanceType": "m5.large", "userDataBase64": given})
    machine_id, state = world.engine.create(MACHINE, inputs)
    assert attribute(world, machine_id, "userData") == given
    assert world.engine.read(MACHINE, machine_id, inputs, state) == (inputs, state)
    imported, _ = world.engine.read(MACHINE, machine_id) or ({}, {})
    assert imported["userDataBase64"] == given


def test_a_profile_comes_and_goes(world: World) -> None:
    place(world)
    base = {"ami": IMAGE, "instanceType": "m5.large"}
    without = world.engine.checked(MACHINE, base)
    with_one = world.engine.checked(MACHINE, {**base, "iamInstanceProfile": "box"})
    machine_id, state = world.engine.create(MACHINE, without)
    state = world.engine.update(MACHINE, machine_id, without, with_one, state)
    assert machine(world, machine_id)["profile"] == ["box"]
    world.engine.update(MACHINE, machine_id, with_one, without, state)
    assert machine(world, machine_id)["profile"] == []


def test_a_volume_is_never_made_smaller(world: World, failure: Any) -> None:
    base = {"ami": IMAGE, "instanceType": "m5.large"}
    first = world.engine.checked(MACHINE, {**base, "rootBlockDevice": {"volumeSize": 100}})
    second = world.engine.checked(MACHINE, {**base, "rootBlockDevice": {"volumeSize": 50}})
    machine_id, state = world.engine.create(MACHINE, first)
    error, _ = failure(world.engine.update, MACHINE, machine_id, first, second, state)
    assert "a volume cannot be made smaller" in error.details()
    assert disk(world, machine_id)["Size"] == 100


def test_what_is_kept_of_a_machine_that_goes(world: World) -> None:
    base = {"ami": IMAGE, "instanceType": "m5.large"}
    first = world.engine.checked(MACHINE, {**base, "rootBlockDevice": {"volumeSize": 30}})
    second = world.engine.checked(
        MACHINE, {**base, "rootBlockDevice": {"volumeSize": 30, "deleteOnTermination": False}}
    )
    machine_id, state = world.engine.create(MACHINE, first)
    assert disk(world, machine_id)["DeleteOnTermination"] is True
    state = world.engine.update(MACHINE, machine_id, first, second, state)
    volume, interface = disk(world, machine_id)["VolumeId"], state["primaryNetworkInterfaceId"]
    world.engine.delete(MACHINE, machine_id, second, state)
    assert world.boto("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"
    left = world.boto("ec2").describe_network_interfaces()["NetworkInterfaces"]
    assert interface not in {item["NetworkInterfaceId"] for item in left}


def test_protection_from_termination(world: World, failure: Any) -> None:
    program = {"ami": IMAGE, "instanceType": "m5.large", "disableApiTermination": True}
    inputs = world.engine.checked(MACHINE, program)
    machine_id, state = world.engine.create(MACHINE, inputs)
    error, _ = failure(world.engine.delete, MACHINE, machine_id, inputs, state)
    assert f"{machine_id} is protected from termination" in error.details()
    assert record(world, machine_id)["State"]["Name"] == "running"
    world.engine.delete(MACHINE, machine_id, {**inputs, "forceDestroy": True}, state)
    assert record(world, machine_id) is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ami": None}, "is required without a launch template"),
    ({"instanceType": None}, "is required without a launch template"),
    ({"ami": "al2023"}, "the id of an image"),
    ({"userData": "a", "userDataBase64": "YQ=="}, "excludes userData"),
    ({"userData": "x" * 16_385}, "at most 16384 bytes"),
    ({"userDataBase64": "%"}, "must be base64"),
    ({"rootBlockDevice": {"volumeType": "gp2", "throughput": 250}}, "type gp3 alone"),
    ({"rootBlockDevice": {"kmsKeyId": "k"}}, "wants encrypted"),
    ({"instanceMarketOptions": {"spotOptions": {}}}, "wants marketType spot"),
    ({"instanceInitiatedShutdownBehavior": "hibernate"}, "one of stop, terminate"),
    ({"securityGroups": ["default"]}, "not supported"),
]


@pytest.mark.parametrize(("inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: World, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(MACHINE, {"ami": IMAGE, "instanceType": "m5.large", **inputs}).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


def test_unknown_parts_are_not_judged(world: World) -> None:
    words = dict.fromkeys(("subnet", "group"), "x")
    assert judged(world, MACHINE, program(words)) > 15


# ------------------------------------------------------------------------------------------------ a machine that fails


def test_a_machine_that_goes_away_while_it_starts_says_why(world: World, failure: Any, monkeypatch: Any) -> None:
    from mlinfra.providers.aws.registry import find
    from mlinfra.providers.aws.types.ec2_instance import Instance

    kind = find(MACHINE)
    assert isinstance(kind, Instance)
    why = {"Code": "Client.InvalidKMSKey.InvalidState", "Message": "The KMS key provided is in an incorrect state"}
    first = kind.listing.one
    monkeypatch.setattr(
        type(kind.listing),
        "one",
        lambda self, api, it: (first(api, it) or {}) | {"State": {"Name": "terminated"}, "StateReason": why},
    )
    error, _ = failure(
        world.engine.create, MACHINE, world.engine.checked(MACHINE, {"ami": IMAGE, "instanceType": "m5.large"})
    )
    assert "Client.InvalidKMSKey.InvalidState" in str(error)
