#: []

print("hello from the file")

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    print("hello from the blueprint")
    return Blueprint(Bucket("data"))
