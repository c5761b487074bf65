"""The report on data for a person, as Markdown and as JSON."""

from __future__ import annotations

import io
import json

from rich.console import Console

from mlinfra.checks.data import DataReport, Reader, Retention, Store
from mlinfra.views import data_tables
from mlinfra.views.json_view import FORMAT, JsonView
from mlinfra.views.person import PersonView

REPORT = DataReport(
    blueprint="rec",
    version="1.0.0",
    environment="prod",
    stores=(
        Store(
            "data",
            "bucket",
            "data/bucket",
            "data",
            "s3://rec-data",
            classification="pii",
            holds="what | people *do*",
            retention=Retention(400, 30, lock="governance, 5 days", backup_days=7),
            where="eu-west-1",
            copies=("rec-copy in eu-central-1",),
            encrypted_with="a KMS key",
            key="data/key",
            readers=(
                Reader(
                    "role", "rec-fit", "arn:aws:iam::1:role/rec-fit", "fit", ("service account fit",), ("a/*", "b/*")
                ),
                Reader("everybody", "every principal of this account", reads=("*",), only_if=("x is y", "z")),
                Reader("role", "rec-ops", reads=("*",), through="rec-fit"),
            ),
            notes=("something to know",),
        ),
        Store("clicks", "dataset", "clicks", "clicks", "s3://rec-data/clicks/", within="data"),
    ),
    notes=("Others are not listed.",),
)


def test_rows() -> None:
    first, second = data_tables.stores(REPORT)
    assert first["kept"] == "400 days; old versions 30 days; locked: governance, 5 days; backups 7 days"
    assert first["where"] == "eu-west-1 + rec-copy in eu-central-1"
    assert first["encrypted with"] == "a KMS key (data/key)"
    assert second["kind"] == "dataset in data"
    assert second["kept"] == "until deleted"
    rows = data_tables.readers(REPORT)
    assert [(row["store"], row["reader"]) for row in rows] == [
        ("data", "role rec-fit (fit)"),
        ("data", "every principal of this account"),
        ("data", "role rec-ops through role rec-fit"),
        ("clicks", data_tables.NOBODY),
    ]
    assert (rows[0]["reads"], rows[0]["used by"]) == ("a/*, b/*", "service account fit")
    assert (rows[1]["reads"], rows[1]["only if"]) == ("all of it", "x is y; or z")
    assert data_tables.notes(REPORT) == ["data: something to know.", "Others are not listed."]


def test_a_person_sees_both_tables() -> None:
    out = io.StringIO()
    PersonView(Console(file=out, width=400)).data(REPORT, "prod")
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["store", "kind", "classification", "kept", "where", "encrypted", "with", "holds"]
    assert [line.split()[0] for line in lines if line.startswith(("data ", "clicks "))] == [
        *("data", "clicks"),
        *("data", "data", "data", "clicks"),
    ]
    assert lines[-1] == "Others are not listed."


def test_markdown_keeps_its_cells() -> None:
    out = io.StringIO()
    PersonView(Console(file=out, width=80, soft_wrap=True)).data(REPORT, "prod", markdown=True)
    text = out.getvalue()
    assert text.startswith("# Data of prod\n\nBlueprint rec 1.0.0 in prod.\n\n## Stores\n\n| store | kind |")
    assert "what \\| people \\*do\\*" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {
        len(data_tables.STORES) + 1,
        len(data_tables.READERS) + 1,
    }
    assert "- Others are not listed." in text


def test_json_is_one_line_with_everything() -> None:
    out = io.StringIO()
    JsonView(out).data(REPORT, "prod", markdown=True)
    (line,) = out.getvalue().splitlines()
    record = json.loads(line)
    assert (record["format"], record["type"], record["stack"], record["environment"]) == (
        FORMAT,
        "data",
        "prod",
        "prod",
    )
    data, clicks = record["stores"]
    assert data["retention"] == {"days": 400, "old_version_days": 30, "lock": "governance, 5 days", "backup_days": 7}
    assert data["readers"][2] == {"kind": "role", "name": "rec-ops", "reads": ["*"], "through": "rec-fit"}
    assert (clicks["readers"], clicks["retention"]) == ([], {"days": None, "old_version_days": 0})
    assert record["notes"] == ["Others are not listed."]
