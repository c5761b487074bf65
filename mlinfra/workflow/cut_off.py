"""Creates that were cut off and that no provider of ours can look for: told to a person, with what to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.engine.session import Session
from mlinfra.graph import Graph
from mlinfra.naming import name_of, type_of


def forgotten(graph: Graph, unfinished: Mapping[str, Set[str]]) -> list[str]:
    """The URNs of what neither the state nor the blueprint has any more: no run will come across it."""
    return sorted(urn for urn, ids in unfinished.items() if not ids and name_of(urn) not in graph.nodes)


def left_behind(graph: Graph, session: Session, unfinished: Mapping[str, Set[str]]) -> list[Diagnostic]:
    """Warnings of what may have been made and was forgotten by everybody."""
    return [
        Diagnostic(
            f"{name_of(urn)} may be there and is in no state: "
            "its creation was cut off, and the blueprint has it no more",
            detail=f"It is of type {type_of(urn)}, of stack {session.stack}.",
            remedy="Put it back into the blueprint, run `up`, and take it out again. Or look for it on the target, "
            f"delete it there, and remove {session.project.relative(session.cut_off)}.",
            resource=name_of(urn),
            code="left-behind",
            severity=Severity.WARNING,
        )
        for urn in forgotten(graph, unfinished)
    ]


def undecided(session: Session, unfinished: Collection[str], attached: Collection[str]) -> list[Diagnostic]:
    """Errors for what an official plugin would make a second time.

    `attached` are the packages that our own providers serve, which look for themselves. AWS refuses a name that is
    taken, and the Kubernetes API has one object of a name: only where AWS chooses the id, a second one would be made.
    """
    remedy = (
        "If it is there, delete it, or leave it to be nobody's. "
        f"Then say that it is settled by removing {session.project.relative(session.cut_off)}, and run the command "
        "again: it is made."
    )
    return [
        Diagnostic(
            f"nobody knows whether {name_of(urn)} was made: its creation was cut off",
            detail=f"It is of type {type_of(urn)}. AWS chooses its id, so a run that goes on might make a second one. "
            f"Look for it in the account: what was made of this type lately, with the tags of stack {session.stack}.",
            remedy=remedy,
            resource=name_of(urn),
            code="creation-unknown",
        )
        for urn in sorted(unfinished)
        if type_of(urn).partition(":")[0] not in attached and _doubles(type_of(urn))
    ]


def _doubles(token: str) -> bool:
    """Whether a second create makes a second resource, as far as is known."""
    if token.startswith(("kubernetes:", "pulumi:")):  # the engine's own are in its state and nowhere else
        return False
    from mlinfra.providers.aws.registry import RESOURCES  # only needed after a crash: it loads botocore

    return token not in RESOURCES or RESOURCES[token].marked
