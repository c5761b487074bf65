#: - {code: invalid-value, line: 13, says: ["Bucket ['x']: name"]}
#: - {code: invalid-value, line: 13, says: ["Bucket 3: name"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket(["x"]), Bucket(3))
