#: - {code: blueprint-error, line: 13, says: ["output 'store'", "Bucket", one of the component's outputs]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    data = Bucket("data")
    return Blueprint(data, outputs={"store": data})
