"""The model that pods serve: where it is, which version it is, who may read it, and how it gets to a program's disk."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag

from mlinfra.components.access import DataStore
from mlinfra.components.bucket import Bucket
from mlinfra.components.bucket_part import BucketPart, Prefix
from mlinfra.components.endpoint_runtimes import MODELS
from mlinfra.components.model_store import MODEL_VARIABLE, StoredModel
from mlinfra.components.network_policies import let_out, pods, tcp
from mlinfra.components.values import Model, Structure
from mlinfra.components.workload import Request, container_security, variables
from mlinfra.expansion import Scope
from mlinfra.graph import Value

VERSION_VARIABLE: Final = "MODEL_VERSION"
"""The environment variable with the model's version."""

TRACKING_VARIABLE: Final = "MLFLOW_TRACKING_URI"
"""Where MLflow's programs look for their server (MLflow, "Command-Line Interface", `--tracking-uri`)."""

VOLUME: Final = "models"

S3_IMAGE: Final = "public.ecr.aws/aws-cli/aws-cli:2.31.21"
MLFLOW_IMAGE: Final = "ghcr.io/mlflow/mlflow:v3.4.0"

_PATH: Final = "MODEL_PATH"
_COPY: Final = {
    "s3": f'aws s3 cp --recursive --only-show-errors "${MODEL_VARIABLE}/" "${_PATH}/"',
    "models": f'mlflow artifacts download --artifact-uri "${MODEL_VARIABLE}" --dst-path "${_PATH}"',
}
"""What copies a model (AWS CLI reference, `s3 cp`; MLflow, "Command-Line Interface", `artifacts download`)."""

_THERE: Final = f'test -n "$(ls -A "${_PATH}")" || {{ echo "there is no model at ${MODEL_VARIABLE}" >&2; exit 1; }}'
"""A copy of nothing is no error to the AWS CLI."""

_REQUEST: Final = Request(cpu=0.25, memory=0.5)
_PORTS: Final = {"http": 80, "https": 443}
_SERVICE: Final = "svc"


class BucketModel(Structure):
    """A model in a folder of a bucket: where it is, and the permission to read it.

    `Endpoint("api", model=BucketModel(bucket=models, path="ranker/41"), …)` gives the endpoint's pods `MODEL_URI`,
    `s3://bucket/ranker/41`, and lets them read what is in that folder and nothing else of the bucket.
    """

    bucket: Bucket
    """The bucket that it is in."""

    path: Prefix | None
    """The folder, without a slash at the end; its last part is the version. None: there is none yet, and what serves it
    waits."""

    @property
    def version(self) -> str | None:
        """The last part of the path."""
        return self.path.rpartition("/")[2] if self.path else None

    @property
    def folder(self) -> BucketPart:
        """The folder as a store of its own; it is no component of the blueprint."""
        return _Folder.model_construct(name=self.bucket.name, bucket=self.bucket, prefix=self.path)


class _Folder(BucketPart):
    def variables(self) -> dict[str, Value]:
        """Where it is, by the name that endpoints know their model by."""
        return {MODEL_VARIABLE: self.uri}

    def __repr__(self) -> str:
        """As the bucket: that is what a blueprint knows."""
        return repr(self.bucket)


class RegisteredModel(Structure):
    """A version of a model in an MLflow registry, and the server that the registry is of.

    `RegisteredModel(server="http://mlflow.ml.svc:5000", name="ranker", version="41")` gives pods `MODEL_URI`,
    `models:/ranker/41`, and `MLFLOW_TRACKING_URI`, and lets them connect to the server. A server that hands out
    artifacts itself (`mlflow server --artifacts-destination …`) is all that they need; otherwise name the store that
    the artifacts are in, in `reads`.
    """

    server: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s]*)?$", max_length=500)]
    """The tracking server's address. Where the network is closed and the server is a service of the cluster,
    `http://name.namespace.svc:port`, the service's port has to be that of its pods: policies know pods alone."""

    name: Annotated[str, Field(pattern=r"^[^/\s:]+$", max_length=250)]
    """The model's name in the registry."""

    version: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None
    """Its version, a number. None: there is none yet, and what serves it waits."""

    @property
    def uri(self) -> str:
        """How MLflow names it: `models:/name/version` (MLflow, "Model Registry Workflows")."""
        return f"models:/{self.name}/{self.version}"

    def way(self) -> dict[str, Value]:
        """What a closed namespace has to let out to reach the server."""
        address = urlsplit(self.server)
        rule = tcp(address.port or _PORTS[address.scheme])
        parts = (address.hostname or "").split(".")
        if len(parts) > 2 and parts[2] == _SERVICE:
            return {"to": [pods({}, parts[1])], **rule}
        return rule


ServedModel = Annotated[
    Annotated[Model, Tag("place")]
    | Annotated[StoredModel, Tag("stored")]
    | Annotated[BucketModel, Tag("bucket")]
    | Annotated[RegisteredModel, Tag("registered")],
    Discriminator(lambda value: _TAGS.get(type(value), "place")),
]
"""A model by its place, or by what it is in. The discriminator keeps a mistake to one message."""

_TAGS: Final[dict[type, str]] = {StoredModel: "stored", BucketModel: "bucket", RegisteredModel: "registered"}


def missing(model: ServedModel | None) -> str | None:
    """What a model waits for: its first version; None where it is there, or where there is no model to wait for."""
    if model is None or isinstance(model, str) or model.version is not None:
        return None
    what = model.bucket.name if isinstance(model, BucketModel) else model.name
    return f"the first version of model {what!r}"


def version_of(model: ServedModel | None) -> str | None:
    """The version: the last part of a model's place, whatever that is."""
    return model.rpartition("/")[2] if isinstance(model, str) else model.version if model else None


def store_of(model: ServedModel | None) -> DataStore | None:
    """The folder that pods may read because they serve the model; None where it is said by `reads`, or not there."""
    if isinstance(model, StoredModel | BucketModel) and model.version is not None:
        return model.folder
    return None


def variables_of(model: ServedModel | None) -> dict[str, Value]:
    """What tells pods of their model, beside what its store tells."""
    found: dict[str, Value] = {}
    if isinstance(model, str):
        found[MODEL_VARIABLE] = model
    if isinstance(model, RegisteredModel) and model.version is not None:
        found |= {MODEL_VARIABLE: model.uri, TRACKING_VARIABLE: model.server}
    if version := version_of(model):
        found[VERSION_VARIABLE] = version
    return found


def open_way(scope: Scope, namespace: Value, model: ServedModel | None) -> None:
    """Let pods in a closed namespace reach the registry that their model is in."""
    if isinstance(model, RegisteredModel):
        let_out(scope, namespace, model.way())


def in_registry(model: ServedModel | None) -> bool:
    """Whether it is in a registry, from which MLflow's own program gets it."""
    return isinstance(model, RegisteredModel) or (isinstance(model, str) and model.startswith("models:"))


def copying(model: ServedModel | None, image: str, env: dict[str, Value], folder: str) -> dict[str, Value]:
    """The init container that copies a model into a folder of the volume `VOLUME`; `env` is what pods know of it.

    Runtimes differ in where they can read from and with which credentials, so each of them reads a local folder.
    """
    copy = _COPY["models" if in_registry(model) else "s3"]
    return {
        "name": "model",
        "image": image,
        "command": ["sh", "-c", f"{copy} && {{ {_THERE}; }}"],
        "env": variables(env, {_PATH: f"{MODELS}/{folder}", "HOME": "/tmp"}),  # noqa: S108 — the container's own
        "resources": _REQUEST.resources(),
        "securityContext": container_security(read_only=True),
        "volumeMounts": [
            {"name": VOLUME, "mountPath": MODELS},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
