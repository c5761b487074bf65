#: stack: {blueprint: case@2.0.0}
#: expect:
#: - {code: blueprint-version, file: stacks/dev.yaml, line: 1, says: [written for case 2.0.0, the library has 1.0.0]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
