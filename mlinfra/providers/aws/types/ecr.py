"""ECR repositories and the policies on them."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, given, same, to_aws
from mlinfra.providers.aws.tags import Tagging

_API: Final = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference"
_FINAL: Final = f"{_API}/API_CreateRepository.html: name and encryption are chosen when it is created"
_GONE: Final = frozenset({"RepositoryNotFoundException"})

TAGGING: Final = Tagging("resourceArn", tags="tags", keys="tagKeys")
_SCANNING: Final = (Field("scanOnPush", bool, required=True),)
_ENCRYPTION: Final = (
    Field("encryptionType", default="AES256", choices=("AES256", "KMS", "KMS_DSSE")),
    Field("kmsKey", computed=True),
)


class Repository(Resource):
    """A repository. `forceDelete` deletes it with the images in it."""

    token = "aws:ecr/repository:Repository"  # noqa: S105 — a type token
    service = "ecr"
    fields = (
        Field(
            "name",
            aws="repositoryName",
            pattern=(
                r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
                "small letters and digits, with single . _ - / between them",
            ),
            replaces=_FINAL,
        ),
        Field("imageTagMutability", default="MUTABLE", choices=("MUTABLE", "IMMUTABLE")),
        Field("imageScanningConfiguration", _SCANNING, default={"scanOnPush": False}),
        Field(
            "encryptionConfigurations", _ENCRYPTION, many=True, default=[{"encryptionType": "AES256"}], replaces=_FINAL
        ),
        Field("forceDelete", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn", "registryId", "repositoryUrl")
    names = ("name",)
    longest = 256

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call."""
        sent = to_aws(self.fields, inputs, same) | {"tags": TAGGING.form(inputs.get("tags"))}
        sent["encryptionConfiguration"] = sent.pop("encryptionConfigurations")[0]
        made = aws.api("ecr").call("create_repository", **sent)["repository"]
        return Made(made["repositoryName"], _outputs(made))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls: the repository and its tags."""
        api = aws.api("ecr")
        found = api.find("describe_repositories", _GONE, repositoryNames=[resource_id])
        if found is None:
            return None
        live = found["repositories"][0]
        inputs = from_aws(self.fields, live, same)
        del inputs["tags"]
        encryption = live.get("encryptionConfiguration") or {"encryptionType": "AES256"}
        inputs["encryptionConfigurations"] = [given(from_aws(_ENCRYPTION, encryption, same))]
        return Live(inputs, _outputs(live), TAGGING.live(api, live["repositoryArn"]))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each setting that differs."""
        api, new = aws.api("ecr"), change.new
        if change.touches("imageTagMutability"):
            api.call("put_image_tag_mutability", repositoryName=change.id, imageTagMutability=new["imageTagMutability"])
        if change.touches("imageScanningConfiguration"):
            api.call(
                "put_image_scanning_configuration",
                repositoryName=change.id,
                imageScanningConfiguration=new["imageScanningConfiguration"],
            )
        if change.touches("tags"):
            TAGGING.change(api, change.outputs["arn"], change.old.get("tags"), new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """A repository that holds images is deleted only with `forceDelete`."""
        aws.api("ecr").find(
            "delete_repository", _GONE, repositoryName=resource_id, force=bool(inputs.get("forceDelete"))
        )


def _outputs(repository: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arn": repository["repositoryArn"],
        "registryId": repository["registryId"],
        "repositoryUrl": repository["repositoryUri"],
    }


@dataclass(frozen=True)
class RepositoryDocument(Resource):
    """A row: a JSON text that a repository has one of. `parameter` is its name in ECR's three operations."""

    token: str
    put: str
    get: str
    take: str
    parameter: str
    absent: str

    service = "ecr"
    fields = (
        Field("repository", required=True, replaces=f"{_API}: a policy belongs to one repository"),
        Field("policy", required=True, document=True),
        REGION,
    )
    outputs = ("registryId",)
    names = ("repository",)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Put it."""
        answer = self._put(aws, inputs["repository"], inputs)
        return Made(inputs["repository"], {"registryId": answer["registryId"]})

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        found = aws.api("ecr").find(self.get, _GONE | {self.absent}, repositoryName=resource_id)
        if found is None:
            return None
        return Live({"repository": resource_id, "policy": found[self.parameter]}, {"registryId": found["registryId"]})

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Put it again."""
        self._put(aws, change.id, change.new)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Take it off the repository."""
        aws.api("ecr").find(self.take, _GONE | {self.absent}, repositoryName=resource_id)

    def _put(self, aws: Aws, repository: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return aws.api("ecr").call(self.put, repositoryName=repository, **{self.parameter: inputs["policy"]})


RESOURCES: Final = (
    Repository(),
    RepositoryDocument(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        put="put_lifecycle_policy",
        get="get_lifecycle_policy",
        take="delete_lifecycle_policy",
        parameter="lifecyclePolicyText",
        absent="LifecyclePolicyNotFoundException",
    ),
    RepositoryDocument(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        put="set_repository_policy",
        get="get_repository_policy",
        take="delete_repository_policy",
        parameter="policyText",
        absent="RepositoryPolicyNotFoundException",
    ),
)
