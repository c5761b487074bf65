"""`ImageRepository`: container images in ECR, scanned, with tags that cannot be moved."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field

from mlinfra import naming
from mlinfra.authoring import Many
from mlinfra.components.access import DataStore, Grant, partition, policy
from mlinfra.components.key import Key
from mlinfra.components.key_use import check_key
from mlinfra.components.tags import Tags
from mlinfra.components.targets import needs_aws
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value

UNTAGGED_DAYS: Final = 14
PULL: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""ECR user guide, "Amazon ECR managed policies", AmazonEC2ContainerRegistryPullOnly."""

PUSH: Final = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")
_ASKED_WHEN_PUSHING: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage")
"""ECR user guide, "IAM permissions for pushing an image to an Amazon ECR private repository": with `PUSH` these two."""

SIGN_IN: Final = Grant(("ecr:GetAuthorizationToken",), ("*",))
"""It knows no resources: Service Authorization Reference, "Actions … for Amazon Elastic Container Registry"."""

Account = Annotated[str, Field(pattern=r"^\d{12}$")]


class ImageRepository(DataStore):
    """A place for container images in Amazon ECR.

    An image is scanned for known vulnerabilities when it is pushed. Tags cannot be moved to another image. Images
    without a tag go after 14 days, and of the others the newest stay. A repository is protected from deletion in the
    prod tier, and where the stack protects it.

        images = ImageRepository("images")
        cluster = TrainingCluster("train", repository=images)
        build = TrainingJob("build", cluster=cluster, pool=cpu, writes=[images])

    A workload that reads it may pull, one that writes it may push; both find its address in `IMAGES_REPOSITORY`. (The
    images that Kubernetes itself starts are pulled by the machine, which needs no reference.)
    """

    holds_data: ClassVar[bool] = True

    immutable_tags: bool = True
    """Whether a tag stays on the image that it was first given to (ECR user guide, "Image tag mutability")."""

    scan_on_push: bool = True
    """Whether an image is scanned when it is pushed (ECR user guide, "Image scanning")."""

    untagged_days: int = Field(default=UNTAGGED_DAYS, ge=1, le=36_500)
    """Days after which images without a tag go; they are left by builds."""

    keep_images: int | None = Field(default=None, ge=1, le=10_000)
    """How many images stay, the newest; by default as the tier says. More than stacks ever go back to."""

    key: Key | None = None
    """The KMS key that images are encrypted with; by default AES-256 with keys of S3. It is chosen for ever: another
    one replaces the repository (ECR API reference, `CreateRepository`)."""

    pull_accounts: Many[Account] = ()
    """Other AWS accounts whose principals may pull, if their own IAM policies allow it: `["111122223333"]`."""

    tags: Tags = Field(default_factory=dict)
    """Further tags."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def arn(self) -> Ref:
        """The repository's ARN."""
        return self.output("repository", "arn")

    @property
    def url(self) -> Ref:
        """Where images are pushed to and pulled from: `111122223333.dkr.ecr.eu-west-1.amazonaws.com/name`."""
        return self.output("repository", "repositoryUrl")

    # ------------------------------------------------------------------------------------ access

    def read_grants(self) -> tuple[Grant, ...]:
        """Sign in, and pull from this repository."""
        return (SIGN_IN, Grant(PULL, (self.arn,)))

    def write_grants(self) -> tuple[Grant, ...]:
        """Sign in, and push to this repository. Whoever pushes may ask for manifests, but not download layers."""
        return (SIGN_IN, Grant((*_ASKED_WHEN_PUSHING, *PUSH), (self.arn,)))

    def variables(self) -> dict[str, Value]:
        """`IMAGES_REPOSITORY` for a repository `images`."""
        return {f"{self.identity.replace('-', '_').upper()}_REPOSITORY": self.url}

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The repository, what expires of it, and who else may pull."""
        if not needs_aws(scope):
            return
        check_key(scope, self.key, "ecr")
        repository = add_repository(
            scope,
            immutable=self.immutable_tags,
            scanned=self.scan_on_push,
            untagged_days=self.untagged_days,
            images=self.keep_images,
            key=self.key.arn if self.key else None,
            tags=self.tags,
        )
        if self.pull_accounts:
            pullers = _pullers(scope, self.pull_accounts)
            token = "aws:ecr/repositoryPolicy:RepositoryPolicy"  # noqa: S105 — a type token
            scope.aws("repository-policy", token, {"repository": repository, "policy": pullers})


def add_repository(
    scope: Scope,
    *,
    immutable: bool = True,
    scanned: bool = True,
    untagged_days: int = UNTAGGED_DAYS,
    images: int | None = None,
    key: Value = None,
    tags: Mapping[str, str] | None = None,
) -> Ref:
    """Add a repository and its expiry to a component; returns a reference to its name."""
    tier = scope.environment.tier
    encryption = {"encryptionType": "KMS", "kmsKey": key} if key is not None else {"encryptionType": "AES256"}
    repository = scope.aws(
        "repository",
        "aws:ecr/repository:Repository",
        {
            "name": _single_hyphens(scope.label_name()),
            "imageTagMutability": "IMMUTABLE" if immutable else "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": scanned},
            "encryptionConfigurations": [encryption],
            "forceDelete": tier.defaults.empty_on_delete,
            "tags": {**(tags or {}), **scope.tags},
        },
        protect=scope.protected or tier.protected,
    )
    rules = _expiry(untagged_days, images or tier.defaults.image_count)
    scope.aws(
        "repository-lifecycle",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {"repository": repository, "policy": Document({"rules": rules})},
    )
    return repository


def _single_hyphens(name: str) -> str:
    """A repository's name: ECR takes no two hyphens in a row (ECR API reference, `CreateRepository`)."""
    single = re.sub("-{2,}", "-", name)
    return name if single == name else f"{single}-{naming.short_hash(name)}"


def _expiry(untagged_days: int, image_count: int) -> list[Value]:
    """Rules of the repository. The one for any image must come last (ECR user guide, "Lifecycle policy properties")."""
    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days"}
    return [
        {
            "rulePriority": 1,
            "description": "Untagged images go",
            "selection": {**untagged, "countNumber": untagged_days},
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": "The newest images stay",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": image_count},
            "action": {"type": "expire"},
        },
    ]


def _pullers(scope: Scope, accounts: Iterable[str]) -> Document:
    """A policy without resources, which a repository's own does not take (ECR user guide, "Repository policies")."""
    principals = [f"arn:{partition(scope)}:iam::{account}:root" for account in sorted(set(accounts))]
    return policy(
        [{"Sid": "OtherAccountsPull", "Effect": "Allow", "Principal": {"AWS": principals}, "Action": list(PULL)}]
    )
