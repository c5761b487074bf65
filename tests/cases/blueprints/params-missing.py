#: - {code: invalid-value, file: stacks/dev.yaml, line: 1, says: ["parameters of case: images is missing", How many images are kept.]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    images: int
    """How many images are kept."""


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
