#: - {code: component-outside, line: 5, says: ["Bucket('shared') is used, but was not made by this blueprint", Make it inside]}

import mlinfra

SHARED = mlinfra.Bucket("shared")


from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(SHARED)
