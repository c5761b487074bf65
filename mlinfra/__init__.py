"""Provision machine-learning infrastructure from typed Python blueprints.

Everything that a blueprint is written with can be imported from here. Names are loaded when they are first used
(PEP 562), so that importing mlinfra costs next to nothing.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # type checkers take the name for true; importing typing would be all that this module costs
if TYPE_CHECKING:
    from typing import Any, Final

    from pydantic import Field, SecretStr

    from mlinfra.authoring import Blueprint, Component, Params, blueprint
    from mlinfra.components.bucket import Bucket
    from mlinfra.components.endpoint import Endpoint
    from mlinfra.components.monitoring import Monitoring
    from mlinfra.components.node_pool import NodePool
    from mlinfra.components.raw import Raw
    from mlinfra.components.training_cluster import TrainingCluster
    from mlinfra.components.training_job import TrainingJob
    from mlinfra.components.values import Autoscale, Image, Model, Quota, Receiver, Route, Taint
    from mlinfra.environment import Environment
    from mlinfra.graph import Secret, join
    from mlinfra.tiers import Tier

__all__ = [
    "Autoscale",
    "Blueprint",
    "Bucket",
    "Component",
    "Endpoint",
    "Environment",
    "Field",
    "Image",
    "Model",
    "Monitoring",
    "NodePool",
    "Params",
    "Quota",
    "Raw",
    "Receiver",
    "Route",
    "Secret",
    "SecretStr",
    "Taint",
    "Tier",
    "TrainingCluster",
    "TrainingJob",
    "blueprint",
    "join",
]

_COMPONENTS = "mlinfra.components"
_HOMES: Final = {
    "Autoscale": f"{_COMPONENTS}.values",
    "Blueprint": "mlinfra.authoring",
    "Bucket": f"{_COMPONENTS}.bucket",
    "Component": "mlinfra.authoring",
    "Endpoint": f"{_COMPONENTS}.endpoint",
    "Environment": "mlinfra.environment",
    "Field": "pydantic",
    "Image": f"{_COMPONENTS}.values",
    "Model": f"{_COMPONENTS}.values",
    "Monitoring": f"{_COMPONENTS}.monitoring",
    "NodePool": f"{_COMPONENTS}.node_pool",
    "Params": "mlinfra.authoring",
    "Quota": f"{_COMPONENTS}.values",
    "Raw": f"{_COMPONENTS}.raw",
    "Receiver": f"{_COMPONENTS}.values",
    "Route": f"{_COMPONENTS}.values",
    "Secret": "mlinfra.graph",
    "SecretStr": "pydantic",
    "Taint": f"{_COMPONENTS}.values",
    "Tier": "mlinfra.tiers",
    "TrainingCluster": f"{_COMPONENTS}.training_cluster",
    "TrainingJob": f"{_COMPONENTS}.training_job",
    "blueprint": "mlinfra.authoring",
    "join": "mlinfra.graph",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
