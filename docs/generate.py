"""Writes `docs/reference/` from the models: `python docs/generate.py`, or `make docs`.

Everything here is read from the code that it documents: fields from the pydantic models, commands from typer, tiers
from their table, codes from the source. A test compares the pages with what this program gives now.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

import mlinfra
from mlinfra.authoring import Component
from mlinfra.cli.main import app
from mlinfra.components import values
from mlinfra.components.registry import KINDS
from mlinfra.providers.aws.registry import RESOURCES
from mlinfra.stack import stack_schema
from mlinfra.tiers import DEFAULTS, TierDefaults
from mlinfra.tools.table import TOOLS

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
NOTICE = "<!-- Written by docs/generate.py from the code; `make docs` writes it anew. -->\n"

STRUCTURES = (values.Autoscale, values.Route, values.Taint, values.Quota)
TEXTS = (values.Image, values.Model, values.Receiver)
KIND_NAMES = {kind.__name__ for kind in KINDS}
FORMS = {f"Must be {text.FORM}.": text.__name__ for text in TEXTS}
LINKED = KIND_NAMES | {kind.__name__ for kind in STRUCTURES} | set(FORMS.values())
WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`", "null": "null"}

Schema = Mapping[str, Any]


# ------------------------------------------------------------------------------------------------ Markdown


def page(title: str, *parts: str) -> str:
    """A page: notice, title, parts, each apart from the next by an empty line."""
    return "\n\n".join([NOTICE + f"# {title}", *(part.strip() for part in parts if part.strip())]) + "\n"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in line) + " |" for line in lines)


def paragraphs(text: str | None) -> str:
    """A docstring as Markdown."""
    return inspect.cleandoc(text or "")


# ------------------------------------------------------------------------------------------------ fields


def kind_of(schema: Schema) -> str:
    """A field's type in words, from its JSON Schema."""
    if "$ref" in schema:
        return linked(str(schema["$ref"]).rpartition("/")[2])
    if "anyOf" in schema or "oneOf" in schema:
        found = [kind_of(item) for item in schema.get("anyOf") or schema["oneOf"] if item.get("type") != "null"]
        return " or ".join(dict.fromkeys(found))
    if "enum" in schema:
        return " or ".join(f"`{item}`" for item in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("description") in FORMS:
        return linked(FORMS[schema["description"]])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema['items'])}"
    if schema.get("type") == "object":
        return object_kind(schema)
    return plain_kind(schema)


def object_kind(schema: Schema) -> str:
    """A component or a value by its name, a mapping by what it holds."""
    if "properties" in schema:
        return linked(str(schema["title"]))
    inner = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), True)
    return "mapping" if inner is True else f"mapping of {kind_of(inner)}"


def plain_kind(schema: Schema) -> str:
    """A text or a number, with its bounds."""
    word = WORDS.get(schema.get("type", ""), "any value")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:g}"
    if "exclusiveMinimum" in schema:
        return f"{word} above {schema['exclusiveMinimum']:g}" + (f", at most {high:g}" if high is not None else "")
    return f"{word}, at least {low:g}" if low is not None else word


def linked(name: str) -> str:
    """A name, as a link where a section of the page of components describes it."""
    if name in ("DataStore", "Watched"):
        return {"DataStore": "[Bucket](#bucket)", "Watched": "[Endpoint](#endpoint) or [TrainingJob](#trainingjob)"}[name]
    return f"[{name}](#{name.lower()})" if name in LINKED else f"`{name}`"


def default_of(name: str, schema: Schema, required: bool) -> str:
    """A field's default as it would be written."""
    if required:
        return "required"
    value = schema.get("default")
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, Mapping):
        given = {key: item for key, item in value.items() if item is not None}
        return f"`{{{', '.join(f'{key}: {item}' for key, item in given.items())}}}`" if given else "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def fields(schema: Schema, without: tuple[str, ...] = ()) -> str:
    """The fields of an object as a table."""
    required = schema.get("required", [])
    rows = [
        (f"`{name}`", kind_of(item), default_of(name, item, name in required), meaning(item))
        for name, item in schema["properties"].items()
        if name not in without
    ]
    return table(("field", "type", "default", "meaning"), rows)


def meaning(schema: Schema) -> str:
    """What a field is for, as its docstring says it."""
    return " ".join(str(schema.get("description", "")).split())


# ------------------------------------------------------------------------------------------------ pages


def stack_file() -> str:
    """The page on stack files."""
    schema = stack_schema()
    sections = ["OwnerSection", "EnvironmentSection", "LocalTarget", "AwsTarget", "KubeconfigTarget", "StateSection"]
    assert {*sections, "Tier"} == set(schema["$defs"]), "a section of stack files is not on the page"
    titles = {
        "OwnerSection": "`owner`",
        "EnvironmentSection": "`environment`",
        "LocalTarget": "`target` of kind `local`",
        "AwsTarget": "`target` of kind `aws`",
        "KubeconfigTarget": "`target` of kind `kubeconfig`",
        "StateSection": "`state`",
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
    return page("Stack files", *parts).replace("`Tier`", "`dev`, `staging` or `prod`")


def top_level(schema: Schema) -> str:
    """The fields of a stack file; sections are named after their keys."""
    text = fields(schema)
    for section, key in (("EnvironmentSection", "environment"), ("OwnerSection", "owner"), ("StateSection", "state")):
        text = text.replace(f"`{section}`", f"[section](#{key})")
    return text.replace("`LocalTarget` or `AwsTarget` or `KubeconfigTarget`", "[section](#target-of-kind-local)")


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
        parts += [f"## {kind.__name__}", paragraphs(kind.__doc__), fields(kind.model_json_schema(), ("name", "moved_from"))]
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
    for name, member in vars(kind).items():
        function = member.fget if isinstance(member, property) else member
        gives = getattr(function, "__annotations__", {}).get("return") if inspect.isfunction(function) else None
        if name.startswith("_") or gives not in ("Ref", "Value"):
            continue
        taken = "" if isinstance(member, property) else f"({', '.join(list(inspect.signature(function).parameters)[1:])})"
        yield f"`{name}{taken.replace('path', '*path')}`", " ".join(paragraphs(function.__doc__).split())


def command_line() -> str:
    """The page on commands."""
    parts = [
        "Exit codes: 0 done, or nothing to change; 1 failed, refused or called wrongly; 2 there are changes, only with"
        " `preview --detailed-exitcode`. Results go to stdout, progress and problems to stderr. With `--json` everything"
        " goes to stdout, one versioned JSON object a line, and nothing is asked.",
    ]
    for name, command in commands():
        parts += [f"## `mlinfra {name}`", help_text(command), table(("option", "default", "meaning"), list(options(command)))]
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
        names = ", ".join(f"`{name}`" for name in option.opts)
        variable = f" Or `{option.envvar}`." if option.envvar else ""
        default = "required" if option.required else "off" if option.is_flag else "none"
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


def local_target() -> str:
    """The page on what the local target has."""
    rows = [(f"`{token}`", " ".join(paragraphs(kind.__doc__).split("\n\n")[0].split())) for token, kind in sorted(RESOURCES.items())]
    tools = [(f"`{tool.name}`", tool.version, f"`{tool.wanted}`", f"`{tool.variable}`") for tool in TOOLS.values()]
    return page(
        "The local target",
        "## AWS resource types",
        "The types that the embedded AWS provider has. Any other type wants the official plugin: `target: {kind: aws, …}`,"
        " or `target: {kind: local, provider: official}`. Kubernetes has no such list: the embedded provider takes any"
        " kind that the cluster's API server has.",
        table(("type", "what it is"), rows),
        "## Tools",
        "What the engine and the local target run, at which version it is fetched or built, which installed versions"
        " fit, and the variable that names an executable of your own.",
        table(("tool", "fetched or built", "fits", "variable"), tools),
    )


# ------------------------------------------------------------------------------------------------ diagnostics


def diagnostics() -> str:
    """The page on the codes of diagnostics."""
    found: dict[str, dict[str, None]] = {}
    for path in sorted(Path(mlinfra.__file__).parent.rglob("*.py")):
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


def codes(tree: ast.Module) -> Iterator[str]:
    """The codes that a module gives: as an argument called `code`, by keyword or by place, or in a table of remedies."""
    constants = dict(assigned(tree))
    places = {
        node.name: [item.arg for item in node.args.args].index("code") - (node.args.args[0].arg in ("self", "cls"))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any(item.arg == "code" for item in node.args.args)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [item.value for item in node.keywords if item.arg == "code"]
            given += node.args[places[name] : places[name] + 1] if name in places else []
            for value in given:
                yield from texts(value, constants)
    for name in ("REMEDIES",):
        for row in getattr(constants.get(name), "elts", ()):
            yield from texts(row.elts[1], constants)


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The names that a module gives values to at its top, and the values as source."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def texts(value: ast.expr | None, constants: Mapping[str, ast.expr]) -> Iterator[str]:
    """The texts that an expression may be: itself, a constant of the module, each side of a choice."""
    match value:
        case ast.Constant(value=str(text)) if re.fullmatch(r"[a-z][a-z0-9-]+", text):
            yield text
        case ast.Name(id=name) if name in constants:
            yield from texts(constants[name], {})
        case ast.IfExp(body=body, orelse=other):
            yield from texts(body, constants)
            yield from texts(other, constants)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from texts(part, constants)


PAGES = {
    "stack-file.md": stack_file,
    "components.md": components,
    "command-line.md": command_line,
    "tiers.md": tiers,
    "local-target.md": local_target,
    "diagnostics.md": diagnostics,
}


def write() -> None:
    """Write every page."""
    REFERENCE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    write()
