"""The reference blueprint in its three environments: what boto3 and kubectl see is what the blueprint says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from mlinfra.project import Project
from mlinfra.stack import load_stack
from mlinfra.workflow.compile import Compiled, compile_stack
from tests.e2e.conftest import Lab

pytestmark = pytest.mark.e2e

ENVIRONMENTS = ("dev", "staging", "prod")
OURS = "app.kubernetes.io/managed-by=mlinfra"


def compiled(lab: Lab, stack: str) -> Compiled:
    project = Project(lab.root)
    return compile_stack(project, load_stack(project, stack))


def declared(lab: Lab, stack: str, token: str) -> list[dict[str, Any]]:
    """The inputs of the nodes of one type."""
    return [dict(node.inputs) for node in compiled(lab, stack).graph if node.type == token]


@pytest.fixture(scope="module")
def environments(lab: Lab) -> Lab:
    for name in ENVIRONMENTS:
        lab.report("up", "--stack", name, "--yes")
    return lab


def test_a_second_up_changes_nothing(environments: Lab) -> None:
    for name in ENVIRONMENTS:
        counts = environments.report("up", "--stack", name, "--yes")["counts"]
        assert set(counts) == {"same"}, name


def test_a_refresh_finds_no_drift_where_there_is_none(environments: Lab) -> None:
    assert environments.report("refresh", "--stack", "staging")["steps"] == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_boto3_sees_what_the_blueprint_says(environments: Lab, name: str) -> None:
    lab = environments
    s3 = lab.client(name, "s3")
    wanted = {item["bucket"]: item for item in declared(lab, name, "aws:s3/bucket:Bucket")}
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == set(wanted)
    for bucket, inputs in wanted.items():
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
        assert tags == inputs["tags"]
        assert tags["mlinfra:environment"] == name
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
        assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert any(item["Effect"] == "Deny" and "aws:SecureTransport" in str(item["Condition"]) for item in statements)
    topics = lab.client(name, "sns").list_topics()["Topics"]
    names = {topic["TopicArn"].rpartition(":")[2] for topic in topics}
    assert names == {item["name"] for item in declared(lab, name, "aws:sns/topic:Topic")}
    repositories = lab.client(name, "ecr").describe_repositories()["repositories"]
    [repository] = declared(lab, name, "aws:ecr/repository:Repository")
    assert [item["repositoryName"] for item in repositories] == [repository["name"]]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_endpoint_may_read_its_models_and_nothing_else(environments: Lab, name: str) -> None:
    lab = environments
    iam = lab.client(name, "iam")
    graph = compiled(lab, name).graph
    role = graph.nodes["api/role"].inputs["name"]
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    models = f"arn:aws:s3:::{graph.nodes['models/bucket'].inputs['bucket']}"
    granted = {
        resource
        for statement in document["Statement"]
        for resource in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
    }
    assert granted <= {models, f"{models}/*"}
    actions = {
        action
        for statement in document["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert "s3:GetObject" in actions
    assert not any(action.startswith(("s3:Put", "s3:Delete")) or action in ("s3:*", "*") for action in actions)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_kubectl_sees_what_the_blueprint_says(environments: Lab, name: str) -> None:
    lab = environments
    graph = compiled(lab, name).graph
    wanted: dict[str, set[str]] = {}
    for node in graph:
        if node.type.startswith("kubernetes:"):
            wanted.setdefault(str(node.inputs["kind"]), set()).add(str(node.inputs["metadata"]["name"]))
    for kind, names in wanted.items():
        found = lab.kubectl(name, "get", kind, "--all-namespaces", "--selector", OURS)["items"]
        assert {item["metadata"]["name"] for item in found} == names, kind
    for item in lab.kubectl(name, "get", "deployments", "--all-namespaces")["items"]:
        assert item["status"]["readyReplicas"] == item["spec"]["replicas"] > 0
    nodes = lab.kubectl(name, "get", "nodes")["items"]
    assert sum(pool.max for pool in graph.pools) == len(nodes)
    for pool in graph.pools:
        types = [item["metadata"]["labels"]["node.kubernetes.io/instance-type"] for item in nodes]
        assert types.count(pool.instance_type) >= pool.max


def test_environments_are_apart(environments: Lab) -> None:
    seen = {name: environments.access(name) for name in ENVIRONMENTS}
    accounts = {name: environments.client(name, "sts").get_caller_identity()["Account"] for name in ENVIRONMENTS}
    assert len(set(accounts.values())) == len(ENVIRONMENTS)
    assert len({access["KUBECONFIG"] for access in seen.values()}) == len(ENVIRONMENTS)


def test_prod_is_not_destroyed_without_being_told_twice(environments: Lab) -> None:
    lab = environments
    refused = lab.run("destroy", "--stack", "prod", "--yes", code=1)
    assert "protected" in refused.err
    unnamed = lab.run("destroy", "--stack", "prod", "--yes", "--force", code=1)
    assert "not confirmed" in unnamed.out
    wrong = lab.run("destroy", "--stack", "prod", "--yes", "--force", "--confirm", "dev", code=1)
    assert "not confirmed" in wrong.out
    assert lab.report("up", "--stack", "prod", "--yes")["counts"].keys() == {"same"}


def test_a_destroy_asks_about_as_much_as_there_is(environments: Lab) -> None:
    """Its plan and its report count the same."""
    program = (
        "from mlinfra.project import find_project; from mlinfra.workflow.destroy import destroy;"
        "from mlinfra.workflow.request import Request;"
        "destroy(Request(find_project(), 'dev'), lambda stack, names, guarded: print(len(names)))"
    )
    lab = environments
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=lab.root, env=lab.variables(), capture_output=True, text=True, check=True
    )
    assert lab.report("up", "--stack", "dev", "--yes")["counts"] == {"same": int(ran.stdout)}


def test_an_update_that_would_lose_what_is_protected_changes_nothing(environments: Lab) -> None:
    """Also where the run would change other things first."""
    lab = environments
    blueprint = lab.root / "blueprints" / "recommender.py"
    text = blueprint.read_text()
    blueprint.write_text(text.replace('Bucket("models"', 'Bucket("newmodels"'))
    stack = lab.root / "stacks" / "prod.yaml"
    values = stack.read_text()
    stack.write_text(values.replace("protect: [data, models]", "protect: [data]"))
    try:
        ran = lab.run("up", "--stack", "prod", "--yes", "--json", code=1)
        errors = [item for item in ran.lines("diagnostic") if item["severity"] == "error"]
        assert {item["code"] for item in errors} == {"data-loss"}
        assert any(item["resource"] == "models/bucket" for item in errors)
        assert not ran.lines("step")
    finally:
        blueprint.write_text(text)
        stack.write_text(values)
    assert lab.report("up", "--stack", "prod", "--yes")["counts"].keys() == {"same"}


def test_a_component_that_was_renamed_is_not_replaced(environments: Lab) -> None:
    lab = environments
    blueprint = lab.root / "blueprints" / "recommender.py"
    text = blueprint.read_text()
    blueprint.write_text(text.replace('Bucket("models"', 'Bucket("model-store", moved_from="models"'))
    try:
        report = lab.report("up", "--stack", "dev", "--yes")
        assert "replace" not in report["counts"], report["counts"]
        assert "delete" not in report["counts"]
        assert "create" not in report["counts"]
    finally:
        blueprint.write_text(text)
    renamed_back = lab.run("preview", "--stack", "dev", code=1)
    assert 'moved_from="model-store"' in renamed_back.err, "the old name is unknown by now, as it should be"
    blueprint.write_text(text.replace('Bucket("models"', 'Bucket("model-store", moved_from="models"'))
    lab.report("up", "--stack", "dev", "--yes")
    lab.report("destroy", "--stack", "dev", "--yes")
    blueprint.write_text(text)


def test_a_rehearsal_leaves_the_stack_alone(environments: Lab) -> None:
    lab = environments
    made = lab.report("up", "--stack", "staging", "--rehearse", "--yes")
    assert made["counts"].keys() == {"create"}
    assert made["stack"] == "staging-rehearsal"
    gone = lab.report("destroy", "--stack", "staging", "--rehearse", "--yes")
    assert gone["counts"] == {"delete": made["counts"]["create"]}
    assert lab.report("preview", "--stack", "staging")["counts"].keys() == {"same"}


def test_after_destroy_nothing_is_left(environments: Lab) -> None:
    lab = environments
    lab.report("destroy", "--stack", "staging", "--yes")
    stack = lab.root / "stacks" / "prod.yaml"
    stack.write_text(stack.read_text().replace("protect: [data, models]", "allow_loss: [data, models, train]"))
    lab.report("destroy", "--stack", "prod", "--yes", "--force", "--confirm", "prod")
    for name in ENVIRONMENTS:
        if name == "dev":
            lab.report("destroy", "--stack", name, "--yes")
        assert lab.client(name, "s3").list_buckets()["Buckets"] == []
        assert lab.client(name, "sns").list_topics()["Topics"] == []
        assert lab.client(name, "sns").list_subscriptions()["Subscriptions"] == []
        assert lab.client(name, "ecr").describe_repositories()["repositories"] == []
        assert lab.client(name, "iam").list_roles()["Roles"] == []
        assert lab.client(name, "cloudwatch").describe_alarms()["MetricAlarms"] == []
        everything = "namespaces,deployments,services,serviceaccounts,configmaps,roles,rolebindings,priorityclasses"
        left = lab.kubectl(name, "get", everything, "--all-namespaces", "--selector", OURS)["items"]
        assert left == []
        assert lab.kubectl(name, "get", "nodes")["items"] == []
