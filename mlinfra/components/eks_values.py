"""What a `TrainingCluster` is told of EKS: a cluster to make, or one that is there already."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components.key import Key
from mlinfra.components.network import Network, default_network
from mlinfra.components.network_plan import Range
from mlinfra.components.tags import Tags
from mlinfra.components.values import Image, LogDays, Structure, repeated


class Support(NamedTuple):
    """Until when EKS supports a version, and the release of the cluster autoscaler that goes with it."""

    standard: str
    extended: str
    autoscaler: str


VERSIONS: Final[Mapping[str, Support]] = {
    "1.31": Support("2025-11-26", "2026-11-26", "v1.31.0"),
    "1.32": Support("2026-03-23", "2027-03-23", "v1.32.0"),
    "1.33": Support("2026-07-29", "2027-07-29", "v1.33.0"),
    "1.34": Support("2026-12-02", "2027-12-02", "v1.34.3"),
    "1.35": Support("2027-03-27", "2028-03-27", "v1.35.0"),
}
"""The versions of Kubernetes that a cluster can have.

Sources: EKS user guide, "Understand the Kubernetes version lifecycle on EKS", release calendar (the same as `aws eks
describe-cluster-versions` lists); Cluster Autoscaler, "Releases": its minor version is that of the cluster.
"""


def _supported(version: str) -> str:
    if version not in VERSIONS:
        raise ValueError(
            f"{version!r} is no version of Kubernetes that mlinfra knows EKS to support; those are "
            f'{", ".join(VERSIONS)} (EKS user guide, "Understand the Kubernetes version lifecycle on EKS")'
        )
    return version


KubernetesVersion = Annotated[str, Field(pattern=r"^1\.[0-9]{2}$", examples=["1.34"]), AfterValidator(_supported)]
"""A minor version of Kubernetes that EKS supports: `1.34`."""

ClusterName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", examples=["ml-prod"])]
"""The name of an EKS cluster (EKS API reference, `CreateCluster`)."""

Principal = Annotated[
    str, Field(max_length=600, pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+$")
]
"""The ARN of an IAM role or user: `arn:aws:iam::111122223333:role/ml-admins`. Not of a session (`assumed-role`)."""

_RESERVED: Final = ("system:", "eks:", "aws:", "amazon:", "iam:")


def _free(group: str) -> str:
    if group.startswith(_RESERVED):
        raise ValueError(
            f'{group!r}: names of groups must not begin with {", ".join(_RESERVED)} (EKS user guide, "Create access '
            'entries")'
        )
    return group


GroupName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^\S+$"), AfterValidator(_free)]
"""A group in the cluster, as `Team` names groups."""

AddonName = Literal[
    "vpc-cni",
    "coredns",
    "kube-proxy",
    "eks-pod-identity-agent",
    "aws-ebs-csi-driver",
    "amazon-cloudwatch-observability",
]
AddonVersion = Annotated[
    str, Field(pattern=r"^v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+$", examples=["v1.20.4-eksbuild.1"])
]

SystemImage = Literal["cluster-autoscaler", "nvidia-device-plugin"]


class Eks(Structure):
    """An EKS cluster that the stack makes, with its machines and all that its pods need to run.

        Eks(version="1.34", admins=["arn:aws:iam::111122223333:role/ml-platform"])

    Its API is reached from within the network alone, unless `public_cidrs` says from where else. Secrets are encrypted
    with a KMS key, all logs of the control plane are kept, people are let in as roles that are named here.
    """

    version: KubernetesVersion
    """The version of Kubernetes, such as `1.34`. It goes up by one minor version at a time, never down: first the
    control plane, then the machines, a few at a time (EKS user guide, "Update existing cluster to new Kubernetes
    version")."""

    network: Network | None = Field(default_factory=default_network)
    """The network that it is in, on its private subnets, which must be in two availability zones; by default the
    blueprint's `Network("network")`, which is made if there is none."""

    public_cidrs: Annotated[Many[Range], Field(max_length=40)] = ()
    """From where on the internet its API can be reached, such as `["203.0.113.0/24"]`; by default from nowhere. Whoever
    runs mlinfra needs to reach it: from within the network, or from one of these."""

    private_cidrs: Annotated[Many[Range], Field(max_length=20)] = ()
    """From where within the network, or networks connected to it, its API can be reached: runners of CI, people on a
    VPN. Its own machines reach it in any case."""

    admins: Many[Principal] = ()
    """IAM roles that may do everything in the cluster, such as `["arn:aws:iam::111122223333:role/ml-platform"]`. The
    role that makes the cluster is one of them by itself and is not to be named, unless `creator_is_admin` is off."""

    viewers: Many[Principal] = ()
    """IAM roles that may see everything in it but Secrets."""

    groups: dict[Principal, Many[GroupName]] = Field(default_factory=dict)
    """Groups that IAM roles are members of in the cluster, as `Team` and `TrainingCluster` name groups:
    `{"arn:aws:iam::111122223333:role/search": ["search-devs"]}`."""

    creator_is_admin: bool = True
    """Whether the role that makes the cluster may do everything in it from then on, so that one run can make the
    cluster and what is in it. It matters once, when the cluster is made."""

    key: Key | None = None
    """The KMS key that Kubernetes' Secrets are encrypted with, by default one of its own. It is chosen for ever:
    another one replaces the cluster with all that is in it (EKS API reference, `AssociateEncryptionConfig`)."""

    log_days: LogDays | None = None
    """Days that the control plane's logs, and those of Container Insights, are kept in CloudWatch; by default as the
    tier says."""

    log_key: Key | None = None
    """The KMS key that these logs are encrypted with; by default CloudWatch Logs' own."""

    addon_versions: dict[AddonName, AddonVersion] = Field(default_factory=dict)
    """Versions of EKS add-ons: `{"vpc-cni": "v1.20.4-eksbuild.1"}`, as `aws eks describe-addon-versions` lists them. By
    default AWS's own for the version of Kubernetes."""

    autoscaler: bool = True
    """Whether the cluster autoscaler runs: it starts machines for pods that wait, and stops those that are not needed,
    within `min` and `max` of each pool. Without it a pool has its fewest machines until somebody changes that."""

    container_insights: bool = False
    """Whether metrics of pods go to CloudWatch (Container Insights, which is paid by the metric); `Monitoring` then has
    alarms there, too."""

    images: dict[SystemImage, Image] = Field(default_factory=dict)
    """Images by digest of what runs for the cluster itself, such as copies in a repository of your own; by default the
    projects' own, by their versions."""

    extended_support: bool = False
    """Whether the version may stay for a year after its standard support has ended, at six times the price of the
    control plane. Without it, AWS goes on to the next version then (EKS user guide, "Disable EKS extended support")."""

    deletion_protection: bool | None = None
    """Whether EKS itself refuses to delete the cluster until this is off; by default in tiers that are protected."""

    tags: Tags = Field(default_factory=dict)
    """Further tags on the cluster and its machines."""

    @model_validator(mode="after")
    def _one_entry_each(self) -> Self:
        if twice := repeated([*self.admins, *self.viewers, *self.groups]):
            raise ValueError(
                f"{', '.join(twice)}: named more than once in admins, viewers and groups; a principal has one access "
                'entry (EKS user guide, "Create access entries")'
            )
        return self


class ExistingEks(Structure):
    """An EKS cluster that is there already: made by another stack, or by somebody else.

    `TrainingCluster.exported` has this form, so that a stack can give its cluster out and others can import it. Pools
    are then machines that the cluster has; none are made. On the local target the stack's own local cluster takes its
    place.
    """

    name: ClusterName
    """Its name."""

    oidc_issuer: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    """The issuer of its service accounts' tokens, where it is known."""

    oidc_provider_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/\S+$")] | None = None
    """The IAM identity provider of that issuer, where there is one."""


STRUCTURES: Final = (Eks, ExistingEks)
"""What documentation shows beside the components."""
