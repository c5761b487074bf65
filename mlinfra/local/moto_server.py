"""The moto server, as a process of its own: `python -m mlinfra.local.moto_server FOLDER PORT READY_FD`.

What is ours about it, each for a reason that was measured (moto 5.2.5, 2 cores, 8 threads):

- One lock around every request. Moto is not safe across threads (one request in a few thousand fails) and gains
  nothing from them: S3 answers 440 requests a second with the lock, 451 without.
- EKS is ours (`eks`): moto has no add-ons, access entries, pod identity or version updates, forgets what it is given,
  and would answer 11 requests a second.
- A bucket policy's statements that have conditions are passed over: moto knows no values for them and takes each for
  a denial, so that a policy which refuses plain HTTP would refuse every object.
- A bucket's lock can be changed while the bucket holds objects, as on AWS; moto wants it to be empty.
- A connection carries one request. Werkzeug closes each, moto needs Werkzeug's requests (raw paths, headers with an
  underscore), and another server with keep-alive (cheroot) answered 15 to 30 % more.
- An access key `LOCAL<account>` chooses the account, and each account has a world of its own, bucket names included.
- Whatever changes more than one account's world needs the token that the server was started with: a web page that
  the user has open could reach loopback, too.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import sys
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from mlinfra.local import moto_iam, ports, records
from mlinfra.local.accounts import account_of
from mlinfra.local.eks import Eks, region_of
from mlinfra.local.moto import CONTROL, RECORD
from mlinfra.processes import identity

_IDLE_SECONDS = 120
_KEY_IN_HEADER = re.compile(r"(?:Credential=|AWS )([A-Za-z0-9]+)[/:]")


class Worlds:
    """Moto behind one lock, each account with a world of its own; a WSGI application."""

    def __init__(self, instance: str, token: str) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._eks = Eks()
        self._lock = threading.RLock()
        self._instance, self._token = instance, token
        self._buckets: dict[str, dict[str, Any]] = {}
        self._resets: dict[str, int] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        body = _read_body(environ)
        if path.startswith((CONTROL, "/moto-api/")):
            if not secrets.compare_digest(environ.get("HTTP_X_MLINFRA_TOKEN", ""), self._token):
                return _answer(start_response, "403 Forbidden", {"error": "this needs the server's token"})
            if path.startswith(CONTROL):
                return self._control(environ, body, start_response)
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            account = self._account(environ)
            if region := region_of(environ):
                method, uri = environ["REQUEST_METHOD"], environ["RAW_URI"]
                found = self._eks.answer(method, uri, body, account, region)
                start_response(found.status, list(found.headers))
                return [found.body]
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
            self._enter(account)
            answer = list(self._moto(environ, start_response))
            self._leave(account)
            return answer

    def _control(self, environ: dict[str, Any], body: bytes, start_response: Any) -> Iterable[bytes]:
        """`GET /mlinfra/world/ACCOUNT` names the world as it is; `DELETE` wipes it, and it has another name after.

        `PUT /mlinfra/eks/ACCOUNT` says which API server stands for the account's EKS clusters.
        `POST /mlinfra/held` begins to watch what is made in any account, `GET` tells what is there of it
        (`leaks_moto`).
        """
        what, _, account = environ["PATH_INFO"].removeprefix(CONTROL).partition("/")
        if what == "held":
            from mlinfra.local.leaks_moto import answer  # for rehearsals alone

            with self._lock:
                return _answer(start_response, "200 OK", answer(environ["REQUEST_METHOD"], self._eks.held()))
        with self._lock:
            if what == "eks":
                self._eks.tell(account, json.loads(body))
            elif environ["REQUEST_METHOD"] == "DELETE":
                self._wipe(account)
            world = f"{self._instance}.{self._resets.get(account, 0)}"
        return _answer(start_response, "200 OK", {"instance": self._instance, "world": world})

    def _account(self, environ: dict[str, Any]) -> str:
        """The account of a request, by its access key: one of ours, or one that moto gave out (AssumeRole)."""
        match = _KEY_IN_HEADER.search(environ.get("HTTP_AUTHORIZATION", ""))
        if match:
            key = match[1]
        else:
            query = parse_qs(environ.get("QUERY_STRING", ""))  # of a presigned URL
            found = query.get("X-Amz-Credential") or query.get("AWSAccessKeyId") or [""]
            key = found[0].partition("/")[0]
        if account := account_of(key):
            return account
        from moto.iam.models import get_account_id_from  # 0.2 s, not before it is wanted

        return str(get_account_id_from(key))

    def _enter(self, account: str) -> None:
        """Give S3 this account's bucket names: moto has one set for all accounts, as AWS has one for the world."""
        if s3 := sys.modules.get("moto.s3.models"):
            s3.s3_backends.bucket_accounts = self._buckets.setdefault(account, {})

    def _leave(self, account: str) -> None:
        """Services are loaded when first asked for: take in hand what this request may have loaded."""
        s3: Any = sys.modules.get("moto.s3.models")
        if account not in self._buckets and s3:
            self._buckets[account] = s3.s3_backends.bucket_accounts
        if s3 and s3.FakeBucket.get_permission is not _permission:
            s3.FakeBucket.get_permission = _permission
            s3.S3Backend.put_object_lock_configuration = _relocking(s3.S3Backend.put_object_lock_configuration)
        if iam := sys.modules.get("moto.iam.responses"):
            moto_iam.extend(iam)

    def _wipe(self, account: str) -> None:
        """Forget an account. Backends are dropped, not reset: S3's reset closes the objects of every account."""
        for backends in list(BackendDict._instances):
            dict.pop(backends, account, None)
        self._eks.forget(account)
        self._buckets.pop(account, None)
        self._resets[account] = self._resets.get(account, 0) + 1


def _permission(bucket: Any, action: str, resource: str) -> Any:
    """Stands in for `FakeBucket.get_permission`: what the policy's statements without conditions say of a request."""
    from moto.iam.access_control import IAMPolicy, PermissionResult

    held = json.loads(bucket.policy) if bucket.policy else {"Statement": []}
    listed = held["Statement"] if isinstance(held["Statement"], list) else [held["Statement"]]
    statements = [item for item in listed if not item.get("Condition")]
    if not statements:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({**held, "Statement": statements})).is_action_permitted(action, resource)


def _relocking(first: Any) -> Any:
    """Stands in for `S3Backend.put_object_lock_configuration`; `first` is moto's own, for a bucket without a lock."""

    def put(backend: Any, bucket_name: str, lock_enabled: bool, *retention: Any, **named: Any) -> None:
        bucket = backend.get_bucket(bucket_name)
        if not bucket.object_lock_enabled:
            first(backend, bucket_name, lock_enabled, *retention, **named)
            return
        given = dict(zip(("mode", "days", "years"), retention, strict=False)) | named
        bucket.default_lock_mode, bucket.default_lock_days = given.get("mode"), given.get("days")
        bucket.default_lock_years = given.get("years")

    return put


class _Handler(MotoRequestHandler):  # type: ignore[misc]
    """HTTP/1.1 without Nagle's algorithm, which would hold back the body of each answer by 40 ms."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS

    def log_request(self, *arguments: Any, **named: Any) -> None:
        """Requests are not logged: they hold what users put into secrets and parameters."""


def _read_body(environ: dict[str, Any]) -> bytes:
    """The whole body, read before the lock is taken, so that a slow client holds up nobody."""
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _answer(start_response: Any, status: str, record: dict[str, Any]) -> Iterable[bytes]:
    body = json.dumps(record).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def main(folder: Path, port: int, ready: int) -> None:
    """Serve on `port`, or on another where it is taken; record where in `folder`, and tell it through `ready`."""
    instance, token = uuid.uuid4().hex[:12], secrets.token_hex(16)
    worlds = Worlds(instance, token)
    try:
        server = make_server("127.0.0.1", port, worlds, threaded=True, request_handler=_Handler)
    except (OSError, SystemExit):  # werkzeug exits where a port is taken
        [port] = ports.choose(1)
        server = make_server("127.0.0.1", port, worlds, threaded=True, request_handler=_Handler)
    pid = os.getpid()
    record = {"pid": pid, "identity": identity(pid), "port": server.port, "instance": instance, "token": token}
    records.write(folder / RECORD, record)
    with os.fdopen(ready, "w") as pipe:
        pipe.write("ready\n")
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
