"""Objects as YAML: the same data for every reader, a file a component, an order in which they can be applied."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.diagnostics import MlinfraError
from mlinfra.workflow.manifest_files import MARK, ManifestFile, dumped, files, ordered, text, write
from mlinfra.workflow.manifests import LeftOut, Manifest

ODD = """
y n Y yes No on OFF off true null ~ 1 0o14 014 0x1F 1e3 1_000 .5 .inf 1:20 2024-01-01 = - --- a:b a#b
"""
"""Texts that some readers of YAML take for something else."""

TEXTS = st.text(max_size=30) | st.sampled_from([*ODD.split(), "", " "])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def item(component: str, cluster: str = "@kubernetes", *, name: str = "x", awaited: tuple[str, ...] = ()) -> Manifest:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    return Manifest(f"{component}/{name}", component, cluster, body, awaited)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_reads_back(body: dict[str, Any]) -> None:
    assert yaml.safe_load(dumped(body)) == body


def test_kubectl_reads_texts_as_texts(tmp_path: Path) -> None:
    """Its reader takes more for numbers and truths than others do."""
    words = [word for word in ODD.split() if word != "="]  # kustomize's answer is no YAML where that stands
    data = {f"k{index}": word for index, word in enumerate(words)} | dict.fromkeys(("y", "n", "1", "1e3"), "x")
    data |= {"lines": "a:\n\tb\n  c \n", "tail": "a\nb", "space": " a", "empty": "", "colour": "grün ⟨"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}
    (tmp_path / "x.yaml").write_text(dumped(body), encoding="utf-8")
    (tmp_path / "kustomization.yaml").write_text("resources: [x.yaml]\n")
    shown = subprocess.run(["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert yaml.safe_load(shown)["data"] == data


def test_a_shared_value_is_written_twice() -> None:
    labels = {"a": "b"}
    assert "*" not in dumped({"one": labels, "two": labels})


@pytest.mark.parametrize(
    ("names", "needs", "order"),
    [
        ("ab", {"a": {"b"}}, "ba"),
        ("abc", {"a": {"c"}, "c": {"b"}}, "bca"),
        ("ab", {}, "ab"),
        ("ab", {"a": {"a", "x"}}, "ab"),
        ("abc", {"a": {"b"}, "b": {"a"}, "c": {"b"}}, "abc"),  # each needs the other: as they come
    ],
)
def test_components_come_after_those_that_they_need(names: str, needs: dict[str, set[str]], order: str) -> None:
    assert ordered(list(names), needs) == list(order)


def test_a_file_for_each_component() -> None:
    found = files([item("api"), item("train"), item("api", name="y")], {"api": {"train"}})
    assert [(file.name, len(file.manifests)) for file in found] == [("01-train.yaml", 1), ("02-api.yaml", 2)]


def test_a_folder_for_each_cluster_where_there_are_several() -> None:
    found = files([item("api"), item("api", "own/kubernetes"), item("own", "own/kubernetes")], {"api": {"own"}})
    assert [file.name for file in found] == ["stack/01-api.yaml", "own/01-own.yaml", "own/02-api.yaml"]


def test_the_order_of_files_is_that_of_their_names_whatever_their_number() -> None:
    names = [file.name for file in files([item(f"c{number}") for number in range(120)], {})]
    assert names == sorted(names)


def test_a_file_says_what_is_missing() -> None:
    file = ManifestFile("01-api.yaml", "api", "@kubernetes", (item("api", awaited=("db.address",)), item("api")))
    left = LeftOut("api/secret", "api", "Secret team/api", "a reason")
    told = text(file, "stack dev", [left], ["A made-up value stands in"])
    assert told.splitlines()[:5] == [
        f"{MARK}: stack dev, component api.",
        "# A made-up value stands in.",
        "# Left out: Secret team/api (a reason).",
        "# To be filled in: db.address.",
        "---",
    ]
    assert len(list(yaml.safe_load_all(told))) == 2


def test_a_later_export_takes_away_what_an_earlier_one_has_left(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, {"01-a.yaml": f"{MARK}: x\n", "own/01-b.yaml": f"{MARK}: x\n"})
    write(tmp_path, {"01-c.yaml": f"{MARK}: y\n"})
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == ["01-c.yaml", "notes.txt"]


def test_a_folder_with_files_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_text("kind: Deployment\n")
    with pytest.raises(MlinfraError) as caught:
        write(tmp_path, {"01-a.yaml": MARK})
    assert caught.value.diagnostics[0].code == "export-folder"
    assert "deployment.yaml" in caught.value.diagnostics[0].summary
    assert [path.name for path in tmp_path.iterdir()] == ["deployment.yaml"]
