#: - {code: blueprint-version-form, line: 10, says: ["'2'", major.minor.patch]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="2")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
