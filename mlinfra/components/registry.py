"""The component kinds there are."""

from __future__ import annotations

from typing import Final

from mlinfra.authoring import Component
from mlinfra.components.batch_inference import BatchInference
from mlinfra.components.bucket import Bucket
from mlinfra.components.database import Database
from mlinfra.components.dataset import Dataset
from mlinfra.components.drift_monitor import DriftMonitor
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.image_repository import ImageRepository
from mlinfra.components.job_queue import JobQueue
from mlinfra.components.key import Key
from mlinfra.components.load_test import LoadTest
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.model_store import ModelStore
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.network import Network
from mlinfra.components.node_pool import NodePool
from mlinfra.components.queue import Queue
from mlinfra.components.raw import Raw
from mlinfra.components.team import Team
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob
from mlinfra.components.training_vm import TrainingVm
from mlinfra.components.workspace import Workspace

KINDS: Final[tuple[type[Component], ...]] = (
    Bucket,
    Dataset,
    ModelStore,
    Key,
    Queue,
    Database,
    ImageRepository,
    ManagedSecret,
    Network,
    NodePool,
    TrainingCluster,
    Team,
    JobQueue,
    TrainingJob,
    TrainingVm,
    Workspace,
    Endpoint,
    BatchInference,
    LoadTest,
    DriftMonitor,
    Monitoring,
    Raw,
)
"""Every kind, in the order in which documentation shows them."""
