"""Which request is answered by which function: the part of Pulumi Cloud's protocol that the stock engine uses.

Source: pkg/backend/httpstate/client/api_endpoints.go and client.go of pulumi/pulumi, version 3.222.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mlinfra.state import api_account, api_secrets, api_stacks, api_updates
from mlinfra.state.context import Context
from mlinfra.state.entries import Json
from mlinfra.state.refused import RefusedError
from mlinfra.state.requests import LARGE, SMALL, Caller, Callers, Head, Request, read_body

Handler = Callable[[Context, Request], Json]

_PROJECT: Final = r"/api/stacks/(?P<organization>[^/]+)/(?P<project>[^/]+)"
_STACK: Final = rf"{_PROJECT}/(?P<stack>[^/]+)"
_KIND: Final = "update|preview|refresh|destroy"
# The engine writes `update` here whatever the kind is.
_UPDATE: Final = rf"{_STACK}/(?:{_KIND})/(?P<update>[0-9a-f]{{32}})"


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, whose named groups are the request's parts; the most bytes of its body; what answers it."""

    method: str
    path: re.Pattern[str]
    handler: Handler
    limit: int = SMALL


def _route(method: str, path: str, handler: Handler, limit: int = SMALL) -> Route:
    return Route(method, re.compile(path), handler, limit)


ROUTES: Final = (
    # Those that are asked for again and again stand first.
    _route("PATCH", f"{_UPDATE}/journalentries", api_updates.journal, LARGE),
    _route("POST", f"{_UPDATE}/events/batch", api_updates.events, LARGE),
    _route("PATCH", f"{_UPDATE}/checkpoint", api_updates.checkpoint, LARGE),
    _route("POST", f"{_UPDATE}/renew_lease", api_updates.renew),
    _route("POST", f"{_UPDATE}/complete", api_updates.complete),
    _route("POST", f"{_UPDATE}/cancel", api_updates.cancel),
    _route("GET", f"{_UPDATE}/events", api_updates.list_events),
    _route("POST", _UPDATE, api_updates.start),
    _route("GET", _UPDATE, api_updates.status),
    _route("POST", rf"{_STACK}/(?P<kind>{_KIND})", api_updates.create),
    _route("GET", rf"{_STACK}/export(?:/(?P<version>[0-9]{{1,9}}))?", api_stacks.export),
    _route("POST", f"{_STACK}/import", api_stacks.import_, LARGE),
    _route("GET", f"{_STACK}/updates/latest", api_updates.latest),
    _route("GET", rf"{_STACK}/updates/(?P<version>[0-9]{{1,9}})", api_updates.one),
    _route("GET", f"{_STACK}/updates", api_updates.history),
    _route("POST", f"{_STACK}/encrypt", api_secrets.encrypt, LARGE),
    _route("POST", f"{_STACK}/decrypt", api_secrets.decrypt, LARGE),
    _route("POST", f"{_STACK}/batch-encrypt", api_secrets.batch_encrypt, LARGE),
    _route("POST", f"{_STACK}/batch-decrypt", api_secrets.batch_decrypt, LARGE),
    _route("POST", f"{_STACK}/decrypt/log-(?:batch-)?decryption", api_secrets.log_decryption),
    _route("PATCH", f"{_STACK}/tags", api_stacks.tags),
    _route("POST", f"{_STACK}/rename", api_stacks.rename),
    _route("GET", _STACK, api_stacks.get),
    _route("DELETE", _STACK, api_stacks.delete),
    _route("POST", _PROJECT, api_stacks.create, LARGE),
    _route("HEAD", _PROJECT, api_stacks.project_exists),
    _route("GET", "/api/user", api_account.user),
    _route("GET", "/api/user/stacks", api_account.stacks),
    _route("GET", "/api/user/organizations/default", api_account.default_organization),
    _route("GET", "/api/capabilities", api_account.capabilities),
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose head was found good: its body may be read, up to `limit` bytes, and it be answered."""

    head: Head
    caller: Caller
    route: Route
    parts: dict[str, str]

    @property
    def limit(self) -> int:
        """The most bytes that the body may have as sent."""
        return self.route.limit

    def answer(self, context: Context, body: bytes) -> bytes:
        """The reply to the whole request; raises `RefusedError`."""
        request = Request(self.head, self.caller, self.parts, read_body(self.head, body, self.limit))
        return orjson.dumps(self.route.handler(context, request))


def admit(callers: Callers, head: Head) -> Admitted:
    """Look at a request's head, before any of its body is read; raises `RefusedError`."""
    caller = callers.identify(head.headers.get("authorization", ""))
    others = []
    for route in ROUTES:
        found = route.path.fullmatch(head.path)
        if found and route.method == head.method:
            parts: dict[str, Any] = {key: value for key, value in found.groupdict().items() if value is not None}
            return Admitted(head, caller, route, parts)
        if found:
            others.append(route.method)
    raise RefusedError(
        405 if others else 404, f"only {', '.join(others)}" if others else "there is nothing at this path"
    )
