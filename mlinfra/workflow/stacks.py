"""`stacks`: the project's stack files, and whether each can be read."""

from __future__ import annotations

from mlinfra.diagnostics import MlinfraError
from mlinfra.project import Project
from mlinfra.report import Fact
from mlinfra.stack import load_stack, stack_names


def list_stacks(project: Project) -> list[Fact]:
    """A fact for each stack file; one that cannot be read says why."""
    return [_fact(project, name) for name in stack_names(project)]


def _fact(project: Project, name: str) -> Fact:
    try:
        file = load_stack(project, name).file
    except MlinfraError as error:
        return Fact(name, well=False, detail=error.diagnostics[0].summary)
    fields = {
        "blueprint": file.blueprint,
        "environment": file.environment.name,
        "tier": str(file.environment.tier),
        "target": file.target.kind,
        "owner": file.owner.team,
    }
    detail = "{blueprint} as {environment} ({tier}) on {target}, of {owner}".format(**fields)
    return Fact(name, well=True, detail=detail, fields=fields)
