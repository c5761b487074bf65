from __future__ import annotations

from typing import Any

import pytest

from mlinfra.components.image_repository import PULL, PUSH, ImageRepository
from mlinfra.components.key import Key
from mlinfra.components.node_pool import NodePool
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.graph import Ref
from mlinfra.tiers import Tier

ARN = Ref("images/repository", ("arn",))


def test_what_a_repository_comes_to(expanded: Any) -> None:
    result = expanded(lambda: ImageRepository("images", tags={"project": "recs"}))
    assert result.names_of("images") == {"repository", "repository-lifecycle"}
    inputs = result.inputs("images/repository")
    assert inputs["name"] == "sample-test-images"
    assert inputs["imageTagMutability"] == "IMMUTABLE"
    assert inputs["imageScanningConfiguration"] == {"scanOnPush": True}
    assert inputs["encryptionConfigurations"] == [{"encryptionType": "AES256"}]
    assert (inputs["tags"]["project"], inputs["tags"]["mlinfra:component"]) == ("recs", "images")


def test_options(expanded: Any) -> None:
    result = expanded(
        lambda: ImageRepository(
            "images",
            immutable_tags=False,
            scan_on_push=False,
            untagged_days=3,
            keep_images=7,
            key=Key("keys"),
            pull_accounts=["222233334444", "111122223333"],
        )
    )
    inputs = result.inputs("images/repository")
    assert (inputs["imageTagMutability"], inputs["imageScanningConfiguration"]) == ("MUTABLE", {"scanOnPush": False})
    assert inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": Ref("keys/key", ("arn",))}]
    untagged, newest = result.inputs("images/repository-lifecycle")["policy"].value["rules"]
    assert untagged["selection"]["countNumber"] == 3
    assert newest["selection"]["countNumber"] == 7
    (statement,) = result.inputs("images/repository-policy")["policy"].value["Statement"]
    assert statement["Principal"] == {"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::222233334444:root"]}
    assert statement["Action"] == list(PULL)
    assert "Resource" not in statement


@pytest.mark.parametrize(
    ("tier", "protect", "empties", "protected", "count"),
    [
        (Tier.DEV, (), True, False, 10),
        (Tier.DEV, ("images",), True, True, 10),
        (Tier.STAGING, (), True, False, 30),
        (Tier.PROD, (), False, True, 100),
    ],
)
def test_tiers(expanded: Any, tier: Tier, protect: tuple[str, ...], empties: bool, protected: bool, count: int) -> None:
    result = expanded(lambda: ImageRepository("images"), tier=tier, protect=protect)
    assert result.inputs("images/repository")["forceDelete"] is empties
    assert result.node("images/repository").options.protect is protected
    rules = result.inputs("images/repository-lifecycle")["policy"].value["rules"]
    assert rules[-1]["selection"]["countNumber"] == count


def statements(result: Any, component: str) -> list[tuple[Any, Any]]:
    found = result.inputs(f"{component}/policy")["policy"].value["Statement"]
    return [(item["Action"], item["Resource"]) for item in found]


def test_reading_is_pulling_and_writing_is_pushing(expanded: Any) -> None:
    def declare() -> Any:
        images = ImageRepository("images")
        pool = NodePool("cpu", instance_type="m6i.xlarge")
        cluster = TrainingCluster("train", pools=[pool], repository=images)
        image = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
        pull = TrainingJob("pull", cluster=cluster, pool=pool, reads=[images], image=image)
        return [pull, TrainingJob("push", cluster=cluster, pool=pool, writes=[images])]

    result = expanded(declare)
    sign_in = (["ecr:GetAuthorizationToken"], ["*"])
    assert statements(result, "pull") == [sign_in, (list(PULL), [ARN])]
    pushing, (actions, resources) = statements(result, "push")
    assert (pushing, resources) == (sign_in, [ARN])
    assert set(PUSH) <= set(actions)
    assert "ecr:GetDownloadUrlForLayer" not in actions
    (container,) = result.inputs("pull/template")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "IMAGES_REPOSITORY", "value": Ref("images/repository", ("repositoryUrl",))} in container["env"]


def test_a_cluster_pushes_to_the_repository_that_it_is_given(expanded: Any) -> None:
    images = ImageRepository("images")
    cluster = TrainingCluster("train", repository=images)
    assert cluster.repository_url == images.url
    result = expanded(lambda: TrainingCluster("train", repository=ImageRepository("images")))
    assert "repository" not in result.names_of("train")
    assert statements(result, "train")[1] == ([*PULL, *PUSH], [ARN])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pull_accounts": ["123"]}, "pull_accounts"),
        ({"untagged_days": 0}, "greater than or equal to 1"),
        ({"keep_images": 0}, "greater than or equal to 1"),
        ({"tags": {"aws:x": "y"}}, "prefixes `aws:` and `mlinfra:` are reserved"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    (diagnostic,) = expanded(lambda: ImageRepository("images", **fields)).diagnostics
    assert says in diagnostic.summary


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        ({"users": "references"}, ["key-without-grants"]),
        ({"via": ["s3"]}, ["key-not-for-service"]),
        ({"via": ["s3", "ecr"]}, []),
    ],
)
def test_a_key_has_to_be_one_that_ecr_can_use(expanded: Any, key: dict[str, Any], codes: list[str]) -> None:
    assert expanded(lambda: ImageRepository("images", key=Key("keys", **key))).codes == codes


def test_without_aws(expanded: Any) -> None:
    assert expanded(lambda: ImageRepository("images"), "kubeconfig").codes == ["target-without-aws"]
