"""`Dataset`: data for training, on a bucket, in versions, ready for DVC."""

from __future__ import annotations

from typing import Any

from mlinfra.components.bucket_options import Days
from mlinfra.components.bucket_part import BucketPart, folder_name
from mlinfra.expansion import Scope
from mlinfra.graph import Value, join


class Dataset(BucketPart):
    """Data that models are trained on, in one folder of a bucket.

    `clicks = Dataset("clicks", bucket=data)` is `datasets/clicks/` in the bucket. There are two ways to keep versions
    of it, and each has a folder of its own:

    - `dvc/` is a DVC remote: `dvc push` adds what changed, under names that are made from the contents, and each commit
      of your repository names the version that belongs to it. The output `dvc` holds the remote's settings.
    - `versions/<version>/` is for programs that write a version as a whole: `clicks.version_uri("2026-11-01")`.

    A workload that reads it may read this folder of the bucket and no other; to `dvc push` it also has to write it. It
    finds the folder in `<NAME>_URI`.
    """

    expire_days: Days | None = None
    """Days after which objects of the dataset go, if they go before the bucket's own do. DVC adds an object once, and
    later versions refer to it: it goes that many days after it was first pushed, in use or not."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def dvc(self) -> Value:
        """The settings of the DVC remote, by the names that `dvc remote modify` has for them: `url`, `region`, and in
        the cluster `endpointurl`, which pods of the cluster reach.
        """
        endpoint = self.bucket.endpoint
        more = {} if endpoint is None else {"endpointurl": endpoint}
        return {"url": join(self.uri, "/dvc"), "region": self.bucket.region, **more}

    @property
    def dvc_command(self) -> Value:
        """The command that makes it the default remote of a DVC repository, to be pasted into a shell."""
        settings = self.dvc
        name = self.identity
        parts = [f"dvc remote add --force --default {name} ", settings["url"]]
        for setting in ("region", "endpointurl"):
            if setting in settings:
                parts += [f" && dvc remote modify {name} {setting} ", settings[setting]]
        return join(*parts)

    def version_uri(self, version: str) -> Value:
        """Where a version is that is written as a whole: `s3://bucket/datasets/clicks/versions/2026-11-01`.

        Raises `ValueError` for what cannot be a folder's name.
        """
        return join(self.uri, f"/versions/{folder_name(version, 'version')}")

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """A rule in the bucket's lifecycle, where the dataset's objects go before the bucket's."""
        super().expand(scope)
        if self.expire_days is None or (self.by_iam and not scope.environment.has_aws):
            return
        if not self.by_iam:
            scope.problem(
                f"{self!r} is in the cluster and cannot have `expire_days`",
                detail="Nothing in the cluster's store deletes objects by their age.",
                remedy="Leave out `expire_days`, or send the stack to a target with AWS.",
                code="bucket-in-cluster",
            )
            return
        whole = self.bucket.expire_days
        if whole is not None and whole <= self.expire_days:
            scope.problem(
                f"{self!r} keeps objects for {self.expire_days} days, but {self.bucket!r} for {whole} only",
                remedy="Leave out the dataset's `expire_days`, or say fewer days than the bucket.",
                code="dataset-expires-late",
            )
            return
        rule = {
            "id": f"expire-{self.identity}",
            "status": "Enabled",
            "filter": {"prefix": self.folder},
            "expiration": {"days": self.expire_days},
        }
        add_rule(scope, self.bucket.node("lifecycle"), rule)

    def _default_prefix(self) -> str:
        return f"datasets/{self.identity}"


def add_rule(scope: Scope, lifecycle: str, rule: dict[str, Any]) -> None:
    """Add a rule to a bucket's lifecycle, which S3 has as one setting (S3 API reference,
    `PutBucketLifecycleConfiguration`); rules that were added so are in the order of their names.
    """
    held = scope.expansion.nodes[lifecycle]
    own = [item for item in held.inputs["rules"] if not str(item["id"]).startswith("expire-")]
    added = [item for item in held.inputs["rules"] if item not in own]
    rules = [*own, *sorted([*added, rule], key=lambda item: str(item["id"]))]
    scope.expansion.change(lifecycle, rules=rules)
