"""Endpoints about the caller and the service itself."""

from __future__ import annotations

from mlinfra.state import stacks as store_stacks
from mlinfra.state.context import Context
from mlinfra.state.entries import Json
from mlinfra.state.refused import RefusedError
from mlinfra.state.requests import Caller, Request


def user(_: Context, request: Request) -> Json:
    """Who the caller is."""
    caller = known(request.caller)
    organizations = [_organization(name) for name in sorted(caller.organizations)]
    return {"id": caller.login, **_organization(caller.login), "organizations": organizations}


def default_organization(_: Context, request: Request) -> Json:
    """The organization that a stack belongs to when none is named."""
    return {"GitHubLogin": min(known(request.caller).organizations, default="")}


def stacks(context: Context, request: Request) -> Json:
    """The stacks that the caller may see; `organization` and `project` in the query narrow them down."""
    wanted = known(request.caller).organizations
    if named := request.query("organization"):
        wanted &= {named}
    with context.store.transaction() as tx:
        found = store_stacks.listed(tx, wanted, request.query("project"))
    return {
        "stacks": [
            {
                "orgName": item.name.organization,
                "projectName": item.name.project,
                "stackName": item.name.stack,
                "resourceCount": item.resources,
                **({} if item.updated is None else {"lastUpdate": int(item.updated)}),
            }
            for item in found
        ]
    }


def capabilities(_: Context, request: Request) -> Json:
    """What the service can do beyond the least.

    Without a deployment schema of version 4 the engine leaves out what is newer than 3, and import and create lose it.
    """
    del request
    schema = {"capability": "deployment-schema-version", "version": 1, "configuration": {"version": 4}}
    return {"capabilities": [{"capability": "batch-encrypt"}, schema]}


def known(caller: Caller) -> Caller:
    """A caller that is a user; raises `RefusedError` with 403 for an update."""
    if not caller.login:
        raise RefusedError(403, "an update's token opens its own update alone")
    return caller


def _organization(name: str) -> Json:
    return {"name": name, "githubLogin": name, "avatarUrl": "", "email": ""}
