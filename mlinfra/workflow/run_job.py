"""`run`: make a run of a training job from the template that stands in the cluster.

A run is keyed by its inputs: its name has the digest of the template and of the config. So a run that was made already
is found by its name, and not made a second time, by whoever asks for it.
"""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from mlinfra.components.job_queue import QUEUE_LABEL
from mlinfra.diagnostics import Diagnostic, MlinfraError, Severity
from mlinfra.expansion import DOMAIN
from mlinfra.providers.kubernetes.client import Cluster, Object
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.objects import annotation, label, lookup
from mlinfra.report import Note
from mlinfra.runs import JobRun
from mlinfra.workflow.lock import user_name
from mlinfra.workflow.record import append
from mlinfra.workflow.run_job_pending import behind
from mlinfra.workflow.run_job_settings import differences, merged, parse
from mlinfra.workflow.run_job_template import RUN, Template, digest, read, run_config_maps, run_manifest
from mlinfra.workflow.runs_access import Job, Stage
from mlinfra.workflow.runs_look import judged, kind_of, look, runs_of
from mlinfra.workflow.runs_state import SETTINGS, STARTED_BY, TITLE

_MANAGER: Final = "mlinfra-run"
_REQUEST: Final = f"{DOMAIN}/request"
"""The annotation that tells a run of this very command from another's: a request may arrive twice."""
_TITLE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._ -]{0,61}[A-Za-z0-9])?")
_CONFLICT: Final = 409


@dataclass(frozen=True)
class Begun:
    """A run of a job; `run.made` says whether it was made just now, or was there."""

    job: Job
    run: JobRun


def begin(stage: Stage, job_name: str, settings: Sequence[str] = (), *, title: str = "", again: bool = False) -> Begun:
    """A run of a job with these settings (`lr=0.1`): the one that was made with the same inputs, or a new one.

    `title` is what people call it. With `again` another is made with the same inputs, numbered. Raises `MlinfraError`
    for settings that do not fit the job's config, and where the job is not in the cluster.
    """
    job = stage.job(job_name)
    wanted = parse(settings)
    if title and not _TITLE.fullmatch(title):
        raise _bad_title(title)
    cluster = stage.cluster(job)
    template = read(stage.request, cluster, job)
    config = merged(job.name, template.config, wanted)
    if warning := behind(stage, job, template.source):
        stage.request.emit(Note(warning))
    mark = digest(template, config)
    # A title is looked for among all runs of the job.
    found = [run for _, run in runs_of(stage, job, labels="" if title else f"{RUN}={mark}")]
    _refuse_title(found, title, mark)
    numbers = {_number(run.name, job, mark): run for run in found if run.digest == mark}
    last = max(numbers, default=0)
    if last and not again:
        run = look(cluster, job, numbers[last].name) or numbers[last]
        stage.request.emit(Note(_exists(run)))
        return Begun(job, run)
    return _make(stage, template, config, mark, last + 1, title=title, again=again)


def who() -> str:
    """Who asks, and from where, in the form of a state's versions."""
    return f"{user_name()}@{socket.gethostname()}"


def note_done(stage: Stage, verb: str, run: JobRun) -> None:
    """Append what somebody did to a run to the stack's history."""
    fields = {"job": run.job, "run": run.name, "namespace": run.namespace, "settings": dict(run.settings)}
    append(stage.request, verb, {"target": stage.compiled.stack.file.target.kind, **fields})


# ------------------------------------------------------------------------------------------------ making


def _make(
    stage: Stage,
    template: Template,
    config: Mapping[str, Any] | None,
    mark: str,
    number: int,
    *,
    title: str,
    again: bool,
) -> Begun:
    job, cluster = template.job, stage.cluster(template.job)
    request = uuid.uuid4().hex
    annotations = {STARTED_BY: who(), _REQUEST: request}
    if changes := differences(template.config, config):
        annotations[SETTINGS] = json.dumps(changes, sort_keys=True, ensure_ascii=False)
    if title:
        annotations[TITLE] = title
    while True:
        name = _name(job, mark, number)
        maps = run_config_maps(template, name, mark, config)
        manifest = run_manifest(template, name, mark, annotations)
        live, made = _create(cluster, manifest, maps, request)
        if made or not again:
            break
        number += 1  # somebody else has made this one in the meantime
    if made:
        _own(cluster, live, maps)
        live = _stand_in(stage, job, live)
    run = replace(judged(job, live, []), made=made)
    if made:
        note_done(stage, "run", run)
    else:
        stage.request.emit(Note(_exists(run)))
    return Begun(job, run)


def _create(cluster: Cluster, manifest: Object, maps: Sequence[Object], request: str) -> tuple[Object, bool]:
    """Make a run's ConfigMaps and then the run itself, which would wait for them: it, and whether it was made here.

    ConfigMaps that were made by a command that was cut off here are taken as they are: what is in them is in the name.
    """
    metadata = manifest["metadata"]
    kind = (manifest["apiVersion"], manifest["kind"])
    path = cluster.path(*kind, metadata["namespace"])
    for item in maps:
        cluster.apply(item, manager=_MANAGER, force=True)
    try:
        made: Object = cluster.request("POST", f"{path}?fieldManager={_MANAGER}&fieldValidation=Strict", manifest)
    except ApiError as error:
        found = cluster.get(*kind, metadata["name"], metadata["namespace"]) if error.status == _CONFLICT else None
        if found is not None:
            return found, annotation(found, _REQUEST) == request
        for item in maps:
            with suppress(MlinfraError):  # what is told is why the run could not be made
                cluster.delete("v1", "ConfigMap", item["metadata"]["name"], item["metadata"]["namespace"])
        raise
    return made, True


def _own(cluster: Cluster, live: Object, maps: Sequence[Object]) -> None:
    """Let the run own its ConfigMaps: they go with it.

    Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents
    """
    metadata = live["metadata"]
    owner = {**{key: live[key] for key in ("apiVersion", "kind")}, **{key: metadata[key] for key in ("name", "uid")}}
    patch = {"metadata": {"ownerReferences": [owner]}}
    for item in maps:
        path = cluster.path("v1", "ConfigMap", metadata["namespace"], item["metadata"]["name"])
        cluster.merge(path, patch)


def _stand_in(stage: Stage, job: Job, live: Object) -> Object:
    """On the local target, stand in for the controllers that are not there: let in a run that waits in a queue.

    Says so, and says what a RayJob comes to there.
    """
    if not stage.local:
        return live
    queue = label(live, QUEUE_LABEL)
    if queue and lookup(live, "spec", "suspend"):
        cluster = stage.cluster(job)
        path = cluster.path(*kind_of(job), job.namespace, live["metadata"]["name"])
        live = cluster.merge(path, {"spec": {"suspend": False}})
        _tell_simulated(
            stage, job, f"queue {queue} is not asked: the local target has no Kueue, the run is let in at once"
        )
    if job.ray:
        _tell_simulated(stage, job, "nothing more comes of the run: the local target has no KubeRay to run it")
    return live


def _tell_simulated(stage: Stage, job: Job, summary: str) -> None:
    warning = Diagnostic(summary, severity=Severity.WARNING, component=job.name, code="run-admission-simulated")
    stage.request.emit(Note(warning))


# ------------------------------------------------------------------------------------------------ names


def _name(job: Job, mark: str, number: int) -> str:
    base = f"{job.identity}-{mark}"
    return base if number == 1 else f"{base}-{number}"


def _number(name: str, job: Job, mark: str) -> int:
    """The how-manieth run with the same inputs it is; 1 for the first, which has no number."""
    number = name.removeprefix(f"{job.identity}-{mark}").removeprefix("-")
    return int(number) if number.isdigit() else 1


def _refuse_title(runs: Sequence[JobRun], title: str, mark: str) -> None:
    for run in runs:
        if title and run.title == title and run.digest != mark:
            raise MlinfraError(
                Diagnostic(
                    f"the name {title!r} is taken: run {run.name} has it, which has other inputs",
                    detail=f"That run is {run.phase}.",
                    remedy="Choose another --name.",
                    component=run.job,
                    code="run-name-taken",
                )
            )


def _exists(run: JobRun) -> Diagnostic:
    by = f" by {run.started_by}" if run.started_by else ""
    return Diagnostic(
        f"run {run.name} has the same inputs, and is not made a second time",
        detail=f"It was made {run.created}{by}. Inputs are the template of job {run.job} and the values of its config.",
        remedy="--again makes another.",
        component=run.job,
        severity=Severity.WARNING,
        code="run-exists",
    )


def _bad_title(title: str) -> MlinfraError:
    return MlinfraError(
        Diagnostic(
            f"{title!r} cannot be the name of a run",
            detail="A name has at most 63 letters, digits, spaces, dots, underscores and hyphens, and begins and ends "
            "with a letter or a digit.",
            remedy="Choose another --name.",
            code="run-name",
        )
    )
