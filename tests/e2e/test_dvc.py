"""Datasets with the real DVC client, on what `up` made: versions are pushed, and an old one is had back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import Recorder, allowed, programs, refused, role_of
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DVC = "3.67.1"
BLUEPRINT = '''
from mlinfra import Blueprint, Bucket, Dataset, Environment, ModelStore, NodePool, Params
from mlinfra import TrainingCluster, TrainingJob, blueprint


@blueprint("clicks", version="1.0.0")
def clicks(env: Environment, p: Params) -> Blueprint:
    """A dataset and a model store on one bucket, and a job that reads the one and writes both."""
    data = Bucket("data", classification="confidential")
    clicks = Dataset("clicks", bucket=data, description="What people clicked on")
    models = ModelStore("models", bucket=data)
    pool = NodePool("cpu", instance_type="m6i.xlarge")
    cluster = TrainingCluster("train", pools=[pool])
    fit = TrainingJob("fit", cluster=cluster, pool=pool, reads=[clicks], writes=[clicks, models])
    return Blueprint(
        fit,
        outputs={"dvc": clicks.dvc, "dvc_command": clicks.dvc_command, "artifact_root": models.artifact_root},
    )
'''


@pytest.fixture(scope="session")
def dvc() -> Path:
    """The programs of an environment with DVC in it."""
    return programs(f"dvc-{DVC}", f"dvc[s3]=={DVC}")


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Lab]:
    lab.blueprint("clicks", BLUEPRINT)
    lab.stack("clicks", blueprint="clicks")
    lab.run("up", "--stack", "clicks", "--yes")
    yield lab
    lab.run("destroy", "--stack", "clicks", "--yes")


def outputs(lab: Lab) -> dict[str, Any]:
    (record,) = lab.run("outputs", "--stack", "clicks", "--json").lines("outputs")
    found: dict[str, Any] = record["outputs"]
    return found


class Repository:
    """A Git repository with DVC in it, and the environment that `mlinfra local env` gives."""

    def __init__(self, folder: Path, programs: Path, environment: dict[str, str]) -> None:
        folder.mkdir()
        self.folder = folder
        self.environment = {
            **environment,
            "PATH": f"{programs}:{environment['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": str(folder.parent / "gitconfig"),
        }

    def run(self, command: str) -> str:
        ran = subprocess.run(
            ["sh", "-e", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def write(self, **files: str) -> None:
        (self.folder / "clicks").mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / "clicks" / name).write_text(text)

    def read(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted((self.folder / "clicks").iterdir())}


def test_an_old_version_is_had_back(made: Lab, dvc: Path, tmp_path: Path) -> None:
    told = outputs(made)
    access = made.access("clicks")
    recorder = Recorder(access["AWS_ENDPOINT_URL"])
    environment = {**access, "AWS_ENDPOINT_URL": recorder.url, "HOME": str(made.home)}
    first = Repository(tmp_path / "first", dvc, environment)
    first.run("git init -q . && git config user.name a && git config user.email a@example.com && dvc init -q")
    first.run(told["dvc_command"])
    assert told["dvc"]["url"] in first.run("dvc config remote.clicks.url")
    assert first.run("dvc config remote.clicks.region").strip() == told["dvc"]["region"]

    one, two = {"a": "one\n", "b": "same\n"}, {"a": "two\n", "b": "same\n", "c": "new\n"}
    first.write(**one)
    first.run("dvc add -q clicks && git add . && git commit -q -m one && dvc push -q")
    first.write(**two)
    first.run("dvc add -q clicks && git add . && git commit -q -m two && dvc push -q")
    assert "in sync" in first.run("dvc status --cloud")

    first.run("git checkout -q HEAD~1 && dvc checkout -q")
    assert first.read() == one

    # Another place, with nothing but what is in Git: the newest version, then the one before it.
    second = Repository(tmp_path / "second", dvc, environment)
    first.run("git checkout -q -")
    second.run(f"git clone -q {first.folder} . && dvc pull -q")
    assert second.read() == two
    second.run("rm -rf .dvc/cache clicks && git checkout -q HEAD~1 && dvc pull -q")
    assert second.read() == one

    _all_in_the_folder(made, told["dvc"]["url"])
    _no_more_than_is_granted(made, recorder)


def _all_in_the_folder(lab: Lab, url: str) -> None:
    """Each content once, encrypted with the bucket's key, under the dataset's prefix and nowhere else."""
    name, _, prefix = url.removeprefix("s3://").partition("/")
    s3 = lab.client("clicks", "s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]]
    assert len(keys) == 4 + 2  # four contents, and a list of files for each version
    assert all(key.startswith(f"{prefix}/files/md5/") for key in keys)
    assert {s3.head_object(Bucket=name, Key=key)["ServerSideEncryption"] for key in keys} == {"aws:kms"}


def _no_more_than_is_granted(lab: Lab, recorder: Recorder) -> None:
    """All that DVC asked is allowed to the job that reads and writes the dataset, by the policy that it really has."""
    job = role_of(lab, "clicks", "fit")
    assert {method for method, _, _ in recorder.asked} == {"GET", "HEAD", "PUT"}
    assert refused(job, recorder.asked) == []
    assert not allowed(job, "s3:ListBucket", "arn:aws:s3:::*", "datasets/other/")


def test_the_report_names_the_job(made: Lab) -> None:
    (record,) = made.run("report", "data", "--stack", "clicks", "--json").lines("data")
    stores = {store["name"]: store for store in record["stores"]}
    assert [reader["component"] for reader in stores["clicks"]["readers"]] == ["fit"]
    assert stores["models"]["readers"] == []
    assert stores["data"]["readers"][0]["reads"] == ["datasets/clicks/*"]
    table = made.run("report", "data", "--stack", "clicks").out
    assert "What people clicked on" in table
    assert "| clicks | dataset in data |" in made.run("report", "data", "--stack", "clicks", "--markdown").out


def test_a_second_run_changes_nothing(made: Lab) -> None:
    assert made.report("up", "--stack", "clicks", "--yes")["changes"] == 0
    assert outputs(made)["artifact_root"].endswith("/models/mlflow")
