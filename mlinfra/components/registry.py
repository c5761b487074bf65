"""The component kinds there are."""

from __future__ import annotations

from typing import Final

from mlinfra.authoring import Component
from mlinfra.components.bucket import Bucket
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.monitoring import Monitoring
from mlinfra.components.node_pool import NodePool
from mlinfra.components.raw import Raw
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.components.training_job import TrainingJob

KINDS: Final[tuple[type[Component], ...]] = (
    Bucket,
    NodePool,
    TrainingCluster,
    TrainingJob,
    Endpoint,
    Monitoring,
    Raw,
)
"""Every kind, in the order in which documentation shows them."""
