#: - {code: invalid-value, line: 16, says: ["TrainingJob 'fit': cluster is a text, not a TrainingCluster", Give the component itself]}
#: - {code: invalid-value, line: 16, says: ["pool is Bucket('data'), not a NodePool"]}
#: - {code: invalid-value, line: 16, says: ["reads is Bucket('data'), not a list", "reads=[…]"]}
#: - {code: invalid-value, line: 16, says: ["writes.0 is a text, not a DataStore", Give the component itself]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    data = Bucket("data")
    fit = TrainingJob("fit", cluster="train", pool=data, reads=data, writes=["data"])
    return Blueprint(fit)
