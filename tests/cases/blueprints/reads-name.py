#: - {code: blueprint-branches-on-environment, line: 12, says: [reads the name of its environment, env.tier]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data", versioning=env.name == "prod"))
