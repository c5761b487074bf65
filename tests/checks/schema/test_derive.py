"""What is derived from the source of the installed packages, held against the classes themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra.checks.schema import Catalog, Properties, Schema, Sdk, Shape, Type
from mlinfra.graph import Kind

RESOURCES = {
    "aws:s3/bucket:Bucket": "pulumi_aws.s3:Bucket",
    "aws:s3/bucketVersioning:BucketVersioning": "pulumi_aws.s3:BucketVersioning",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "pulumi_aws.s3:BucketLifecycleConfiguration",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "pulumi_aws.s3:BucketPublicAccessBlock",
    "aws:iam/role:Role": "pulumi_aws.iam:Role",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "pulumi_aws.iam:OpenIdConnectProvider",
    "aws:eks/cluster:Cluster": "pulumi_aws.eks:Cluster",
    "aws:eks/nodeGroup:NodeGroup": "pulumi_aws.eks:NodeGroup",
    "aws:rds/instance:Instance": "pulumi_aws.rds:Instance",
    "aws:sns/topic:Topic": "pulumi_aws.sns:Topic",
    "kubernetes:apps/v1:Deployment": "pulumi_kubernetes.apps.v1:Deployment",
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler": "pulumi_kubernetes.autoscaling.v2:HorizontalPodAutoscaler",
    "kubernetes:policy/v1:PodDisruptionBudget": "pulumi_kubernetes.policy.v1:PodDisruptionBudget",
    "kubernetes:core/v1:Secret": "pulumi_kubernetes.core.v1:Secret",
    "kubernetes:core/v1:ConfigMapPatch": "pulumi_kubernetes.core.v1:ConfigMapPatch",
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": (
        "pulumi_kubernetes.apiextensions.v1:CustomResourceDefinition"
    ),
}
OBJECTS = {
    "eks/_inputs:NodeGroupScalingConfigArgs": "pulumi_aws.eks:NodeGroupScalingConfigArgs",
    "eks/_inputs:ClusterVpcConfigArgs": "pulumi_aws.eks:ClusterVpcConfigArgs",
    "s3/_inputs:BucketLifecycleConfigurationRuleArgs": "pulumi_aws.s3:BucketLifecycleConfigurationRuleArgs",
    "core/v1/_inputs:PodSpecArgs": "pulumi_kubernetes.core.v1:PodSpecArgs",
    "core/v1/_inputs:ContainerArgs": "pulumi_kubernetes.core.v1:ContainerArgs",
    "meta/v1/_inputs:ObjectMetaArgs": "pulumi_kubernetes.meta.v1:ObjectMetaArgs",
}
TRUTH = """
import importlib, inspect, json, sys, typing
from pulumi._types import input_type_py_to_pulumi_names, resource_py_to_pulumi_names

def load(place):
    module, _, name = place.partition(":")
    return importlib.import_module(module), getattr(importlib.import_module(module), name)

def arguments(args):
    required = [key for key, item in inspect.signature(args.__init__).parameters.items() if item.default is item.empty]
    names = input_type_py_to_pulumi_names(args)
    return {"inputs": sorted(names.values()), "required": sorted(names[key] for key in required if key in names)}

wanted = json.load(sys.stdin)
found = {}
for token, place in wanted["resources"].items():
    module, cls = load(place)
    # The second overload of a resource's __init__ takes the arguments class.
    annotation = typing.get_overloads(cls.__init__)[1].__annotations__["args"]
    args = (typing.get_args(annotation) or (annotation,))[0]
    found[token] = {**arguments(args), "outputs": sorted(resource_py_to_pulumi_names(cls).values())}
for name, place in wanted["objects"].items():
    found[name] = arguments(load(place)[1])
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="session")
def truth() -> dict[str, Any]:
    """What the imported classes say of themselves. In a process of its own: the packages patch and fill a good deal."""
    wanted = json.dumps({"resources": RESOURCES, "objects": OBJECTS})
    run = subprocess.run([sys.executable, "-c", TRUTH], input=wanted, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="session")
def catalog(schema_folder: Path) -> Catalog:
    return Catalog(schema_folder)


def sdk_of(catalog: Catalog, token: str) -> Sdk:
    sdk = catalog.sdk(token)
    assert sdk is not None
    return sdk


def schema_of(catalog: Catalog, token: str, kind: Kind = Kind.RESOURCE) -> Schema:
    schema = sdk_of(catalog, token).find(kind, token)
    assert schema is not None
    return schema


def names(properties: Properties) -> dict[str, list[str]]:
    required = sorted(name for name, item in properties.items() if item.required)
    return {"inputs": sorted(properties), "required": required}


@pytest.mark.parametrize("token", RESOURCES)
def test_a_resource_is_what_its_class_says(token: str, catalog: Catalog, truth: dict[str, Any]) -> None:
    schema = schema_of(catalog, token)

    assert {**names(schema.inputs), "outputs": sorted(schema.outputs)} == truth[token]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_what_its_class_says(name: str, catalog: Catalog, truth: dict[str, Any]) -> None:
    sdk = sdk_of(catalog, "aws:" if "pulumi_aws" in OBJECTS[name] else "kubernetes:")

    assert names(sdk.properties(Type(Shape.OBJECT, name=name))) == truth[name]


def test_secrets_former_tokens_and_deprecations(catalog: Catalog) -> None:
    database = schema_of(catalog, "aws:rds/instance:Instance")
    versioning = schema_of(catalog, "aws:s3/bucketVersioning:BucketVersioning")
    deployment = schema_of(catalog, "kubernetes:apps/v1:Deployment")

    assert {name for name, item in database.inputs.items() if item.secret} == {"password", "passwordWo"}
    assert database.secret_outputs == ("password", "passwordWo")
    assert versioning.aliases == ("aws:s3/bucketVersioningV2:BucketVersioningV2",)
    assert {name for name, item in versioning.inputs.items() if item.deprecated} == {"expectedBucketOwner"}
    assert "kubernetes:extensions/v1beta1:Deployment" in deployment.aliases
    assert schema_of(catalog, "aws:s3/bucketV2:BucketV2").deprecated


def test_types(catalog: Catalog) -> None:
    deployment = schema_of(catalog, "kubernetes:apps/v1:Deployment")
    probe = sdk_of(catalog, "kubernetes:").properties(Type(Shape.OBJECT, name="core/v1/_inputs:HTTPGetActionArgs"))
    acl = schema_of(catalog, "aws:s3/bucket:Bucket").inputs["acl"].type

    assert deployment.inputs["apiVersion"].type == Type(Shape.ENUM, values=("apps/v1",))
    assert deployment.inputs["metadata"].type == Type(Shape.OBJECT, name="meta/v1/_inputs:ObjectMetaArgs")
    assert deployment.outputs["status"].type == Type(Shape.OBJECT, name="apps/v1/outputs:DeploymentStatus")
    assert str(probe["port"].type) == "integer or string"
    assert "public-read" in next(choice for choice in acl.of if choice.shape is Shape.ENUM).values


def test_provider_instances_take_texts_for_everything(catalog: Catalog) -> None:
    schema = schema_of(catalog, "pulumi:providers:aws", Kind.PROVIDER)

    assert schema.inputs["secretKey"].secret
    assert str(schema.inputs["maxRetries"].type) == "integer or string"
    assert str(schema.inputs["region"].type).endswith("or string") or schema.inputs["region"].type.shape is Shape.STRING


def test_functions_with_what_they_take_and_give(catalog: Catalog) -> None:
    identity = schema_of(catalog, "aws:index/getCallerIdentity:getCallerIdentity", Kind.LOOKUP)
    code = schema_of(catalog, "aws:lambda/getFunction:getFunction", Kind.LOOKUP)

    assert set(identity.outputs) == {"accountId", "arn", "id", "userId"}
    assert not any(item.required for item in identity.inputs.values())
    assert [name for name, item in code.inputs.items() if item.required] == ["functionName"]


def test_every_token_of_both_packages_is_found(catalog: Catalog) -> None:
    assert len(sdk_of(catalog, "aws:").tokens(Kind.RESOURCE, "")) > 1500
    assert len(sdk_of(catalog, "kubernetes:").tokens(Kind.RESOURCE, "")) > 400


@pytest.mark.parametrize("token", ["nothing:index:Nothing", "../x:index:X", ":", "", "pulumi:pulumi:Stack"])
def test_a_package_that_is_not_installed_is_no_sdk(catalog: Catalog, token: str) -> None:
    assert catalog.sdk(token) is None
