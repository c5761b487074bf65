#: - {code: reference-cycle, line: 12, says: [in a circle, "a/resource → b/resource → a/resource", "blueprints/case.py:13"]}

from mlinfra.graph import Ref, join
from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint

class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    a = Raw("a", type="aws:sqs/queue:Queue", inputs={"kmsMasterKeyId": join("x", Ref("b/resource", ("arn",)))})
    b = Raw("b", type="aws:sqs/queue:Queue", inputs={"kmsMasterKeyId": a.output("arn")})
    return Blueprint(a, b)
