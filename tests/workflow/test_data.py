"""The report on data of a project's stack, as its files are: nothing runs for it."""

from __future__ import annotations

from mlinfra.workflow.data import data_report
from mlinfra.workflow.request import Request
from tests.conftest import MakeProject

BLUEPRINT = """
from mlinfra import Blueprint, Bucket, Endpoint, Environment, Params, TrainingCluster, blueprint


class Values(Params):
    readers: int = 1


@blueprint("shop", version="1.0.0")
def shop(env: Environment, p: Values) -> Blueprint:
    bucket = Bucket("data")
    cluster = TrainingCluster("train")
    return Blueprint(bucket, *(Endpoint(f"api-{n}", cluster=cluster, reads=[bucket]) for n in range(p.readers)))
"""


def test_a_new_reader_is_a_new_row(project: MakeProject) -> None:
    def readers(count: int) -> list[str | None]:
        stack = (
            "blueprint: shop\nenvironment: {name: dev, tier: dev}\nowner: {team: tests, cost_center: none}\n"
            f"params: {{readers: {count}}}\n"
        )
        made = project({"dev": stack}, {"shop": BLUEPRINT})
        report, warnings = data_report(Request(made, "dev"))
        assert warnings == []
        assert not made.home.exists() or not list(made.home.rglob("state.db"))
        (bucket,) = [store for store in report.stores if store.kind == "bucket"]
        return [reader.component for reader in bucket.readers]

    assert readers(1) == ["api-0"]
    assert readers(2) == ["api-0", "api-1"]
