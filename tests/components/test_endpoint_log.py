from __future__ import annotations

from typing import Any

from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.values import Image
from mlinfra.functions import resolve

IMAGE = Image("registry.example.com/serve@sha256:" + "ab" * 32)
OUTPUTS = {"logs/bucket": {"id": "b", "bucket": "b", "arn": "arn:aws:s3:::b"}}


def endpoint(**fields: Any) -> Endpoint:
    logs = fields.pop("logs", None) or Bucket("logs")
    return Endpoint("api", cluster=TrainingCluster("train"), image=IMAGE, log_requests=logs, **fields)


def test_it_is_told_where_and_may_write_there_and_not_read(expanded: Any) -> None:
    result = expanded(lambda: endpoint(log_prefix="serving/log"))
    (serve,) = result.inputs("api/deployment")["spec"]["template"]["spec"]["containers"]
    told = {item["name"]: resolve(item["value"], OUTPUTS) for item in serve["env"]}
    assert told["REQUEST_LOG_URI"] == "s3://b/serving/log"
    statements = result.inputs("api/policy")["policy"].value["Statement"]
    reached = {resolve(item, OUTPUTS) for statement in statements for item in statement["Resource"]}
    actions = {action for statement in statements for action in statement["Action"]}
    assert reached == {"arn:aws:s3:::b/serving/log/api/*"}
    assert "s3:PutObject" in actions
    assert not {action for action in actions if action.startswith(("s3:Get", "s3:Delete", "s3:ListBucket"))}


def test_the_log_is_a_store_that_others_may_read() -> None:
    log = endpoint().request_log
    assert log is not None
    assert resolve(log.uri, OUTPUTS) == "s3://b/requests/api"
    assert Endpoint("api", cluster=TrainingCluster("train"), image=IMAGE).request_log is None


def test_a_log_of_personal_data_has_to_be_marked_so(expanded: Any) -> None:
    people = Bucket("people", classification="pii", expire_days=30)
    assert expanded(lambda: endpoint(reads=[people])).codes == ["personal-data-flow"]
    marked = Bucket("logs", classification="pii", expire_days=30)
    assert expanded(lambda: endpoint(reads=[people], logs=marked)).codes == []
