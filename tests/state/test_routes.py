"""Every endpoint, asked by anybody for anything: what is wrong is answered with 4xx, and nothing of others is shown."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlinfra.state.refused import RefusedError
from mlinfra.state.requests import LARGE, SMALL, Caller, Callers, Head, read_body
from mlinfra.state.routes import ROUTES, admit
from mlinfra.state.states import ORGANIZATION
from tests.state.conftest import STACK, STRANGER, TOKEN, Client, resource, steps

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = """
    stackName tags state config newName newProject version features deployment resources manifest options dryRun
    metadata environment message journalVersion entries kind sequenceID operationID operation removeOld deleteNew
    newSnapshot secretsProvider events sequence summaryEvent duration status plaintext plaintexts ciphertext ciphertexts
    urn type pending_operations resource
"""
FIELDS = st.sampled_from(NAMES.split())
# Objects whose field names are the protocol's, so that what is wrong is not refused at the first look.
SHAPED = st.recursive(
    ANY_JSON | st.sampled_from(["succeeded", "dev", "x" * 200, "../../etc", "a\x00b", 1, 0, -1, 1 << 64, 1e300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)
BODIES = (
    st.dictionaries(FIELDS, SHAPED, max_size=6).map(lambda value: json.dumps(value).encode())
    | ANY_JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
)
PARTS = st.sampled_from(
    [ORGANIZATION, "demo", "dev", "elsewhere", "..", "%2e%2e", "%00", "a%2Fb", "%ff", "x" * 101, "*"]
)


def path_of(pattern: str, part: Any) -> str:
    """A path that a route's pattern matches, its named parts filled in."""
    pattern = re.sub(r"\(\?P<update>[^)]*\)", "0" * 32, pattern)
    pattern = re.sub(r"\(\?P<kind>[^)]*\)|\(\?:update\|[^)]*\)", "update", pattern)
    pattern = re.sub(r"\(\?:/\(\?P<version>[^)]*\)\)\?", "", pattern)
    pattern = re.sub(r"\(\?P<version>[^)]*\)", "1", pattern)
    pattern = pattern.replace("(?:batch-)?", "")
    return re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda found: part(found[1]), pattern)


OURS = {"organization": ORGANIZATION, "project": "demo", "stack": "dev"}
MANY = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method}-{route.handler.__name__}")
@MANY
@given(st.data())
def test_hostile_requests_are_refused_with_4xx(client: Client, route: Any, data: st.DataObject) -> None:
    """Whatever stands in the path, the query and the body, with a good token: 2xx or 4xx, and the service goes on."""
    ours = data.draw(st.booleans())
    path = path_of(route.path.pattern, OURS.__getitem__ if ours else lambda _: data.draw(PARTS))
    query = data.draw(st.sampled_from(["", "?pageSize=0&page=99999999", "?page=x", "?force=true&force=%00", "?&&=="]))
    if route.handler.__name__ in ("delete", "rename") and ours:
        path = path.replace("dev", "none")  # the stack is needed by the next example
    packed = data.draw(st.booleans())
    body = data.draw(BODIES)
    headers = {"Content_Encoding": "gzip"} if packed else {}
    answer = client.call(route.method, path + query, gzip.compress(body) if packed else body, **headers)
    assert 200 <= answer.status < 300 or 400 <= answer.status < 500, answer
    assert client.call("GET", STACK).status == 200


@pytest.mark.parametrize("call", ["journalentries", "checkpoint", "events/batch", "renew_lease", "complete"])
@MANY
@given(body=BODIES)
def test_hostile_bodies_of_a_running_update_are_refused_with_4xx(client: Client, call: str, body: bytes) -> None:
    path, token = client.started()
    try:
        method = "PATCH" if call in ("journalentries", "checkpoint") else "POST"
        answer = client.call(method, f"{path}/{call}", body, token=token)
        assert 200 <= answer.status < 300 or 400 <= answer.status < 500, answer
        # A journal that makes no sense together can only be seen at the end, and holds the stack until it is dropped.
        assert client.call("POST", f"{path}/complete", {"status": "failed"}, token=token).status in (200, 400, 403)
    finally:
        drop(client)


def drop(client: Client) -> None:
    """Give up whatever the stack's update left."""
    from sqlalchemy import delete, update

    from mlinfra.state.tables import STACKS, UPDATES

    with client.context.store.transaction() as tx:
        tx.run(update(STACKS).values(active=None))
        tx.run(delete(UPDATES))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method}-{route.handler.__name__}")
def test_without_a_good_token_nothing_is_told(client: Client, route: Any) -> None:
    path = path_of(route.path.pattern, OURS.__getitem__)
    for token in ("", "token", "token wrong", f"Bearer {TOKEN}", f"token {TOKEN}x", "update-token wrong"):
        status = client.call(route.method, path, {}, token=token).status
        # An update's token passes the door, and opens nothing but its update.
        expected = (400, 403, 404) if token.startswith("update-token") else (401,)
        known = token.startswith("update-token") and route.handler.__name__ == "capabilities"
        assert status in expected or (known and status == 200), (token, status)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method}-{route.handler.__name__}")
def test_nobody_reaches_the_stacks_of_another(client: Client, route: Any) -> None:
    """Bob gets the same answer for alice's stack as for one that is not there."""
    if "<organization>" not in route.path.pattern:
        pytest.skip("no stack is named")
    body = {"stackName": "dev", "plaintext": "", "ciphertext": "AAAA", "newName": "mine", "status": "succeeded"}

    def ask(stack: str) -> tuple[int, str]:
        path = path_of(route.path.pattern, {**OURS, "stack": stack, "project": stack}.__getitem__)
        answer = client.call(route.method, path, body, token=f"token {STRANGER}")
        return answer.status, str(answer.body).replace(stack, "STACK")

    there, not_there = ask("dev"), ask("nothing")
    assert there[0] in (403, 404)
    assert there[0] == not_there[0]
    assert client.call("GET", STACK).body["version"] == 0


def test_the_lease_of_one_update_opens_no_other(client: Client) -> None:
    client.call("POST", f"/api/stacks/{ORGANIZATION}/demo", {"stackName": "other"})
    path, token = client.started()
    for wrong in (path.replace("/dev/", "/other/"), path[:-1] + ("0" if path[-1] != "0" else "1")):
        answer = client.call("PATCH", f"{wrong}/journalentries", {"entries": steps("a")}, token=token)
        assert answer.status == 403
    assert client.call("GET", STACK, token=token).status == 404


def test_a_list_shows_the_callers_stacks_alone(client: Client) -> None:
    assert [item["stackName"] for item in client.call("GET", "/api/user/stacks").body["stacks"]] == ["dev"]
    assert client.call("GET", "/api/user/stacks", token=f"token {STRANGER}").body == {"stacks": []}
    asked = f"/api/user/stacks?organization={ORGANIZATION}"
    assert client.call("GET", asked, token=f"token {STRANGER}").body == {"stacks": []}


def test_unknown_paths_and_methods() -> None:
    callers = Callers({"t": Caller("a", frozenset())})
    for method, path, status in (("GET", "/", 404), ("PUT", "/api/user", 405), ("GET", "/api/user/../user", 404)):
        with pytest.raises(RefusedError) as refused:
            admit(callers, Head(method, path, {"authorization": "token t"}))
        assert refused.value.status == status


def head(**headers: str) -> Head:
    return Head("POST", "/", {key.replace("_", "-"): value for key, value in headers.items()})


def test_a_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(b"\0" * (64 << 20)) + packer.flush()
    assert len(bomb) < SMALL
    with pytest.raises(RefusedError) as refused:
        read_body(head(content_encoding="gzip"), bomb, SMALL)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"{}", 415),
        ("gzip", b"{}", 400),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-3], 400),
        ("gzip", gzip.compress(b"{}", mtime=0) * 2, 400),
        ("identity", b"[]", 400),
        ("identity", b"{", 400),
        ("identity", b'{"a": NaN}', 400),
        ("identity", b'{"a": "\xff"}', 400),
        ("identity", b"[" * 100_000, 400),
    ],
)
def test_bodies_that_are_no_json_object(encoding: str, body: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        read_body(head(content_encoding=encoding), body, LARGE)
    assert refused.value.status == status


def test_a_state_that_is_nested_too_deeply_is_refused(client: Client) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = {"a": deep}
    whole = {"version": 3, "deployment": {"resources": [resource("a", inputs=deep)]}}
    assert client.call("POST", f"{STACK}/import", orjson.dumps(whole)).status == 400
