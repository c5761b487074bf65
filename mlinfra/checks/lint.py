"""The source of blueprints: what makes a blueprint differ between environments, or between two runs.

A blueprint that asks for its environment's name makes staging prove nothing about prod. Environments differ in the
parameters of their stacks, and tiers set defaults for safety, so only the name is forbidden. What cannot be seen from
the source with certainty is not reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from mlinfra.diagnostics import Diagnostic, Location, Severity

BRANCHES: Final = "blueprint-branches-on-environment"
CHANGES: Final = "blueprint-not-reproducible"
SYNTAX: Final = "blueprint-syntax-error"

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_TEXTS: Final = frozenset({"str", "repr", "format", "vars", "asdict", "astuple"})
"""Functions that give away the name when they are given the whole environment."""
_DUMPS: Final = frozenset({"__dict__", "model_dump", "model_dump_json", "dict", "json"})
_CHANGING: Final = {
    "os.environ": "the environment variables of whoever runs it",
    "os.getenv": "the environment variables of whoever runs it",
    "datetime.datetime.now": "the time",
    "datetime.datetime.utcnow": "the time",
    "datetime.datetime.today": "the time",
    "datetime.date.today": "the time",
    "time.time": "the time",
    "time.time_ns": "the time",
    "uuid.uuid1": "chance",
    "uuid.uuid4": "chance",
    "os.urandom": "chance",
}
_CHANGING_MODULES: Final = {"random": "chance", "secrets": "chance"}


def lint_source(text: str, file: str) -> list[Diagnostic]:
    """The problems of one Python file, in the order of its lines; `file` is how messages name it.

    Reading the environment's name in a blueprint, or in a function of the same file that is given the environment, is
    an error; values that differ from run to run are warnings. A file without a blueprint has no problems.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        return [
            Diagnostic(
                f"{file} is not valid Python: {getattr(error, 'msg', error)}",
                location=Location(file, line),
                code=SYNTAX,
            )
        ]
    nodes = list(ast.walk(tree))
    if not any(map(_is_blueprint, nodes)):
        return []
    places = dict.fromkeys(_name_reads(nodes))
    found = [_branches(node, file) for node in places]
    found += [_changes(node, what, file) for node, what in _changing(nodes)]
    return sorted(found, key=lambda item: (item.location and (item.location.line, item.location.column)) or (0, 0))


def _branches(node: ast.AST, file: str) -> Diagnostic:
    return Diagnostic(
        "A blueprint reads the name of its environment",
        detail="What is tried out in one environment would then not be what runs in another.",
        remedy="Make it a parameter that each stack file sets, or ask env.tier for a default of safety.",
        location=_location(node, file),
        code=BRANCHES,
    )


def _changes(node: ast.AST, what: str, file: str) -> Diagnostic:
    return Diagnostic(
        f"{ast.unparse(node)} makes a blueprint depend on {what}",
        detail="The same stack file would come to another graph on another machine or at another time.",
        remedy="Make it a parameter of the blueprint.",
        location=_location(node, file),
        code=CHANGES,
        severity=Severity.WARNING,
    )


def _location(node: ast.AST, file: str) -> Location:
    column = getattr(node, "col_offset", None)
    return Location(file, getattr(node, "lineno", None), None if column is None else column + 1)


# ------------------------------------------------------------------------------------------ the environment's name


def _name_reads(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Every read of an environment's name, in blueprints and in the functions that they give the environment to."""
    functions = {item.name: item for item in nodes if isinstance(item, _Function)}
    waiting = [(item, name) for item in functions.values() for name in _environments(item)]
    seen = set(waiting)
    while waiting:
        function, parameter = waiting.pop()
        aliases = _aliases(function, parameter)
        yield from (item for item in ast.walk(function) if _reads_name(item, aliases))
        for called in _handed_on(function, aliases, functions):
            if called not in seen:
                seen.add(called)
                waiting.append(called)


def _is_blueprint(node: ast.AST) -> bool:
    """Whether a node is a function decorated with `@blueprint(...)`."""
    decorators = node.decorator_list if isinstance(node, _Function) else []
    names = [item.func if isinstance(item, ast.Call) else item for item in decorators]
    return any(_last(name) == "blueprint" for name in names)


def _environments(function: _Function) -> Iterator[str]:
    """The parameters that are the environment: a blueprint's first, and every one annotated so."""
    parameters = _parameters(function)
    if _is_blueprint(function) and parameters:
        yield parameters[0].arg
    for parameter in parameters[int(_is_blueprint(function)) :]:
        annotation = parameter.annotation
        text = annotation.value if isinstance(annotation, ast.Constant) else _last(annotation)
        if text == "Environment":
            yield parameter.arg


def _parameters(function: _Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _aliases(function: _Function, name: str) -> frozenset[str]:
    """The names that a variable goes by in a function."""
    names = {name}
    pairs = [pair for item in ast.walk(function) for pair in _assigned(item)]
    while more := {
        target.id
        for target, value in pairs
        if isinstance(target, ast.Name) and isinstance(value, ast.Name) and value.id in names and target.id not in names
    }:
        names |= more
    return frozenset(names)


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets and values of an assignment, tuples taken apart."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _unpacked(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            yield target, value


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for left, right in zip(target.elts, value.elts, strict=False):
            yield from _unpacked(left, right)
    else:
        yield target, value


def _reads_name(node: ast.AST, names: frozenset[str]) -> bool:
    """Whether a node reads the name of an environment that goes by one of `names`."""
    match node:
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
            return owner in names and (attribute == "name" or attribute in _DUMPS)
        case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=owner), ast.Constant(value="name"), *_]):
            return owner in names
        case ast.Call(func=ast.Call(func=getter, args=[ast.Constant(value="name")]), args=[ast.Name(id=owner)]):
            return owner in names and _last(getter) == "attrgetter"
        case ast.Call(func=function, args=[ast.Name(id=owner), *_]):
            return owner in names and _last(function) in _TEXTS
        case ast.FormattedValue(value=ast.Name(id=owner)):
            return owner in names
        case ast.Match(subject=ast.Name(id=owner), cases=cases):
            return owner in names and any(_takes_name(case.pattern) for case in cases)
    return False


def _takes_name(pattern: ast.pattern) -> bool:
    """Whether a pattern looks at an attribute `name`, or at attributes by their positions: the name is the first."""
    classes = [item for item in ast.walk(pattern) if isinstance(item, ast.MatchClass)]
    return any("name" in item.kwd_attrs or item.patterns for item in classes)


def _handed_on(
    function: _Function, names: frozenset[str], functions: dict[str, _Function]
) -> Iterator[tuple[_Function, str]]:
    """Functions of this file that are given the environment, with the parameter that it becomes."""
    for call in ast.walk(function):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in functions:
            continue
        called = functions[call.func.id]
        parameters = [item.arg for item in _parameters(called)]
        given = [*zip(parameters, call.args, strict=False), *((item.arg, item.value) for item in call.keywords)]
        for parameter, value in given:
            if isinstance(value, ast.Name) and value.id in names and parameter in parameters:
                yield called, str(parameter)


# ------------------------------------------------------------------------------------------ what changes by itself


def _changing(nodes: Sequence[ast.AST]) -> Iterator[tuple[ast.AST, str]]:
    """Expressions that have another value in another run, and what it depends on."""
    imported = _imports(nodes)
    inner = {item.value for item in nodes if isinstance(item, ast.Attribute)}
    seeded = {item.func for item in nodes if isinstance(item, ast.Call) and item.args}
    for node in nodes:
        if not isinstance(node, ast.Attribute | ast.Name) or not isinstance(node.ctx, ast.Load):
            continue
        dotted = _dotted(node, imported)
        if dotted in _CHANGING:
            yield node, _CHANGING[dotted]
        module, _, name = dotted.partition(".")
        # `random` itself is only the module, and a generator with a seed gives the same numbers every time.
        seeded_generator = dotted == "random.Random" and node in seeded
        if module in _CHANGING_MODULES and name and node not in inner and not seeded_generator:
            yield node, _CHANGING_MODULES[module]


def _imports(nodes: Sequence[ast.AST]) -> dict[str, str]:
    """Imported names, with what they stand for."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for item in node.names:
                package = item.name.partition(".")[0]
                found[item.asname or package] = item.name if item.asname else package
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update({item.asname or item.name: f"{node.module}.{item.name}" for item in node.names})
    return found


def _dotted(node: ast.expr, imported: dict[str, str]) -> str:
    """The full dotted name of what an expression names, empty for what is no imported name."""
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, imported)
        return f"{owner}.{node.attr}" if owner else ""
    return imported.get(node.id, "") if isinstance(node, ast.Name) else ""


def _last(node: ast.expr | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
