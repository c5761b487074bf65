"""The pages of the reference, each from what it documents."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import typer

from docs.generator.codes import codes
from docs.generator.fields import STRUCTURES, TEXTS, Schema, fields
from docs.generator.markdown import page, paragraphs, table
from mlinfra.authoring import Component
from mlinfra.cli.main import app
from mlinfra.components.registry import KINDS
from mlinfra.graph import Ref, Value
from mlinfra.local import definitions
from mlinfra.providers.aws.registry import RESOURCES
from mlinfra.providers.aws.resource import Resource
from mlinfra.stack import stack_schema
from mlinfra.tiers import DEFAULTS, TierDefaults
from mlinfra.tools.table import MONITORING, ROLLOUTS, TOOLS

ROOT: Final = Path(__file__).parents[2]
REFERENCE: Final = ROOT / "docs" / "reference"


def stack_file() -> str:
    """The page on stack files."""
    schema = stack_schema()
    sections = ["OwnerSection", "EnvironmentSection", "LocalTarget", "AwsTarget", "KubeconfigTarget"]
    sections += ["ImportSection", "StateSection", "KeepSection"]
    assert {*sections, "Tier"} == set(schema["$defs"]), "a section of stack files is not on the page"
    titles = {
        "OwnerSection": "`owner`",
        "EnvironmentSection": "`environment`",
        "LocalTarget": "`target` of kind `local`",
        "AwsTarget": "`target` of kind `aws`",
        "KubeconfigTarget": "`target` of kind `kubeconfig`",
        "ImportSection": "`imports`",
        "StateSection": "`state`",
        "KeepSection": "`state.keep`",
    }
    parts = [
        "`stacks/<name>.yaml`: one environment of one blueprint, values only. Unknown fields are errors, and no type is"
        " guessed: a number where a text is wanted has to be in quotes. Editors that know the YAML language server"
        " check a file as it is written when its first line is `# yaml-language-server: $schema=schema.json`.",
        top_level(schema),
    ]
    for name in sections:
        parts += [f"## {titles[name]}", schema["$defs"][name]["description"], fields(schema["$defs"][name])]
    parts.append("What each tier sets is in [tiers.md](tiers.md); `params` are the blueprint's own.")
    text = page("Stack files", *parts).replace("`KeepSection`", "[section](#statekeep)")
    return text.replace("`Tier`", "`dev`, `staging` or `prod`")


def top_level(schema: Schema) -> str:
    """The fields of a stack file; sections are named after their keys, and say themselves what they are for."""
    told = {
        name: {**item, "description": item.get("description") or definition(schema, item).get("description", "")}
        for name, item in schema["properties"].items()
    }
    text = fields({**schema, "properties": told})
    keys = {
        "EnvironmentSection": "environment",
        "ImportSection": "imports",
        "OwnerSection": "owner",
        "StateSection": "state",
    }
    for section, key in keys.items():
        text = text.replace(f"`{section}`", f"[section](#{key})")
    return text.replace("`LocalTarget`, `AwsTarget` or `KubeconfigTarget`", "[section](#target-of-kind-local)")


def definition(schema: Schema, item: Schema) -> Schema:
    """What a field's reference leads to; nothing for a field that is no section of its own."""
    found: Schema = schema["$defs"].get(item.get("$ref", "").rpartition("/")[2], {})
    return found


def components() -> str:
    """The page on component kinds and the values that their fields take."""
    base = Component.model_json_schema()
    parts = [
        "What a blueprint declares. All of it is imported from `mlinfra`. The first argument of each component is its"
        " name; the others are given by keyword. Every component has these two:",
        fields(base),
        "Outputs are values that other components and the blueprint's `outputs` may use; they are known once the"
        " component is made.",
    ]
    for kind in KINDS:
        parts += [
            f"## {kind.__name__}",
            paragraphs(kind.__doc__),
            fields(kind.model_json_schema(), ("name", "moved_from")),
        ]
        if rows := list(outputs(kind)):
            parts += ["Outputs:", table(("output", "meaning"), rows)]
    parts.append("# Values")
    for structure in STRUCTURES:
        parts += [f"## {structure.__name__}", paragraphs(structure.__doc__), fields(structure.model_json_schema())]
    for text in TEXTS:
        parts += [f"## {text.__name__}", paragraphs(text.__doc__)]
    return page("Components", *parts)


def outputs(kind: type[Component]) -> Iterator[tuple[str, ...]]:
    """The public properties and methods of a kind that give a value for a graph."""
    inherited = [base for base in reversed(kind.__mro__) if issubclass(base, Component) and base is not Component]
    for name, member in {key: item for base in inherited for key, item in vars(base).items()}.items():
        function = member.fget if isinstance(member, property) else member
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        _, *taken = inspect.signature(function).parameters.values()
        if inspect.signature(function).return_annotation in ("Ref", "Value", Ref, Value):  # `Value` is `Any`
            arguments = ", ".join(str(item).partition(":")[0] for item in taken)
            shown_as = name if isinstance(member, property) else f"{name}({arguments})"
            yield f"`{shown_as}`", " ".join(paragraphs(function.__doc__).split())


def command_line() -> str:
    """The page on commands."""
    parts = [
        "Exit codes: 0 done, or nothing to change; 1 failed, refused or called wrongly; 2 there are changes, only with"
        " `preview --detailed-exitcode`. Results go to stdout, progress and problems to stderr. With `--json`"
        " everything goes to stdout, one versioned JSON object a line, and nothing is asked.",
    ]
    for name, command in commands():
        parts += [
            f"## `mlinfra {name}`",
            help_text(command),
            table(("option", "default", "meaning"), list(options(command))),
        ]
    return page("Command line", *parts)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name, those of groups too."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {below}", each) for below, each in inner.items())


def help_text(command: Any) -> str:
    """The help of a command, its examples as code."""
    text, _, examples = paragraphs(command.help).partition("\n\nExample")
    lines = examples.removeprefix("s").removeprefix(":").strip().split("; ")
    return f"{text}\n\n```sh\n" + "\n".join(lines) + "\n```"


def options(command: Any) -> Iterator[tuple[str, ...]]:
    """The options of a command."""
    for option in command.params:
        names = ", ".join(f"`{name}`" for name in option.opts)  # an argument has its name there
        variable = f" Or `{option.envvar}`." if option.envvar else ""
        default = "required" if option.required else "off" if getattr(option, "is_flag", False) else "none"
        yield names, default, f"{option.help}{variable}"


def tiers() -> str:
    """The page on tiers."""
    tree = ast.parse(inspect.getsource(TierDefaults))
    (block,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    told = {}
    for item, after in zip(block.body, block.body[1:], strict=False):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and isinstance(after, ast.Expr):
            told[item.target.id] = " ".join(inspect.cleandoc(ast.literal_eval(after.value)).split())
    rows = [
        (f"`{item.name}`", *(shown(getattr(DEFAULTS[tier], item.name)) for tier in DEFAULTS), told[item.name])
        for item in dataclasses.fields(TierDefaults)
    ]
    return page(
        "Tiers",
        "What differs between environments when nobody says otherwise. An option that the blueprint or a parameter"
        " gives always wins. The table is the one in `mlinfra/tiers.py`.",
        table(("default", *(str(tier) for tier in DEFAULTS), "meaning"), rows),
    )


def shown(value: object) -> str:
    """A value of the table."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _names(tools: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in tools)


def local_target() -> str:
    """The page on what the local target has."""
    types = [(f"`{token}`", replacing(kind)) for token, kind in sorted(RESOURCES.items())]
    tools = [(f"`{tool.name}`", tool.version, f"`{tool.wanted}`", f"`{tool.variable}`") for tool in TOOLS.values()]
    return page(
        "The local target",
        "## AWS resource types",
        "The types that the embedded AWS provider has, and the inputs whose change makes a new resource in the place of"
        " the old one. Any other type wants the official plugin: `target: {kind: aws, …}`, or"
        " `target: {kind: local, provider: official}`. Kubernetes has no such list: the embedded provider takes any"
        " kind that the cluster's API server has.",
        table(("type", "replaced by a change of"), types),
        "## Kubernetes kinds",
        "Controllers of these kinds do not run on the local target. Its API server knows them by definitions of"
        " mlinfra's own (`mlinfra/local/crds/`), once a stack has such an object: a wrong field is refused, and nothing"
        " acts on what is taken. They are held against the projects' own definitions, in the versions named here: those"
        " take all that components write, and what they refuse when a field of it is changed, ours refuse, too. What is"
        " within the specs of pods and jobs is the exception: ours take it as it is.",
        table(("group", "kinds", "compared with"), list(_groups())),
        "## Tools",
        "What the engine and the local target run, at which version it is fetched or built, which installed versions"
        " fit, and the variable that names an executable of your own. `mlinfra setup --monitoring` gets"
        f" {_names(MONITORING)}, and `--rollouts` {_names(ROLLOUTS)}; nothing else does.",
        table(("tool", "fetched or built", "fits", "variable"), tools),
    )


def _groups() -> Iterator[tuple[str, ...]]:
    """The groups of kinds that the local target defines, and whose definitions they were compared with."""
    for group, (module, version) in definitions.COMPARED.items():
        kinds = (item["spec"]["names"]["kind"] for item in definitions.every() if item["spec"]["group"] == group)
        yield f"`{group}`", _names(kinds), f"`{module}` {version}"


def replacing(kind: Resource) -> str:
    """The inputs of a type that cannot be changed in place."""
    return ", ".join(f"`{item.name}`" for item in kind.fields if item.replaces)


def diagnostics() -> str:
    """The page on the codes of diagnostics."""
    found: dict[str, dict[str, None]] = {}
    for path in sorted((ROOT / "mlinfra").rglob("*.py")):
        room = str(path.relative_to(ROOT).parent if path.parent.name != "mlinfra" else path.relative_to(ROOT))
        for code in codes(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(code, {})[room] = None
    rows = [(f"`{code}`", ", ".join(f"`{room}`" for room in rooms)) for code, rooms in sorted(found.items())]
    return page(
        "Codes of diagnostics",
        "Each problem has a code, which `--json` shows as `code` and which stays the same when the wording changes. The"
        " text of a problem says what happened, where, why and what to do; a code is for programs.",
        table(("code", "told by"), rows),
    )


PAGES: Final[dict[str, Callable[[], str]]] = {
    "stack-file.md": stack_file,
    "components.md": components,
    "command-line.md": command_line,
    "tiers.md": tiers,
    "local-target.md": local_target,
    "diagnostics.md": diagnostics,
}
"""Every page, by its file."""
