"""Programs that others use stores with: each in an environment of its own, with what it asks S3 for written down."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mlinfra.checks.access.deciding import Question, may
from mlinfra.checks.access.patterns import pattern
from mlinfra.checks.access.policies import statements
from mlinfra.checks.access.principals import Principal
from mlinfra.project import cache_folder
from tests.e2e.conftest import Lab


def programs(name: str, *requirements: str) -> Path:
    """The folder of the programs of an environment with these packages, made once and kept with the tools."""
    folder = cache_folder() / "clients" / name
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return folder / "bin"


@dataclass
class Recorder:
    """Hands requests on to an endpoint, and notes each with the answer's status."""

    target: str
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        recorder, place = self, urlsplit(self.target)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept = {
                    key: value for key, value in self.headers.items() if key.lower() not in ("expect", "connection")
                }
                connection = http.client.HTTPConnection(str(place.hostname), place.port)
                connection.request(self.command, self.path, body, kept)
                answer = connection.getresponse()
                found = answer.read()
                recorder.asked.append((self.command, self.path, answer.status))
                self.send_response(answer.status)
                length = str(len(found))
                for key, value in answer.getheaders():
                    if key.lower() == "content-length":
                        length = value
                    elif key.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(key, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                self.wfile.write(found)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

            def log_message(self, *arguments: Any) -> None:
                """Nothing is printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


def role_of(lab: Lab, stack: str, component: str) -> Principal:
    """The role of a component's pods, with the policy that it really has."""
    iam = lab.client(stack, "iam")
    (role,) = [item for item in iam.list_roles()["Roles"] if item["RoleName"].endswith(f"-{component}")]
    document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="access")["PolicyDocument"]
    return Principal("role", role["RoleName"], role["Arn"], identity=statements(document))


def allowed(role: Principal, action: str, resource: str, prefix: str = "") -> bool:
    """Whether a role may do something to an object, or list a bucket's objects under a prefix."""
    question = Question((action,), pattern(resource), context={"s3:prefix": prefix} if prefix else {})
    return any(not way.only_if for way in may(role, question))


def refused(role: Principal, asked: Iterable[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """The requests to S3 that the role may not make."""
    return [request for request in asked if not all(allowed(role, *item) for item in _needed(*request))]


def _needed(method: str, target: str, status: int) -> Iterator[tuple[str, str, str]]:
    """The actions that a request to S3 takes.

    To say that there is no such object, S3 wants the permission to list, for the object's name as prefix.
    """
    place = urlsplit(target)
    name, _, key = unquote(place.path).removeprefix("/").partition("/")
    bucket = f"arn:aws:s3:::{name}"
    if not key:
        assert method == "GET", target
        yield "s3:ListBucket", bucket, parse_qs(place.query)["prefix"][0]
        return
    yield {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject"}[method], f"{bucket}/{key}", ""
    if status == 404:
        yield "s3:ListBucket", bucket, key
