#: - {code: component-unused, severity: warning, line: 13}
#: - {code: dangling-reference, line: 11, says: ["output url refers to data/bucket"]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    data = Bucket("data")
    return Blueprint(Bucket("other"), outputs={"url": data.uri})
