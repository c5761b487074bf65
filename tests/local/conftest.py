"""One project and one local target for all tests here: real moto, real Kubernetes, in a home that must stay empty."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlinfra.graph import Pool
from mlinfra.local.accounts import SECRET_KEY, access_key
from mlinfra.local.moto import Moto, Server
from mlinfra.local.target import LocalAccess, LocalTarget, stop_all
from mlinfra.project import Project, cache_folder
from mlinfra.providers.kubernetes.client import Cluster
from tests.local.eks_place import ONE, TWO, Client, place, role

POOLS = (
    Pool("cpu", instance_type="m6i.xlarge", cpu=4, memory=16, max=2, labels={"team": "recsys"}),
    Pool(
        "gpu",
        instance_type="g5.xlarge",
        cpu=3.92,
        memory=14.5,
        gpus=1,
        pods=58,
        max=1,
        spot=True,
        taints=(("nvidia.com/gpu", "present", "NoSchedule"),),
    ),
)


@pytest.fixture(scope="session")
def pools() -> tuple[Pool, ...]:
    """What the stack declares: two plain nodes and a tainted one with a GPU."""
    return POOLS


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home folder of a user who has nothing in it; tools come from the real one's cache."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLINFRA_CACHE", str(cache_folder()))
        patch.setenv("HOME", str(folder))
        for name in ("KUBECONFIG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(scope="package")
def project(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("project"))
    yield project
    stop_all(project)


@pytest.fixture(scope="package")
def target(project: Project) -> Iterator[LocalTarget]:
    target = LocalTarget(project, "staging")
    yield target
    target.reset()


@pytest.fixture
def access(target: LocalTarget, pools: tuple[Pool, ...]) -> LocalAccess:
    """The target, up; whatever the test before did to it."""
    return target.up(pools)


@pytest.fixture
def cluster(access: LocalAccess) -> Cluster:
    return Cluster.from_kubeconfig(access.kubeconfig)


# ------------------------------------------------------------------------------------------------ EKS


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """A moto server by itself."""
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture
def server(moto: Moto) -> Server:
    """It, with nothing in two accounts."""
    found = moto.ensure()
    for account in (ONE, TWO):
        moto.wipe(account)
    return found


@pytest.fixture
def client(server: Server) -> Client:
    """Clients of boto3, by service, account and region, each made once."""

    @functools.cache
    def make(service: str, account: str = ONE, region: str = "eu-west-1") -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=server.endpoint,
            region_name=region,
            aws_access_key_id=access_key(account),
            aws_secret_access_key=SECRET_KEY,
            config=Config(proxies={}, retries={"max_attempts": 1}),
        )

    return make


@pytest.fixture
def there(client: Client) -> dict[str, Any]:
    """A VPC and roles for clusters and what is in them."""
    return {
        **place(client),
        "nodes": role(client, "nodes", "ec2.amazonaws.com"),
        "pods": role(client, "pods", "pods.eks.amazonaws.com"),
        "fargate": role(client, "fargate", "eks-fargate-pods.amazonaws.com"),
        "people": role(client, "people", "ec2.amazonaws.com"),
    }
