"""Schemas by token, from the cache or from the installed SDK.

catalog = Catalog(cache_folder() / "schema")
sdk = catalog.sdk("aws:s3/bucket:Bucket")               # None: pulumi_aws is not installed
schema = sdk.find(Kind.RESOURCE, "aws:s3/bucket:Bucket")  # None: it has no such token
sdk.properties(schema.inputs["website"].type)           # what is in an object
catalog.save()

What was found once is kept in memory for as long as the catalog is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from mlinfra.checks.schema.cache import Cache
from mlinfra.checks.schema.model import (
    ANY,
    Properties,
    Property,
    Schema,
    Shape,
    Type,
    properties_from_json,
    properties_to_json,
)
from mlinfra.checks.schema.source import Package, find_package, folders_of, forget
from mlinfra.graph import Kind, Node

PROVIDERS: Final = "pulumi:providers:"
_METADATA: Final = Type(Shape.OBJECT, name="meta/v1/_inputs:ObjectMetaArgs")

Read = TypeVar("Read")


def package_name(token: str) -> str:
    """The package that a token belongs to: `aws` of `aws:s3/bucket:Bucket` and of `pulumi:providers:aws`."""
    return token.removeprefix(PROVIDERS).partition(":")[0]


@dataclass
class Sdk:
    """One installed SDK. `deriving` is called each time before something is derived, because that takes a while."""

    package: Package
    cache: Cache
    deriving: Callable[[Package], None]
    _properties: dict[str, Properties] = field(default_factory=dict)
    _schemas: dict[tuple[Kind, str], Schema | None] = field(default_factory=dict)

    def find(self, kind: Kind, token: str) -> Schema | None:
        """The schema of a token, or None where the SDK has no such token."""
        key = (kind, token)
        if key not in self._schemas:
            self._schemas[key] = self._find(kind, token)
        return self._schemas[key]

    def properties(self, kind: Type) -> Properties:
        """The properties of an object type."""
        if kind.name not in self._properties:
            found = _read_back(properties_from_json, self.cache.get("objects", kind.name))
            if found is None:
                self.deriving(self.package)
                from mlinfra.checks.schema.derive import derive_properties

                found = derive_properties(self.package, kind.name)
                self.cache.put("objects", kind.name, properties_to_json(found))
            self._properties[kind.name] = found
        return self._properties[kind.name]

    def tokens(self, kind: Kind, near: str) -> list[str]:
        """The tokens of resources, or of functions in the module of `near`, to suggest one of them."""
        return list(self._functions(near) if kind is Kind.LOOKUP else self._resources)

    def _find(self, kind: Kind, token: str) -> Schema | None:
        name = f"{kind}:{token}"
        if (known := _read_back(Schema.from_json, self.cache.get("schemas", name))) is not None:
            return known
        if kind is Kind.RESOURCE and token not in self._resources:
            return self._custom_resource(token)
        self.deriving(self.package)
        schema = self._derive(kind, token)
        if schema is not None:
            self.cache.put("schemas", name, schema.as_json())
        return schema

    def _derive(self, kind: Kind, token: str) -> Schema | None:
        from mlinfra.checks.schema.derive import derive_function, derive_provider, derive_resource

        if kind is Kind.PROVIDER:
            return _text_inputs(derive_provider(self.package))
        if kind is Kind.LOOKUP:
            module = self._functions(token).get(token)
            return derive_function(self.package, token, module) if module else None
        return derive_resource(self.package, token)

    def _functions(self, token: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for folder in folders_of(self.package, token):
            found |= self.package.functions(folder)
        return found

    @cached_property
    def _resources(self) -> frozenset[str]:
        """Every resource token."""
        found = _read_back(frozenset, self.cache.get("tokens", "resources"))
        if found is None:
            found = frozenset(self.package.resources)
            self.cache.put("tokens", "resources", sorted(found))
        return found

    def _custom_resource(self, token: str) -> Schema | None:
        """`kubernetes:GROUP/VERSION:KIND` of a group that Kubernetes itself does not have: any object."""
        if self.package.name != "kubernetes":
            return None
        _, version, kind = token.split(":")
        group, slash, _ = version.partition("/")
        built_in = {known.split(":")[1].partition("/")[0] for known in self._resources}
        if group in built_in or "." not in group or not slash:
            return None
        inputs = {
            "apiVersion": Property(Type(Shape.ENUM, values=(version,)), python_name="api_version"),
            "kind": Property(Type(Shape.ENUM, values=(kind,)), python_name="kind"),
            "metadata": Property(_METADATA, python_name="metadata"),
        }
        return Schema(token, inputs, open=True)


@dataclass
class Catalog:
    """All installed SDKs. `folder` holds the caches; `save` writes what was derived."""

    folder: Path
    deriving: Callable[[Package], None] = lambda _: None
    _sdks: dict[str, Sdk | None] = field(default_factory=dict)

    def sdk(self, token: str) -> Sdk | None:
        """The SDK that a token belongs to, or None where it is not installed."""
        name = package_name(token)
        if name not in self._sdks:
            self._sdks[name] = self._open(name) if name.replace("-", "_").isidentifier() else None
        return self._sdks[name]

    def _open(self, name: str) -> Sdk | None:
        package = find_package(name)
        if package is None:
            return None
        return Sdk(package, Cache(self.folder / f"pulumi_{name}-{package.version}.json"), self.deriving)

    def schema(self, node: Node) -> Schema | None:
        """The schema of a node; None where the SDK is not installed or has no such token."""
        sdk = self.sdk(node.type)
        return sdk.find(node.kind, node.type) if sdk and _well_formed(node) else None

    def save(self) -> None:
        """Keep what was derived for later runs, and let go of the sources."""
        forget()
        for sdk in self._sdks.values():
            if sdk is not None:
                sdk.cache.save()


def _read_back(reader: Callable[[Any], Read], record: Any) -> Read | None:
    """A cached record, or None where there is none or it is damaged."""
    if record is None:
        return None
    try:
        return reader(record)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _well_formed(node: Node) -> bool:
    """Whether a token has the parts that its kind needs."""
    return node.kind is Kind.PROVIDER or node.type.count(":") == 2


def _text_inputs(schema: Schema) -> Schema:
    """A provider instance's inputs are texts on the wire; what is no text is sent as JSON text, so both are right."""
    inputs: dict[str, Property] = {}
    for name, item in schema.inputs.items():
        choices = item.type.of if item.type.shape is Shape.UNION else (item.type,)
        text = Type(Shape.STRING)
        either = item.type if text in choices or item.type == ANY else Type(Shape.UNION, (*choices, text))
        inputs[name] = replace(item, type=either)
    return replace(schema, inputs=inputs)
