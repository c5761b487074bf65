#: - {code: blueprint-binary, line: 4, says: [is not a text file, is not UTF-8]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint
# café


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
