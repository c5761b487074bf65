from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlinfra.checks import run_checks
from mlinfra.emit import silent


def test_all_checks_run_in_a_stable_order(make_graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLINFRA_CACHE", str(tmp_path))
    nodes = {
        "b": {"type": "aws:s3/bucket:Bucket", "inputs": {"bucket": "B", "nothing": 1}},
        "a": {"type": "aws:s3/bucket:Bucket", "inputs": {"bucket": "A_", "tags": {"$ref": ["gone", "id"]}}},
    }

    found = run_checks(make_graph({"nodes": nodes}), silent)

    assert [(item.code, item.resource) for item in found] == [
        ("dangling-reference", "a"),
        ("unknown-input", "b"),
        ("invalid-name", "a"),
        ("invalid-name", "b"),
    ]
    assert [path.name[:11] for path in (tmp_path / "schema").iterdir()] == ["pulumi_aws-"]
    assert run_checks(make_graph({"nodes": dict(reversed(nodes.items()))}), silent) == found
