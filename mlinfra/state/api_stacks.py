"""Endpoints about stacks and their states."""

from __future__ import annotations

from urllib.parse import unquote

from mlinfra.state import deployments, stacks, updates
from mlinfra.state.context import Context
from mlinfra.state.deployments import Untyped
from mlinfra.state.entries import Json
from mlinfra.state.refused import RefusedError
from mlinfra.state.renaming import renamed
from mlinfra.state.replay import ReplayError, replay
from mlinfra.state.requests import Request, inspect, texts, valid_name
from mlinfra.state.stacks import Name, StackRow
from mlinfra.state.store import Transaction
from mlinfra.state.updates import Asked


def create(context: Context, request: Request) -> Json:
    """Make a stack, with a state if one is given."""
    name = request.name(request.field("stackName", str))
    tags = texts(request.field("tags", dict, {}), "tags")
    state = request.field("state", dict, {})
    with context.store.transaction() as tx:
        made = stacks.create(tx, name, tags)
        if state:
            deployments.save(tx, made.id, 0, untyped(state))
    return {}


def get(context: Context, request: Request) -> Json:
    """A stack, and what runs on it."""
    with context.store.transaction() as tx:
        stack = request.stack(tx)
        found: Json = {
            "id": str(stack.id),
            "orgName": stack.name.organization,
            "projectName": stack.name.project,
            "stackName": stack.name.stack,
            "activeUpdate": stack.active or "",
            "tags": dict(stack.tags),
            "version": stack.version,
        }
        if stack.active:
            running = updates.find(tx, stack, stack.active)
            found["currentOperation"] = {
                "kind": running.kind,
                "author": running.author,
                "started": int(running.started),
            }
    return found


def delete(context: Context, request: Request) -> Json:
    """Remove a stack and its whole history; one that still has resources only with `force`."""
    with context.store.transaction() as tx:
        stack = request.stack(tx)
        updates.free(tx, stack)
        newest = deployments.load(tx, stack.id)
        if newest and newest.resources and request.query("force") != "true":
            raise RefusedError(400, "Stack still contains resources.")  # the engine compares the whole sentence
        stacks.remove(tx, stack.id)
    return {}


def project_exists(context: Context, request: Request) -> Json:
    """Whether there is a stack in a project."""
    name = request.name("any")
    with context.store.transaction() as tx:
        if not stacks.has_project(tx, name.organization, name.project):
            raise RefusedError(404, "")
    return {}


def tags(context: Context, request: Request) -> Json:
    """Replace a stack's tags."""
    wanted = texts(request.body, "tags")
    with context.store.transaction() as tx:
        stacks.set_tags(tx, request.stack(tx).id, wanted)
    return {}


def rename(context: Context, request: Request) -> Json:
    """Rename a stack, and with it every URN in its state."""
    old = request.name()
    project = valid_name(request.field("newProject", str, "") or old.project)
    new = Name(old.organization, project, valid_name(request.field("newName", str, "") or old.stack))
    with context.store.transaction() as tx:
        stack = request.stack(tx)
        updates.free(tx, stack)
        if new != old:
            stacks.set_name(tx, stack.id, new)
            _rename_state(tx, stack, request, new)
    return {}


def export(context: Context, request: Request) -> Json:
    """A stack's state, or that of an older version.

    While an update runs, or after its engine died, the newest is what its journal says so far.
    """
    version = int(request.parts["version"]) if "version" in request.parts else None
    with context.store.transaction() as tx:
        found = current(tx, request.stack(tx), version)
    return found.as_json(context.url)


def import_(context: Context, request: Request) -> Json:
    """Give a stack another state. `pulumi state delete`, `rename`, `unprotect` come down to this too."""
    state = untyped(request.body)
    with context.store.transaction() as tx:
        stack = request.stack(tx)
        updates.free(tx, stack)
        asked = Asked("import", dry=False, author=request.caller.login)
        identity, _ = updates.replace(tx, stack, state, asked)
    return {"updateId": identity}


def current(tx: Transaction, stack: StackRow, version: int | None = None) -> Untyped:
    """A stack's state as far as it is known, or as of a version; that of a new stack when there is none.

    The state of a version that came to none, as of an update that failed before its first step, is the one before it.
    """
    running = updates.find(tx, stack, stack.active) if stack.active and version is None else None
    found = updates.folded(tx, running) if running else None
    return found or deployments.load(tx, stack.id, version) or Untyped()


def untyped(body: Json) -> Untyped:
    """A deployment as the engine sends it; raises `RefusedError` with 400 for one that it could not load again."""
    schema, features, deployment = body.get("version", 3), body.get("features") or [], body.get("deployment")
    if schema not in (3, 4) or isinstance(schema, bool):
        raise RefusedError(400, "the deployment is of another version than 3 or 4")
    if not isinstance(features, list) or not all(isinstance(item, str) for item in features):
        raise RefusedError(400, "features is no list of texts")
    if deployment is None:
        return Untyped()
    if not isinstance(deployment, dict):
        raise RefusedError(400, "the deployment is no JSON object")
    inspect(deployment)
    try:
        replay(deployment, ())
    except ReplayError as error:
        raise RefusedError(400, f"the deployment is not sound: {error}") from None
    return Untyped(schema, tuple(features), deployment)


def _rename_state(tx: Transaction, stack: StackRow, request: Request, new: Name) -> None:
    whole = deployments.load(tx, stack.id)
    if whole is not None:
        changed = Untyped(whole.schema, whole.features, renamed(whole.deployment, stack.name, new))
        message = f"renamed from {unquote(str(stack.name))}"
        updates.replace(tx, stack, changed, Asked("rename", dry=False, author=request.caller.login, message=message))
