#: - {code: placement-too-large, line: 16, says: ["fit asks for 1 GPU, more than one machine of pool 'cpu' has"]}
#: - {code: placement-too-many, line: 17, says: ["many has 3 ranks", "pool 'gpu' has 2 machines at most"]}
#: - {code: job-without-queue, line: 18, says: ["late names no queue, and cluster 'queued' has Kueue", "JobQueue("]}
#: - {code: queue-without-kueue, line: 19, says: ["jobs is a queue of cluster 'train'"]}
from mlinfra import Blueprint, Environment, JobQueue, NodePool, Params, Ranks, TrainingCluster, TrainingJob, blueprint

IMAGE = "registry.example.com/team/train@sha256:" + "0" * 64


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    gpu = NodePool("gpu", instance_type="g5.12xlarge", max=2)
    cpu = NodePool("cpu", instance_type="m6i.xlarge", max=2)
    cluster = TrainingCluster("train", pools=[gpu, cpu])
    queued = TrainingCluster("queued", pools=[gpu], kueue=True)
    fit = TrainingJob("fit", cluster=cluster, pool=cpu, gpus=1, image=IMAGE)
    many = TrainingJob("many", cluster=cluster, pool=gpu, gpus=1, ranks=Ranks(count=3), image=IMAGE)
    late = TrainingJob("late", cluster=queued, pool=gpu, gpus=1, image=IMAGE)
    jobs = JobQueue("jobs", cluster=cluster, pools=[gpu])
    return Blueprint(fit, many, late, jobs)
