"""What the last update of a stack left behind, as a digest: a run on the same stack and state has nothing to plan for.

The digest is of the graph, of what it was sent to, of the versions that took part, and of the state after the update.
Whatever else has touched the state since (another machine, a restored version, `pulumi` itself) makes another digest,
and so has the run planned. Values that are looked up are not in it; the engine's own protection stands behind it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from mlinfra.engine.session import Session
from mlinfra.graph import Graph
from mlinfra.stack import Stack


def digest(graph: Graph, stack: Stack, versions: Mapping[str, str], resources: Iterable[Mapping[str, Any]]) -> str:
    """The digest of a stack and the resources in its state."""
    whole = {
        "mlinfra": importlib.metadata.version("mlinfra-platform"),
        "versions": dict(versions),
        "target": stack.file.target.model_dump(),
        "graph": graph.to_json(sources=False),
        "state": sorted(resources, key=lambda item: (item["urn"], item.get("id", ""))),
    }
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()


def is_applied(session: Session, found: str) -> bool:
    """Whether the last update of the stack on this machine has left just this."""
    try:
        return session.applied.read_text() == found
    except FileNotFoundError:
        return False


def note(session: Session, left: str) -> None:
    """Note what an update that succeeded has left."""
    session.applied.write_text(left)
