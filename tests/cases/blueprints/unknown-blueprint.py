#: stack: {blueprint: caes}
#: expect:
#: - {code: blueprint-unknown, file: stacks/dev.yaml, line: 1, says: ["there is no blueprint 'caes'", "Did you mean 'case'?"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
