#: - {code: invalid-value, line: 8, says: ["m6i.xxlarge"]}
#: - {code: invalid-value, line: 9, says: ["min is 3, which is more than max, 2"]}
from mlinfra import Blueprint, Environment, NodePool, Params, TrainingCluster, blueprint


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    mistyped = NodePool("mistyped", instance_type="m6i.xxlarge")
    turned = NodePool("turned", instance_type="m6i.xlarge", min=3, max=2)
    return Blueprint(TrainingCluster("train", pools=[mistyped, turned]))
