"""Launch templates, against moto."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.providers.aws.conftest import World
from tests.providers.aws.types.unknowns import judged

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
IMAGE, OTHER = "ami-0123456789abcdef0", "ami-0123456789abcdef1"
GROUP = "sg-0123456789abcdef0"
SCRIPT = base64.b64encode(b"#!/bin/sh\necho hello\n").decode()

WHOLE: dict[str, Any] = {
    "name": "gpu",
    "description": "for machines with GPUs",
    "imageId": IMAGE,
    "instanceType": "g5.xlarge",
    "keyName": "ops",
    "ebsOptimized": "true",
    "disableApiTermination": False,
    "disableApiStop": True,
    "instanceInitiatedShutdownBehavior": "terminate",
    "userData": SCRIPT,
    "vpcSecurityGroupIds": [GROUP],
    "iamInstanceProfile": {"name": "node"},
    "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 2},
    "monitoring": {"enabled": True},
    "placement": {"availabilityZone": "us-east-1a", "tenancy": "default"},
    "creditSpecification": {"cpuCredits": "standard"},
    "capacityReservationSpecification": {"capacityReservationPreference": "open"},
    "instanceMarketOptions": {"marketType": "spot", "spotOptions": {"maxPrice": "0.5"}},
    "blockDeviceMappings": [
        {
            "deviceName": "/dev/xvda",
            "ebs": {
                "deleteOnTermination": "true",
                "encrypted": "true",
                "volumeSize": 100,
                "volumeType": "gp3",
                "iops": 4000,
                "throughput": 250,
            },
        }
    ],
    "tagSpecifications": [
        {"resourceType": "instance", "tags": {"team": "ml", "Encrypted": "yes"}},
        {"resourceType": "volume", "tags": {"team": "ml"}},
    ],
    "tags": {"team": "ml"},
}


def template(world: Any, template_id: str) -> Any:
    """Default version, latest version, what is in it, and the template's tags."""
    ec2 = world.boto("ec2")
    listed = ec2.describe_launch_templates(LaunchTemplateIds=[template_id])["LaunchTemplates"]
    if not listed:
        return None
    found = ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Latest"])
    version = found["LaunchTemplateVersions"][0]
    data = version["LaunchTemplateData"]
    tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [template_id]}])["Tags"]
    disk = data["BlockDeviceMappings"][0]["Ebs"] if data.get("BlockDeviceMappings") else {}
    return (
        listed[0]["LaunchTemplateName"],
        (listed[0]["DefaultVersionNumber"], listed[0]["LatestVersionNumber"]),
        version.get("VersionDescription"),
        (data.get("ImageId"), data.get("InstanceType"), data.get("EbsOptimized"), data.get("UserData")),
        (disk.get("VolumeSize"), disk.get("Encrypted"), disk.get("Throughput")),
        {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("mlinfra:")},
    )


def test_template(lifecycle: Any) -> None:
    """A change of what is in it is a new version; one that somebody else makes is drift, and so is another default."""

    def drift(world: Any, template_id: str) -> None:
        ec2 = world.boto("ec2")
        data = {"ImageId": IMAGE, "InstanceType": "p4d.24xlarge"}
        ec2.create_launch_template_version(LaunchTemplateId=template_id, LaunchTemplateData=data)
        ec2.create_tags(Resources=[template_id], Tags=[{"Key": "tier", "Value": "prod"}])

    simple = {"name": "gpu", "imageId": IMAGE, "instanceType": "g5.xlarge", "updateDefaultVersion": True}
    lifecycle(
        TEMPLATE,
        inputs=lambda words: {**simple, "tags": {"team": "ml"}},
        look=lambda world, it: (found := template(world, it)) and (*found[:1], found[1][0] == found[1][1], *found[2:]),
        made=lambda words: ("gpu", True, None, (IMAGE, "g5.xlarge", None, None), (None, None, None), {"team": "ml"}),
        change=lambda words: {"instanceType": "g6.xlarge", "ebsOptimized": "false", "tags": {"tier": "dev"}},
        changed=lambda words: (
            "gpu",
            True,
            None,
            (IMAGE, "g6.xlarge", False, None),
            (None, None, None),
            {"tier": "dev"},
        ),
        replaces=lambda words: [{"name": "cpu"}],
        drift=drift,
        drifted={
            "instanceType": "p4d.24xlarge",
            "ebsOptimized": None,
            "updateDefaultVersion": False,
            "tags": {"tier": "prod"},
        },
    )


def test_everything_that_a_template_can_say(world: World) -> None:
    inputs = world.engine.checked(TEMPLATE, WHOLE)
    template_id, state = world.engine.create(TEMPLATE, inputs)
    assert template(world, template_id) == (
        "gpu",
        (1, 1),
        "for machines with GPUs",
        (IMAGE, "g5.xlarge", True, SCRIPT),
        (100, True, 250),
        {"team": "ml"},
    )
    assert world.engine.read(TEMPLATE, template_id, inputs, state) == (inputs, state)
    imported, outputs = world.engine.read(TEMPLATE, template_id) or ({}, {})
    assert not world.engine.diff(TEMPLATE, imported, inputs, outputs).diffs, "an import finds all of it"


def test_network_interfaces(world: World) -> None:
    interface = {
        "deviceIndex": 0,
        "associatePublicIpAddress": "false",
        "deleteOnTermination": "true",
        "interfaceType": "efa",
        "securityGroups": [GROUP],
        "subnetId": "subnet-0123456789abcdef0",
    }
    inputs = world.engine.checked(TEMPLATE, {"name": "efa", "imageId": IMAGE, "networkInterfaces": [interface]})
    template_id, state = world.engine.create(TEMPLATE, inputs)
    assert world.engine.read(TEMPLATE, template_id, inputs, state) == (inputs, state)
    found = world.boto("ec2").describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["1"])
    sent = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]["NetworkInterfaces"][0]
    assert (sent["AssociatePublicIpAddress"], sent["DeleteOnTermination"], sent["Groups"]) == (False, True, [GROUP])


def test_which_version_is_the_default(world: World) -> None:
    """The first, whatever comes after it, until it is said which."""
    first = world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": IMAGE})
    template_id, state = world.engine.create(TEMPLATE, first)
    second = world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": OTHER})
    state = world.engine.update(TEMPLATE, template_id, first, second, state)
    assert state["latestVersion"] == 2
    assert template(world, template_id)[1] == (1, 2)
    pinned = world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": OTHER, "defaultVersion": 2})
    state = world.engine.update(TEMPLATE, template_id, second, pinned, state)
    assert template(world, template_id)[1] == (2, 2)
    back = world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": OTHER, "defaultVersion": 1})
    state = world.engine.update(TEMPLATE, template_id, pinned, back, state)
    assert template(world, template_id)[1] == (1, 2)
    latest = world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": OTHER, "updateDefaultVersion": True})
    world.engine.update(TEMPLATE, template_id, back, latest, state)
    assert template(world, template_id)[1] == (2, 2)


def test_another_tag_is_no_new_version(world: World) -> None:
    first = world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": IMAGE, "tags": {"a": "b"}})
    template_id, state = world.engine.create(TEMPLATE, first)
    second = world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": IMAGE, "tags": {"a": "c"}})
    state = world.engine.update(TEMPLATE, template_id, first, second, state)
    assert (template(world, template_id)[1], state["latestVersion"]) == ((1, 1), 1)


def test_a_name_that_is_taken(world: World, failure: Any) -> None:
    world.boto("ec2").create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData={"ImageId": IMAGE})
    error, _ = failure(world.engine.create, TEMPLATE, world.engine.checked(TEMPLATE, {"name": "gpu", "imageId": IMAGE}))
    assert "AlreadyExists" in error.details()
    assert "belongs to somebody else" in error.details()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "ab"}, "3 to 128"),
    ({"name": "with blanks"}, "3 to 128"),
    ({"ebsOptimized": "yes"}, "one of true, false"),
    ({"ebsOptimized": True}, "must be a text"),
    ({"defaultVersion": 1, "updateDefaultVersion": True}, "excludes updateDefaultVersion"),
    ({"networkInterfaces": [{"deviceIndex": 0}], "vpcSecurityGroupIds": [GROUP]}, "for the network interfaces to say"),
    ({"iamInstanceProfile": {"name": "a", "arn": "b"}}, "excludes arn"),
    ({"userData": "#!/bin/sh"}, "must be base64"),
    ({"userData": base64.b64encode(b"x" * 16_385).decode()}, "at most 16384 bytes"),
    ({"instanceMarketOptions": {"spotOptions": {"maxPrice": "1"}}}, "wants marketType spot"),
    ({"blockDeviceMappings": [{"ebs": {"volumeType": "gp2", "throughput": 125}}]}, "type gp3 alone"),
    ({"blockDeviceMappings": [{"ebs": {"volumeType": "st1", "iops": 500}}]}, "gp3, io1 and io2"),
    ({"blockDeviceMappings": [{"ebs": {"kmsKeyId": "k"}}]}, "wants encrypted"),
    ({"blockDeviceMappings": [{"ebs": {"volumeSize": 0}}]}, "from 1 to 65536"),
    ({"metadataOptions": {"httpTokens": "always"}}, "one of optional, required"),
    ({"metadataOptions": {"httpPutResponseHopLimit": 65}}, "from 1 to 64"),
    ({"namePrefix": "a"}, "not supported"),
]


@pytest.mark.parametrize(("inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: World, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(TEMPLATE, {"name": "gpu", **inputs}).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


def test_unknown_parts_are_not_judged(world: World) -> None:
    assert judged(world, TEMPLATE, WHOLE) > 40
