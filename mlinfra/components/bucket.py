"""`Bucket`: an S3 bucket that is private, encrypted, versioned and reached over TLS only; or one in the cluster.

What it can be told is in `bucket_options`; what it comes to on AWS in `bucket_aws` and the modules that that one uses,
in the cluster in `bucket_cluster`.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mlinfra.authoring import Many
from mlinfra.components import bucket_aws, bucket_cluster
from mlinfra.components.access import Classification, DataStore, Grant
from mlinfra.components.bucket_options import (
    CorsRule,
    Days,
    Notification,
    ObjectLock,
    Replica,
    Transition,
    check_notifications,
    check_transitions,
)
from mlinfra.components.key import Key, decrypting, encrypting
from mlinfra.components.place import Place
from mlinfra.components.signals import Chart, Signal, Watched
from mlinfra.components.tags import Tags
from mlinfra.components.targets import needs_aws, needs_kubernetes
from mlinfra.components.values import Image, StorageClassName
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

Reason = Annotated[str, Field(min_length=10, max_length=256, pattern=r"^[\w\s.:/=+@-]*$")]


class Bucket(DataStore, Watched):
    """An S3 bucket.

    Public access is blocked whatever the classification says; ACLs are off; objects are encrypted; requests without
    TLS are refused; uploads that were never finished go after 7 days. A bucket is protected from deletion in the prod
    tier, and where the stack protects it. Which option a classification switches on:

    - `confidential`: a KMS key of its own (or a given one) with which alone objects can be written, and access logs.
    - `pii`, for personal data: the same; a key whose use is given to the roles of components that read or write the
      bucket and to no one else, so that administrators cannot read the objects either; `expire_days` or `keep_forever`
      has to be said; old versions go after 30 days; objects, and old versions, that bear the tag `mlinfra:erase` with
      the value `true` are erased within three days, copies in the replica too: `TrainingJob(erases=[…])` may set that
      tag, or delete at once. Do not put personal data into the names of objects: access logs hold them.

    In the cluster (`place="cluster"`, or a target without AWS) it is a volume of an S3-compatible store, VersityGW,
    which is one pod and serves all buckets of its cluster:

        data = Bucket("data", cluster=cluster, image="docker.io/versity/versitygw@sha256:…", storage_gib=100)
        fit = TrainingJob("fit", cluster=cluster, reads=[data], …)

    Each component that refers to it has credentials of its own, with which it can do what its references say and no
    more; pods of others cannot reach it. Pods find endpoint, credentials and region in `AWS_ENDPOINT_URL_S3` and the
    other `AWS_` variables, where boto3, DVC and MLflow look. It keeps no old versions, nothing backs it up, requests
    in the cluster go over HTTP, and an object cannot have the name of another one's folder (`a` beside `a/b`). What
    needs more is refused there: `confidential` and `pii`, keys, locks, replicas, logs, expiry, notifications.
    """

    holds_data: ClassVar[bool] = True

    place: Literal["aws", "cluster"] | None = None
    """Where it is: on `aws`, or in the `cluster`. By default on AWS where the target has it. Another place is another
    bucket, and empty."""

    cluster: Place | None = None
    """The cluster or team in whose store it is, where it is in one; pods of others cannot use it."""

    image: Image | None = None
    """The image of VersityGW, by digest, where it is in the cluster: the official `versity/versitygw`, 1.8 or newer, or
    one that is used like it. All buckets of a cluster are in one store and name the same image."""

    storage_gib: int = Field(default=20, ge=1, le=65_536)
    """GiB of its volume, where it is in the cluster. It can be made more where the storage class allows that, never
    less."""

    storage_class: StorageClassName | None = None
    """The StorageClass of its volume, where it is in the cluster; by default the cluster's own. The file system has to
    be POSIX's."""

    cpu: float = Field(default=0.25, gt=0, le=192)
    """Cores that the store in the cluster gets for it; a store has the sum of what its buckets ask for."""

    memory: float = Field(default=0.5, ge=0.25, le=2048)
    """GiB of memory that the store in the cluster gets for it, added up in the same way."""

    classification: Classification = "internal"
    """How sensitive the data is; a tag too, which policies and reviewers go by. `public` means that the data may be
    published, not that the bucket is."""

    key: Key | Literal["own"] | None = None
    """The KMS key that objects are encrypted with: a `Key`, which other stores may use too, or `own` for one that is
    made for this bucket. By default S3's own keys, and `own` for `confidential` and `pii`."""

    versioning: bool = True
    """Whether S3 keeps what is overwritten or deleted."""

    old_version_days: Days | None = None
    """Days that overwritten and deleted objects are kept; by default as the tier says, and 30 at most for `pii`."""

    expire_days: Days | None = None
    """Days after which objects go; by default they stay."""

    keep_forever: Reason | None = None
    """Why objects stay for ever, such as `labels are needed for as long as models are trained`; `pii` wants this or
    `expire_days`. It becomes a tag of the bucket."""

    transitions: Annotated[Many[Transition], Field(max_length=6)] = ()
    """When objects move to cheaper classes of storage; by default they do not."""

    old_version_transitions: Annotated[Many[Transition], Field(max_length=6)] = ()
    """When old versions move to cheaper classes, in days after they were overwritten or deleted."""

    access_logs: "Bucket | Literal['own'] | None" = None
    """Where S3 logs each request for the bucket: another `Bucket`, with S3's own keys and without a lock, or `own` for
    one that is made for it. By default nowhere, and `own` for `confidential` and `pii`."""

    access_log_days: Days | None = None
    """Days that access logs in a log bucket of its own are kept; by default as the tier says."""

    lock: ObjectLock | None = None
    """For how long nobody can delete or overwrite a version of an object; by default there is no lock."""

    replica: Replica | None = None
    """A copy in another region; by default there is none."""

    cors: Annotated[Many[CorsRule], Field(max_length=100)] = ()
    """Which web pages may use it from a browser; by default none. The first rule that fits a request counts."""

    notifications: Annotated[Many[Notification], Field(max_length=100)] = ()
    """Whom it tells of new objects and the like, at most 100 (S3 user guide, "Amazon S3 Event Notifications")."""

    eventbridge: bool = False
    """Whether all that happens in it is told to the account's default event bus of EventBridge, where rules can start
    a pipeline."""

    tags: Tags = Field(default_factory=dict)
    """Further tags."""

    # ------------------------------------------------------------------------------------ what excludes what

    @model_validator(mode="after")
    def _gone_in_time(self) -> Self:
        if self.expire_days and self.keep_forever:
            raise ValueError(f"objects cannot both go after {self.expire_days} days and be kept for ever")
        if self.personal and not (self.expire_days or self.keep_forever):
            raise ValueError(
                "personal data is kept for no longer than it is needed (GDPR, article 5(1)(e)): say `expire_days=…`, "
                'or why it stays: `keep_forever="…"`'
            )
        check_transitions(self.transitions, self.expire_days, "objects")
        return self

    @model_validator(mode="after")
    def _with_versions(self) -> Self:
        for option, why in (
            ("lock", "Locking objects with Object Lock"),
            ("replica", "Requirements and considerations for replication"),
            ("old_version_transitions", "Lifecycle configuration elements"),
        ):
            if getattr(self, option) and not self.versioning:
                raise ValueError(f'{option} needs versioning (S3 user guide, "{why}")')
        if self.personal and self.lock and self.lock.mode == "compliance":
            raise ValueError(
                "what is locked in compliance mode cannot be erased on request, as personal data has to be; "
                "lock it in governance mode"
            )
        return self

    @model_validator(mode="after")
    def _logged_well(self) -> Self:
        if not isinstance(self.access_logs, Bucket):
            return self
        source = 'S3 user guide, "Enabling Amazon S3 server access logging"'
        if self.access_logs.key_arn is not None:
            raise ValueError(f"{self.access_logs!r} has a KMS key; S3 delivers logs to S3's own keys only ({source})")
        if self.access_logs.lock:
            raise ValueError(f"{self.access_logs!r} has a lock, with which S3 delivers no logs to it ({source})")
        return self

    @model_validator(mode="after")
    def _for_few(self) -> Self:
        if self.personal and isinstance(self.key, Key) and self.key.users != "references":
            raise ValueError(
                f"{self.key!r} can be used by whomever an IAM policy of the account allows it; for personal data "
                'write `Key(…, users="references")`, or leave `key` out'
            )
        if self.sensitive and any("*" in rule.origins for rule in self.cors):
            raise ValueError(f"cors: pages of any origin cannot use what is {self.classification}; name the origins")
        check_notifications(self.notifications)
        return self

    # ------------------------------------------------------------------------------------ outputs

    @property
    def arn(self) -> Value:
        """The bucket's ARN; in the cluster the form by which the store's policies name it."""
        return join("arn:aws:s3:::", self.bucket_name) if self._in_cluster else self.output("bucket", "arn")

    @property
    def bucket_name(self) -> Ref:
        """The bucket's physical name."""
        return self.output("claim", "metadata", "name") if self._in_cluster else self.output("bucket")

    @property
    def uri(self) -> Value:
        """`s3://` and the bucket's name."""
        return join("s3://", self.bucket_name)

    @property
    def key_arn(self) -> Ref | None:
        """The ARN of the KMS key that objects are encrypted with; None for S3's own keys."""
        if isinstance(self.key, Key):
            return self.key.arn
        return self.output("key", "arn") if self.key == "own" or self.sensitive else None

    @property
    def region(self) -> Value:
        """The region to give to clients; the store in the cluster has one in name only."""
        return bucket_cluster.REGION if self._in_cluster else self.output("bucket", "region")

    @property
    def endpoint(self) -> Value | None:
        """The URL of the store in the cluster, within the cluster; None on AWS, where clients know it."""
        return bucket_cluster.endpoint(self) if self._in_cluster and self.cluster else None

    @property
    def replica_name(self) -> Ref:
        """The physical name of the copy in another region."""
        return self.output("replica-bucket")

    @property
    def sensitive(self) -> bool:
        """Whether it has a KMS key and access logs whatever else is said."""
        return self.classification in ("confidential", "pii")

    # ------------------------------------------------------------------------------------ access

    def read_grants(self) -> tuple[Grant, ...]:
        """Get objects, list the bucket (Service Authorization Reference, "Actions … for Amazon S3")."""
        objects = Grant(("s3:GetObject",), (join(self.arn, "/*"),))
        key = (decrypting(self.key_arn, "s3"),) if self.key_arn else ()
        return (objects, Grant(("s3:ListBucket",), (self.arn,)), *key)

    def write_grants(self) -> tuple[Grant, ...]:
        """Put objects, in one piece or in several (S3 user guide, "Multipart upload API and permissions")."""
        actions = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
        objects = Grant(actions, (join(self.arn, "/*"),))
        key = (encrypting(self.key_arn, "s3"),) if self.key_arn else ()
        return (objects, Grant(("s3:ListBucketMultipartUploads",), (self.arn,)), *key)

    def erase_grants(self) -> tuple[Grant, ...]:
        """Delete objects with all their versions, here and in the replica, or tag them to be erased; not read them.

        A version that is deleted here stays in the replica (S3 user guide, "What does Amazon S3 replicate?").
        """
        actions = ["s3:DeleteObject", "s3:GetObjectTagging", "s3:PutObjectTagging"]
        lists = ["s3:ListBucket"]
        if self.versioning and self.by_iam:
            actions += ["s3:DeleteObjectVersion", "s3:GetObjectVersionTagging", "s3:PutObjectVersionTagging"]
            lists += ["s3:ListBucketVersions"]
        if self.lock:
            actions += ["s3:BypassGovernanceRetention"]
        arns = [self.arn, *([self.output("replica-bucket", "arn")] if self.replica else [])]
        return (
            Grant(tuple(actions), tuple(join(arn, "/*") for arn in arns)),
            Grant(tuple(lists), tuple(arns)),
        )

    def variables(self) -> dict[str, Value]:
        """`DATA_URI` for a bucket `data`."""
        return {f"{self.identity.replace('-', '_').upper()}_URI": self.uri}

    def variables_in(self, scope: Scope, namespace: Value) -> dict[str, Value]:
        """`variables`; in the cluster also how to reach the store, for pods of its own namespace."""
        if self.by_iam:
            return super().variables_in(scope, namespace)
        return {**self.variables(), **self.access_in(scope, namespace)}

    def access_in(self, scope: Scope, namespace: Value) -> dict[str, Value]:
        """Endpoint, region and credentials of the store in the cluster, for pods of `scope`'s component."""
        reached = self.cluster is not None and self.cluster.namespace == namespace
        return bucket_cluster.variables(self, scope) if self._in_cluster and reached else {}

    @property
    def by_iam(self) -> bool:
        """Not in the cluster: its store goes by policies of its own."""
        return not self._in_cluster

    def open_to(self, scope: Scope, namespace: Value) -> None:
        """One network policy, in the cluster."""
        if self._in_cluster:
            bucket_cluster.open_to(self, scope, namespace)

    def admit_pods(self, scope: Scope, grants: Iterable[Grant]) -> None:
        """An account of the store for the component, and what the grants say in the bucket's policy."""
        bucket_cluster.admit(self, scope, grants)

    def signals(self) -> tuple[Signal, ...]:
        """None: what S3 tells of a bucket without being paid for it is its size, once a day, for the dashboard."""
        return ()

    def charts(self, cluster: str) -> Iterable[Chart]:  # noqa: ARG002 — S3 tells of it
        """On AWS its size and how many objects it has, which S3 counts once a day (S3 user guide, "Metrics and
        dimensions")."""
        return bucket_aws.charts(self) if self.by_iam else ()

    # ------------------------------------------------------------------------------------ expansion

    @property
    def _in_cluster(self) -> bool:
        """Where it is, as it was when it was declared: the target is known to every blueprint function that runs."""
        if self.place is not None:
            return self.place == "cluster"
        environment = self._recording.environment if self._recording else None
        return environment is not None and not environment.has_aws

    def expand(self, scope: Scope) -> None:
        """An S3 bucket with its settings, or a volume in the store of a cluster."""
        if self._in_cluster:
            if needs_kubernetes(scope):
                bucket_cluster.expand(self, scope)
        elif needs_aws(scope):
            bucket_aws.expand(self, scope)
