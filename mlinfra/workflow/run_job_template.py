"""The template of a job as it stands in the cluster, the digest of a run's inputs, and the objects of a run.

What runs is what `up` declared: the template is read from the cluster, and not made from the blueprint anew. ConfigMaps
of the job that its pods mount are inputs like the template. Each run has copies of its own, which cannot be changed: a
pod that is retried after an `up` reads what the first one read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mlinfra.components.job_data import RUN as RUN_VARIABLE
from mlinfra.components.job_pod import CONFIG_KEY
from mlinfra.components.job_queue import QUEUE_LABEL
from mlinfra.components.job_template import MANIFEST
from mlinfra.components.workload import COMPONENT_LABEL
from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.expansion import DOMAIN
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.objects import lookup
from mlinfra.workflow.request import Request
from mlinfra.workflow.runs_access import Job

RUN: Final = f"{DOMAIN}/run"
"""The label of a run: the digest of its inputs."""
_LEAST_KEPT: Final = 60
"""For how many seconds a run stays after its end at the least, so that whoever follows it sees what came of it."""
_DIGITS: Final = 10
_REFERENCES: Final = ("configMap", "configMapRef", "configMapKeyRef")
"""Where a pod names a ConfigMap: a volume (or a part of one), all variables, one variable."""


@dataclass(frozen=True)
class Template:
    """A job's template: what a run's object is made from, and the data of the job's own ConfigMaps that it names.

    `source` is the object that it was read from.
    """

    job: Job
    manifest: Object
    source: Object
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def config_map(self) -> str:
        """The name of the ConfigMap of the job's config."""
        return f"{self.job.identity}-config"

    @cached_property
    def config(self) -> dict[str, Any] | None:
        """The config that the job declares; None for a job without."""
        text = self.data.get(self.config_map, {}).get(CONFIG_KEY)
        if text is None:
            return None
        found = json.loads(text)
        return dict(found) if isinstance(found, dict) else None


def read(request: Request, cluster: Cluster, job: Job) -> Template:
    """The template of a job; raises `MlinfraError` where it is not in the cluster."""
    kind = ("v1", "ConfigMap") if job.ray else ("batch/v1", "CronJob")
    source = cluster.get(*kind, job.template, job.namespace)
    if source is None:
        raise _not_up(request, job, kind[1], job.template, "from which a run is made")
    manifest = _ray_job(job, source) if job.ray else _job(source)
    data: dict[str, Mapping[str, str]] = {}
    for name in sorted(set(config_maps(manifest))):
        if name.startswith(f"{job.identity}-"):  # others are not the job's, and may be for all
            found = cluster.get("v1", "ConfigMap", name, job.namespace)
            if found is None:
                raise _not_up(request, job, "ConfigMap", name, "which a run reads")
            data[name] = dict(found.get("data") or {})
    return Template(job, manifest, source, data)


def _not_up(request: Request, job: Job, kind: str, name: str, use: str) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"job {job.name} is not in the cluster yet",
            detail=f"There is no {kind} {job.namespace}/{name}, {use}.",
            remedy=f"Bring the stack up first: {request.command('up')}",
            component=job.name,
            code="run-not-up",
        )
    )


def digest(template: Template, config: Mapping[str, Any] | None) -> str:
    """The digest of a run's inputs, ten hexadecimal digits: the template, its ConfigMaps, the config of this run."""
    data: dict[str, Any] = {name: dict(item) for name, item in template.data.items()}
    if config is not None:
        data[template.config_map] = dict(config)  # the values, however they are written
    whole = json.dumps([template.manifest, data], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]


def run_manifest(template: Template, name: str, mark: str, annotations: Mapping[str, str]) -> Object:
    """The object of a run: the template under the run's name, reading the run's own ConfigMaps."""
    copies = {original: copy_name(template, original, name) for original in template.data}
    body = _for_run(template.manifest, name, copies)
    kept = lookup(body, "spec", "ttlSecondsAfterFinished")
    if not template.job.ray and kept is not None:
        body = {**body, "spec": {**body["spec"], "ttlSecondsAfterFinished": max(kept, _LEAST_KEPT)}}
    return {
        **body,
        "metadata": {
            "name": name,
            "namespace": template.job.namespace,
            "labels": _labels(template, mark),
            "annotations": {**body["metadata"].get("annotations", {}), **annotations},
        },
    }


def run_config_maps(template: Template, name: str, mark: str, config: Mapping[str, Any] | None) -> list[Object]:
    """The ConfigMaps of a run: copies of the job's own, the config as it is for this run; they cannot be changed."""
    labels = {key: value for key, value in _labels(template, mark).items() if key != QUEUE_LABEL}
    found = []
    for original, data in template.data.items():
        if original == template.config_map and config is not None:
            data = {**data, CONFIG_KEY: json.dumps(config, sort_keys=True, ensure_ascii=False)}
        found.append(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": copy_name(template, original, name),
                    "namespace": template.job.namespace,
                    "labels": labels,
                },
                "data": dict(data),
                "immutable": True,
            }
        )
    return found


def _labels(template: Template, mark: str) -> dict[str, str]:
    return {**template.manifest["metadata"].get("labels", {}), COMPONENT_LABEL: template.job.identity, RUN: mark}


def copy_name(template: Template, original: str, run: str) -> str:
    """What a run's copy of a ConfigMap is called: `fit-config` is `fit-0123456789-config`."""
    return f"{run}-{original.removeprefix(f'{template.job.identity}-')}"


def _job(source: Object) -> Object:
    body = lookup(source, "spec", "jobTemplate", default={})
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(body), "spec": body.get("spec") or {}}


def _ray_job(job: Job, source: Object) -> Object:
    try:
        found = json.loads(source["data"][MANIFEST])
        return {**found, "metadata": _metadata(found)}
    except (KeyError, TypeError, ValueError):
        raise MlinfraError(
            Diagnostic(
                f"the template of job {job.name} in the cluster is damaged",
                detail=f"ConfigMap {job.namespace}/{job.template} has no manifest under {MANIFEST}.",
                remedy="Somebody changed it by hand: `mlinfra refresh` and `mlinfra up` make it what it should be.",
                component=job.name,
                code="run-template-damaged",
            )
        ) from None


def _metadata(body: Mapping[str, Any]) -> Object:
    """What a run takes over of a template's metadata. What is empty is left out: digests are of what is there."""
    return {key: found for key in ("labels", "annotations") if (found := lookup(body, "metadata", key))}


def config_maps(value: Any) -> Iterator[str]:
    """The names of all ConfigMaps that a manifest reads."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if _names_one(key, item):
                yield item["name"]
            else:
                yield from config_maps(item)
    elif isinstance(value, list):
        for item in value:
            yield from config_maps(item)


def _names_one(key: str, item: Any) -> bool:
    """Whether what stands under a key of a pod names a ConfigMap."""
    return key in _REFERENCES and isinstance(item, Mapping) and isinstance(item.get("name"), str)


def _for_run(value: Any, run: str, names: Mapping[str, str]) -> Any:
    """A manifest that reads ConfigMaps of other names, and says the run's name where it is written in a variable."""
    if isinstance(value, list):
        return [_for_run(item, run, names) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("name") == RUN_VARIABLE and "value" in value:
        return {**value, "value": run}
    return {
        key: {**item, "name": names.get(item["name"], item["name"])}
        if _names_one(key, item)
        else _for_run(item, run, names)
        for key, item in value.items()
    }
