"""What `from mlinfra import …` gives, and that importing mlinfra loads next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mlinfra

NAMES = [
    *("ApiKeys", "Autoscale", "BatchInference", "BlueGreen", "Blueprint", "Bucket", "BucketModel", "Canary"),
    *("Component", "CorsRule", "Database", "Dataset", "DriftMonitor", "Egress", "Eks", "Endpoint", "Environment"),
    *(
        "ExistingEks",
        "ExistingNetwork",
        "ExistingSecret",
        "Fairness",
        "Field",
        "FlowLogs",
        "FromEnvironment",
        "FromPrompt",
    ),
    *("Gate", "GatewayAddress", "Generated", "Grafana", "HelperImages", "Image", "ImageRepository", "IngressAddress"),
    *("JobQueue", "Key", "LatencyGoal", "LoadTest", "MailServer", "ManagedSecret", "Model", "ModelStore", "Monitoring"),
    *("Network", "NodePool"),
    *("Notification", "ObjectLock", "Oidc", "Params", "Queue", "Quota", "Ranks", "Raw", "Ray", "Receiver"),
    *("RegisteredModel", "Replica", "Retrain", "Rolling", "Route", "ScaleMetric", "Secret", "SecretStr", "Shadow"),
    *("Slo", "Step", "StoredModel", "Sweep"),
    *(
        "Taint",
        "Team",
        "TeamRoute",
        "Thresholds",
        "Tier",
        "TrainingCluster",
        "TrainingJob",
        "TrainingVm",
        "Transition",
        "Variant",
    ),
    *("Volume",),
    *("WarmUp", "WorkingHours", "Workspace", "blueprint", "join"),
]


def test_these_and_no_others() -> None:
    assert mlinfra.__all__ == NAMES
    assert set(NAMES) <= set(dir(mlinfra))


@pytest.mark.parametrize("name", NAMES)
def test_each_loads_from_its_home(name: str) -> None:
    found = getattr(mlinfra, name)
    assert found.__name__ == name
    assert found.__module__.startswith(("mlinfra.", "pydantic."))


def test_type_checkers_see_the_same_names() -> None:
    """The block under TYPE_CHECKING and the table of homes agree."""
    tree = ast.parse(Path(mlinfra.__file__).read_text(encoding="utf-8"))
    (block,) = [
        node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    imported = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    assert imported == mlinfra._HOMES


def test_no_module_hides_a_public_name() -> None:
    """Python sets a submodule as an attribute of its package: one named like a public name would take its place."""
    modules = {path.stem for path in Path(mlinfra.__file__).parent.iterdir()}
    assert not modules & set(NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Buckt'"):
        mlinfra.Buckt  # noqa: B018


def test_importing_loads_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import mlinfra; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {name for name in done.stdout.split() if name.partition(".")[0] in ("pydantic", "yaml", "boto3", "pulumi")}
    assert not heavy
    assert not {name for name in done.stdout.split() if name.startswith("mlinfra.")}
