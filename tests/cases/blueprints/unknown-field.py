#: - {code: unknown-field, line: 12, says: ["Bucket 'data': there is no field 'versionning'", "Did you mean 'versioning'?"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data", versionning=True))
