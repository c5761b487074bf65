#: - {code: component-unused, severity: warning, line: 12, says: ["Bucket('spare') is declared, but nothing leads to it"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    Bucket("spare")
    return Blueprint(Bucket("data"))
