"""The template of a job's runs: a CronJob, which never makes one by itself where it is suspended.

A run is a Job that is made from it: by `mlinfra run`, or by `kubectl create job --from=cronjob/fit …`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlinfra.components import job_pod, job_ranks, job_ray
from mlinfra.components.job_queue import QUEUE_LABEL
from mlinfra.components.workload import pod_labels, selector
from mlinfra.expansion import DOMAIN, Scope
from mlinfra.graph import Document, Ref, Value

if TYPE_CHECKING:
    from mlinfra.components.training_job import TrainingJob

TEMPLATE: Final = "template"
"""The node of the template."""

TEMPLATE_LABEL: Final = f"{DOMAIN}/template"
RAY_JOB: Final = "rayjob"
"""What that label says of a ConfigMap that holds a RayJob."""

MANIFEST: Final = "manifest.json"
"""The key with the RayJob in such a ConfigMap."""

_NEVER: Final = "0 0 1 1 *"
_DAY: Final = 86_400
_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Due:
    """When Kubernetes makes a run of a template by itself (Kubernetes, "CronJob").

    A run that cannot begin within `seconds` of its time is left out, and so is one whose predecessor still goes on.
    """

    schedule: str
    time_zone: str
    seconds: int

    def fields(self) -> dict[str, Value]:
        """The fields of a CronJob that say so."""
        return {
            "schedule": self.schedule,
            "timeZone": self.time_zone,
            "suspend": False,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": self.seconds,
        }


def add(job: TrainingJob, scope: Scope, account: Ref, due: Due | None = None) -> None:
    """The template, and what its pods need: files in ConfigMaps, and the Service of the ranks.

    Where it says when runs are `due` Kubernetes makes them, besides those that people ask for.
    """
    namespace = job.cluster.namespace
    maps, labels = _maps(job, scope), _labels(job, scope)
    if job.ray:
        job_ray.open_ways(job.ray, scope, namespace)
        _ray(job, scope, job_ray.manifest(job, job.ray, scope, account, maps, labels))
        return
    service = job_ranks.add_service(scope, job.ranks, namespace) if job.ranks else None
    template = {
        "metadata": {"labels": labels},
        "spec": _job(job, scope, job_pod.single(job, scope, account, maps, service)),
    }
    add_template(scope, namespace, template, due)


def add_template(scope: Scope, namespace: Value, template: Mapping[str, Value], due: Due | None = None) -> None:
    """The CronJob of `scope`'s component that runs are made from; `template` is the whole Job.

    It makes runs by itself only where it says when they are `due`.
    """
    spec = {
        **(due.fields() if due else {"schedule": _NEVER, "suspend": True}),
        # Jobs that kubectl makes from it belong to it, and it deletes all but a few of those that have ended.
        "successfulJobsHistoryLimit": _KEPT,
        "failedJobsHistoryLimit": _KEPT,
        "jobTemplate": dict(template),
    }
    name = scope.component.identity
    scope.kubernetes(TEMPLATE, "batch/v1", "CronJob", name, {"spec": spec}, namespace=namespace, labels=selector(scope))


def _labels(job: TrainingJob, scope: Scope) -> dict[str, Value]:
    """The labels of a run: those of its pods, and the queue that it waits in."""
    return {**pod_labels(scope), **({QUEUE_LABEL: job.queue.local_queue_in(job.cluster)} if job.queue else {})}


def _maps(job: TrainingJob, scope: Scope) -> dict[str, Ref]:
    """The names of the job's ConfigMaps, `fit-config` and the like; a run has copies of them."""
    found: dict[str, Ref] = {}
    for local, data in job_pod.files(job).items():
        name = f"{job.identity}-{local}"
        made = scope.kubernetes(local, "v1", "ConfigMap", name, {"data": data}, namespace=job.cluster.namespace)
        found[local] = Ref(made.node, ("metadata", "name"))
    return found


def _ray(job: TrainingJob, scope: Scope, manifest: Value) -> None:
    scope.kubernetes(
        TEMPLATE,
        "v1",
        "ConfigMap",
        f"{job.identity}-{TEMPLATE}",
        {"data": {MANIFEST: Document(manifest)}},
        namespace=job.cluster.namespace,
        labels={**selector(scope), TEMPLATE_LABEL: RAY_JOB},
    )


def _job(job: TrainingJob, scope: Scope, pod: dict[str, Value]) -> dict[str, Value]:
    """The spec of the Job (Kubernetes, "Jobs", and the API reference, "JobSpec")."""
    return {
        **_pods(job),
        "podFailurePolicy": {"rules": _failures(job)},
        "activeDeadlineSeconds": job.deadline_seconds,
        "ttlSecondsAfterFinished": job.keep_days * _DAY,
        # Kueue lets a run begin by taking this off it (Kueue, "Run A Kubernetes Job").
        **({"suspend": True} if job.queue else {}),
        "template": {"metadata": {"labels": pod_labels(scope)}, "spec": pod},
    }


def _pods(job: TrainingJob) -> dict[str, Value]:
    """How many pods there are, how many at a time, and how many may fail.

    A rank that fails takes the others with it, as they wait for it in vain: each attempt may cost as many pods as there
    are ranks.
    """
    if job.sweep:
        most = {} if job.sweep.max_failures is None else {"maxFailedIndexes": job.sweep.max_failures}
        return {
            "completionMode": "Indexed",
            "completions": job.sweep.count,
            "parallelism": min(job.sweep.parallelism, job.sweep.count),
            "backoffLimitPerIndex": job.retries,
            **most,
        }
    if job.ranks:
        # Workers and parameter servers wait for a chief's orders for ever.
        chief = {"rules": [{"succeededIndexes": "0"}]}
        return {
            "completionMode": "Indexed",
            "completions": job.ranks.count,
            "parallelism": job.ranks.count,
            "backoffLimit": job.retries * job.ranks.count,
            **({"successPolicy": chief} if job.ranks.parameter_servers else {}),
        }
    return {"completions": 1, "parallelism": 1, "backoffLimit": job.retries}


def _failures(job: TrainingJob) -> list[Value]:
    """What a pod's failure means (Kubernetes, "Handling retriable and non-retriable pod failures with Pod failure
    policy"): one whose machine was taken away is no failure of the program; some exit codes say that another try is
    of no use.
    """
    taken = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    if not job.fatal_exit_codes:
        return [taken]
    codes = {"containerName": job_pod.CONTAINER, "operator": "In", "values": sorted(job.fatal_exit_codes)}
    return [taken, {"action": "FailIndex" if job.sweep else "FailJob", "onExitCodes": codes}]
