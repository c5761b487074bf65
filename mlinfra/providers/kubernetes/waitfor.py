"""The annotation `pulumi.com/waitFor`: what an object waits for, for kinds that nothing else is known of.

A value is `condition=TYPE` or `condition=TYPE=STATUS`, `jsonpath={.field.field}` or `jsonpath={.field.field}=VALUE`, or
a JSON list of such values. Source: the annotation of the official provider, whose values are those of `kubectl wait`:
https://kubernetes.io/docs/reference/kubectl/generated/kubectl_wait/
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from mlinfra.providers.kubernetes.client import Object
from mlinfra.providers.kubernetes.objects import lookup

_CONDITION = re.compile(r"condition=(?P<type>[^=]+)(?:=(?P<status>.+))?")
_FIELD = re.compile(r"jsonpath=\{?\.(?P<field>[\w-]+(?:\.[\w-]+)*)\}?(?:=(?P<value>.+))?")


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing to wait for: a condition with a status, or a field with a value (None: any)."""

    condition: str = ""
    field: str = ""
    value: str | None = None

    def missing(self, item: Object) -> str | None:
        """None once it is so, else what is waited for, in words."""
        if self.condition:
            return self._missing_condition(item)
        found = lookup(item, *self.field.split("."))
        shown = json.dumps(found) if isinstance(found, bool | dict | list) else str(found)
        if found is not None and self.value in (None, shown):
            return None
        wanted = "be set" if self.value is None else f"be {self.value}"
        return f"{self.field} to {wanted} (now {'not set' if found is None else shown})"

    def _missing_condition(self, item: Object) -> str | None:
        found = condition(item, self.condition)
        status = found.get("status", "not set")
        if str(status).lower() == (self.value or "True").lower():
            return None
        message = f": {found['message']}" if found.get("message") else ""
        return f"condition {self.condition} to be {self.value or 'True'} (now {status}{message})"


def condition(item: Object, name: str) -> Object:
    """A condition in an object's status, or an empty one. The case of its name does not matter, as with kubectl."""
    conditions = lookup(item, "status", "conditions") or []
    return next((entry for entry in conditions if str(entry.get("type")).lower() == name.lower()), {})


def parse(annotation: str) -> list[Wait]:
    """Read the annotation's value. Raises `ValueError` with a sentence for one that is not understood."""
    if annotation.lstrip().startswith("["):
        try:
            parts = json.loads(annotation)
        except json.JSONDecodeError:
            raise ValueError("is not a JSON list") from None
    else:
        parts = [annotation]
    return [_parse(str(part).strip()) for part in parts]


def _parse(part: str) -> Wait:
    if match := _CONDITION.fullmatch(part):
        return Wait(condition=match["type"], value=match["status"])
    if match := _FIELD.fullmatch(part):
        return Wait(field=match["field"], value=match["value"])
    raise ValueError(
        f"is {part!r}, which is neither condition=TYPE, condition=TYPE=STATUS, jsonpath={{.field}} "
        "nor jsonpath={.field}=VALUE"
    )
