from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlinfra.authoring import Component
from mlinfra.checks import run_checks
from mlinfra.components.bucket import Bucket
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.functions import resolve
from mlinfra.graph import Join, Kind, Ref

ARN = Ref("data/bucket", ("arn",))
OUTPUTS = {"data/bucket": {"id": "b-1", "arn": "arn:aws:s3:::b-1", "region": "eu-west-1"}}
UNDER = Join((ARN, "/datasets/clicks/*"))
LISTED = {"StringLike": {"s3:prefix": ["datasets/clicks/*"]}}
READ = [
    {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [UNDER]},
    {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [ARN], "Condition": LISTED},
]
WRITE = [
    {
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        "Resource": [UNDER],
    }
]


def statements(grants: Any) -> list[dict[str, Any]]:
    return [grant.statement() for grant in grants]


def test_grants_are_the_buckets_for_the_prefix_alone() -> None:
    clicks = Dataset("clicks", bucket=Bucket("data"))
    assert statements(clicks.read_grants()) == READ
    assert statements(clicks.write_grants()) == WRITE
    erased = statements(clicks.erase_grants())
    assert [item["Resource"] for item in erased] == [[UNDER], [ARN]]
    assert erased[1] == {
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
        "Resource": [ARN],
        "Condition": LISTED,
    }


def test_the_key_comes_along() -> None:
    bucket = Bucket("data", key=Key("keys"))
    clicks = Dataset("clicks", bucket=bucket)
    whole, part = bucket.read_grants(), clicks.read_grants()
    assert part[-1] == whole[-1]
    assert part[-1].actions == ("kms:Decrypt",)
    assert clicks.write_grants()[-1] == bucket.write_grants()[-1]


def test_a_workload_gets_the_prefix_and_the_variable(expanded: Any) -> None:
    def declare() -> Component:
        clicks = Dataset("clicks", bucket=Bucket("data"))
        image = "registry.example.com/image@sha256:" + "ab" * 32
        return Endpoint("api", cluster=TrainingCluster("train"), image=image, reads=[clicks])

    result = expanded(declare)
    assert result.inputs("api/policy")["policy"].value["Statement"] == READ
    container = result.inputs("api/deployment")["spec"]["template"]["spec"]["containers"][0]
    (found,) = [item["value"] for item in container["env"] if item["name"] == "CLICKS_URI"]
    assert resolve(found, OUTPUTS) == "s3://b-1/datasets/clicks"
    assert run_checks(result.graph) == []


def test_outputs() -> None:
    clicks = Dataset("clicks", bucket=Bucket("data"))
    assert resolve(clicks.uri, OUTPUTS) == "s3://b-1/datasets/clicks"
    assert resolve(clicks.dvc, OUTPUTS) == {"url": "s3://b-1/datasets/clicks/dvc", "region": "eu-west-1"}
    assert resolve(clicks.dvc_command, OUTPUTS) == (
        "dvc remote add --force --default clicks s3://b-1/datasets/clicks/dvc"
        " && dvc remote modify clicks region eu-west-1"
    )
    assert resolve(clicks.version_uri("2026-11-01"), OUTPUTS) == "s3://b-1/datasets/clicks/versions/2026-11-01"
    raw = Dataset("clicks", bucket=Bucket("data"), prefix="raw/web")
    assert resolve(raw.uri, OUTPUTS) == "s3://b-1/raw/web"


@pytest.mark.parametrize("version", ["", "a/b", "..", "-1", "*", "a b", "v" * 129])
def test_a_version_is_one_folder(version: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        Dataset("clicks", bucket=Bucket("data")).version_uri(version)


def test_it_makes_nothing_and_tells_the_graph_what_it_is(expanded: Any) -> None:
    bucket = Bucket("data", classification="confidential")
    result = expanded(lambda: [Dataset("clicks", bucket=bucket, description="What people clicked on")])
    assert result.names_of("clicks") == set()
    node = result.node("clicks")
    assert node.kind is Kind.COMPONENT
    assert node.inputs == {
        "bucket": Ref("data/bucket"),
        "prefix": "datasets/clicks/",
        "description": "What people clicked on",
    }
    assert (Dataset("c", bucket=bucket).classification, Dataset("c", bucket=bucket).personal) == ("confidential", False)
    assert Dataset("c", bucket=Bucket("p", classification="pii", expire_days=9)).personal


def test_expiry_is_a_rule_of_the_buckets_lifecycle(expanded: Any) -> None:
    def declare(*days: int | None) -> Callable[[], list[Component]]:
        def body() -> list[Component]:
            bucket = Bucket("data", expire_days=500)
            return [Dataset(f"set-{number}", bucket=bucket, expire_days=item) for number, item in enumerate(days)]

        return body

    plain = expanded(declare(None)).inputs("data/lifecycle")["rules"]
    rules = expanded(declare(30, 400)).inputs("data/lifecycle")["rules"]
    assert rules == [
        *plain,
        *(
            {
                "id": f"expire-set-{number}",
                "status": "Enabled",
                "filter": {"prefix": f"datasets/set-{number}/"},
                "expiration": {"days": days},
            }
            for number, days in ((0, 30), (1, 400))
        ),
    ]


def test_the_order_of_declaration_changes_no_lifecycle(expanded: Any) -> None:
    def declare(*names: str) -> Any:
        def body() -> list[Component]:
            bucket = Bucket("data")
            return [Dataset(name, bucket=bucket, expire_days=30) for name in names]

        return expanded(body).inputs("data/lifecycle")

    assert declare("a", "b", "c") == declare("c", "a", "b")


@pytest.mark.parametrize(
    ("declare", "code", "says"),
    [
        (lambda b: [Dataset("a", bucket=b, prefix="x"), Dataset("b", bucket=b, prefix="x")], "prefix-shared", "x/"),
        (lambda b: [Dataset("a", bucket=b, prefix="x"), Dataset("b", bucket=b, prefix="x/y")], "prefix-shared", "x/y/"),
        (lambda b: [Dataset("a", bucket=b, prefix="x/y"), Dataset("b", bucket=b, prefix="x")], "prefix-shared", "x/"),
        (lambda b: [Dataset("a", bucket=b, expire_days=60)], "dataset-expires-late", "for 60 days, but"),
        (lambda b: [Dataset("a", bucket=b, expire_days=80)], "dataset-expires-late", "for 60 only"),
    ],
)
def test_what_does_not_go_together(expanded: Any, declare: Any, code: str, says: str) -> None:
    (problem,) = expanded(lambda: declare(Bucket("data", expire_days=60))).diagnostics
    assert problem.code == code
    assert says in problem.summary
    assert problem.location is not None


def test_names_that_begin_alike_do_not_share(expanded: Any) -> None:
    def declare() -> list[Component]:
        bucket, other = Bucket("data"), Bucket("other")
        first = [Dataset("click", bucket=bucket), Dataset("clicks", bucket=bucket)]
        return [*first, Dataset("again", bucket=other, prefix="datasets/clicks")]

    assert expanded(declare).diagnostics == ()


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/../b", "a b", "a*", "ä", "x" * 513])
def test_prefixes_that_are_none(expanded: Any, prefix: str) -> None:
    (problem,) = expanded(lambda: Dataset("a", bucket=Bucket("data"), prefix=prefix)).diagnostics
    assert "prefix" in problem.summary


def test_without_aws(expanded: Any) -> None:
    result = expanded(lambda: Dataset("clicks", bucket=Bucket("data", place="aws"), expire_days=3), "kubeconfig")
    assert result.codes == ["target-without-aws"]  # of the bucket


def test_renamed_it_stays_where_it_is() -> None:
    assert Dataset("new", bucket=Bucket("data"), moved_from="old").folder == "datasets/old/"
