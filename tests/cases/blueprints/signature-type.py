#: - {code: blueprint-signature, line: 10, says: ["It takes Environment, dict."]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: dict) -> Blueprint:
    return Blueprint(Bucket("data"))
