"""What components make, and the definitions in `mlinfra/local/crds/`, held against those that the projects publish."""

from __future__ import annotations

import copy
import functools
import json
import operator
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from mlinfra.expansion import DOMAIN
from mlinfra.graph import Graph
from mlinfra.local import definitions
from mlinfra.local.target import LocalTarget, stop_all
from mlinfra.project import Project
from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.workflow.manifests import Manifest, Manifests
from tests.components.conftest import expanded  # noqa: F401 — a fixture
from tests.components.watch_samples import watching
from tests.local import upstream
from tests.local.test_definitions import queued
from tests.local.test_rollout_definitions import every_way

pytestmark = pytest.mark.slow

GOLDEN: Final = Path(__file__).parents[1] / "golden"
Object = dict[str, Any]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[upstream.Definitions]:
    folder = tmp_path_factory.mktemp("modules")
    yield upstream.definitions(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ours() -> upstream.Definitions:
    return {item["metadata"]["name"]: dict(item) for item in definitions.every()}


# ------------------------------------------------------------------------------------------------ objects


@pytest.fixture(scope="module")
def graphs(expanded: Any) -> dict[str, Graph]:  # noqa: F811
    """The golden ones, and the samples of tests, by a name."""
    found = {}
    for path in sorted(GOLDEN.rglob("*.json")):
        found[path.stem] = Graph.from_json(json.loads(path.read_text(encoding="utf-8")))
    samples = {
        "rollouts": every_way,
        "ray job": queued,
        "operator": lambda: watching(operator=True, pushgateway=True, scrapes=["queue.example.com:9100"]),
    }
    return found | {name: expanded(declare).graph for name, declare in samples.items()}


@pytest.fixture(scope="module")
def objects(graphs: Mapping[str, Graph], ours: upstream.Definitions) -> list[Object]:
    """Every object of a kind that is defined, and the runs of jobs that are such, each once."""
    groups = {item["spec"]["group"] for item in ours.values()}
    found = {json.dumps(item, sort_keys=True): item for graph in graphs.values() for item in _made(graph)}
    return [item for item in found.values() if item["apiVersion"].partition("/")[0] in groups]


def _made(graph: Graph) -> Iterator[Object]:
    for item in Manifests(graph).objects():
        if isinstance(item, Manifest):
            yield dict(item.body)
            if f"{DOMAIN}/template" in item.body["metadata"].get("labels", {}):
                yield json.loads(item.body["data"]["manifest.json"])


def test_every_kind_that_is_defined_is_looked_at(objects: list[Object], ours: upstream.Definitions) -> None:
    kinds = {item["spec"]["names"]["kind"] for item in ours.values()}
    # Of these the controller makes objects, and asks for their kinds.
    assert kinds - {item["kind"] for item in objects} == {"AnalysisRun", "ClusterAnalysisTemplate", "Experiment"}


# ------------------------------------------------------------------------------------------------ fields

LIMITS: Final = (
    *("type", "format", "pattern", "default", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    *("x-kubernetes-map-type", "x-kubernetes-int-or-string"),
)
OPEN = "x-kubernetes-preserve-unknown-fields"
Schema = Mapping[str, Any]


def lacking(own: Schema, theirs: Schema, path: str) -> Iterator[str]:
    """The limits of fields that ours do not have, but for rules in CEL, which are asked of an API server."""
    if missed := set(theirs.get("required", ())) - set(own.get("required", ())):
        yield f"{path} is there without {', '.join(sorted(missed))}"
    if own.get(OPEN):
        return
    yield from (f"{path} lacks {key}: {theirs[key]}" for key in LIMITS if key in theirs and own.get(key) != theirs[key])
    if "enum" in theirs and not set(own.get("enum", ("anything",))) <= set(theirs["enum"]):
        yield f"{path} can be something else than {', '.join(theirs['enum'])}"
    for name, field in own.get("properties", {}).items():
        if name not in theirs.get("properties", {}):
            yield f"{path}.{name} does not exist"
        elif (path, name) != ("", "status"):
            yield from lacking(field, theirs["properties"][name], f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in own and not theirs.get(OPEN):
            yield from lacking(own[key], theirs.get(key, {}), f"{path}[]")


def test_each_field_has_the_limits_that_it_has_in_the_projects_own(
    published: upstream.Definitions, ours: upstream.Definitions
) -> None:
    found = []
    for name, item in ours.items():
        (own,) = item["spec"]["versions"]
        (theirs,) = upstream.only(published[name], own["name"])["spec"]["versions"]
        assert item["spec"]["scope"] == published[name]["spec"]["scope"]
        assert item["spec"]["names"].items() <= published[name]["spec"]["names"].items()
        mine, others = (version["schema"]["openAPIV3Schema"] for version in (own, theirs))
        found += [f"{name}: {text}" for text in lacking(mine, others, "")]
    assert found == []


# ------------------------------------------------------------------------------------------------ an API server


@pytest.fixture(scope="module")
def kubeconfig(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An API server of its own: the others' would keep what is put into it here."""
    project = Project(tmp_path_factory.mktemp("upstream"))
    target = LocalTarget(project, "upstream")
    try:
        yield target.up().kubeconfig
    finally:
        target.reset()
        stop_all(project)


def serve(cluster: Cluster, wanted: upstream.Definitions, objects: list[Object]) -> None:
    """Serve just these definitions, for objects of these namespaces."""
    for item in cluster.list(definitions.API, definitions.KIND):
        cluster.delete(definitions.API, definitions.KIND, item["metadata"]["name"])
    while cluster.list(definitions.API, definitions.KIND):
        time.sleep(0.1)
    for item in wanted.values():
        cluster.request("POST", f"/apis/{definitions.API}/customresourcedefinitions", item)
    for item in wanted.values():
        spec = item["spec"]
        cluster.resource(f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"], 60)
    for name in sorted({item["metadata"].get("namespace", "default") for item in objects}):
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        cluster.apply(space, manager="test")


@pytest.fixture(scope="module")
def served(
    kubeconfig: Path, published: upstream.Definitions, ours: upstream.Definitions, objects: list[Object]
) -> Iterator[Cluster]:
    cluster = Cluster.from_kubeconfig(kubeconfig)
    wanted = {name: upstream.only(published[name], item["spec"]["versions"][0]["name"]) for name, item in ours.items()}
    serve(cluster, wanted, objects)
    yield cluster
    cluster.close()


def test_the_projects_own_definitions_take_every_object(
    served: Cluster, kubeconfig: Path, objects: list[Object]
) -> None:
    stream = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "--filename", "-"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(kubeconfig.with_name("cache"))}
    ran = subprocess.run(command, input=stream, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == len(objects)


# ------------------------------------------------------------------------------------------------ what is wrong

Place = tuple[str | int, ...]

PODS: Final = (("template", "spec"), ("submitterPodTemplate", "spec"), ("job", "spec"), ("containers",))
"""Specs of pods and jobs. Ours take their fields as they are; objects of these kinds are what holds against them."""

STRICTER: Final[Mapping[str, str]] = {
    "AlertmanagerConfig route.routes.[]": "only an object is a route: the operator would refuse it later",
    "RayJob submissionMode": "KubeRay knows these modes, and would refuse others later",
    "RayJob submitterPodTemplate": "a pod has a spec",
    "RayJob rayClusterSpec.headGroupSpec.template": "a pod has a spec",
    "RayJob rayClusterSpec.workerGroupSpecs.[].template": "a pod has a spec",
}
"""Where ours refuse what a project's own take, on purpose."""

WRONG: Final[Mapping[str, Any]] = {
    "a text": "Not a value!",
    "an empty text": "",
    "a long text": "x" * 5000,
    "a path": "/a//b/../c",
    "a number": 7,
    "a number below none": -1,
    "a number beyond 32 bits": 2**40,
    "a yes": True,
    "a list": [],
    "an object": {},
}


def wrong(objects: list[Object]) -> dict[str, Object]:
    """Objects with one thing changed in each, by what it is: every field that is there, each twice at most."""
    found: dict[str, Object] = {}
    for item in objects:
        for path, value in _fields(item["spec"]):
            place = ".".join("[]" if isinstance(part, int) else part for part in path)
            for change, changed in _changes(item, path, value):
                name = f"{item['kind']} {place}: {change}"
                if (again := f"{name}, again") not in found:
                    found[again if name in found else name] = changed
    return found


def _is_pods(path: Place) -> bool:
    return any(path[-len(end) :] == end for end in PODS)


def _fields(value: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in () if _is_pods(path) else pairs:
        yield from _fields(item, (*path, key))


def _changes(item: Object, path: Place, value: Any) -> Iterator[tuple[str, Object]]:
    def changed(change: Callable[[Any, Any], Any]) -> Object:
        made = copy.deepcopy(item)
        made["metadata"]["name"] = "wrong"
        *way, last = ("spec", *path)
        change(functools.reduce(operator.getitem, way, made), last)
        return made

    if path:
        yield "left out", changed(lambda inside, key: inside.pop(key))
    for name, other in WRONG.items():
        if other != value:
            yield name, changed(_setting(other))
    if isinstance(value, dict) and not _is_pods(path):
        yield "a field more", changed(lambda inside, key: inside[key].update(noSuchField="x"))
    if isinstance(value, list) and value:
        yield "an item twice", changed(lambda inside, key: inside[key].append(copy.deepcopy(inside[key][0])))
        yield "items without end", changed(lambda inside, key: inside[key].extend(copy.deepcopy(inside[key]) * 200))


def _setting(value: Any) -> Callable[[Any, Any], None]:
    return lambda inside, key: inside.__setitem__(key, copy.deepcopy(value))


def refusals(cluster: Cluster, wrong_ones: Mapping[str, Object]) -> dict[str, str]:
    """What the API server says of those that it does not take."""
    found = {}
    for name, item in wrong_ones.items():
        where = cluster.path(item["apiVersion"], item["kind"], item["metadata"].get("namespace"))
        try:
            cluster.request("POST", f"{where}?dryRun=All&fieldValidation=Strict", item)
        except ApiError as error:
            found[name] = str(error)
    return found


@pytest.mark.timeout(1800)
def test_ours_refuse_what_the_projects_own_refuse_and_nothing_else(
    served: Cluster, ours: upstream.Definitions, objects: list[Object]
) -> None:
    wrong_ones = wrong(objects)
    theirs = refusals(served, wrong_ones)
    serve(served, ours, objects)
    own = refusals(served, wrong_ones)
    assert len(theirs) > len(wrong_ones) / 2
    assert {name: theirs[name] for name in theirs.keys() - own.keys()} == {}
    only_ours = {name: own[name] for name in own.keys() - theirs.keys()}
    assert {name: why for name, why in only_ours.items() if not name.startswith(tuple(STRICTER))} == {}
