from __future__ import annotations

from typing import Any

import pytest

from mlinfra.checks.access.deciding import Question, may
from mlinfra.checks.access.patterns import pattern
from mlinfra.checks.access.policies import statements
from mlinfra.checks.access.principals import Principal
from mlinfra.checks.data import data_report
from mlinfra.components.bucket import Bucket
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.diagnostics import Severity
from mlinfra.functions import resolve
from mlinfra.graph import Join, Ref

IMAGE = "registry.example.com/team/serve@sha256:" + "0123456789abcdef" * 4
OUTPUTS = {"data/bucket": {"id": "b-1", "arn": "arn:aws:s3:::b-1"}}


def test_outputs() -> None:
    store = ModelStore("rankers", bucket=Bucket("data"))
    assert resolve(store.uri, OUTPUTS) == "s3://b-1/models"
    assert resolve(store.artifact_root, OUTPUTS) == "s3://b-1/models/mlflow"
    assert resolve(store.version_uri("ranker", "3"), OUTPUTS) == "s3://b-1/models/ranker/3"
    assert resolve(store.variables(), OUTPUTS) == {"RANKERS_URI": "s3://b-1/models"}


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [("mlflow", "1", "MLflow has this folder"), ("a/b", "1", "name of a model"), ("a", "..", "is no version")],
)
def test_names_that_are_none(name: str, version: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ModelStore("models", bucket=Bucket("data")).version_uri(name, version)


def test_grants_are_for_the_prefix_alone() -> None:
    store = ModelStore("models", bucket=Bucket("data"))
    under = Join((Ref("data/bucket", ("arn",)), "/models/*"))
    assert [grant.resources for grant in store.write_grants()] == [(under,)]
    assert store.read_grants()[0].resources == (under,)
    assert store.read_grants()[1].condition == {"StringLike": {"s3:prefix": ["models/*"]}}


def test_two_on_one_bucket_want_prefixes(expanded: Any) -> None:
    def declare(**second: str) -> Any:
        bucket = Bucket("data")
        stores = [ModelStore("one", bucket=bucket), ModelStore("two", bucket=bucket, **second)]
        return expanded(lambda: [*stores, Dataset("clicks", bucket=bucket)])

    (problem,) = declare().diagnostics
    assert problem.code == "prefix-shared"
    assert "ModelStore('two') is in models/ of Bucket('data'), and one is in models/ of it" in problem.summary
    assert declare(prefix="rankers").diagnostics == ()


def test_a_bucket_that_deletes_by_age_is_warned_of(expanded: Any) -> None:
    (problem,) = expanded(lambda: ModelStore("models", bucket=Bucket("data", expire_days=90))).diagnostics
    assert (problem.code, problem.severity) == ("models-expire", Severity.WARNING)
    assert "after 90 days" in problem.summary


# -------------------------------------------------------------------------------------------- one model of a store


def serving(bucket: dict[str, Any] | None = None, *, name: str = "ranker", version: str = "41", **more: Any) -> Any:
    store = ModelStore("models", bucket=Bucket("data", **(bucket or {})))
    model = StoredModel(store=store, name=name, version=version)
    return Endpoint("api", cluster=TrainingCluster("team"), image=IMAGE, model=model, **more)


def variables(result: Any) -> dict[str, Any]:
    (container,) = result.inputs("api/deployment")["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value") for item in container["env"]}


def test_who_serves_a_model_finds_it_and_reads_nothing_else(expanded: Any) -> None:
    result = expanded(serving, "eks")
    assert result.diagnostics == ()
    found = resolve(variables(result), OUTPUTS)
    assert found["MODEL_URI"] == "s3://b-1/models/ranker/41"
    assert "MODELS_URI" not in found
    document = resolve(result.inputs("api/policy")["policy"].value, OUTPUTS)
    api = Principal("role", "api", "arn:aws:iam::111122223333:role/api", identity=statements(document))

    def allowed(action: str, resource: str, prefix: str = "") -> bool:
        context = {"s3:prefix": prefix} if prefix else {}
        return any(not way.only_if for way in may(api, Question((action,), pattern(resource), context=context)))

    objects = "arn:aws:s3:::b-1"
    assert allowed("s3:GetObject", f"{objects}/models/ranker/41/weights/model.safetensors")
    assert allowed("s3:ListBucket", objects, "models/ranker/41/")
    for key in ("models/ranker/410/x", "models/ranker/4/x", "models/other/41/x", "models/mlflow/x", "data/x"):
        assert not allowed("s3:GetObject", f"{objects}/{key}"), key
    for prefix in ("models/", "models/ranker/", "models/ranker/4", "models/ranker/410/"):
        assert not allowed("s3:ListBucket", objects, prefix), prefix
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not allowed(action, f"{objects}/models/ranker/41/x"), action


def test_a_model_under_a_key_can_be_opened(expanded: Any) -> None:
    result = expanded(lambda: serving({"key": Key("keys")}), "eks")
    actions = {action for item in result.inputs("api/policy")["policy"].value["Statement"] for action in item["Action"]}
    assert "kms:Decrypt" in actions


def test_the_report_names_who_serves_it(expanded: Any) -> None:
    report = data_report(expanded(serving, "eks").graph, "111122223333")
    (models,) = [store for store in report.stores if store.name == "models"]
    (reader,) = models.readers
    assert (reader.component, reader.reads) == ("api", ("models/ranker/41/*",))


def test_the_store_may_be_read_beside_it(expanded: Any) -> None:
    def declare() -> Any:
        store = ModelStore("models", bucket=Bucket("data"))
        model = StoredModel(store=store, name="ranker", version="41")
        return Endpoint("api", cluster=TrainingCluster("team"), image=IMAGE, model=model, reads=[store])

    found = resolve(variables(expanded(declare)), OUTPUTS)
    assert (found["MODELS_URI"], found["MODEL_URI"]) == ("s3://b-1/models", "s3://b-1/models/ranker/41")


def test_a_model_of_personal_data_is_personal_data(expanded: Any) -> None:
    result = expanded(lambda: serving({"classification": "pii", "expire_days": 30}, writes=[Bucket("other")]), "eks")
    (problem,) = [item for item in result.diagnostics if item.code == "personal-data-flow"]
    assert "reads personal data from 'models'" in problem.summary


def test_in_the_cluster_it_is_the_same(expanded: Any) -> None:
    def declare() -> Any:
        cluster = TrainingCluster("team")
        store = ModelStore("models", bucket=Bucket("data", place="cluster", cluster=cluster, image=IMAGE))
        model = StoredModel(store=store, name="ranker", version="41")
        return Endpoint("api", cluster=cluster, image=IMAGE, model=model)

    result = expanded(declare, "kubeconfig")
    assert result.diagnostics == ()
    assert {"MODEL_URI", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID"} <= set(variables(result))
    (document,) = result.inputs("team/object-store-policies")["data"].values()
    granted = [str(resource) for item in document.value["Statement"] for resource in item["Resource"]]
    assert any("/models/ranker/41/*" in resource for resource in granted)
    assert not any("/models/*" in resource for resource in granted)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "mlflow"}, "MLflow has this folder"),
        ({"name": "a/b"}, "name of a model"),
        ({"name": "*"}, "name of a model"),
        ({"version": ".."}, "is no version"),
        ({"version": 41}, "valid string"),
    ],
)
def test_models_that_are_none(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        serving(**fields)
