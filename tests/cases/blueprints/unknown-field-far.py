#: - {code: unknown-field, line: 12, says: ["there is no field 'zzz'", "The fields are access_log_days"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data", zzz=True))
