from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.bucket import Bucket
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.node_pool import NodePool
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.workspace import Workspace
from mlinfra.components.workspace_access import PROGRAM
from mlinfra.graph import Join, Ref, Secret, walk
from mlinfra.tiers import Tier

IMAGE: Any = "registry.example.com/jupyter@sha256:" + "ab" * 32


def lab(place: dict[str, Any] | None = None, **fields: Any) -> Workspace:
    pool = NodePool("gpu", instance_type="g5.12xlarge")
    cluster = TrainingCluster("train", pools=[pool], **(place or {}))
    return Workspace("lab", **{"cluster": cluster, "pool": pool, **fields})


def spec(result: Any) -> Any:
    return result.inputs("lab/server")["spec"]


def pod(result: Any) -> Any:
    return spec(result)["template"]["spec"]


def variables(container: Any) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_a_notebook_with_a_home(expanded: Any) -> None:
    result = expanded(lambda: lab(image=IMAGE, home_gib=80, storage_class="fast", gpus=1), "eks")
    assert result.codes == []
    assert "replicas" not in spec(result), "whoever starts and stops it owns them"
    (claim,) = spec(result)["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "80Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    server, stopper = pod(result)["containers"]
    assert {"name": "home", "mountPath": "/home/jovyan"} in server["volumeMounts"]
    assert server["image"] == stopper["image"] == IMAGE
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in stopper["resources"]["limits"]
    assert pod(result)["nodeSelector"]["node.kubernetes.io/instance-type"] == "g5.12xlarge"
    assert spec(result)["template"]["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"


@pytest.mark.parametrize(("tier", "kept"), [(Tier.DEV, "Delete"), (Tier.STAGING, "Delete"), (Tier.PROD, "Retain")])
def test_the_home_stays_when_it_stops(expanded: Any, tier: Tier, kept: str) -> None:
    retention = spec(expanded(lambda: lab(image=IMAGE), tier=tier))["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": kept, "whenScaled": "Retain"}


def test_the_identity_and_the_buckets_of_the_team(expanded: Any) -> None:
    result = expanded(lambda: lab(image=IMAGE, reads=[Bucket("data")], writes=[Bucket("models")]), "eks")
    assert result.codes == []
    server = pod(result)["containers"][0]
    assert variables(server)["DATA_URI"] == Join(("s3://", Ref("data/bucket")))
    assert pod(result)["serviceAccountName"] == Ref("lab/service-account", ("metadata", "name"))
    actions = {action for item in result.inputs("lab/policy")["policy"].value["Statement"] for action in item["Action"]}
    assert "s3:GetObject" in actions
    assert "s3:PutObject" in actions
    assert "s3:DeleteObject" not in actions


def test_the_token_is_made_up_and_stands_nowhere(expanded: Any) -> None:
    result = expanded(lambda: lab(image=IMAGE))
    assert result.inputs("lab/token")["stringData"] == {"token": Ref("lab/token-value", ("output", "value"))}
    reference = {"secretKeyRef": {"name": Ref("lab/token", ("metadata", "name")), "key": "token"}}
    server, stopper = pod(result)["containers"]
    assert variables(server)["JUPYTER_TOKEN"] == variables(stopper)["JUPYTER_TOKEN"] == reference
    assert not [item for node in result.graph for item in walk(dict(node.inputs)) if isinstance(item, Secret)]


def test_a_token_of_ones_own(expanded: Any) -> None:
    def declare() -> Workspace:
        pool = NodePool("gpu", instance_type="g5.12xlarge")
        cluster = TrainingCluster("train", pools=[pool])
        token = ManagedSecret("lab-token", in_cluster=[cluster])
        return Workspace("lab", cluster=cluster, image=IMAGE, token=token)

    result = expanded(declare)
    assert result.codes == []
    assert "token" not in result.names_of("lab")
    name = Ref("lab-token/in-train", ("metadata", "name"))
    assert variables(pod(result)["containers"][0])["JUPYTER_TOKEN"] == {"secretKeyRef": {"name": name, "key": "value"}}


def test_what_stops_it(expanded: Any) -> None:
    """A role to scale this StatefulSet and nothing else, which the notebooks themselves do not see."""
    result = expanded(lambda: lab(image=IMAGE, idle_minutes=45))
    assert result.inputs("lab/idle")["rules"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["statefulsets/scale"],
            "resourceNames": ["lab"],
            "verbs": ["get", "patch"],
        }
    ]
    (subject,) = result.inputs("lab/idle-binding")["subjects"]
    assert subject["name"] == Ref("lab/service-account", ("metadata", "name"))
    server, stopper = pod(result)["containers"]
    assert stopper["command"] == ["python3", "/opt/mlinfra/workspace_stopper.py", "45", "lab"]
    assert result.inputs("lab/stopper")["data"]["workspace_stopper.py"] == PROGRAM.read_text(encoding="utf-8")
    assert pod(result)["automountServiceAccountToken"] is False
    assert "api" not in {mount["name"] for mount in server["volumeMounts"]}
    assert "api" in {mount["name"] for mount in stopper["volumeMounts"]}


def test_one_that_never_stops_by_itself(expanded: Any) -> None:
    result = expanded(lambda: lab(image=IMAGE, idle_minutes=None))
    assert [container["name"] for container in pod(result)["containers"]] == ["notebook"]
    assert not {"idle", "idle-binding", "stopper"} & result.names_of("lab")


def test_developers_start_it_stop_it_and_sign_in(expanded: Any) -> None:
    result = expanded(lambda: lab({"developers": ["search-devs"], "viewers": ["auditors"]}, image=IMAGE))
    scaling, secret = result.inputs("lab/use")["rules"]
    assert scaling["verbs"] == ["get", "patch", "update"]
    assert scaling["resourceNames"] == ["lab"]
    assert secret == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [Ref("lab/token", ("metadata", "name"))],
        "verbs": ["get"],
    }
    assert [item["name"] for item in result.inputs("lab/use-binding")["subjects"]] == ["search-devs"]
    assert "use" not in expanded(lambda: lab(image=IMAGE)).names_of("lab")


@pytest.mark.parametrize("network", ["closed", "open"])
def test_no_pod_reaches_it(expanded: Any, network: str) -> None:
    result = expanded(lambda: lab({"network": network}, image=IMAGE))
    assert result.inputs("lab/closed")["spec"] == {
        "podSelector": {"matchLabels": {"mlinfra.dev/component": "lab"}},
        "policyTypes": ["Ingress"],
    }


def test_where_it_may_go(expanded: Any) -> None:
    def ports(**fields: Any) -> set[int]:
        policy = expanded(lambda: lab(image=IMAGE, **fields)).graph.nodes.get("lab/egress")
        rules = policy.inputs["spec"]["egress"] if policy else []
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert ports() == {80, 443, 6443}, "packages, and the API server"
    assert ports(internet=False) == {443, 6443}
    assert ports(internet=False, idle_minutes=None) == set()


def test_in_a_team(expanded: Any) -> None:
    def declare() -> Workspace:
        pool = NodePool("gpu", instance_type="g5.12xlarge")
        team = Team("search", cluster=TrainingCluster("train", pools=[pool]), developers=["search-devs"])
        return Workspace("lab", cluster=team, pool=pool, gpus=1, image=IMAGE)

    result = expanded(declare)
    assert result.codes == []
    assert result.inputs("lab/server")["metadata"]["namespace"] == Ref("search/namespace", ("metadata", "name"))


@pytest.mark.parametrize(
    ("fields", "image"),
    [
        ({}, "quay.io/jupyter/pytorch-notebook:2025-08-18"),
        ({"gpus": 1}, "quay.io/jupyter/pytorch-notebook:cuda12-2025-08-18"),
        ({"image": "tensorflow"}, "quay.io/jupyter/tensorflow-notebook:2025-08-18"),
        ({"image": "tensorflow", "gpus": 2}, "quay.io/jupyter/tensorflow-notebook:cuda-2025-08-18"),
        ({"image": IMAGE, "gpus": 1}, IMAGE),
    ],
)
def test_the_image(expanded: Any, fields: dict[str, Any], image: str) -> None:
    assert pod(expanded(lambda: lab(**fields)))["containers"][0]["image"] == image


@pytest.mark.parametrize(
    ("fields", "cpu", "memory"),
    [
        ({}, 2.0, 8.0),
        ({"gpus": 4}, 43.0, 152.0),
        ({"gpus": 1, "cpu": 3.5, "memory": 20.5}, 3.5, 20.5),
        ({"pool": None}, 2.0, 8.0),
    ],
)
def test_what_it_asks_for(fields: dict[str, Any], cpu: float, memory: float) -> None:
    request = lab(**fields).request
    assert (request.cpu, request.memory) == (cpu, memory)


def test_outputs() -> None:
    namespace = Ref("train/namespace", ("metadata", "name"))
    it = lab()
    assert it.url == Join(("http://", "lab", ".", namespace, ".svc:8888"))
    assert it.connect_command == Join(("kubectl --namespace ", namespace, " port-forward ", "service/lab", " 8888"))
    assert it.start_command == Join(("kubectl --namespace ", namespace, " scale ", "statefulset/lab", " --replicas=1"))
    assert it.token_value == Ref("lab/token-value", ("output", "value"))
    assert it.role_arn == Ref("lab/role", ("arn",))
    assert it.service_account == Ref("lab/service-account", ("metadata", "name"))


REFUSED: list[tuple[dict[str, Any], Tier, str, str]] = [
    ({}, Tier.PROD, "image-without-digest", "the image 'pytorch' by its tag"),
    ({"pool": None, "gpus": 1, "image": IMAGE}, Tier.DEV, "placement-no-pool", "for no pool that has them"),
    ({"gpus": 8, "cpu": 1, "memory": 1}, Tier.DEV, "placement-too-large", "asks for 8 GPUs"),
    ({"pool": NodePool("other", instance_type="m6i.2xlarge")}, Tier.DEV, "placement-other-cluster", "'other'"),
    ({"token": ManagedSecret("lab-token")}, Tier.DEV, "workspace-token", "which is not in its namespace"),
    (
        {"reads": [Bucket("data", classification="pii", expire_days=30)], "writes": [Bucket("out")]},
        Tier.DEV,
        "personal-data-flow",
        "reads personal data",
    ),
]


@pytest.mark.parametrize(("fields", "tier", "code", "says"), REFUSED)
def test_what_cannot_be_is_refused(expanded: Any, fields: dict[str, Any], tier: Tier, code: str, says: str) -> None:
    result = expanded(lambda: lab(**fields), tier=tier)
    assert result.codes == [code]
    assert says in result.diagnostics[0].summary
    assert result.diagnostics[0].component == "lab"


def test_without_a_cluster(expanded: Any) -> None:
    assert "target-without-kubernetes" in expanded(lambda: lab(), "aws-only").codes


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"image": "jupyter/scipy-notebook:latest"}, "image"),
        ({"image": "jax"}, "image"),
        ({"idle_minutes": 5}, "idle_minutes"),
        ({"home_gib": 0}, "home_gib"),
        ({"home_path": "home"}, "home_path"),
        ({"run_as_user": 0}, "run_as_user"),
        ({"token": "sesame"}, "token"),
        ({"replicas": 2}, "there is no field 'replicas'"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    found = expanded(lambda: lab(**fields)).diagnostics
    assert any(says in item.summary for item in found), found
