#: - {code: blueprint-signature, line: 10, says: ["blueprint 'case' has the wrong arguments", "It takes Environment.", "def case(env: Environment"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment) -> Blueprint:
    return Blueprint(Bucket("data"))
