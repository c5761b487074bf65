#: - {code: blueprint-not-reproducible, severity: warning, line: 14, says: [chance]}

import random

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data", expire_days=random.randint(5, 9)))
