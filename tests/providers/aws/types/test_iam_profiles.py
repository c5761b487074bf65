"""Instance profiles, against moto."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.aws.conftest import World, urn
from tests.providers.aws.types.test_iam import found, trust

PROFILE = "aws:iam/instanceProfile:InstanceProfile"


def roles(world: Any) -> dict[str, Any]:
    for name in ("machine", "other"):
        world.boto("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust("ec2")))
    return {}


def profile(world: Any, name: str) -> Any:
    answer = found(world, "get_instance_profile", InstanceProfileName=name)
    if answer is None:
        return None
    live = answer["InstanceProfile"]
    tags = {tag["Key"]: tag["Value"] for tag in live.get("Tags", [])}
    return live["Path"], [role["RoleName"] for role in live["Roles"]], tags


def test_profile(lifecycle: Any) -> None:
    def drift(world: Any, name: str) -> None:
        iam = world.boto("iam")
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName="other")
        iam.tag_instance_profile(InstanceProfileName=name, Tags=[{"Key": "tier", "Value": "prod"}])

    lifecycle(
        PROFILE,
        prepare=roles,
        inputs=lambda words: {"name": "box", "path": "/ml/", "role": "machine", "tags": {"team": "ml"}},
        look=profile,
        made=lambda words: ("/ml/", ["machine"], {"team": "ml"}),
        outputs=lambda words: {"arn": f"arn:aws:iam::{words['account']}:instance-profile/ml/box"},
        change=lambda words: {"role": "other", "tags": {"tier": "dev"}},
        changed=lambda words: ("/ml/", ["other"], {"tier": "dev"}),
        replaces=lambda words: [{"name": "crate"}, {"path": "/"}],
        drift=drift,
        drifted={"role": None, "tags": {"tier": "prod"}},
    )


def test_a_profile_without_a_role(world: World) -> None:
    roles(world)
    empty = world.engine.checked(PROFILE, {"name": "box"})
    name, state = world.engine.create(PROFILE, empty)
    assert profile(world, name) == ("/", [], {})
    full = world.engine.checked(PROFILE, {"name": "box", "role": "machine"})
    state = world.engine.update(PROFILE, name, empty, full, state)
    assert profile(world, name)[1] == ["machine"]
    world.engine.update(PROFILE, name, full, empty, state)
    assert profile(world, name)[1] == []


def test_a_role_that_is_not_there_leaves_a_profile_that_the_next_run_completes(world: World, failure: Any) -> None:
    inputs = world.engine.checked(PROFILE, {"name": "box", "role": "machine"})
    error, kept = failure(world.engine.create, PROFILE, inputs)
    assert "NoSuchEntity" in error.details() or "NoSuchEntity" in str(kept)
    assert kept is not None
    assert profile(world, "box") == ("/", [], {})
    roles(world)
    world.engine.update(PROFILE, kept.id, inputs, inputs, {})
    assert profile(world, "box")[1] == ["machine"]


def test_a_name_that_is_taken(world: World, failure: Any) -> None:
    world.boto("iam").create_instance_profile(InstanceProfileName="box")
    error, _ = failure(world.engine.create, PROFILE, world.engine.checked(PROFILE, {"name": "box"}))
    assert "EntityAlreadyExists" in error.details()
    assert "belongs to somebody else" in error.details()


def test_what_a_create_that_was_cut_off_has_made_is_taken_over(elsewhere: World, unfinished: Any) -> None:
    roles(elsewhere)
    inputs = elsewhere.engine.checked(PROFILE, {"name": "box", "role": "machine", "tags": {"team": "ml"}})
    elsewhere.boto("iam").create_instance_profile(InstanceProfileName="box")
    unfinished[urn(PROFILE)] = set()
    assert elsewhere.engine.create(PROFILE, inputs)[0] == "box"
    assert profile(elsewhere, "box") == ("/", ["machine"], {"team": "ml"})


@pytest.mark.parametrize("name", ["a b", "x" * 129])
def test_a_name_that_iam_refuses(world: World, name: str) -> None:
    assert "1 to 128" in world.engine.check(PROFILE, {"name": name}).failures[0].reason
