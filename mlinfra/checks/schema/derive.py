"""A token's schema, derived from the class or the function that the SDK has for it.

Where each fact stands in the generated code:

- the inputs of a resource: the getters of its arguments class, which `_internal_init` names in
  `__props__ = XArgs.__new__(XArgs)` (`XInitArgs` where a nested type took the name `XArgs`);
- wire names: `@pulumi.getter(name="wireName")`; required: a keyword of that class' `__init__` without a default;
- outputs: the getters of the resource class; secrets: `pulumi.Output.secret(...)` and `additional_secret_outputs`;
- former tokens: `pulumi.Alias(type_=...)`; deprecations: `@_utilities.deprecated(...)`, and `warnings.warn(...)` in the
  class' body;
- a function's inputs: its parameters, under the keys of `__args__`; its outputs: the getters of its result class.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from mlinfra.checks.schema.annotations import Reader
from mlinfra.checks.schema.model import Property, Schema
from mlinfra.checks.schema.source import Package


def derive_resource(package: Package, token: str) -> Schema | None:
    """The schema of a resource token, or None where the package has no such token.

    Types that the SDK builds by hand (charts, YAML files) have no arguments class: their schema is open.
    """
    found = package.resources.get(token)
    if found is None:
        return None
    folder, name = found
    module = package.module_of(folder, name)
    return _resource(package, token, module, name) if module else Schema(token, open=True)


def derive_provider(package: Package) -> Schema:
    """The schema of a provider instance, `pulumi:providers:NAME`."""
    return _resource(package, f"pulumi:providers:{package.name}", "provider", "Provider")


def derive_function(package: Package, token: str, module: str) -> Schema | None:
    """The schema of a function in `module`, or None where it is not there."""
    name = module.rpartition("/")[2]
    body = package.definition(module, name)
    if not isinstance(body, ast.FunctionDef):
        return None
    reader = Reader(package, module.rpartition("/")[0])
    parameters = {argument.arg: argument for argument in body.args.args}
    required = _required_parameters(package, module, name)
    inputs = {
        wire: Property(reader.read(parameters[python_name].annotation), python_name in required, python_name)
        for wire, python_name in _arguments(body)
    }
    result = next(
        (keyword.value for call in _calls(body, "invoke") for keyword in call.keywords if keyword.arg == "typ"), None
    )
    outputs = derive_properties(package, f"{module}:{result.id}") if isinstance(result, ast.Name) else {}
    return Schema(token, inputs, outputs, open=not outputs)


def _required_parameters(package: Package, module: str, name: str) -> set[str]:
    """The parameters of a function that it cannot do without.

    All have a default; in the variant that takes outputs, `NAME_output`, one that may be left out is annotated
    `Optional` twice, and a required one once.
    """
    variant = package.definition(module, f"{name}_output")
    parameters = variant.args.args if isinstance(variant, ast.FunctionDef) else []
    return {item.arg for item in parameters if _optionals(item.annotation) < 2}


def _optionals(annotation: ast.expr | None) -> int:
    """How many `Optional` a type is wrapped in."""
    found = 0
    while isinstance(annotation, ast.Subscript) and (head := _last_name(annotation.value)) in ("Optional", "Input"):
        found += head == "Optional"
        annotation = annotation.slice
    return found


def derive_properties(package: Package, name: str) -> dict[str, Property]:
    """The properties of an object type; `name` is that of its `Type`: `MODULE:CLASS`."""
    module, _, class_name = name.partition(":")
    definition = package.definition(module, class_name)
    if not isinstance(definition, ast.ClassDef):
        return {}
    folder, _, stem = module.rpartition("/")
    return _getters(definition, Reader(package, folder, "_inputs" if stem == "_inputs" else "outputs"))


def _resource(package: Package, token: str, module: str, name: str) -> Schema:
    definition = package.definition(module, name)
    body = _method(definition, "_internal_init") if isinstance(definition, ast.ClassDef) else None
    arguments = body and _arguments_class(body)
    inputs_class = package.definition(module, arguments) if arguments else None
    if not isinstance(definition, ast.ClassDef) or body is None or not isinstance(inputs_class, ast.ClassDef):
        return Schema(token, open=True)
    folder = module.rpartition("/")[0]
    secrets = {ast.unparse(call.args[0]) for call in _calls(body, "secret") if call.args}
    inputs = {
        wire: replace(item, secret=item.python_name in secrets)
        for wire, item in _getters(inputs_class, Reader(package, folder)).items()
    }
    outputs = _getters(definition, Reader(package, folder, "outputs"))
    aliases = [keyword.value for call in _calls(body, "Alias") for keyword in call.keywords if keyword.arg == "type_"]
    hidden = [
        item
        for call in _calls(body, "ResourceOptions")
        for keyword in call.keywords
        if keyword.arg == "additional_secret_outputs"
        for item in ast.literal_eval(keyword.value)
    ]
    return Schema(
        token, inputs, outputs, tuple(map(ast.literal_eval, aliases)), tuple(hidden), _class_warning(definition)
    )


def _getters(definition: ast.ClassDef, reader: Reader) -> dict[str, Property]:
    """The properties of a class: a getter each, with what `__init__` says about whether it is required."""
    init = _method(definition, "__init__")
    defaults = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True) if init else ()
    required = {argument.arg for argument, default in defaults if default is None}
    found: dict[str, Property] = {}
    for item in definition.body:
        if isinstance(item, ast.FunctionDef) and (wire := _wire_name(item)):
            found[wire] = Property(
                reader.read(item.returns), item.name in required, item.name, deprecated=_deprecation(item)
            )
    return found


def _wire_name(method: ast.FunctionDef) -> str | None:
    """The wire name in a getter's decorators; None for what is no getter."""
    for decorator in method.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        if _last_name(call.func if call else decorator) == "getter":
            named = [keyword.value for keyword in call.keywords if keyword.arg == "name"] if call else []
            return str(ast.literal_eval(named[0])) if named else method.name
    return None


def _deprecation(method: ast.FunctionDef) -> str:
    """The message of `@deprecated(...)`, empty without one."""
    for decorator in method.decorator_list:
        if isinstance(decorator, ast.Call) and _last_name(decorator.func) == "deprecated":
            return _sentence(ast.literal_eval(decorator.args[0]))
    return ""


def _class_warning(definition: ast.ClassDef) -> str:
    """The message of a `warnings.warn(...)` that stands in the class' own body, empty without one."""
    for item in definition.body:
        if isinstance(item, ast.Expr) and isinstance(item.value, ast.Call) and _last_name(item.value.func) == "warn":
            return _sentence(ast.literal_eval(item.value.args[0]))
    return ""


def _arguments_class(body: ast.FunctionDef) -> str | None:
    """The class in `__props__ = XArgs.__new__(XArgs)`."""
    return next((ast.unparse(call.args[0]) for call in _calls(body, "__new__") if call.args), None)


def _arguments(body: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Wire names and parameters of a function: its statements `__args__['wireName'] = parameter`."""
    for item in body.body:
        match item:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id="__args__"), slice=ast.Constant(value=str(wire)))],
                value=ast.Name(id=python_name),
            ):
                yield wire, python_name


def _calls(body: ast.AST, name: str) -> Iterator[ast.Call]:
    return (item for item in ast.walk(body) if isinstance(item, ast.Call) and _last_name(item.func) == name)


def _method(definition: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((item for item in definition.body if isinstance(item, ast.FunctionDef) and item.name == name), None)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _sentence(text: str) -> str:
    """A message as one line that ends with a full stop."""
    line = re.sub(r"\s+", " ", text).strip()
    return line if line.endswith((".", "!", "?")) else f"{line}."
