"""Physical names: deterministic, within the limits of what they name, unique where they must be; and nodes' names."""

from __future__ import annotations

import hashlib
import re

_OTHER = re.compile(r"[^a-z0-9-]+")


def short_hash(*parts: str, length: int = 8) -> str:
    """A hash of the parts in lower-case hexadecimal digits; the parts' boundaries count."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:length]


def dns_label(*parts: str, limit: int = 63) -> str:
    """The parts joined by hyphens, as an RFC 1123 label of at most `limit` characters.

    What is too long keeps its beginning and ends with a hash of the whole, so that two long names that begin alike
    stay two names. Source of the form and of the limit of 63: Kubernetes, "Object Names and IDs".
    """
    text = _OTHER.sub("-", "-".join(part for part in parts if part).lower()).strip("-")
    if len(text) <= limit:
        return text
    mark = short_hash(*parts)
    if limit <= len(mark) + 1:
        return mark[:limit]
    return f"{text[: limit - len(mark) - 1].rstrip('-')}-{mark}"


def global_name(*parts: str, scope: str, limit: int = 63) -> str:
    """A name that is unique in the world, as S3 wants it: the parts and a hash of them and of `scope`.

    `scope` tells apart who else might use the same parts: an AWS account id.
    """
    mark = short_hash(scope, *parts)
    return f"{dns_label(*parts, limit=limit - len(mark) - 1)}-{mark}"


def name_of(urn: str) -> str:
    """The name of the node that a URN is of."""
    return urn.rpartition("::")[2]


def type_of(urn: str) -> str:
    """The type token in a URN: of `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME` it is TYPE."""
    return urn.split("::")[2].rpartition("$")[2]


def component_of(node: str) -> str:
    """The name of the component that a node belongs to, or is."""
    return node.partition("/")[0]
