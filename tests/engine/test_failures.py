"""What ended badly becomes diagnostics: which resource, of which component, where, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.diagnostics import Location, Severity
from mlinfra.engine.events import Told
from mlinfra.engine.failures import REMEDIES, diagnose
from mlinfra.engine.process import Ended
from mlinfra.graph import Graph, Kind, Node

GRAPH = Graph(
    "b",
    "1.0.0",
    "dev",
    {
        "data": Node("data", "mlinfra:component:Bucket", kind=Kind.COMPONENT),
        "data/bucket": Node("data/bucket", "aws:s3/bucket:Bucket", component="data"),
    },
    sources={"data": Location("blueprints/b.py", 7)},
)
FAILED = Ended(255, "")


def diagnosed(*messages: tuple[str, str, str], ended: Ended = FAILED, output: str = "") -> list[Any]:
    return diagnose(Told(messages=list(messages)), output, ended, GRAPH, "dev")


@pytest.mark.parametrize(
    ("text", "code", "summary"),
    [
        (
            "creating urn:pulumi:dev::b::x$aws:s3/bucket:Bucket::data/bucket: rpc error: code = Unknown desc = "
            "BucketAlreadyExists: The requested bucket name is not available.",
            "name-taken",
            "data/bucket: BucketAlreadyExists: The requested bucket name is not available.",
        ),
        ("data/bucket: PutBucket failed: AlreadyExists", "name-taken", "data/bucket: PutBucket failed: AlreadyExists"),
        ("1 error occurred:\n\t* connection refused", "unreachable", "data/bucket: connection refused"),
        ("the Kubernetes API server at https://127.0.0.1:9 cannot be reached", "unreachable", None),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "does-not-fit", None),
        ("Deployment api is not ready: 0 of 2 replicas", "not-ready", None),
        ("write state: no space left on device", "disk-full", None),
        ("resource data/bucket cannot be deleted: protected resource", "protected", None),
        (
            'unable to replace resource "urn:pulumi:dev::b::aws:s3/bucket:Bucket::data/bucket"\nas it is currently '
            "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in your "
            "Pulumi program and run `pulumi up`",
            "protected",
            "data/bucket: this run would replace data/bucket, and that is a protected resource",
        ),
        (
            'resource "urn:pulumi:dev::b::aws:s3/bucket:Bucket::data/bucket" cannot be deleted\nbecause it is '
            "protected. To unprotect the resource, run `pulumi state unprotect`",
            "protected",
            "data/bucket: it is a protected resource, and this run would delete it",
        ),
        ("AccessDenied: not authorized to perform s3:CreateBucket", "access-denied", None),
        ("[409] Conflict: Another update is currently in progress.", "locked", None),
        ("something nobody has met before", "engine", "data/bucket: something nobody has met before"),
    ],
)
def test_an_error_of_a_resource(text: str, code: str, summary: str | None) -> None:
    (told,) = diagnosed(("error", "data/bucket", text), ("error", "", "update failed"))
    assert (told.code, told.component, told.resource) == (code, "data", "data/bucket")
    assert str(told.location) == "blueprints/b.py:7"
    assert summary is None or told.summary == summary
    assert told.summary.startswith("data/bucket: ")
    assert bool(told.remedy) == (code != "engine")


def test_every_kind_of_error_has_a_case_and_a_remedy() -> None:
    assert all(code and remedy for _, code, remedy in REMEDIES)
    assert len({code for _, code, _ in REMEDIES}) == len(REMEDIES)


def test_further_lines_are_the_detail() -> None:
    (told,) = diagnosed(("error", "data/bucket", "it failed\n\nbecause of this\nand that"))
    assert (told.summary, told.detail) == ("data/bucket: it failed", "because of this\nand that")


def test_a_warning_stays_one_and_ends_nothing() -> None:
    (told,) = diagnosed(("warning", "", "deprecated"), ended=Ended(0, ""))
    assert told.severity is Severity.WARNING


@pytest.mark.parametrize("severity", ["info", "info#err"])
def test_what_a_plugin_writes_to_its_stderr_is_no_error(severity: str) -> None:
    assert diagnosed((severity, "", "log line of a plugin"), ended=Ended(0, "")) == []


def test_the_same_thing_is_told_once() -> None:
    assert len(diagnosed(("error", "", "twice"), ("error", "", "twice"))) == 1


def test_an_interrupted_run_says_how_to_go_on() -> None:
    (told,) = diagnosed(ended=Ended(255, "", interrupted=True))
    assert told.code == "interrupted"
    assert "the same command again" in told.remedy, "whatever it was: up, destroy, one with --rehearse"


@pytest.mark.parametrize(
    ("ended", "output", "code", "says"),
    [
        (Ended(255, ""), "noise\nerror: no space left on device\n", "disk-full", "no space left on device"),
        (Ended(-9, ""), "last words\n", "engine", "killed by signal 9"),
        (Ended(1, ""), "a\nb\nc\nd\n", "engine", "b\nc\nd"),
        (Ended(1, ""), "", "engine", "ended with exit code 1"),
    ],
)
def test_an_engine_that_fails_without_an_event(ended: Ended, output: str, code: str, says: str) -> None:
    (told,) = diagnosed(ended=ended, output=output)
    assert told.code == code
    assert says in f"{told.summary}\n{told.detail}"
    assert told.remedy


def test_nothing_is_told_of_a_run_that_went_well() -> None:
    assert diagnosed(ended=Ended(0, "")) == []
