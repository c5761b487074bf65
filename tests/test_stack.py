"""Stack files: what is wrong with one is told with file and line; what is right becomes an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.diagnostics import MlinfraError
from mlinfra.environment import Environment, Owner
from mlinfra.stack import AwsTarget, ImportSection, KubeconfigTarget, LocalTarget, load_stack, stack_names, stack_schema
from mlinfra.tiers import Tier

CASES = Path(__file__).parent / "cases"
EXPECTED: dict[str, list[dict[str, Any]]] = yaml.safe_load((CASES / "stacks.yaml").read_text())

WHOLE = """\
blueprint: recommender@1.4.0
environment: {name: prod, tier: prod}
owner: {team: recsys, cost_center: ml-042}
target: {kind: aws, account: "111122223333", region: eu-west-1, cluster: ml-prod}
params:
  gpu_nodes: 4
  alerts:
    critical: "pagerduty:recsys"
protect:
  - data
  - models
"""


def test_every_case_has_a_file() -> None:
    assert {path.stem for path in (CASES / "stacks").glob("*.yaml")} == set(EXPECTED)


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_what_is_wrong_is_told_with_its_place(case: str, project: Any, hold_against: Any) -> None:
    own = project(stacks={"dev": (CASES / "stacks" / f"{case}.yaml").read_bytes()})
    with pytest.raises(MlinfraError) as caught:
        load_stack(own, "dev")
    hold_against(caught.value.diagnostics, EXPECTED[case], "stacks/dev.yaml")


def test_a_huge_file_is_refused_before_it_is_read(project: Any, hold_against: Any) -> None:
    own = project(stacks={"dev": "params:\n" + "  - value\n" * 100_000})
    with pytest.raises(MlinfraError) as caught:
        load_stack(own, "dev")
    hold_against(
        caught.value.diagnostics, [{"code": "stack-size", "says": ["1,000,008 bytes", "200,000"]}], "stacks/dev.yaml"
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("prod", ["there is no stack 'prod'", "dev, staging", "stacks/prod.yaml"]),
        ("../dev", ["there is no stack '../dev'", "lower-case letters"]),
        ("Dev", ["there is no stack 'Dev'", "lower-case letters"]),
        ("", ["there is no stack ''"]),
        ("a" * 33, ["at most 32"]),
    ],
)
def test_unknown_stack(name: str, says: list[str], project: Any) -> None:
    own = project(stacks={"dev": None, "staging": None})
    with pytest.raises(MlinfraError) as caught:
        load_stack(own, name)
    (told,) = caught.value.diagnostics
    assert told.code == "stack-unknown"
    for words in says:
        assert words in f"{told.summary} {told.detail} {told.remedy}"


def test_a_whole_file(project: Any) -> None:
    stack = load_stack(project(stacks={"prod": WHOLE}), "prod")
    assert (stack.blueprint, stack.blueprint_version) == ("recommender", "1.4.0")
    assert stack.file.params == {"gpu_nodes": 4, "alerts": {"critical": "pagerduty:recsys"}}
    assert stack.environment() == Environment(
        name="prod",
        tier=Tier.PROD,
        owner=Owner("recsys", "ml-042"),
        account="111122223333",
        region="eu-west-1",
        cluster="ml-prod",
        has_kubernetes=True,
    )
    assert str(stack.place("params", "alerts", "critical")) == "stacks/prod.yaml:8"
    assert str(stack.place("params", "alerts", "warning")) == "stacks/prod.yaml:7"
    assert str(stack.place("protect", 1)) == "stacks/prod.yaml:11"
    assert str(stack.place("state")) == "stacks/prod.yaml:1"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (LocalTarget(), {"account": "local", "region": "us-east-1", "cluster": "local", "has_kubernetes": True}),
        (
            LocalTarget(region="eu-west-1"),
            {"account": "local", "region": "eu-west-1", "cluster": "local", "has_kubernetes": True},
        ),
        (
            AwsTarget(kind="aws", account="111122223333", region="eu-west-1"),
            {"account": "111122223333", "region": "eu-west-1", "cluster": "", "has_kubernetes": False},
        ),
        (
            KubeconfigTarget(kind="kubeconfig", path="kc"),
            {"account": "", "region": "", "cluster": "", "has_kubernetes": True, "has_aws": False},
        ),
    ],
)
def test_a_target_makes_the_environment(target: Any, expected: dict[str, Any], project: Any) -> None:
    environment = load_stack(project(stacks={"dev": None}), "dev").with_target(target).environment()
    assert {key: getattr(environment, key) for key in expected} == expected


@pytest.mark.parametrize(("path", "file"), [("kc", "/p/kc"), ("/etc/kc", "/etc/kc"), ("~/kc", "/home/ada/kc")])
def test_a_kubeconfig_is_looked_for_in_the_project(path: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert KubeconfigTarget(kind="kubeconfig", path=path).file(Path("/p")) == Path(file)


def test_an_anchor_may_be_used_and_merged(project: Any) -> None:
    text = (
        "blueprint: case\nenvironment: {name: dev, tier: dev}\nowner: {team: t, cost_center: c}\n"
        "params:\n  base: &base {min: 1, max: 2}\n  api: {<<: *base, max: 5}\n  again: *base\n"
    )
    assert load_stack(project(stacks={"dev": text}), "dev").file.params == {
        "base": {"min": 1, "max": 2},
        "api": {"min": 1, "max": 5},
        "again": {"min": 1, "max": 2},
    }


def test_a_byte_order_mark_is_no_mistake(project: Any) -> None:
    own = project(stacks={"prod": b"\xef\xbb\xbf" + WHOLE.encode()})
    assert load_stack(own, "prod").blueprint == "recommender"


def test_stack_names_are_sorted(project: Any) -> None:
    assert stack_names(project(stacks={"prod": None, "dev": None, "b-2": None})) == ["b-2", "dev", "prod"]


def test_the_schema_describes_every_field() -> None:
    schema = stack_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["additionalProperties"] is False
    sections = [schema, *schema["$defs"].values()]
    for section in sections:
        for name, field in section.get("properties", {}).items():
            referred = schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
            assert field.get("description") or referred.get("description"), name


def test_imports_in_full_and_short(project: Any) -> None:
    text = WHOLE + 'imports:\n  keys: base.keys\n  network: {stack: base, output: net.a, version: ">=1.2, < 2"}\n'
    imports = load_stack(project(stacks={"prod": text}), "prod").file.imports
    assert imports == {
        "keys": ImportSection(stack="base", output="keys"),
        "network": ImportSection(stack="base", output="net.a", version=">=1.2, < 2"),
    }


@pytest.mark.parametrize(
    ("version", "admitted", "refused"),
    [
        (None, ["0.1.0", "99.0.0"], []),
        (">=1.2", ["1.2.0", "1.10.0", "2.0.0"], ["1.1.9", "0.9.0"]),
        (">=1.2, <2", ["1.2.0", "1.99.1"], ["2.0.0", "1.1.0"]),
        (">1.2,!=1.4.1", ["1.2.1", "1.4.0"], ["1.2.0", "1.4.1"]),
        ("==1.2.3", ["1.2.3"], ["1.2.4", "1.2.0"]),
        ("<=1", ["1.0.0", "0.9.9"], ["1.0.1"]),
    ],
)
def test_versions_that_will_do(version: str | None, admitted: list[str], refused: list[str]) -> None:
    section = ImportSection(stack="base", output="x", version=version)
    assert [item for item in (*admitted, *refused) if section.admits(item)] == admitted
