"""A feature store: events as they come, data sets that are cut from them, and the table that models are served from.

Events are personal data: they go after a while, at once for whoever asks for it, and only the jobs of this blueprint
can read them. Data sets are without people, says the job that cuts them. The network is the platform stack's.
"""

from __future__ import annotations

from mlinfra import (
    Blueprint,
    Bucket,
    Database,
    Dataset,
    Environment,
    ExistingNetwork,
    Field,
    Generated,
    Image,
    ManagedSecret,
    ModelStore,
    Network,
    NodePool,
    Notification,
    Params,
    Queue,
    TrainingCluster,
    TrainingJob,
    Transition,
    blueprint,
)


class FeaturesParams(Params):
    """What differs between environments."""

    network: ExistingNetwork
    """The network of the environment's platform stack."""

    job_image: Image | None = None
    """Image of the jobs, by digest; none: not built yet."""

    event_days: int = Field(default=90, ge=1, le=3650)
    """Days after which events are gone."""

    database_class: str = "db.t4g.medium"
    """Instance class of the database that features are served from."""

    database_gib: int = Field(default=20, ge=20, le=4096)
    """Its storage, in GiB."""

    cpu_type: str = "m6i.xlarge"
    """Instance type of the machines that jobs run on."""


@blueprint("features", version="1.0.0")
def features(env: Environment, p: FeaturesParams) -> Blueprint:
    """Collect events, cut data sets from them, and serve features from Postgres."""
    network = Network("network", existing=p.network)
    arrived = Queue("arrived", classification="confidential")
    events = Bucket(
        "events",
        classification="pii",
        expire_days=p.event_days,
        notifications=[Notification(to=arrived, prefix="raw/", suffix=".parquet")],
    )
    store = Bucket("store", classification="confidential", transitions=[Transition(days=90, to="GLACIER_IR")])
    train = Dataset("train", bucket=store)
    models = ModelStore("models", bucket=store)
    online = Database("online", network=network, instance_class=p.database_class, storage_gib=p.database_gib)
    token = ManagedSecret("token", value_from=Generated(length=48))
    cpu = NodePool("cpu", instance_type=p.cpu_type, max=4)
    cluster = TrainingCluster("jobs", pools=[cpu])
    cut = TrainingJob(
        "cut",
        cluster=cluster,
        pool=cpu,
        image=p.job_image,
        reads=[events, arrived, token],
        writes=[train],
        anonymizes="ids are hashed with a salt that is thrown away after each run",
    )
    fill = TrainingJob("fill", cluster=cluster, pool=cpu, image=p.job_image, reads=[train, models], writes=[online])
    forget = TrainingJob("forget", cluster=cluster, pool=cpu, image=p.job_image, erases=[events])
    return Blueprint(
        cut,
        fill,
        forget,
        outputs={"events": events.uri, "dvc": train.dvc, "models": models.artifact_root, "database": online.host},
    )
