"""Repositories and their policies, against moto."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

REPOSITORY = "aws:ecr/repository:Repository"


def repository(world: Any, resource_id: str) -> Any:
    try:
        live = world.boto("ecr").describe_repositories(repositoryNames=[resource_id])["repositories"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise
        return None
    return (
        live["imageTagMutability"],
        live["imageScanningConfiguration"]["scanOnPush"],
        live["encryptionConfiguration"]["encryptionType"],
        world.tags("ecr", resourceArn=live["repositoryArn"]),
    )


def test_repository(lifecycle: Any) -> None:
    lifecycle(
        REPOSITORY,
        inputs=lambda words: {
            "name": "ml/train",
            "encryptionConfigurations": [{"encryptionType": "KMS"}],
            "tags": {"a": "b"},
        },
        look=repository,
        made=lambda words: ("MUTABLE", False, "KMS", {"a": "b"}),
        outputs=lambda words: {
            "arn": f"arn:aws:ecr:us-east-1:{words['account']}:repository/ml/train",
            "repositoryUrl": f"{words['account']}.dkr.ecr.us-east-1.amazonaws.com/ml/train",
            "registryId": words["account"],
        },
        change=lambda words: {
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "tags": {"c": "d"},
        },
        changed=lambda words: ("IMMUTABLE", True, "KMS", {"c": "d"}),
        replaces=lambda words: [{"name": "ml/serve"}, {"encryptionConfigurations": [{"encryptionType": "AES256"}]}],
        drift=lambda world, resource_id: world.boto("ecr").put_image_tag_mutability(
            repositoryName=resource_id, imageTagMutability="MUTABLE"
        ),
        drifted={"imageTagMutability": "MUTABLE"},
    )


def test_a_repository_with_images_goes_only_when_told_so(world: Any, failure: Any) -> None:
    inputs = world.engine.checked(REPOSITORY, {"name": "full"})
    resource_id, state = world.engine.create(REPOSITORY, inputs)
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}
    manifest["config"] = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 1,
        "digest": "sha256:0",
    }
    world.boto("ecr").put_image(repositoryName=resource_id, imageManifest=json.dumps(manifest), imageTag="v1")
    error, _ = failure(world.engine.delete, REPOSITORY, resource_id, inputs, state)
    assert "RepositoryNotEmptyException" in error.details()
    world.engine.delete(REPOSITORY, resource_id, {**inputs, "forceDelete": True}, state)
    assert repository(world, resource_id) is None


def rules(count: int) -> dict[str, Any]:
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count}
    return {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}


def access(action: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": f"ecr:{action}"}],
    }


DOCUMENTS = {
    "lifecycle": ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "lifecycle_policy", "lifecyclePolicyText",
                  "put_lifecycle_policy", [rules(10), rules(20), rules(1)]),
    "access": ("aws:ecr/repositoryPolicy:RepositoryPolicy", "repository_policy", "policyText",
               "set_repository_policy", [access("BatchGetImage"), access("PutImage"), access("*")]),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(lifecycle: Any, name: str) -> None:
    token, word, parameter, put, (first, second, theirs) = DOCUMENTS[name]

    def look(world: Any, resource_id: str) -> Any:
        try:
            return json.loads(getattr(world.boto("ecr"), f"get_{word}")(repositoryName=resource_id)[parameter])
        except ClientError as error:
            if not error.response["Error"]["Code"].endswith("PolicyNotFoundException"):
                raise
            return None

    def prepare(world: Any) -> dict[str, Any]:
        world.boto("ecr").create_repository(repositoryName="one")
        return {}

    lifecycle(
        token,
        prepare=prepare,
        inputs=lambda words: {"repository": "one", "policy": first},
        look=look,
        made=lambda words: first,
        outputs=lambda words: {"registryId": words["account"]},
        change=lambda words: {"policy": json.dumps(second, indent=2)},
        changed=lambda words: second,
        replaces=lambda words: [{"repository": "two"}],
        drift=lambda world, resource_id: getattr(world.boto("ecr"), put)(
            repositoryName=resource_id, **{parameter: json.dumps(theirs)}
        ),
        drifted={"policy": json.dumps(theirs)},
    )
