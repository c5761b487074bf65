from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_options import CorsRule, Notification, ObjectLock, Replica, Transition
from mlinfra.components.dataset import Dataset
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.model_store import ModelStore
from mlinfra.components.node_pool import NodePool
from mlinfra.components.object_store import BUCKETS, LINKS, METADATA, POLICIES
from mlinfra.components.queue import Queue
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.functions import resolve
from mlinfra.graph import Document, Join, Ref
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
STORE = "docker.io/versity/versitygw@sha256:" + "fedcba9876543210" * 4
SERVER = {
    "object-store",
    "object-store-accounts",
    "object-store-closed",
    "object-store-pods",
    "object-store-policies",
    "object-store-root",
    "object-store-service",
}
POOL = {"instance_type": "m6i.xlarge", "max": 2}


def made(cluster: TrainingCluster, name: str = "data", **more: Any) -> Bucket:
    return Bucket(name, **{"cluster": cluster, "image": STORE, **more})


def whole(place: str | None = "cluster") -> list[Any]:
    """A job that reads one bucket, writes another and erases in a third; an endpoint that reads what the job writes."""
    pool = NodePool("cpu", **POOL)
    cluster = TrainingCluster("team", pools=[pool])
    data, models, old = (made(cluster, name, place=place) for name in ("data", "models", "old"))
    fit = TrainingJob(
        "fit", cluster=cluster, pool=pool, image=IMAGE, command=["x"], reads=[data], writes=[models], erases=[old]
    )
    return [fit, Endpoint("api", cluster=cluster, image=IMAGE, reads=[models])]


def policy_of(result: Any, bucket: str) -> list[Any]:
    name = f"sample-test-{bucket}"
    document = result.inputs("team/object-store-policies")["data"][f"{name}.json"]
    assert isinstance(document, Document)
    filled = resolve(document.value, {f"{bucket}/claim": {"metadata": {"name": name}}})
    assert filled["Version"] == "2012-10-17"
    return list(filled["Statement"])


def env_of(pod: Any) -> dict[str, Any]:
    (container,) = pod["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


@pytest.mark.parametrize("target", ["local", "eks", "kubeconfig"])
def test_what_it_comes_to(expanded: Any, target: str) -> None:
    cluster = lambda: TrainingCluster("team")  # noqa: E731
    result = expanded(lambda: made(cluster(), place="cluster", storage_gib=50, storage_class="fast"), target)
    assert result.diagnostics == ()
    assert result.names_of("data") == ({"claim", "volume"} if target == "local" else {"claim"})
    assert result.names_of("team") >= SERVER
    assert not [node for node in result.graph if node.type.startswith("aws:s3")]
    claim = result.inputs("data/claim")
    assert claim["metadata"]["name"] == "sample-test-data"
    assert claim["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    assert claim["spec"]["resources"]["requests"]["storage"] == "50Gi"
    assert claim["spec"]["storageClassName"] == ("" if target == "local" else "fast")


def test_the_pod_is_closed_and_small(expanded: Any) -> None:
    result = expanded(lambda: whole())
    assert result.diagnostics == ()
    spec = result.inputs("team/object-store")["spec"]
    assert (spec["replicas"], "volumeClaimTemplates" in spec) == (1, False)
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["image"] == STORE
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    (server,) = pod["containers"]
    assert all(f"{name}Probe" in server for name in ("startup", "readiness", "liveness"))
    assert server["resources"]["requests"] == {"cpu": "750m", "memory": "1536Mi"}  # of three buckets
    secret = Ref("team/object-store-accounts", ("metadata", "name"))
    assert env_of(pod)["ROOT_SECRET_KEY"] == {"secretKeyRef": {"name": secret, "key": "root-secret"}}
    claims = [item["persistentVolumeClaim"]["claimName"] for item in pod["volumes"] if "persistentVolumeClaim" in item]
    assert claims == [Ref(f"{name}/claim", ("metadata", "name")) for name in ("data", "models", "old")]
    mounts = {item["mountPath"]: (item["name"], item.get("subPath")) for item in server["volumeMounts"]}
    assert mounts["/srv/buckets/sample-test-models"] == ("bucket-2", "objects")
    assert mounts["/srv/metadata/sample-test-models"] == ("bucket-2", "metadata")
    services = {name: result.inputs(f"team/object-store-{name}")["spec"] for name in ("service", "pods")}
    assert services["pods"]["clusterIP"] == "None"
    assert "clusterIP" not in services["service"]
    labels = spec["template"]["metadata"]["labels"]
    for selected in (spec["selector"]["matchLabels"], services["service"]["selector"]):
        assert selected.items() <= labels.items()


def test_everybody_has_an_account_of_ones_own_and_no_more_than_references_say(expanded: Any) -> None:
    result = expanded(whole, "kubeconfig")
    assert result.diagnostics == ()
    secret = result.inputs("team/object-store-accounts")["stringData"]
    accounts = secret["users.json"].value["accessAccounts"]
    assert set(accounts) == {"fit", "api"}
    assert {account["role"] for account in accounts.values()} == {"user"}
    assert accounts["fit"]["secret"] == Ref("fit/object-store-key", ("output", "value"))
    assert {(item["Principal"]["AWS"][0], *item["Action"]) for item in policy_of(result, "data")} == {
        ("fit", "s3:GetObject"),
        ("fit", "s3:ListBucket"),
    }
    models = policy_of(result, "models")
    assert {item["Principal"]["AWS"][0] for item in models if "s3:PutObject" in item["Action"]} == {"fit"}
    assert {item["Principal"]["AWS"][0] for item in models if "s3:GetObject" in item["Action"]} == {"api"}
    assert {item["Effect"] for item in models} == {"Allow"}
    old = policy_of(result, "old")
    assert {action for item in old for action in item["Action"]} == {
        "s3:DeleteObject",
        "s3:GetObjectTagging",
        "s3:PutObjectTagging",
        "s3:ListBucket",
    }
    (objects,) = [item for item in old if "s3:DeleteObject" in item["Action"]]
    assert objects["Resource"] == ["arn:aws:s3:::sample-test-old/*"]
    assert not {"role", "policy", "identity"} & (result.names_of("fit") | result.names_of("api"))


def test_programs_find_it_where_they_look(expanded: Any) -> None:
    result = expanded(whole, "kubeconfig")
    name = Ref("api/object-store", ("metadata", "name"))
    found = env_of(result.inputs("api/deployment")["spec"]["template"]["spec"])
    assert found["MODELS_URI"] == Join(("s3://", Ref("models/claim", ("metadata", "name"))))
    namespace = Ref("team/namespace", ("metadata", "name"))
    assert found["AWS_ENDPOINT_URL_S3"] == Join(("http://", "team-object-store", ".", namespace, ".svc:7070"))
    assert found["AWS_ACCESS_KEY_ID"] == "api"
    assert found["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": name, "key": "secret-access-key"}}
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "us-east-1"
    assert result.inputs("api/object-store")["stringData"] == {
        "secret-access-key": Ref("api/object-store-key", ("output", "value"))
    }
    job = env_of(result.inputs("fit/template")["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    assert {"DATA_URI", "MODELS_URI", "OLD_URI", "AWS_ENDPOINT_URL_S3"} <= set(job)


def test_only_who_refers_to_a_bucket_gets_in(expanded: Any) -> None:
    result = expanded(lambda: [*whole(), Endpoint("other", cluster=TrainingCluster("b"), image=IMAGE)])
    closed = result.inputs("team/object-store-closed")["spec"]
    assert (closed["policyTypes"], "ingress" in closed) == (["Ingress"], False)
    assert "to-object-store" not in result.names_of("other")
    for name in ("fit", "api"):
        opened = result.inputs(f"{name}/to-object-store")["spec"]
        assert opened["podSelector"] == closed["podSelector"]
        (rule,) = opened["ingress"]
        (peer,) = rule["from"]
        assert peer["podSelector"] == {"matchLabels": {"mlinfra.dev/component": name}}
        assert rule["ports"] == [{"port": 7070, "protocol": "TCP"}]


def test_where_the_target_has_aws_it_is_there_by_default(expanded: Any) -> None:
    result = expanded(lambda: whole(None), "eks")
    assert result.diagnostics == ()
    assert result.node("data/bucket").type == "aws:s3/bucket:Bucket"
    assert not SERVER & result.names_of("team")
    assert "AWS_ENDPOINT_URL_S3" not in env_of(result.inputs("api/deployment")["spec"]["template"]["spec"])


@pytest.mark.parametrize("tier", [Tier.DEV, Tier.PROD])
def test_the_claim_is_protected_where_a_bucket_is(expanded: Any, tier: Tier) -> None:
    assert expanded(lambda: whole(), tier=tier).node("data/claim").options.protect is tier.protected


def test_parts_of_a_bucket(expanded: Any) -> None:
    def declare() -> Any:
        cluster = TrainingCluster("team")
        bucket = made(cluster)
        clicks, models = Dataset("clicks", bucket=bucket), ModelStore("models", bucket=bucket)
        return Endpoint("api", cluster=cluster, image=IMAGE, reads=[clicks], writes=[models])

    result = expanded(declare, "kubeconfig")
    assert result.diagnostics == ()
    statements = policy_of(result, "data")
    arn = "arn:aws:s3:::sample-test-data"
    read = next(item for item in statements if item["Action"] == ["s3:GetObject"])
    assert read["Resource"] == [f"{arn}/datasets/clicks/*"]
    lists = next(item for item in statements if item["Action"] == ["s3:ListBucket"])
    assert lists["Condition"] == {"StringLike": {"s3:prefix": ["datasets/clicks/*"]}}
    write = next(item for item in statements if "s3:PutObject" in item["Action"])
    assert write["Resource"] == [f"{arn}/models/*"]
    found = env_of(result.inputs("api/deployment")["spec"]["template"]["spec"])
    assert {"CLICKS_URI", "MODELS_URI", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID"} <= set(found)
    assert "DATA_URI" not in found


def test_a_dvc_remote_in_the_cluster() -> None:
    clicks = Dataset("clicks", bucket=made(TrainingCluster("team"), place="cluster"))
    known = {
        "data/claim": {"metadata": {"name": "some-data"}},
        "team/namespace": {"metadata": {"name": "some-team"}},
    }
    assert resolve(clicks.dvc, known) == {
        "url": "s3://some-data/datasets/clicks/dvc",
        "region": "us-east-1",
        "endpointurl": "http://team-object-store.some-team.svc:7070",
    }
    command = resolve(clicks.dvc_command, known)
    assert command.endswith("dvc remote modify clicks endpointurl http://team-object-store.some-team.svc:7070")


# -------------------------------------------------------------------------------------------- mistakes

CANNOT: list[dict[str, Any]] = [
    {"classification": "confidential"},
    {"classification": "pii", "keep_forever": "labels are needed"},
    {"key": "own"},
    {"versioning": True},
    {"old_version_days": 3},
    {"expire_days": 30},
    {"transitions": [Transition(days=30, to="STANDARD_IA")]},
    {"old_version_transitions": [Transition(days=30, to="STANDARD_IA")]},
    {"access_logs": "own"},
    {"access_log_days": 30},
    {"lock": ObjectLock(mode="governance", days=5)},
    {"replica": Replica(region="eu-central-1")},
    {"cors": [CorsRule(origins=["https://labels.example.com"], methods=["GET"])]},
    {"eventbridge": True},
]


@pytest.mark.parametrize("fields", CANNOT, ids=[next(iter(fields)) for fields in CANNOT])
def test_what_it_cannot_be_told(expanded: Any, fields: dict[str, Any]) -> None:
    result = expanded(lambda: made(TrainingCluster("team"), **fields), "kubeconfig")
    assert set(result.codes) == {"bucket-in-cluster"}
    assert all(item.detail and item.remedy for item in result.diagnostics)
    assert result.names_of("data") == set()


def test_what_is_said_of_others_is_refused_too(expanded: Any) -> None:
    def declare() -> Any:
        return made(
            TrainingCluster("team"), place="cluster", key=Key("keys"), notifications=[Notification(to=Queue("work"))]
        )

    assert expanded(declare).codes == ["bucket-in-cluster", "bucket-in-cluster"]


@pytest.mark.parametrize("fields", [{"versioning": False}, {"eventbridge": False}, {"classification": "public"}])
def test_what_asks_for_nothing_is_no_mistake(expanded: Any, fields: dict[str, Any]) -> None:
    assert expanded(lambda: made(TrainingCluster("team"), **fields), "kubeconfig").codes == []


def test_a_data_set_in_the_cluster_does_not_go_by_age(expanded: Any) -> None:
    result = expanded(lambda: Dataset("clicks", bucket=made(TrainingCluster("team")), expire_days=3), "kubeconfig")
    assert result.codes == ["bucket-in-cluster"]


def elsewhere() -> Any:
    bucket = made(TrainingCluster("a"), place="cluster")
    return Endpoint("api", cluster=TrainingCluster("b"), image=IMAGE, reads=[bucket])


def both_places() -> Any:
    cluster = TrainingCluster("team")
    stores = [made(cluster, place="cluster"), Bucket("models")]
    return Endpoint("api", cluster=cluster, image=IMAGE, reads=stores)


def two_images() -> Any:
    cluster = TrainingCluster("team")
    return [made(cluster, place="cluster"), made(cluster, "models", place="cluster", image=IMAGE)]


@pytest.mark.parametrize(
    ("declare", "target", "codes"),
    [
        (lambda: Bucket("data"), "kubeconfig", ["bucket-cluster"]),
        (lambda: Bucket("data", place="cluster"), "local", ["bucket-cluster"]),
        (lambda: Bucket("data", place="aws"), "kubeconfig", ["target-without-aws"]),
        (elsewhere, "local", ["bucket-other-cluster"]),
        (both_places, "eks", ["two-credentials"]),
        (two_images, "local", ["bucket-store-image"]),
    ],
)
def test_what_cannot_be(expanded: Any, declare: Any, target: str, codes: list[str]) -> None:
    assert expanded(declare, target).codes == codes


def test_it_needs_kubernetes(expanded: Any) -> None:
    result = expanded(lambda: made(TrainingCluster("team"), place="cluster"), "aws-only")
    assert set(result.codes) == {"target-without-kubernetes"}


@pytest.mark.parametrize("fields", [{"storage_gib": 0}, {"image": "versity/versitygw:latest"}, {"place": "disk"}])
def test_mistakes(expanded: Any, fields: dict[str, Any]) -> None:
    (diagnostic,) = expanded(lambda: made(TrainingCluster("team"), **fields)).diagnostics
    assert next(iter(fields)) in diagnostic.summary


def test_each_bucket_has_a_link_to_its_policy_however_often_it_starts(tmp_path: Path) -> None:
    folders = {part: tmp_path / part.lstrip("/") for part in (BUCKETS, METADATA, POLICIES)}
    script = LINKS
    for part, folder in folders.items():
        script = script.replace(part, str(folder))
    for name in ("a-data", "b-models"):
        (folders[BUCKETS] / name).mkdir(parents=True)
        (folders[METADATA] / name).mkdir(parents=True)
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", script], check=True)
    for name in ("a-data", "b-models"):
        (link,) = (folders[METADATA] / name / "meta").iterdir()
        assert (link.name, link.readlink()) == ("policy", folders[POLICIES] / f"{name}.json")
