"""What the SDKs know about types, derived from the installed packages, and the check of a graph against it.

The way of the data: `source` finds a class in a package as text → `annotations` and `derive` make a schema of it →
`cache` keeps it → `catalog` hands it out → `outputs` and `values` hold a graph's values against it → `check` tells.
No package is imported.
"""

from mlinfra.checks.schema.catalog import Catalog, Sdk
from mlinfra.checks.schema.check import check_schema
from mlinfra.checks.schema.model import Properties, Property, Schema, Shape, Type

__all__ = ["Catalog", "Properties", "Property", "Schema", "Sdk", "Shape", "Type", "check_schema"]
