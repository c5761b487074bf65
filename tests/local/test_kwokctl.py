from __future__ import annotations

from pathlib import Path

import yaml

from mlinfra.local.kwokctl import COMPONENTS, PORTS, TOOLS, configuration, run, tool_of, with_authentication

PATHS = {name: Path("/tools") / name for name in TOOLS}
FILE = Path("/project/authentication.yaml")


def test_each_component_has_its_tool_and_a_port_of_its_own() -> None:
    options = configuration(PATHS, FILE)["options"]
    assert {tool_of(component) for component in COMPONENTS} == set(TOOLS) - {"kwokctl"}
    assert {str(PATHS[tool_of(component)]) for component in COMPONENTS} <= set(options.values())
    assert len({options[name] for name in PORTS}) == len(PORTS)


def test_two_clusters_get_different_ports() -> None:
    one, two = ({configuration(PATHS, FILE)["options"][name] for name in PORTS} for _ in range(2))
    assert one != two


def test_the_api_server_is_told_whose_tokens_to_take() -> None:
    patches = {item["name"]: item["extraArgs"] for item in configuration(PATHS, FILE)["componentsPatches"]}
    assert patches["kube-apiserver"] == [{"key": "authentication-config", "value": str(FILE)}]


def test_older_clusters_are_told_too_once() -> None:
    older = "- args:\n  - --etcd-prefix=/registry\n  - --authorization-mode=Node,RBAC\n  name: kube-apiserver\n"
    told = with_authentication(older, FILE)
    assert yaml.safe_load(told)[0]["args"] == [
        "--etcd-prefix=/registry",
        f"--authentication-config={FILE}",
        "--authorization-mode=Node,RBAC",
    ]
    assert with_authentication(told, FILE) == told


def test_it_is_run_in_a_home_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "kwokctl"
    program.write_text('#!/bin/sh\necho "$@ HOME=$HOME KWOK_WORKDIR=$KWOK_WORKDIR PATH=$PATH" >&2\nexit 1\n')
    program.chmod(0o755)
    said = run(program, tmp_path, "start", "staging", "--flag", timeout=10)
    assert said.startswith(f"start cluster --name staging --flag HOME={tmp_path} KWOK_WORKDIR={tmp_path} PATH=")


def test_one_that_is_not_there_or_hangs_is_told(tmp_path: Path) -> None:
    assert "No such file" in run(tmp_path / "none", tmp_path, "start", "x", timeout=10)
    program = tmp_path / "kwokctl"
    program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    assert "timed out" in run(program, tmp_path, "start", "x", timeout=0.2)
