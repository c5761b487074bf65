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
    from mlinfra.components.alert_values import ExistingSecret, MailServer
    from mlinfra.components.batch_inference import BatchInference
    from mlinfra.components.bucket import Bucket
    from mlinfra.components.bucket_options import CorsRule, Notification, ObjectLock, Replica, Transition
    from mlinfra.components.database import Database
    from mlinfra.components.dataset import Dataset
    from mlinfra.components.drift_monitor import DriftMonitor
    from mlinfra.components.drift_values import Fairness, Retrain
    from mlinfra.components.eks_values import Eks, ExistingEks
    from mlinfra.components.endpoint import Endpoint
    from mlinfra.components.endpoint_model import BucketModel, RegisteredModel
    from mlinfra.components.endpoint_signals import Thresholds
    from mlinfra.components.endpoint_values import (
        ApiKeys,
        GatewayAddress,
        HelperImages,
        IngressAddress,
        WarmUp,
        WorkingHours,
    )
    from mlinfra.components.grafana_values import Grafana, Oidc
    from mlinfra.components.image_repository import ImageRepository
    from mlinfra.components.job_queue import JobQueue
    from mlinfra.components.job_values import Ranks, Ray, Sweep
    from mlinfra.components.key import Key
    from mlinfra.components.load_test import LoadTest
    from mlinfra.components.managed_secret import ManagedSecret
    from mlinfra.components.model_store import ModelStore, StoredModel
    from mlinfra.components.monitoring import Monitoring
    from mlinfra.components.network import Network
    from mlinfra.components.network_policies import Egress
    from mlinfra.components.network_values import ExistingNetwork, FlowLogs
    from mlinfra.components.node_pool import NodePool
    from mlinfra.components.queue import Queue
    from mlinfra.components.raw import Raw
    from mlinfra.components.rollout_values import BlueGreen, Canary, Gate, Rolling, Shadow, Step, Variant
    from mlinfra.components.secret_sources import FromEnvironment, FromPrompt, Generated
    from mlinfra.components.slo import LatencyGoal, Slo
    from mlinfra.components.team import Team
    from mlinfra.components.training_cluster import TrainingCluster
    from mlinfra.components.training_job import TrainingJob
    from mlinfra.components.training_vm import TrainingVm
    from mlinfra.components.training_vm_values import Volume
    from mlinfra.components.values import Autoscale, Image, Model, Quota, Receiver, Route, ScaleMetric, Taint, TeamRoute
    from mlinfra.components.workspace import Workspace
    from mlinfra.environment import Environment
    from mlinfra.graph import Secret, join
    from mlinfra.tiers import Tier

__all__ = [
    "ApiKeys",
    "Autoscale",
    "BatchInference",
    "BlueGreen",
    "Blueprint",
    "Bucket",
    "BucketModel",
    "Canary",
    "Component",
    "CorsRule",
    "Database",
    "Dataset",
    "DriftMonitor",
    "Egress",
    "Eks",
    "Endpoint",
    "Environment",
    "ExistingEks",
    "ExistingNetwork",
    "ExistingSecret",
    "Fairness",
    "Field",
    "FlowLogs",
    "FromEnvironment",
    "FromPrompt",
    "Gate",
    "GatewayAddress",
    "Generated",
    "Grafana",
    "HelperImages",
    "Image",
    "ImageRepository",
    "IngressAddress",
    "JobQueue",
    "Key",
    "LatencyGoal",
    "LoadTest",
    "MailServer",
    "ManagedSecret",
    "Model",
    "ModelStore",
    "Monitoring",
    "Network",
    "NodePool",
    "Notification",
    "ObjectLock",
    "Oidc",
    "Params",
    "Queue",
    "Quota",
    "Ranks",
    "Raw",
    "Ray",
    "Receiver",
    "RegisteredModel",
    "Replica",
    "Retrain",
    "Rolling",
    "Route",
    "ScaleMetric",
    "Secret",
    "SecretStr",
    "Shadow",
    "Slo",
    "Step",
    "StoredModel",
    "Sweep",
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
    "Volume",
    "WarmUp",
    "WorkingHours",
    "Workspace",
    "blueprint",
    "join",
]

_COMPONENTS = "mlinfra.components"
_HOMES: Final = {
    "ApiKeys": f"{_COMPONENTS}.endpoint_values",
    "Autoscale": f"{_COMPONENTS}.values",
    "BatchInference": f"{_COMPONENTS}.batch_inference",
    "BlueGreen": f"{_COMPONENTS}.rollout_values",
    "Blueprint": "mlinfra.authoring",
    "Bucket": f"{_COMPONENTS}.bucket",
    "BucketModel": f"{_COMPONENTS}.endpoint_model",
    "Canary": f"{_COMPONENTS}.rollout_values",
    "Component": "mlinfra.authoring",
    "CorsRule": f"{_COMPONENTS}.bucket_options",
    "Database": f"{_COMPONENTS}.database",
    "Dataset": f"{_COMPONENTS}.dataset",
    "DriftMonitor": f"{_COMPONENTS}.drift_monitor",
    "Egress": f"{_COMPONENTS}.network_policies",
    "Eks": f"{_COMPONENTS}.eks_values",
    "Endpoint": f"{_COMPONENTS}.endpoint",
    "Environment": "mlinfra.environment",
    "ExistingEks": f"{_COMPONENTS}.eks_values",
    "ExistingNetwork": f"{_COMPONENTS}.network_values",
    "ExistingSecret": f"{_COMPONENTS}.alert_values",
    "Fairness": f"{_COMPONENTS}.drift_values",
    "Field": "pydantic",
    "FlowLogs": f"{_COMPONENTS}.network_values",
    "FromEnvironment": f"{_COMPONENTS}.secret_sources",
    "FromPrompt": f"{_COMPONENTS}.secret_sources",
    "Gate": f"{_COMPONENTS}.rollout_values",
    "GatewayAddress": f"{_COMPONENTS}.endpoint_values",
    "Generated": f"{_COMPONENTS}.secret_sources",
    "Grafana": f"{_COMPONENTS}.grafana_values",
    "HelperImages": f"{_COMPONENTS}.endpoint_values",
    "Image": f"{_COMPONENTS}.values",
    "ImageRepository": f"{_COMPONENTS}.image_repository",
    "IngressAddress": f"{_COMPONENTS}.endpoint_values",
    "JobQueue": f"{_COMPONENTS}.job_queue",
    "Key": f"{_COMPONENTS}.key",
    "LatencyGoal": f"{_COMPONENTS}.slo",
    "LoadTest": f"{_COMPONENTS}.load_test",
    "MailServer": f"{_COMPONENTS}.alert_values",
    "ManagedSecret": f"{_COMPONENTS}.managed_secret",
    "Model": f"{_COMPONENTS}.values",
    "ModelStore": f"{_COMPONENTS}.model_store",
    "Monitoring": f"{_COMPONENTS}.monitoring",
    "Network": f"{_COMPONENTS}.network",
    "NodePool": f"{_COMPONENTS}.node_pool",
    "Notification": f"{_COMPONENTS}.bucket_options",
    "ObjectLock": f"{_COMPONENTS}.bucket_options",
    "Oidc": f"{_COMPONENTS}.grafana_values",
    "Params": "mlinfra.authoring",
    "Queue": f"{_COMPONENTS}.queue",
    "Quota": f"{_COMPONENTS}.values",
    "Ranks": f"{_COMPONENTS}.job_values",
    "Raw": f"{_COMPONENTS}.raw",
    "Ray": f"{_COMPONENTS}.job_values",
    "Receiver": f"{_COMPONENTS}.values",
    "RegisteredModel": f"{_COMPONENTS}.endpoint_model",
    "Replica": f"{_COMPONENTS}.bucket_options",
    "Retrain": f"{_COMPONENTS}.drift_values",
    "Rolling": f"{_COMPONENTS}.rollout_values",
    "Route": f"{_COMPONENTS}.values",
    "ScaleMetric": f"{_COMPONENTS}.values",
    "Secret": "mlinfra.graph",
    "SecretStr": "pydantic",
    "Shadow": f"{_COMPONENTS}.rollout_values",
    "Slo": f"{_COMPONENTS}.slo",
    "Step": f"{_COMPONENTS}.rollout_values",
    "StoredModel": f"{_COMPONENTS}.model_store",
    "Sweep": f"{_COMPONENTS}.job_values",
    "Taint": f"{_COMPONENTS}.values",
    "Team": f"{_COMPONENTS}.team",
    "TeamRoute": f"{_COMPONENTS}.values",
    "Thresholds": f"{_COMPONENTS}.endpoint_signals",
    "Tier": "mlinfra.tiers",
    "TrainingCluster": f"{_COMPONENTS}.training_cluster",
    "TrainingJob": f"{_COMPONENTS}.training_job",
    "TrainingVm": f"{_COMPONENTS}.training_vm",
    "Transition": f"{_COMPONENTS}.bucket_options",
    "Variant": f"{_COMPONENTS}.rollout_values",
    "Volume": f"{_COMPONENTS}.training_vm_values",
    "WarmUp": f"{_COMPONENTS}.endpoint_values",
    "WorkingHours": f"{_COMPONENTS}.endpoint_values",
    "Workspace": f"{_COMPONENTS}.workspace",
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
