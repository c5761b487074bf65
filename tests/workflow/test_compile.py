"""From a stack to its graph: what is wrong with a blueprint is told with file and line, all of it in one run.

Each case in tests/cases/blueprints/ says in lines that begin with `#:` what is told of it, as YAML: a list of
diagnostics, or a mapping with that list as `expect` and the stack file's further values as `stack`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.diagnostics import MlinfraError
from mlinfra.graph import Kind
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import Compiled, compile_stack

CASES = Path(__file__).parents[1] / "cases" / "blueprints"
NAMES = sorted(path.stem for path in CASES.glob("*.py"))


def read_case(name: str) -> tuple[bytes, dict[str, Any], list[dict[str, Any]]]:
    content = (CASES / f"{name}.py").read_bytes()
    lines = content.decode(errors="replace").splitlines()
    said = yaml.safe_load("\n".join(line.removeprefix("#: ") for line in lines if line.startswith("#:")))
    if isinstance(said, list):
        return content, {}, said
    return content, said["stack"], said["expect"]


def compile_case(project: Any, content: bytes, values: dict[str, Any]) -> Compiled:
    blueprint = values.pop("blueprint", "case")
    tier = values.pop("tier", "dev")
    # The first three lines are always the same; what a case adds stands in block form from line 4 on.
    text = f"blueprint: {blueprint}\nenvironment: {{name: dev, tier: {tier}}}\nowner: {{team: t, cost_center: c}}\n"
    text += yaml.safe_dump(values, default_flow_style=False, sort_keys=False) if values else ""
    own = project(stacks={"dev": text}, blueprints={"case": content})
    return compile_stack(own, load_stack(own, "dev"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_of_a_blueprint(
    name: str, project: Any, hold_against: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    content, values, expected = read_case(name)
    try:
        found = compile_case(project, content, values).warnings
    except MlinfraError as error:
        found = error.diagnostics
    hold_against(found, expected, "blueprints/case.py")
    assert capsys.readouterr().out == ""


def test_what_a_blueprint_prints_goes_to_stderr(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    compile_case(project, read_case("prints")[0], {})
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello from the file\nhello from the blueprint\n")


def test_the_traceback_is_kept_for_debug(project: Any) -> None:
    with pytest.raises(MlinfraError) as caught:
        compile_case(project, read_case("raises")[0], {})
    assert "ZeroDivisionError" in caught.value.debug
    assert "Traceback" not in "".join(f"{item.summary}{item.detail}" for item in caught.value.diagnostics)


def test_a_renamed_component_keeps_its_names(project: Any) -> None:
    before = compile_case(project, read_case("moved-from")[0].replace(b'"data", moved_from="store"', b'"store"'), {})
    after = compile_case(project, read_case("moved-from")[0], {})
    assert before.graph.nodes["store/bucket"].inputs["bucket"] == after.graph.nodes["data/bucket"].inputs["bucket"]
    for node in after.graph:
        if node.kind is Kind.PROVIDER:
            continue
        former = node.name.replace("data", "store", 1)
        assert former in before.graph.nodes
        assert node.options.aliases == (former,)


def test_the_graph_says_where_its_components_were_written(project: Any) -> None:
    graph = compile_case(project, read_case("good")[0], {}).graph
    assert {name: str(place) for name, place in graph.sources.items()} == {"data": "blueprints/case.py:12"}
    assert str(graph.source_of("data/bucket")) == "blueprints/case.py:12"
    assert graph.source_of("@aws") is None


def test_what_a_stack_protects_is_protected(project: Any) -> None:
    content = read_case("protect-unknown")[0]
    graph = compile_case(project, content, {"protect": ["models"]}).graph
    assert {node.name for node in graph if node.options.protect} == {"models/bucket"}


PROGRAM = """
import sys
from pathlib import Path
from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import compile_stack
project = Project(Path(sys.argv[1]))
for name in ("dev", "prod"):
    sys.stdout.buffer.write(compile_stack(project, load_stack(project, name)).graph.dumps().encode())
"""


def test_a_graph_is_the_same_bytes_wherever_it_is_compiled() -> None:
    root = Path(__file__).parents[2]
    surroundings = [
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C.UTF-8"},
        {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kolkata", "LC_ALL": "C", "USER": "somebody"},
    ]
    written = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(root)], env={**os.environ, **item}, capture_output=True, check=True
        ).stdout
        for item in surroundings
    }
    assert len(written) == 1
    assert str(root).encode() not in written.pop()


def test_a_neighbour_can_be_imported_and_is_named_when_it_fails(project: Any, hold_against: Any) -> None:
    content = b"from blueprints.shared_parts import make\n" + read_case("good")[0].replace(b'Bucket("data")', b"make()")
    own = project(
        stacks={"dev": None},
        blueprints={
            "case": content,
            "shared_parts": "from mlinfra import Bucket\n\n\ndef make():\n    return Bucket('data', versionning=1)\n",
        },
    )
    with pytest.raises(MlinfraError) as caught:
        compile_stack(own, load_stack(own, "dev"))
    hold_against(caught.value.diagnostics, [{"code": "unknown-field", "line": 5}], "blueprints/shared_parts.py")


def test_a_neighbour_with_broken_syntax_is_named(project: Any, hold_against: Any) -> None:
    content = b"import blueprints.broken_parts\n" + read_case("good")[0]
    own = project(stacks={"dev": None}, blueprints={"case": content, "broken_parts": "\n\ndef make(:\n"})
    with pytest.raises(MlinfraError) as caught:
        compile_stack(own, load_stack(own, "dev"))
    hold_against(
        caught.value.diagnostics,
        [{"code": "blueprint-syntax-error", "line": 3, "says": ["is not valid Python", "def make(:"]}],
        "blueprints/broken_parts.py",
    )
