#: - {code: invalid-value, line: 14, says: ["TrainingJob 'both'", "ranks and sweep exclude each other"]}
#: - {code: invalid-value, line: 15, says: ["framework"]}
#: - {code: invalid-value, line: 16, says: ["env: RANK cannot be set"]}
from mlinfra import Blueprint, Environment, NodePool, Params, Ranks, Sweep, TrainingCluster, TrainingJob, blueprint

IMAGE = "registry.example.com/team/train@sha256:" + "0" * 64


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    pool = NodePool("gpu", instance_type="g5.12xlarge", max=2)
    common = {"cluster": TrainingCluster("train", pools=[pool]), "pool": pool, "image": IMAGE}
    sweep = Sweep(parameters={"lr": [0.1, 0.01]})
    both = TrainingJob("both", **common, ranks=Ranks(count=2), sweep=sweep)
    what = TrainingJob("what", **common, ranks={"count": 2, "framework": "jax"})
    taken = TrainingJob("taken", **common, ranks=Ranks(count=2), env={"RANK": "1"})
    return Blueprint(both, what, taken)
