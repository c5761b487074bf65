#: - {code: team-quota, line: 10, says: ["the quota of team 'search' is 400 cores, more than cluster 'train' can have", "offer 95.62 cores"]}
#: - {code: team-quota, line: 10, says: ["is 9 GPUs", "offer 8 GPUs", "`max` of a pool: gpu"]}
from mlinfra import Blueprint, Environment, NodePool, Params, Quota, Team, TrainingCluster, blueprint


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=2)
    cluster = TrainingCluster("train", pools=[gpu])
    search = Team("search", cluster=cluster, admins=["ml-leads"], quota=Quota(gpus=9, cpu=400, memory=300, pods=50))
    ads = Team("ads", cluster=cluster, admins=["ml-leads"], quota=Quota(gpus=8))
    return Blueprint(search, ads)
