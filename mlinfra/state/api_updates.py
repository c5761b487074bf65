"""Endpoints about updates: asked for, started, journalled, told of, ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from mlinfra.state import deployments, holds, stacks, updates
from mlinfra.state.api_stacks import untyped
from mlinfra.state.context import Context
from mlinfra.state.entries import VERSION, Json, Kind
from mlinfra.state.refused import RefusedError
from mlinfra.state.requests import Request, inspect, texts
from mlinfra.state.updates import Asked, Update
from mlinfra.wire.values import SIGNATURE

_ENGINE: Final = re.compile(r"\((v[0-9A-Za-z.+-]{1,64});")
_LARGEST: Final = (1 << 63) - 1
_ENDINGS: Final = (updates.SUCCEEDED, updates.FAILED, updates.CANCELLED)
_RESULTS: Final = {updates.RUNNING: "in-progress", updates.SUCCEEDED: "succeeded"}


def create(context: Context, request: Request) -> Json:
    """Note an update that is about to start. `options.dryRun` makes a preview of any kind of it."""
    metadata, options = request.field("metadata", dict, {}), request.field("options", dict, {})
    config = request.field("config", dict, {})
    inspect([metadata, config])
    environment = metadata.get("environment") or {}
    if not isinstance(environment, dict):
        raise RefusedError(400, "environment is no JSON object")
    engine = _ENGINE.search(request.head.headers.get("user-agent", ""))
    asked = Asked(
        kind=request.parts["kind"],
        dry=request.parts["kind"] == "preview" or bool(options.get("dryRun")),
        author=request.caller.login,
        engine=engine[1] if engine else "",
        message=str(metadata.get("message") or ""),
        environment=texts(environment, "environment"),
        config=config,
    )
    with context.store.transaction() as tx:
        identity = updates.create(tx, request.stack(tx), asked)
    return {"updateID": identity, "requiredPolicies": [], "messages": []}


def start(context: Context, request: Request) -> Json:
    """Give an update the stack. The engine wants a token for a preview too."""
    tags = request.field("tags", dict, {})
    with context.store.transaction() as tx:
        stack = request.stack(tx)
        if context.hold is not None and context.hold[0] == stack.id and not holds.is_held(tx, *context.hold):
            raise RefusedError(403, "the stack was taken from this run: it was cancelled")
        version, token, expires = updates.start(tx, stack, updates.find(tx, stack, request.parts["update"]))
        if tags:
            stacks.set_tags(tx, stack.id, texts(tags, "tags"))
    # Any other journal version than 1, or 0 to do without, ends the engine.
    journal_version = 1 if request.field("journalVersion", int, 0) >= 1 else 0
    return {"version": version, "token": token, "tokenExpiration": int(expires), "journalVersion": journal_version}


def journal(context: Context, request: Request) -> Json:
    """Keep entries of the journal: on disk before the reply."""
    entries = request.field("entries", list, [])
    for entry in entries:
        _check_entry(entry)
        inspect([entry])
    with context.store.transaction() as tx:
        found = request.lease(tx)
        if entries:
            updates.append(tx, found, entries)
    return {}


def checkpoint(context: Context, request: Request) -> Json:
    """Keep a whole state, as engines without a journal send it: a journal of one entry that replaces the base."""
    whole = untyped(request.body)
    entry = {
        "version": VERSION,
        "kind": Kind.WRITE.value,
        "operationID": 0,
        "sequenceID": 1,
        "newSnapshot": whole.deployment,
    }
    with context.store.transaction() as tx:
        found = request.lease(tx)
        updates.forget_journal(tx, found.id)
        updates.append(tx, found, [entry])
    return {}


def events(context: Context, request: Request) -> Json:
    """Keep what the engine tells, secrets taken out."""
    batch = request.field("events", list, [])
    if not all(isinstance(event, dict) for event in batch):
        raise RefusedError(400, "an event is no JSON object")
    first = _whole(batch[0].get("sequence"), "sequence", least=0) if batch else 0
    with context.store.transaction() as tx:
        found = request.lease(tx)
    if not batch or found.dry:  # what a preview tells is nobody's history
        return {}
    for event in batch:
        inspect([event])
    changes = [event["summaryEvent"].get("resourceChanges") for event in batch if _is_summary(event)]
    counts = changes[-1] if changes and _are_counts(changes[-1]) else None
    batch = _redacted(context, batch)
    with context.store.transaction() as tx:
        updates.tell(tx, request.lease(tx), first, batch, counts)
    return {}


def list_events(context: Context, request: Request) -> Json:
    """All that the engine told of an update."""
    with context.store.transaction() as tx:
        return {"events": updates.told(tx, request.update(tx))}


def renew(context: Context, request: Request) -> Json:
    """Hold on to the stack for longer, `duration` seconds at most."""
    seconds = request.field("duration", int, int(updates.LEASE_SECONDS))
    if seconds < 1:
        raise RefusedError(400, "duration is no number of seconds")
    with context.store.transaction() as tx:
        expires = updates.renew(tx, request.lease(tx), float(min(seconds, int(updates.LEASE_SECONDS))))
    return {"token": request.caller.update_token, "tokenExpiration": int(expires)}


def complete(context: Context, request: Request) -> Json:
    """End an update; a second time, after a reply that was lost, changes nothing."""
    status = request.field("status", str)
    if status not in _ENDINGS:
        raise RefusedError(400, f"status is none of {', '.join(_ENDINGS)}")
    with context.store.transaction() as tx:
        found = request.lease(tx, running=False)
        if found.status == updates.RUNNING:
            updates.finish(tx, updates.by_id(tx, found.id), status, keep_token=True)
            deployments.prune(tx, found.stack, count=context.count, seconds=context.seconds)
            updates.prune(tx, found.stack, context.seconds)
    return {}


def cancel(context: Context, request: Request) -> Json:
    """End somebody's update: its engine is refused at its next step, and stops."""
    with context.store.transaction() as tx:
        found = request.update(tx)
        if found.status != updates.RUNNING:
            raise RefusedError(409, "The Update has already completed")
        updates.finish(tx, found, updates.CANCELLED)
    return {}


def status(context: Context, request: Request) -> Json:
    """How an update stands; without a `continuationToken` the engine asks no further."""
    with context.store.transaction() as tx:
        return {"status": request.update(tx).status, "events": []}


def history(context: Context, request: Request) -> Json:
    """The updates of a stack, newest first."""
    size, page = request.number("pageSize", 1000, most=1000), request.number("page", 1, most=10**6)
    with context.store.transaction() as tx:
        found = updates.history(tx, request.stack(tx), size, size * (page - 1))
    return {"updates": [_info(item) for item in found]}


def latest(context: Context, request: Request) -> Json:
    """The newest update of a stack."""
    with context.store.transaction() as tx:
        found = updates.history(tx, request.stack(tx), 1)
    if not found:
        raise RefusedError(404, "the stack was never updated")
    return {"info": _info(found[0])}


def one(context: Context, request: Request) -> Json:
    """The update that led to a version."""
    with context.store.transaction() as tx:
        found = updates.of_version(tx, request.stack(tx), int(request.parts["version"]))
    return {"info": _info(found)}


def _redacted(context: Context, batch: list[Json]) -> list[Json]:
    """A batch without secrets. Looking through its text first spares most batches the walk through all their values."""
    text = orjson.dumps(batch).decode()
    if SIGNATURE not in text and context.redactor.text(text) == text:
        return batch
    return list(context.redactor.data(batch))


def _info(found: Update) -> Json:
    return {
        "kind": found.kind,
        "startTime": int(found.started),
        "endTime": int(found.ended or 0),
        "message": found.details["message"],
        "environment": found.details["environment"],
        "config": found.details["config"],
        "result": _RESULTS.get(found.status, "failed"),
        "version": found.version,
        "resourceChanges": dict(found.changes),
    }


def _check_entry(entry: Any) -> None:
    """An entry has the form of one; whether it makes sense among the others is seen when the journal is replayed."""
    if not isinstance(entry, dict) or entry.get("version") != VERSION:
        raise RefusedError(400, f"a journal entry is not of version {VERSION}")
    _whole(entry.get("sequenceID"), "sequenceID", least=1)
    _whole(entry.get("operationID", 0), "operationID", least=0)
    if _whole(entry.get("kind"), "kind", least=0) not in set(Kind):
        raise RefusedError(400, "a journal entry is of no known kind")


def _whole(value: Any, what: str, *, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LARGEST:
        raise RefusedError(400, f"{what} is missing, or no whole number from {least}")
    return value


def _is_summary(event: Mapping[str, Any]) -> bool:
    return isinstance(event.get("summaryEvent"), dict)


def _are_counts(changes: Any) -> bool:
    return isinstance(changes, dict) and all(isinstance(count, int) for count in changes.values())
