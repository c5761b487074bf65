"""Secrets, databases and volumes in the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.authoring import Component
from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.job_values import Ray
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.node_pool import NodePool
from mlinfra.components.raw import Raw
from mlinfra.components.secret_sources import FromEnvironment
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from tests.checks.data.conftest import IMAGE, Report

RBAC = "rbac.authorization.k8s.io/v1"


def obj(name: str, token: str, namespace: str = "apps", **body: Any) -> Raw:
    """A Kubernetes object by hand, called as its component."""
    version, _, kind = token.rpartition(":")
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    inputs = {"apiVersion": version.removeprefix("core/"), "kind": kind, "metadata": metadata, **body}
    return Raw(name, type=f"kubernetes:{token}", inputs=inputs)


def pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": IMAGE, **spec.pop("container", {})}
    return {"spec": {"template": {"spec": {"containers": [container], **spec}}}}


@pytest.mark.parametrize(
    ("kind", "body", "reads"),
    [
        ("apps/v1:Deployment", pod(volumes=[{"name": "v", "secret": {"secretName": "token"}}]), True),
        ("apps/v1:Deployment", pod(volumes=[{"name": "v", "secret": {"secretName": "other"}}]), False),
        ("apps/v1:DaemonSet", pod(container={"envFrom": [{"secretRef": {"name": "token"}}]}), True),
        (
            "batch/v1:Job",
            pod(container={"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "token", "key": "k"}}}]}),
            True,
        ),
        (
            "apps/v1:StatefulSet",
            pod(volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "token"}}]}}]),
            True,
        ),
        ("apps/v1:Deployment", pod(imagePullSecrets=[{"name": "token"}]), False),
    ],
)
def test_pods_that_name_a_secret_read_it(report: Report, kind: str, body: Any, reads: bool) -> None:
    def declare(namespace: str) -> Any:
        secret = obj("token", "core/v1:Secret", type="Opaque", stringData={"k": "v"})
        return lambda: [secret, obj("user", kind, namespace, **body)]

    told = report(declare("apps"))
    assert told.names("token") == (["user"] if reads else [])
    assert (told.store("token").kind, told.store("token").place) == ("Kubernetes secret", "apps/token")
    assert report(declare("elsewhere")).names("token") == []


def rules(**fields: Any) -> list[dict[str, Any]]:
    return [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], **fields}]


@pytest.mark.parametrize(
    ("role", "binding", "allowed", "reads"),
    [
        ("Role", "RoleBinding", rules(), True),
        ("ClusterRole", "RoleBinding", rules(), True),
        ("ClusterRole", "ClusterRoleBinding", rules(verbs=["list"]), True),
        ("Role", "RoleBinding", rules(resources=["*"], verbs=["*"], apiGroups=["*"]), True),
        ("Role", "RoleBinding", rules(resourceNames=["token"]), True),
        ("Role", "RoleBinding", rules(resourceNames=["other"]), False),
        ("Role", "RoleBinding", rules(resources=["configmaps"]), False),
        ("Role", "RoleBinding", rules(verbs=["create"]), False),
        ("Role", "RoleBinding", rules(apiGroups=["apps"]), False),
    ],
)
def test_whom_rbac_lets_read(report: Report, role: str, binding: str, allowed: Any, reads: bool) -> None:
    def declare() -> list[Component]:
        space = "" if binding == "ClusterRoleBinding" else "apps"
        subjects = [{"kind": "ServiceAccount", "name": "ci", "namespace": "build"}, {"kind": "Group", "name": "ops"}]
        return [
            obj("token", "core/v1:Secret", type="Opaque", stringData={"k": "v"}),
            obj("reader", f"{RBAC}:{role}", "" if role == "ClusterRole" else "apps", rules=allowed),
            obj("bound", f"{RBAC}:{binding}", space, roleRef={"kind": role, "name": "reader"}, subjects=subjects),
        ]

    found = report(declare).store("token").readers
    assert [(item.kind, item.name) for item in found] == (
        [("group", "ops"), ("serviceaccount", "build/ci")] if reads else []
    )


def test_a_secret_of_both_places(report: Report) -> None:
    def declare() -> Component:
        cluster = TrainingCluster("train")
        token = ManagedSecret("hub-token", value_from=FromEnvironment("HUB_TOKEN"), in_cluster=[cluster])
        return Endpoint("api", cluster=cluster, image=IMAGE, reads=[token])

    told = report(declare)
    assert told.names("hub-token") == ["api"]
    (inside,) = [store for store in told.report.stores if store.kind == "Kubernetes secret"]
    assert [(reader.name, reader.component) for reader in inside.readers] == [("Deployment api", "api")]
    assert "never" not in str(told.report.as_json())


def test_admins_of_a_team_read_its_secrets_and_other_people_do_not(report: Report) -> None:
    def declare() -> Component:
        cluster = TrainingCluster("train", admins=["platform"])
        search = Team("search", cluster=cluster, admins=["ml-leads"], developers=["devs"], viewers=["auditors"])
        token = ManagedSecret("hub-token", value_from=FromEnvironment("HUB_TOKEN"), in_cluster=[search])
        return Endpoint("api", cluster=search, image=IMAGE, reads=[token])

    (inside,) = [store for store in report(declare).report.stores if store.kind == "Kubernetes secret"]
    readers = {(reader.kind, reader.name): reader.policies for reader in inside.readers}
    assert set(readers) == {("group", "ml-leads"), ("workload", "Deployment api")}
    assert readers["group", "ml-leads"] == ("search/people-admin-binding",)


def test_a_database_in_the_cluster(report: Report) -> None:
    def declare() -> Component:
        cluster = TrainingCluster("train")
        features = Database("features", place="cluster", cluster=cluster, image=IMAGE)
        return Endpoint("api", cluster=cluster, image=IMAGE, reads=[features])

    told = report(declare)
    store = told.store("features")
    assert (store.kind, store.where) == ("database", "the cluster")
    assert told.names("features") == ["features", "api"]
    assert told.reader("features", "Deployment api").policies == ("features/secret",)


def test_a_database_on_aws(report: Report) -> None:
    def declare() -> Component:
        return Endpoint("api", cluster=TrainingCluster("train"), image=IMAGE, reads=[Database("features")])

    told = report(declare)
    assert told.store("features").kind == "database"
    assert told.names("features") == ["api"]
    assert told.reader("features", "sample-test-api").actions == ("rds-db:connect",)


def test_a_claim_is_read_by_the_pods_that_mount_it(report: Report) -> None:
    def declare() -> list[Component]:
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "cache"}}
        claim = obj("cache", "core/v1:PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"]})
        return [
            claim,
            obj("user", "apps/v1:Deployment", **pod(volumes=[volume])),
            obj("not", "apps/v1:Deployment", **pod()),
        ]

    assert report(declare).names("cache") == ["user"]


def test_a_bucket_in_the_cluster_is_read_by_whom_its_policy_lets_in(report: Report) -> None:
    def declare() -> list[Component]:
        cluster = TrainingCluster("train")
        data = Bucket("data", place="cluster", cluster=cluster, image=IMAGE, classification="public")
        clicks = Dataset("clicks", bucket=data)
        return [
            Endpoint("api", cluster=cluster, image=IMAGE, reads=[data]),
            Endpoint("part", cluster=cluster, image=IMAGE, reads=[clicks]),
            Endpoint("writer", cluster=cluster, image=IMAGE, writes=[data]),
        ]

    told = report(declare)
    store = told.store("data")
    assert (store.kind, store.where, store.classification) == ("bucket", "the cluster", "public")
    assert store.place.startswith("s3://")
    found = {reader.component: reader.reads for reader in store.readers}
    assert found == {"train": ("*",), "api": ("*",), "part": ("datasets/clicks/*",)}
    (reader,) = [item for item in store.readers if item.component == "api"]
    assert (reader.name, reader.actions) == ("Deployment api", ("s3:GetObject",))
    assert reader.policies == ("train/object-store-policies", "api/object-store")


@pytest.mark.parametrize("ray", [None, Ray(workers=1)])
def test_a_job_reads_what_the_pods_of_its_runs_are_given(report: Report, ray: Ray | None) -> None:
    def declare() -> Any:
        pool = NodePool("cpu", instance_type="m6i.4xlarge")
        cluster = TrainingCluster("train", pools=[pool])
        data = Bucket("data", place="cluster", cluster=cluster, image=IMAGE)
        return [TrainingJob("fit", cluster=cluster, pool=pool, image=IMAGE, command=["x"], ray=ray, reads=[data])]

    assert report(declare).names("data") == ["train", "fit"]
