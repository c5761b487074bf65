"""Imports: what another stack gave out becomes a parameter; whatever is wrong names both stacks, file and line."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.graph import Secret
from mlinfra.project import Project
from mlinfra.report import Note
from mlinfra.stack import load_stack
from mlinfra.state.deployments import Untyped
from mlinfra.state.service import states_of
from mlinfra.state.stacks import Name
from mlinfra.state.states import ORGANIZATION
from mlinfra.wire.values import SECRET, SIGNATURE
from mlinfra.workflow.compile import Compiled, compile_request, compile_stack
from mlinfra.workflow.imports import importers, read_imports, refuse_imported
from mlinfra.workflow.request import Request

STACK = "blueprint: {}\nenvironment: {{name: dev, tier: dev}}\nowner: {{team: t, cost_center: c}}\n"
PLATFORM = STACK.format("platform")
APP = STACK.format("app")
LINE = 'imports:\n  network: {stack: base, output: network, version: ">=1.2"}\n'  # from line 5 on

VPC, SUBNET = "vpc-0123456789abcdef0", "subnet-0123456789abcdef0"
NETWORK = {"vpc_id": VPC, "cidr": "10.0.0.0/16", "private_subnet_ids": [SUBNET]}
TOPIC = {"urn": "urn:pulumi:s::p::aws:sns/topic:Topic::t/resource", "custom": True, "type": "aws:sns/topic:Topic"}

BLUEPRINT = """
from mlinfra import Blueprint, Environment, ExistingNetwork, Field, Network, Params, Raw, SecretStr, blueprint


class AppParams(Params):
    network: ExistingNetwork
    token: SecretStr | None = None
    count: int = Field(1, ge=1)


@blueprint("app", version="1.0.0")
def app(env: Environment, p: AppParams) -> Blueprint:
    network = Network("net", existing=p.network)
    inputs = {"name": "app", "vpcId": network.vpc_id, "tags": {"count": str(p.count)}}
    parts = [Raw("group", type="aws:ec2/securityGroup:SecurityGroup", inputs=inputs), network]
    if p.token:
        parts.append(
            Raw("token", type="aws:ssm/parameter:Parameter", inputs={"type": "SecureString", "value": p.token})
        )
    return Blueprint(*parts)
"""


def put(
    project: Project,
    name: str,
    outputs: Mapping[str, Any] | None,
    *,
    version: str = "1.3.0",
    blueprint: str = "platform",
    place: str = "service",
    resources: tuple[Mapping[str, Any], ...] = (),
    made_of: tuple[str, ...] = (),
) -> None:
    """A state that a stack's last update has left; `outputs` None for one that has nothing."""
    made = {"blueprint": blueprint, "version": version, "resources": {name: [*made_of] for name in outputs or {}}}
    mark = {"mlinfra:origin": made} if version else {}
    root = {
        "urn": f"urn:pulumi:{name}::{blueprint}::pulumi:pulumi:Stack::{blueprint}-{name}",
        "type": "pulumi:pulumi:Stack",
        "outputs": {**(outputs or {}), **mark},
    }
    sealed = {"secrets_providers": {"type": "service", "state": {}}} if place == "service" else {}
    deployment = {"manifest": {}, **sealed, "resources": [] if outputs is None else [root, *resources]}
    if place == "files":
        path = project.folder("state", ".pulumi", "stacks", blueprint) / f"{name}.json"
        path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": deployment}}))
        return
    with states_of(project) as states:
        states.replace(blueprint, name, Untyped(deployment=deployment), "put")


def encrypted(project: Project, name: str, text: str) -> dict[str, Any]:
    """A secret as the service keeps it in a stack's state."""
    from mlinfra.state import stacks

    with states_of(project) as states, states.store.transaction() as tx:
        found = stacks.find(tx, Name(ORGANIZATION, "platform", name))
        assert found is not None
        sealed = tx.keys.encrypt(json.dumps(text).encode(), found.id)
    return {SIGNATURE: SECRET, "ciphertext": base64.b64encode(sealed).decode()}


def two(project: Any, imports: str = LINE, base: str = PLATFORM) -> Project:
    made: Project = project({"app": APP + imports, "base": base}, {"app": BLUEPRINT})
    return made


def compiled(project: Project, *, stand_in: bool = False, rehearse: bool = False) -> Compiled:
    return compile_request(Request(project, "app", rehearse=rehearse), stand_in=stand_in, look_far=not stand_in)


def refused(project: Project, *, stand_in: bool = False) -> tuple[Diagnostic, ...]:
    with pytest.raises(MlinfraError) as caught:
        compiled(project, stand_in=stand_in)
    return caught.value.diagnostics


def group(result: Compiled) -> Any:
    return result.graph.nodes["group/resource"].inputs


@pytest.mark.parametrize("place", ["service", "files"])
@pytest.mark.parametrize("imports", [LINE, "imports:\n  network: base.network\n"])
def test_an_output_becomes_a_parameter(project: Any, place: str, imports: str) -> None:
    own = two(project, imports, PLATFORM + f"state: {{backend: {place}}}\n")
    put(own, "base", {"network": NETWORK}, place=place)
    result = compiled(own)
    assert group(result)["vpcId"] == VPC
    assert result.warnings == ()


def test_numbers_and_texts_too(project: Any) -> None:
    own = two(project, "imports:\n  network: base.network\n  count: base.count\n")
    put(own, "base", {"network": NETWORK, "count": 3})
    assert group(compiled(own))["tags"] == {"count": "3"}


def test_the_compiler_does_not_read_imports_by_itself(project: Any) -> None:
    own = two(project)
    with pytest.raises(ValueError, match="stack app has imports, and nobody has read them"):
        compile_stack(own, load_stack(own, "app"))


def test_looking_makes_nothing(project: Any) -> None:
    for place in ("service", "files"):
        own = two(project, base=PLATFORM + f"state: {{backend: {place}}}\n")
        assert [item.code for item in refused(own)] == ["import-not-up"]
        assert not (own.root / ".mlinfra").exists()


def test_a_rehearsal_imports_from_a_rehearsal(project: Any) -> None:
    own = two(project)
    put(own, "base", {"network": {**NETWORK, "vpc_id": "vpc-00000001"}})
    with pytest.raises(
        MlinfraError, match=r"stack app-rehearsal imports .* from stack base-rehearsal, which is not up"
    ):
        compiled(own, rehearse=True)
    put(own, "base-rehearsal", {"network": NETWORK})
    assert group(compiled(own, rehearse=True))["vpcId"] == VPC


# ------------------------------------------------------------------------------------------------ what is wrong

NOT_UP = "stack app imports 'network' from stack base, which is not up"
WRONG: dict[str, tuple[str, dict[str, Any] | None, str, dict[str, Any]]] = {
    "not up": (LINE, None, "1.3.0", {"code": "import-not-up", "says": [NOT_UP, "mlinfra up --stack base"]}),
    "missing": (
        LINE,
        {"netwrk": NETWORK, "keys": {}},
        "1.3.0",
        {
            "code": "import-no-output",
            "says": [
                "stack app imports 'network' from stack base, which has no output 'network'",
                "Its outputs are keys, netwrk. They were made by platform@1.3.0.",
                "Did you mean 'netwrk'?",
            ],
        },
    ),
    "none at all": (LINE, {}, "1.3.0", {"code": "import-no-output", "says": ["Its outputs are none", "give it out"]}),
    "older": (
        LINE,
        {"network": NETWORK},
        "1.1.9",
        {
            "code": "import-version",
            "says": [
                "stack app imports 'network' from stack base at >=1.2, but what that stack gives out was made by "
                "platform@1.1.9",
                "mlinfra up --stack base",
            ],
        },
    ),
    "of no version": (
        LINE,
        {"network": NETWORK},
        "",
        {"code": "import-version", "says": ["made by a version of mlinfra that did not note the blueprint"]},
    ),
    "another type": (
        LINE,
        {"network": VPC},
        "1.3.0",
        {
            "code": "import-type",
            "says": ["output network of stack base (platform@1.3.0): network is a text, not a ExistingNetwork"],
        },
    ),
    "a field of another form": (
        LINE,
        {"network": {**NETWORK, "vpc_id": "net"}},
        "1.3.0",
        {"code": "import-type", "says": ["stack base (platform@1.3.0): network.vpc_id: string should match pattern"]},
    ),
    "no parameter": (
        "imports:\n  netwrk: base.network\n",
        {"network": NETWORK},
        "1.3.0",
        {"code": "unknown-field", "says": ["there is no field 'netwrk'", "Did you mean 'network'?"]},
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_both_stacks(case: str, project: Any, hold_against: Any) -> None:
    imports, outputs, version, expected = WRONG[case]
    own = two(project, imports)
    put(own, "base", outputs, version=version)
    told = [item for item in refused(own) if "network is missing" not in item.summary]
    hold_against(told, [{"line": 5, **expected}], "stacks/app.yaml")


def test_a_stack_that_is_not_there(project: Any, hold_against: Any) -> None:
    own = two(project, "imports:\n  network: bse.network\n")
    expected = [
        {"code": "stack-unknown", "line": 5, "says": ["there is no stack 'bse'", "app, base"]},
        {"code": "import-unreadable", "line": 5, "says": ["imports 'network' from stack bse, which cannot be read"]},
    ]
    hold_against(refused(own), expected, "stacks/app.yaml")


def test_a_stack_whose_file_is_wrong(project: Any, hold_against: Any) -> None:
    own = two(project, base=PLATFORM + "statee: {}\n")
    first, second = refused(own)
    hold_against([first], [{"code": "unknown-field", "line": 4}], "stacks/base.yaml")
    hold_against([second], [{"code": "import-unreadable", "line": 5}], "stacks/app.yaml")


@pytest.mark.parametrize(
    ("others", "circle"),
    [
        ({"base": "imports: {x: app.y}\n"}, "app → base → app"),
        ({"base": "imports: {x: keys.y}\n", "keys": "imports: {x: app.y}\n"}, "app → base → keys → app"),
    ],
)
def test_a_circle(others: dict[str, str], circle: str, project: Any, hold_against: Any) -> None:
    stacks = {name: PLATFORM + text for name, text in others.items()}
    own = project({"app": APP + LINE, **stacks}, {"app": BLUEPRINT})
    hold_against(refused(own), [{"code": "import-cycle", "line": 5, "says": [circle]}], "stacks/app.yaml")


def test_a_circle_among_others_is_theirs(project: Any) -> None:
    stacks = {"base": PLATFORM + "imports: {x: keys.y}\n", "keys": PLATFORM + "imports: {x: base.y}\n"}
    own = project({"app": APP + LINE, **stacks}, {"app": BLUEPRINT})
    put(own, "base", {"network": NETWORK})
    assert group(compiled(own))["vpcId"] == VPC


def test_everything_that_is_wrong_is_told_together(project: Any) -> None:
    own = two(project, 'imports:\n  network: {stack: base, output: network, version: "<1"}\n  token: base.token\n')
    put(own, "base", {"network": NETWORK})
    assert [item.code for item in refused(own)] == ["import-version", "import-no-output"]


@pytest.mark.parametrize(("made_of", "gone"), [(("t/resource",), False), (("t/resource", "net/vpc"), True)])
def test_an_output_of_what_is_gone_is_not_one(project: Any, made_of: tuple[str, ...], gone: bool) -> None:
    """A stack that was destroyed but for its data keeps its outputs in the state."""
    own = two(project)
    put(own, "base", {"network": NETWORK}, resources=(TOPIC,), made_of=made_of)
    if not gone:
        assert group(compiled(own))["vpcId"] == VPC
        return
    (told,) = refused(own)
    assert told.code == "import-not-up"
    assert "from stack base, which is not up any more" in told.summary
    assert told.detail.endswith("was found to be gone: net/vpc.")
    (told,) = compiled(own, stand_in=True).warnings
    assert told.code == "import-not-up"


def test_a_state_that_was_moved_away(project: Any) -> None:
    own = two(project)
    put(own, "base", {"network": NETWORK})
    with states_of(own) as states:
        states.tag("platform", "base", "mlinfra:moved-to", "s3://states")
    first, second = refused(own)
    assert (first.code, second.code) == ("state-moved", "import-unreadable")
    assert str(first.location) == "stacks/app.yaml:5"


# ------------------------------------------------------------------------------------------------ secrets


def test_a_secret_stays_one(project: Any) -> None:
    own = two(project, "imports:\n  network: base.network\n  token: base.token\n")
    put(own, "base", {})
    put(own, "base", {"network": NETWORK, "token": encrypted(own, "base", "canary")})
    request = Request(own, "app")
    assert read_imports(request, request.stack())["token"].value == Secret("canary")
    result = compiled(own)
    assert result.graph.nodes["token/resource"].inputs["value"] == Secret("canary")
    assert "canary" not in result.graph.dumps()


@pytest.mark.parametrize(
    ("imports", "outputs", "code"),
    [
        ("  count: base.count\n", {"count": "canary"}, "import-type"),
        ("  network: base.network\n", {"network": {**NETWORK, "vpc_id": VPC}}, "import-secret"),
        ("  network: base.network\n", {"network": {**NETWORK, "cidr": "canary"}}, "import-type"),
    ],
)
def test_a_secret_is_not_let_out(project: Any, imports: str, outputs: dict[str, Any], code: str) -> None:
    own = two(project, "imports:\n" + imports)
    put(own, "base", {})

    def seal(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: seal(item) for key, item in value.items()}
        return encrypted(own, "base", value) if value in ("canary", VPC) else value

    put(own, "base", seal(outputs))
    told = refused(own)
    assert told[0].code == code
    assert "canary" not in str([item.as_json() for item in told])
    if code == "import-secret":
        assert "holds a secret, and the parameter network.vpc_id would show it" in told[0].summary


# ------------------------------------------------------------------------------------------------ stand-ins


def test_what_only_looks_takes_a_stand_in(project: Any, hold_against: Any) -> None:
    own = two(project)
    result = compiled(own, stand_in=True)
    expected = {"code": "import-not-up", "severity": "warning", "line": 5, "says": [NOT_UP, VPC, "in its place"]}
    hold_against(result.warnings, [expected], "stacks/app.yaml")
    assert group(result)["vpcId"] == VPC


def test_it_does_not_look_far(project: Any) -> None:
    own = two(project, base=PLATFORM + "state: {backend: 's3://states'}\n")
    (told,) = compiled(own, stand_in=True).warnings
    assert "which was not asked" in told.summary
    assert "s3://states" in told.detail


def test_what_has_a_default_may_be_left_out(project: Any) -> None:
    own = two(project, "imports:\n  network: base.network\n  count: other.count\n")
    (own.stacks / "other.yaml").write_text(PLATFORM)
    put(own, "base", {"network": NETWORK})
    (told,) = compiled(own, stand_in=True).warnings
    assert "stack other, which is not up" in told.summary


def test_where_nothing_can_stand_in_it_is_an_error(project: Any) -> None:
    own = two(project, "imports:\n  image: base.image\n")
    text = BLUEPRINT.replace("network: ExistingNetwork", "image: Image").replace(
        "import Blueprint", "import Image, Blueprint"
    )
    (own.blueprints / "app.py").write_text(text)
    (told,) = refused(own, stand_in=True)
    assert told.code == "import-not-up"
    assert "image: … = Field(examples=[…])" in told.remedy
    (own.blueprints / "app.py").write_text(
        text.replace("image: Image", "image: Image = Field(examples=['a/b@sha256:" + 64 * "0" + "'])").replace(
            "existing=p.network", "zones=1"
        )
    )
    assert [item.code for item in compiled(own, stand_in=True).warnings] == ["import-not-up"]


def test_what_is_known_to_be_wrong_is_an_error_for_all(project: Any) -> None:
    own = two(project)
    put(own, "base", {})
    assert [item.code for item in refused(own, stand_in=True)] == ["import-no-output"]


# ------------------------------------------------------------------------------------------------ the other way round


def test_a_stack_that_is_imported_is_not_destroyed(project: Any) -> None:
    own = two(project)
    (own.stacks / "broken.yaml").write_text("a: [")
    told: list[Any] = []
    request = Request(own, "base", emit=told.append)
    refuse_imported(request, force=False)
    put(own, "app", {}, blueprint="app", resources=(TOPIC,))
    assert [name for name, _ in importers(request)] == ["app"]
    assert importers(replace(request, rehearse=True)) == []
    with pytest.raises(MlinfraError, match="stack base is imported by app, which is up") as caught:
        refuse_imported(request, force=False)
    assert str(caught.value.diagnostics[0].location) == "stacks/app.yaml:5"
    refuse_imported(request, force=True)
    assert [type(item) for item in told] == [Note]
    put(own, "app", None, blueprint="app")
    assert importers(request) == []


def test_a_state_may_be_read_from_anywhere_in_the_project(project: Any) -> None:
    own = two(project)
    put(own, "base", {"network": NETWORK})
    assert not Path.cwd().is_relative_to(own.root)
    assert group(compiled(own))["vpcId"] == VPC
