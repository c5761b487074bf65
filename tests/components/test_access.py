from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.access import account_id
from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.node_pool import NodePool
from mlinfra.components.queue import Queue
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.values import Image
from mlinfra.graph import Document, Join, Kind, Ref

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)


def endpoint(*, reads: int = 0, writes: int = 0) -> Endpoint:
    stores = [Bucket(f"b{index}") for index in range(max(reads, writes))]
    cluster = TrainingCluster("train")
    return Endpoint("api", cluster=cluster, image=IMAGE, reads=stores[:reads], writes=stores[:writes])


def statements(result: Any, node: str = "api/policy") -> list[dict[str, Any]]:
    document = result.inputs(node)["policy"]
    assert isinstance(document, Document)
    assert document.value["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = document.value["Statement"]
    return found


ARN = Ref("b0/bucket", ("arn",))
OBJECTS = Join((ARN, "/*"))
READ = [
    {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [OBJECTS]},
    {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [ARN]},
]
WRITE = [
    {
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        "Resource": [OBJECTS],
    },
    {"Effect": "Allow", "Action": ["s3:ListBucketMultipartUploads"], "Resource": [ARN]},
]


@pytest.mark.parametrize(("reads", "writes", "expected"), [(1, 0, READ), (0, 1, WRITE), (1, 1, [*READ, *WRITE])])
def test_exactly_what_reads_and_writes_come_to(expanded: Any, reads: int, writes: int, expected: list[Any]) -> None:
    assert statements(expanded(lambda: endpoint(reads=reads, writes=writes))) == expected


def test_each_store_is_named(expanded: Any) -> None:
    resources = [item["Resource"] for item in statements(expanded(lambda: endpoint(reads=3)))]
    named = [resource for (resource,) in resources if isinstance(resource, Ref)]
    assert named == [Ref(f"b{index}/bucket", ("arn",)) for index in range(3)]


def test_nothing_to_allow_is_no_role(expanded: Any) -> None:
    assert not {"role", "policy", "identity"} & expanded(endpoint).names_of("api")


def test_no_aws_is_no_role(expanded: Any) -> None:
    result = expanded(lambda: endpoint(reads=1), "kubeconfig")
    assert not {"role", "policy", "identity"} & result.names_of("api")
    assert result.codes == ["bucket-cluster"]


@pytest.mark.parametrize(
    ("target", "account"), [("local", Ref("api/account", ("accountId",))), ("eks", "111122223333")]
)
def test_who_may_assume_the_role(expanded: Any, target: str, account: Any) -> None:
    result = expanded(lambda: endpoint(reads=1), target)
    (trust,) = result.inputs("api/role")["assumeRolePolicy"].value["Statement"]
    conditions = trust.pop("Condition")["StringEquals"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    assert conditions["aws:SourceAccount"] == account
    assert conditions["aws:RequestTag/kubernetes-namespace"] == Ref("train/namespace", ("metadata", "name"))
    assert conditions["aws:RequestTag/kubernetes-service-account"] == "api"
    assert conditions.get("aws:RequestTag/eks-cluster-name") == ("ml-prod" if target == "eks" else None)


def test_the_account_is_asked_for_where_the_stack_does_not_say(expanded: Any) -> None:
    node = expanded(lambda: endpoint(reads=1)).node("api/account")
    assert (node.kind, node.type) == (Kind.LOOKUP, "aws:index/getCallerIdentity:getCallerIdentity")


def test_pod_identity_is_bound_on_eks_only(expanded: Any) -> None:
    bound = expanded(lambda: endpoint(reads=1), "eks").inputs("api/identity")
    assert bound["clusterName"] == "ml-prod"
    assert bound["namespace"] == Ref("train/namespace", ("metadata", "name"))
    assert bound["serviceAccount"] == "api"
    assert bound["roleArn"] == Ref("api/role", ("arn",))
    assert "identity" not in expanded(lambda: endpoint(reads=1)).names_of("api")


def test_role_and_service_account_speak_of_the_same_pods(expanded: Any) -> None:
    account = expanded(lambda: endpoint(reads=1)).inputs("api/service-account")
    assert account["metadata"]["name"] == "api"
    assert account["metadata"]["namespace"] == Ref("train/namespace", ("metadata", "name"))
    assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("reads", "says", "remedy"),
    [
        (
            lambda: ["data"],
            "reads.0 is a text, not a DataStore",
            "Give the component itself, the variable that holds it, and not its name.",
        ),
        (lambda: [TrainingCluster("c")], "TrainingCluster('c') holds no data", ""),
        (lambda: Bucket("data"), "reads is Bucket('data'), not a list", "Write `reads=[…]`."),
        (lambda: [Bucket("data").arn], "reads.0 is a Ref, not a DataStore", ""),
    ],
)
def test_a_reference_of_the_wrong_kind_is_told_plainly(expanded: Any, reads: Any, says: str, remedy: str) -> None:
    result = expanded(lambda: Endpoint("api", cluster=TrainingCluster("train"), reads=reads()))
    assert len(result.diagnostics) == 1
    assert says in result.diagnostics[0].summary
    assert result.diagnostics[0].remedy == remedy


def test_account_id_is_asked_for_once(expanded: Any) -> None:
    class Twice(Bucket):
        def expand(self, scope: Any) -> None:
            assert account_id(scope) == account_id(scope)

    assert expanded(lambda: Twice("b")).names_of("b") == {"account"}


# ------------------------------------------------------------------------------------------------ personal data


def job(**fields: Any) -> TrainingJob:
    pool = NodePool("cpu", instance_type="m6i.xlarge")
    return TrainingJob("fit", cluster=TrainingCluster("train", pools=[pool]), pool=pool, **fields)


def people() -> Bucket:
    return Bucket("people", classification="pii", expire_days=30)


def served(**fields: Any) -> Endpoint:
    return Endpoint("fit", cluster=TrainingCluster("train"), image=IMAGE, **fields)


WORKLOADS = {"endpoint": served, "job": job}


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize(
    ("classification", "anonymizes", "refused"),
    [
        ("internal", None, True),
        ("public", None, True),
        ("confidential", None, True),
        ("pii", None, False),
        ("internal", "counts per item only, none below 20", False),
    ],
)
def test_personal_data_flows_into_what_is_marked_so_only(
    expanded: Any, workload: str, classification: Any, anonymizes: str | None, refused: bool
) -> None:
    def declare() -> Any:
        other = Bucket("models", classification=classification, expire_days=9)
        return WORKLOADS[workload](reads=[people(), Bucket("plain")], writes=[other], anonymizes=anonymizes)

    result = expanded(declare)
    assert result.codes == (["personal-data-flow"] if refused else [])
    for diagnostic in result.diagnostics:
        assert diagnostic.component == "fit"
        assert "reads personal data from 'people' and writes to Bucket('models')" in diagnostic.summary
        assert "anonymizes=" in diagnostic.remedy
    notes = result.inputs("fit/service-account")["metadata"].get("annotations", {})
    assert notes == ({"mlinfra.dev/anonymizes": anonymizes} if anonymizes else {})


def test_each_store_that_is_not_marked_is_told_of(expanded: Any) -> None:
    def declare() -> Any:
        return job(reads=[people()], writes=[Bucket("models"), Queue("work"), Queue("safe", classification="pii")])

    told = [item.summary.partition("writes to ")[2] for item in expanded(declare).diagnostics]
    assert [text.partition(",")[0] for text in told] == ["Bucket('models')", "Queue('work')"]


def test_writing_personal_data_wants_no_reading(expanded: Any) -> None:
    assert expanded(lambda: job(reads=[Bucket("plain")], writes=[people(), Bucket("models")])).codes == []


def test_erasing_is_neither_reading_nor_writing(expanded: Any) -> None:
    result = expanded(lambda: job(erases=[people()]))
    actions = {action for item in statements(result, "fit/policy") for action in item["Action"]}
    assert {"s3:DeleteObjectVersion", "s3:PutObjectVersionTagging", "s3:ListBucketVersions"} <= actions
    assert not {"s3:GetObject", "s3:PutObject", "kms:Decrypt"} & actions
    assert [item["Sid"] for item in statements(result, "people/key")] == ["AdministeredByTheAccount"]


def test_only_what_can_be_erased_is_erased(expanded: Any) -> None:
    (diagnostic,) = expanded(lambda: job(erases=[Queue("work")])).diagnostics
    assert "Queue('work') holds nothing that can be erased piece by piece" in diagnostic.summary
