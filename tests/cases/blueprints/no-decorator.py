#: - {code: blueprint-undeclared, line: 1, says: ["It has no function with @blueprint"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
