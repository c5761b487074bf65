#: stack: {protect: [data, modles]}
#: expect:
#: - {code: protect-unknown, file: stacks/dev.yaml, line: 6, says: ["'modles'", "The components are data, models."]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"), Bucket("models"))
