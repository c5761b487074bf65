#: stack: {params: {store: {kind: object, bucket: 3}}}
#: expect:
#: - {code: invalid-value, file: stacks/dev.yaml, line: 7, says: ["parameters of case: store.bucket:", Put it in quotes.]}

from typing import Literal

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class Object(Params):
    kind: Literal["object"]
    bucket: str


class Disk(Params):
    kind: Literal["disk"]
    size: int


class P(Params):
    store: Object | Disk = Field(discriminator="kind")


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
