#: - {code: dangling-reference, line: 12, says: ["q/resource refers to b/resource, which is not in the graph"]}

from mlinfra.graph import Ref
from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint

class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    queue = Raw("q", type="aws:sqs/queue:Queue", inputs={"kmsMasterKeyId": Ref("b/resource", ("arn",))})
    return Blueprint(queue)
