"""A model store with the real MLflow client, on what `up` made: artifacts are logged, and models are loaded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import Recorder, allowed, programs, refused, role_of
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MLFLOW = "3.17.2"
BOTO3 = "1.44.5"
BLUEPRINT = '''
from mlinfra import Blueprint, Bucket, Endpoint, Environment, Key, ModelStore, NodePool, Params, StoredModel
from mlinfra import TrainingCluster, TrainingJob, blueprint


@blueprint("rank", version="1.0.0")
def rank(env: Environment, p: Params) -> Blueprint:
    """A job that adds models to a store, a tool that reads them all, an endpoint that serves one of them."""
    models = ModelStore("models", bucket=Bucket("artifacts", key=Key("keys")))
    pool = NodePool("cpu", instance_type="m6i.xlarge")
    cluster = TrainingCluster("train", pools=[pool])
    fit = TrainingJob("fit", cluster=cluster, pool=pool, writes=[models])
    compare = TrainingJob("compare", cluster=cluster, pool=pool, reads=[models])
    api = Endpoint("api", cluster=cluster, model=StoredModel(store=models, name="ranker", version="41"))
    return Blueprint(
        fit,
        compare,
        api,
        outputs={"root": models.artifact_root, "served": models.version_uri("ranker", "41")},
    )
'''

LOG = """
import mlflow, sys
root, folder = sys.argv[1:]
experiment = mlflow.create_experiment("rank", artifact_location=root)
with mlflow.start_run(experiment_id=experiment):
    mlflow.log_artifacts(folder, "model")
    mlflow.log_text("0.91", "auc.txt")
    print(mlflow.get_artifact_uri())
"""
PUT = """
import sys
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
uri, folder = sys.argv[1:]
get_artifact_repository(uri).log_artifacts(folder)
"""
GET = """
import mlflow.artifacts, sys
uri, folder = sys.argv[1:]
print(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
"""
FILES = {"MLmodel": "flavors: {}\n", "weights/part-1": "one", "weights/part-2": "two"}


@pytest.fixture(scope="session")
def mlflow() -> Path:
    """The Python of an environment with MLflow's client in it."""
    requirements = (f"mlflow-skinny=={MLFLOW}", f"boto3=={BOTO3}")
    return programs(f"mlflow-{MLFLOW}", *requirements) / "python"


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("rank", BLUEPRINT)
    lab.stack("rank", blueprint="rank")
    lab.run("up", "--stack", "rank", "--yes")
    yield lab
    lab.run("destroy", "--stack", "rank", "--yes")


class Client:
    """MLflow's client with the environment that `mlinfra local env` gives, and what it asked S3 for."""

    def __init__(self, lab: Lab, python: Path, folder: Path) -> None:
        access = lab.access("rank")
        self.recorder = Recorder(access["AWS_ENDPOINT_URL"])
        self.python, self.folder = python, folder
        self.environment = {
            **access,
            "AWS_ENDPOINT_URL": self.recorder.url,
            "HOME": str(lab.home),
            "MLFLOW_TRACKING_URI": f"file://{folder}/runs",
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        folder.mkdir()

    def run(self, script: str, *arguments: str) -> str:
        ran = subprocess.run(
            [str(self.python), "-c", script, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        return ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else ""


def read(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def told(lab: Lab) -> dict[str, str]:
    (record,) = lab.run("outputs", "--stack", "rank", "--json").lines("outputs")
    found: dict[str, str] = record["outputs"]
    return found


def test_who_writes_the_store_logs_and_who_reads_it_finds_them(made: Lab, mlflow: Path, tmp_path: Path) -> None:
    writer, reader = Client(made, mlflow, tmp_path / "writer"), Client(made, mlflow, tmp_path / "reader")
    root = told(made)["root"]
    run = writer.run(LOG, root, str(write(tmp_path / "model")))
    assert run.startswith(f"{root}/")
    assert refused(role_of(made, "rank", "fit"), writer.recorder.asked) == []
    assert {method for method, _, _ in writer.recorder.asked} == {"PUT"}

    reader.run(GET, run, str(tmp_path / "found"))
    found = read(tmp_path / "found")
    assert sorted(found.values()) == sorted([*FILES.values(), "0.91"])
    assert refused(role_of(made, "rank", "compare"), reader.recorder.asked) == []
    assert refused(role_of(made, "rank", "api"), reader.recorder.asked) == reader.recorder.asked


def test_who_serves_a_model_loads_that_one(made: Lab, mlflow: Path, tmp_path: Path) -> None:
    writer, reader = Client(made, mlflow, tmp_path / "writer"), Client(made, mlflow, tmp_path / "reader")
    served = told(made)["served"]
    writer.run(PUT, served, str(write(tmp_path / "model")))
    assert refused(role_of(made, "rank", "fit"), writer.recorder.asked) == []

    reader.run(GET, served, str(tmp_path / "found"))
    found = read(tmp_path / "found")
    assert {name.removeprefix("41/"): text for name, text in found.items()} == FILES
    api = role_of(made, "rank", "api")
    assert reader.recorder.asked
    assert refused(api, reader.recorder.asked) == []
    bucket = f"arn:aws:s3:::{served.removeprefix('s3://').partition('/')[0]}"
    assert not allowed(api, "s3:ListBucket", bucket, "models/ranker/")
    assert not allowed(api, "s3:GetObject", f"{bucket}/models/ranker/42/MLmodel")
    s3 = made.client("rank", "s3")
    key = f"{served.removeprefix('s3://').partition('/')[2]}/MLmodel"
    assert s3.head_object(Bucket=bucket.rpartition(":")[2], Key=key)["ServerSideEncryption"] == "aws:kms"
