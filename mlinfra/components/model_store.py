"""`ModelStore`: trained models, on a bucket, each in versions."""

from typing import Final, Self

from pydantic import model_validator

from mlinfra.components.bucket_part import BucketPart, folder_name
from mlinfra.components.values import Structure
from mlinfra.expansion import Scope
from mlinfra.graph import Value, join

MLFLOW: Final = "mlflow"
"""The folder that MLflow has within a store; no model has this name."""

MODEL_VARIABLE: Final = "MODEL_URI"
"""The environment variable in which an endpoint's pods find their model."""


class ModelStore(BucketPart):
    """Trained models, in one folder of a bucket: `models/<name>/<version>/`.

    `store = ModelStore("models", bucket=artifacts)`; `store.version_uri("ranker", "3")` is the folder of one version,
    which is written once and not changed. `models/mlflow/` is for an MLflow server: give it the output
    `artifact_root` as `--default-artifact-root`, or as `--artifacts-destination` where clients go through the server.

    An endpoint that serves one of them names it, and may read that one alone:
    `Endpoint("api", model=StoredModel(store=store, name="ranker", version="3"), …)`. One that reads the whole store may
    load any of its models, a training job that writes it may add to them; both find the folder in `<NAME>_URI`. Models
    do not go by age, as one that serves may be old: a bucket that deletes its objects after some days is no place for
    them.
    """

    # ------------------------------------------------------------------------------------ outputs

    @property
    def artifact_root(self) -> Value:
        """Where MLflow keeps artifacts: `s3://bucket/models/mlflow`."""
        return join(self.uri, f"/{MLFLOW}")

    def version_uri(self, name: str, version: str) -> Value:
        """Where a version of a model is: `s3://bucket/models/<name>/<version>`.

        Raises `ValueError` for what cannot be a folder's name, and for `mlflow`, which is taken.
        """
        return join(self.uri, f"/{_folder_of(name, version)}")

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """Warns of a bucket that would delete models while they serve."""
        super().expand(scope)
        if self.bucket.expire_days is not None:
            scope.warning(
                f"{self!r} is on {self.bucket!r}, which deletes models after {self.bucket.expire_days} days",
                detail="A model that serves is read again whenever a replica starts, however old it is.",
                remedy="Give models a bucket of their own, without `expire_days`.",
                code="models-expire",
            )

    def _default_prefix(self) -> str:
        return "models"


def _folder_of(name: str, version: str) -> str:
    if name == MLFLOW:
        raise ValueError(f"{MLFLOW!r} is no name of a model: MLflow has this folder")
    return f"{folder_name(name, 'name of a model')}/{folder_name(version, 'version')}"


class StoredModel(Structure):
    """One version of a model in a `ModelStore`: where it is, and the permission to read it.

    `Endpoint("api", model=StoredModel(store=models, name="ranker", version="41"), …)` gives the endpoint's pods
    `MODEL_URI`, `s3://bucket/models/ranker/41`, and lets them read what is in that folder: no other version, no other
    model. The endpoint need not name the store in `reads`.
    """

    store: ModelStore
    """The store that it is in."""

    name: str
    """The model's name: letters, digits and `_.-`."""

    version: str | None
    """Its version, in the same characters; what is in it is not checked. None: there is none yet, and what serves it
    waits: `version=p.model_version`, a parameter that the first version is given by."""

    @model_validator(mode="after")
    def _has_a_folder(self) -> Self:
        _folder_of(self.name, "1" if self.version is None else self.version)
        return self

    @property
    def uri(self) -> Value:
        """Where it is: `s3://bucket/models/<name>/<version>`; a `ValueError` where there is no version yet."""
        return self.store.version_uri(self.name, self.version or "")

    @property
    def folder(self) -> ModelStore:
        """The version as a store of its own, to be read like any other; it is no component of the blueprint."""
        prefix = f"{self.store.folder}{_folder_of(self.name, self.version or '')}"
        return _Version.model_construct(name=self.store.name, bucket=self.store.bucket, prefix=prefix)


class _Version(ModelStore):
    """The part of a model store that one version is in."""

    def variables(self) -> dict[str, Value]:
        """Where it is, by the name that endpoints know their model by."""
        return {MODEL_VARIABLE: self.uri}

    def __repr__(self) -> str:
        """As the store: that is what a blueprint knows."""
        return f"ModelStore({self.name!r})"
