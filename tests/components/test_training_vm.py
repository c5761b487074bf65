from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.key import Key
from mlinfra.components.network import Network
from mlinfra.components.network_values import ExistingNetwork
from mlinfra.components.queue import Queue
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_vm import TrainingVm
from mlinfra.components.training_vm_values import Volume
from mlinfra.graph import Join, Ref
from mlinfra.tiers import Tier

IMAGE: Any = "registry.example.com/versitygw@sha256:" + "ab" * 32
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]


def existing() -> Network:
    place = ExistingNetwork(vpc_id="vpc-0123456789abcdef0", cidr="10.0.0.0/16", private_subnet_ids=SUBNETS)
    return Network("shared", existing=place)


def box(**fields: Any) -> TrainingVm:
    return TrainingVm("box", **{"instance_type": "g5.xlarge", **fields})


def statements(result: Any) -> Any:
    return result.inputs("box/policy")["policy"].value["Statement"]


def test_one_machine_that_nobody_can_reach(expanded: Any) -> None:
    result = expanded(lambda: box(network=existing()))
    assert result.codes == []
    assert result.names_of("box") == {
        *("machine", "machine-group", "out", "role", "policy", "sessions", "profile", "image"),
    }
    machine = result.inputs("box/machine")
    assert machine["subnetId"] == SUBNETS[0]
    assert machine["associatePublicIpAddress"] is False
    assert machine["vpcSecurityGroupIds"] == [Ref("box/machine-group")]
    assert machine["metadataOptions"]["httpTokens"] == "required"
    assert machine["iamInstanceProfile"] == Ref("box/profile")
    assert machine["instanceInitiatedShutdownBehavior"] == "stop"
    rules = [node for node in result.graph if "securityGroupIngressRule" in node.type]
    assert rules == []
    assert "ingress" not in result.inputs("box/machine-group")


def test_its_disk_is_encrypted_and_marked(expanded: Any) -> None:
    result = expanded(
        lambda: box(network=existing(), volume=Volume(gib=500, iops=6000, throughput=500), tags={"project": "recs"})
    )
    machine = result.inputs("box/machine")
    disk = machine["rootBlockDevice"]
    assert (disk["volumeSize"], disk["volumeType"], disk["encrypted"]) == (500, "gp3", True)
    assert (disk["iops"], disk["throughput"]) == (6000, 500)
    assert disk["tags"] == machine["tags"]
    assert machine["tags"]["mlinfra:component"] == "box"
    assert machine["tags"]["project"] == "recs"


def test_its_role_has_what_the_references_say_and_sessions(expanded: Any) -> None:
    def declare() -> TrainingVm:
        return box(network=existing(), reads=[Bucket("data")], writes=[Bucket("models")])

    result = expanded(declare)
    allowed = {action for item in statements(result) if item["Effect"] == "Allow" for action in item["Action"]}
    assert "s3:GetObject" in allowed
    assert "s3:PutObject" in allowed
    assert "s3:DeleteObject" not in allowed
    reading = next(item for item in statements(result) if "s3:GetObject" in item["Action"])
    assert "models" not in str(reading)
    (denied,) = [item for item in statements(result) if item["Effect"] == "Deny"]
    assert denied["Action"] == ["ssm:GetParameter", "ssm:GetParameters"]
    managed = result.inputs("box/sessions")["policyArn"]
    assert managed == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    trust = result.inputs("box/role")["assumeRolePolicy"].value["Statement"]
    assert [item["Principal"] for item in trust] == [{"Service": "ec2.amazonaws.com"}]
    assert set(result.node("box/machine").options.depends_on) == {"box/policy", "box/sessions"}


def test_a_machine_is_not_moved_by_a_new_image_of_aws(expanded: Any) -> None:
    """But an author who names another one is heard: the replacement is refused unless the data is given up."""
    preset = expanded(lambda: box(network=existing()))
    assert preset.inputs("box/machine")["ami"] == Ref("box/image", ("insecureValue",))
    assert preset.node("box/machine").options.ignore_changes == ("ami",)
    own = expanded(lambda: box(network=existing(), image="ami-0123456789abcdef0"))
    assert own.inputs("box/machine")["ami"] == "ami-0123456789abcdef0"
    assert own.node("box/machine").options.ignore_changes == ()
    assert "image" not in own.names_of("box")


@pytest.mark.parametrize(
    ("instance_type", "image", "parameter"),
    [
        ("g5.xlarge", None, "x86_64/oss-nvidia-driver-gpu-pytorch"),
        ("m7g.xlarge", None, "al2023-ami-kernel-default-arm64"),
        ("g5.xlarge", "drivers", "x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023"),
        ("m6i.xlarge", None, "al2023-ami-kernel-default-x86_64"),
        ("g5.xlarge", "plain", "al2023-ami-kernel-default-x86_64"),
        ("m6i.xlarge", "/golden/training", "/golden/training"),
    ],
)
def test_the_image_follows_the_machine(expanded: Any, instance_type: str, image: str | None, parameter: str) -> None:
    result = expanded(lambda: box(network=existing(), instance_type=instance_type, image=image))
    assert parameter in result.inputs("box/image")["name"]


def test_protection_by_tier(expanded: Any) -> None:
    dev, prod = (expanded(lambda: box(network=existing()), tier=tier) for tier in (Tier.DEV, Tier.PROD))
    assert dev.inputs("box/machine")["disableApiTermination"] is False
    assert prod.inputs("box/machine")["disableApiTermination"] is True
    assert prod.node("box/machine").options.protect
    assert not dev.node("box/machine").options.protect


def test_the_network_is_the_blueprints_own(expanded: Any) -> None:
    result = expanded(lambda: box())
    assert result.inputs("box/machine")["subnetId"] == Ref("network/private-1")
    assert expanded(lambda: box(zone=2)).inputs("box/machine")["subnetId"] == Ref("network/private-2")


def test_a_database_lets_the_machine_in_and_its_role(expanded: Any) -> None:
    result = expanded(lambda: box(reads=[Database("features")]), "eks")
    assert result.codes == []
    rule = result.inputs("box/to-features")
    assert rule["referencedSecurityGroupId"] == Ref("box/machine-group")
    assert (rule["fromPort"], rule["toPort"]) == (5432, 5432)
    assert "rds-db:connect" in str(statements(result))
    script = result.inputs("box/machine")["userData"]
    assert Ref("features/instance", ("address",)) in script.parts


def test_a_key_that_admits_roles_one_by_one_admits_the_machines(expanded: Any) -> None:
    def declare() -> TrainingVm:
        return box(network=existing(), reads=[Bucket("data", key=Key("keys", users="references"))])

    result = expanded(declare)
    assert result.codes == []
    assert Ref("box/role", ("arn",)) in [
        item["Condition"]["ArnEquals"]["aws:PrincipalArn"]
        for item in result.inputs("keys/key")["policy"].value["Statement"]
        if "ArnEquals" in item.get("Condition", {})
    ]


def test_where_its_data_is(expanded: Any) -> None:
    result = expanded(lambda: box(network=existing(), reads=[Bucket("data")], writes=[Queue("work")]))
    script = result.inputs("box/machine")["userData"]
    assert isinstance(script, Join)
    text = "".join(part if isinstance(part, str) else "…" for part in script.parts)
    assert text.startswith("#cloud-boothook\n#!/bin/sh\n")
    assert "export DATA_URI='" in text
    assert "export AWS_REGION='us-east-1'" in text
    assert "ExecStart=/usr/local/sbin/mlinfra-idle 60\n" in text


def test_the_script_is_the_same_for_another_version_of_the_blueprint(expanded: Any) -> None:
    """It is run anew only after a restart, so nothing may stand in it that changes by itself."""
    result = expanded(lambda: box(network=existing()))
    text = "".join(part for part in result.inputs("box/machine")["userData"].parts if isinstance(part, str))
    assert "1.0.0" not in text
    assert len(text) < 8000, "AWS takes 16 KiB with what the references come to"


def test_outputs() -> None:
    machine = TrainingVm("box", instance_type="g5.xlarge")
    assert machine.connect_command == Join(("aws ssm start-session --target ", Ref("box/machine")))
    assert machine.start_command == Join(("aws ec2 start-instances --instance-ids ", Ref("box/machine")))
    assert machine.private_ip == Ref("box/machine", ("privateIp",))
    assert machine.role_arn == Ref("box/role", ("arn",))


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"network": None}, "machine-without-network", "machine 'box' is on AWS and in no network"),
    ({"zone": 3}, "machine-zone", "zone 3 of network 'network', which has 2"),
    ({"network": Network("closed", nat="none", zones=1)}, "machine-unreachable", "no way to Session Manager"),
    ({"network": Network("closed", public=False, zones=1)}, "machine-unreachable", "no way to Session Manager"),
    (
        {"volume": Volume(key=Key("keys", via=["s3"]))},
        "key-not-for-service",
        "may be used through s3 alone",
    ),
    (
        {"volume": Volume(key=Key("keys", users="references"))},
        "key-without-grants",
        "admits roles of components and nobody else",
    ),
    (
        {"reads": [Bucket("data", classification="pii", expire_days=30)], "writes": [Bucket("out")]},
        "personal-data-flow",
        "reads personal data",
    ),
]


@pytest.mark.parametrize(("fields", "code", "says"), REFUSED)
def test_what_cannot_be_is_refused(expanded: Any, fields: dict[str, Any], code: str, says: str) -> None:
    result = expanded(lambda: box(**fields))
    assert result.codes == [code]
    assert says in result.diagnostics[0].summary
    assert result.diagnostics[0].component == "box"


def test_endpoints_are_a_way_to_session_manager(expanded: Any) -> None:
    def declare() -> TrainingVm:
        endpoints = ["ssm", "com.amazonaws.us-east-1.ssmmessages"]
        return box(network=Network("closed", public=False, zones=1, interface_endpoints=endpoints))

    assert expanded(declare).codes == []


def test_a_store_in_a_cluster_is_out_of_reach(expanded: Any) -> None:
    def declare() -> TrainingVm:
        cluster = TrainingCluster("train")
        inside = [
            Bucket("small", place="cluster", cluster=cluster, image=IMAGE, storage_gib=5),
            Database("base", place="cluster", cluster=cluster, image=IMAGE),
        ]
        return box(network=existing(), reads=inside)

    assert set(expanded(declare).codes) == {"machine-store-in-cluster"}


def test_without_aws(expanded: Any) -> None:
    assert expanded(lambda: box(), "kubeconfig").codes == ["target-without-aws"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"instance_type": "g5.tiny"}, "there is no instance type 'g5.tiny'"),
        ({"instance_type": "m6i.xlarge", "image": "pytorch"}, "is for machines with NVIDIA GPUs"),
        ({"instance_type": "trn1.2xlarge"}, "AWS Neuron devices"),
        ({"image": "al2023"}, "image"),
        ({"idle_minutes": 1}, "idle_minutes"),
        ({"volume": {"gib": 10}}, "gib"),
        ({"reads": [TrainingCluster("train")]}, "holds no data"),
        ({"gpus": 1}, "there is no field 'gpus'"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    found = expanded(lambda: box(**fields)).diagnostics
    assert any(says in item.summary for item in found), found
