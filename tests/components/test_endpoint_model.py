from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.endpoint_model import BucketModel, RegisteredModel, version_of
from mlinfra.components.model_store import ModelStore, StoredModel
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Image, Model
from mlinfra.functions import resolve

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
OUTPUTS = {"models/bucket": {"id": "b", "bucket": "b", "arn": "arn:aws:s3:::b"}}


def endpoint(model: Any, **fields: Any) -> Endpoint:
    return Endpoint("api", cluster=TrainingCluster("train"), model=model, **{"image": IMAGE, **fields})


def in_bucket(path: str | None = "ranker/41") -> BucketModel:
    return BucketModel(bucket=Bucket("models"), path=path)


def environment(result: Any) -> dict[str, Any]:
    spec = result.inputs("api/deployment")["spec"]["template"]["spec"]
    (container,) = [item for item in spec["containers"] if item["name"] == "serve"]
    return {item["name"]: resolve(item.get("value"), OUTPUTS) for item in container["env"]}


@pytest.mark.parametrize(
    ("model", "uri", "version"),
    [
        (in_bucket, "s3://b/ranker/41", "41"),
        (
            lambda: StoredModel(store=ModelStore("models-in", bucket=Bucket("models")), name="ranker", version="41"),
            "s3://b/models/ranker/41",
            "41",
        ),
        (lambda: "s3://elsewhere/ranker/2024-01", "s3://elsewhere/ranker/2024-01", "2024-01"),
        (
            lambda: RegisteredModel(server="https://mlflow.example.com", name="ranker", version="3"),
            "models:/ranker/3",
            "3",
        ),
    ],
)
def test_pods_are_told_where_it_is_and_which_it_is(expanded: Any, model: Any, uri: str, version: str) -> None:
    told = environment(expanded(lambda: endpoint(model())))
    assert (told["MODEL_URI"], told["MODEL_VERSION"]) == (uri, version)


def test_its_folder_is_all_that_pods_may_read(expanded: Any) -> None:
    result = expanded(lambda: endpoint(in_bucket()))
    (objects, lists) = result.inputs("api/policy")["policy"].value["Statement"]
    assert [resolve(item, OUTPUTS) for item in objects["Resource"]] == ["arn:aws:s3:::b/ranker/41/*"]
    assert lists["Condition"] == {"StringLike": {"s3:prefix": ["ranker/41/*"]}}
    assert all(action.startswith(("s3:Get", "s3:List")) for action in (*objects["Action"], *lists["Action"]))


def test_without_a_version_there_is_nothing_to_read(expanded: Any) -> None:
    result = expanded(lambda: endpoint(in_bucket(None)))
    assert result.names_of("api") == {"service-account", "service"}


@pytest.mark.parametrize(
    ("server", "rule"),
    [
        (
            "http://mlflow.ml.svc:5000",
            {
                "to": [
                    {
                        "podSelector": {},
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ml"}},
                    }
                ],
                "ports": [{"port": 5000, "protocol": "TCP"}],
            },
        ),
        ("https://mlflow.example.com/team", {"ports": [{"port": 443, "protocol": "TCP"}]}),
        ("http://mlflow", {"ports": [{"port": 80, "protocol": "TCP"}]}),
    ],
)
def test_a_registry_is_let_out_to(expanded: Any, server: str, rule: dict[str, Any]) -> None:
    result = expanded(lambda: endpoint(RegisteredModel(server=server, name="ranker", version="3")))
    assert result.inputs("api/egress")["spec"]["egress"] == [rule]
    assert environment(result)["MLFLOW_TRACKING_URI"] == server


@pytest.mark.parametrize("text", ["mlflow.ml.svc", "ftp://a", "http://a b", "http://user@host"])
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ValidationError):
        RegisteredModel(server=text, name="ranker", version="3")


def test_the_version_of_a_place() -> None:
    assert version_of(Model("models:/ranker/12")) == "12"
    assert version_of(None) is None


# ------------------------------------------------------------------------------------------------ copying


def copier(result: Any) -> Any:
    spec = result.inputs("api/deployment")["spec"]["template"]["spec"]
    (container,) = [item for item in spec["initContainers"] if item["name"] == "model"]
    return container


@pytest.mark.parametrize(
    ("model", "program", "arguments"),
    [
        (in_bucket, "aws", ["s3", "cp", "--recursive", "--only-show-errors", "s3://b/ranker/41/", "{to}/"]),
        (
            lambda: RegisteredModel(server="http://mlflow.ml.svc:5000", name="ranker", version="3"),
            "mlflow",
            ["artifacts", "download", "--artifact-uri", "models:/ranker/3", "--dst-path", "{to}"],
        ),
    ],
)
@pytest.mark.parametrize("found", [True, False])
def test_a_model_is_copied_and_has_to_be_there(
    expanded: Any, tmp_path: Path, model: Any, program: str, arguments: list[str], found: bool
) -> None:
    """The container's own command, with a program in the place of the AWS CLI or MLflow that notes its arguments."""
    container = copier(expanded(lambda: endpoint(model(), runtime="mlflow", image=None)))
    told = {item["name"]: resolve(item["value"], OUTPUTS) for item in container["env"]}
    assert told["MODEL_PATH"] == "/models/api"
    to = tmp_path / "models"
    to.mkdir()
    fake = tmp_path / "bin" / program
    fake.parent.mkdir()
    made = f'touch "{to}/MLmodel"\n' if found else ""
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/arguments"\n{made}')
    fake.chmod(0o755)
    env = {**told, "MODEL_PATH": str(to), "PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(container["command"], env=env, capture_output=True, text=True, check=False)
    assert (tmp_path / "arguments").read_text().splitlines() == [item.format(to=to) for item in arguments]
    assert done.returncode == (0 if found else 1)
    assert done.stderr == ("" if found else f"there is no model at {told['MODEL_URI']}\n")
