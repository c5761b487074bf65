"""A recommender: its data, its training on GPUs, the endpoint that serves it, and who hears when it does not.

Training runs read the bucket `data` and write the bucket `models`; the endpoint reads `models`. Images may be missing:
a new environment comes up without them, and gets its job template and its endpoint with the first that is built.
"""

from __future__ import annotations

from mlinfra import (
    Autoscale,
    Blueprint,
    Bucket,
    Endpoint,
    Environment,
    ExistingSecret,
    Field,
    Image,
    MailServer,
    Model,
    Monitoring,
    NodePool,
    Params,
    Route,
    TrainingCluster,
    TrainingJob,
    blueprint,
)


class RecommenderParams(Params):
    """What differs between environments."""

    train_image: Image | None = None
    """Image of the training program, by digest; none: not built yet."""

    serve_image: Image | None = None
    """Image of the serving program, by digest; none: not built yet."""

    model: Model | None = None
    """The model that the endpoint serves; none: the one that its image holds."""

    gpu_type: str = "g5.xlarge"
    """Instance type of the machines that train; it needs a GPU."""

    gpu_nodes: int = Field(default=1, ge=1, le=32)
    """Most machines that train at once."""

    gpus: int = Field(default=1, ge=1, le=8)
    """GPUs of one training run."""

    cpu_type: str = "m6i.xlarge"
    """Instance type of the machines that serve."""

    cpu_nodes: int = Field(default=8, ge=1, le=100)
    """Most machines that serve."""

    scale: Autoscale = Autoscale(min=1, max=2)
    """Between how many replicas the endpoint runs."""

    alerts: Route
    """Who hears of alerts."""

    alertmanager: str | None = None
    """Host and port of the Alertmanager that delivers Prometheus' alerts; none: one of the stack's own."""

    alert_secrets: dict[str, ExistingSecret] = Field(default_factory=dict)
    """What the stack's own Alertmanager reaches receivers with, by receiver or by kind, in Kubernetes Secrets of the
    namespace: `{slack: {name: alerting, key: slack-url}}`."""

    mail: MailServer | None = None
    """The server that its mail goes out by."""


COLLECTED = {
    "s3_bucket_object_lock": "Training reads it and nobody is bound by law to keep it; versions undo a mistake.",
    "s3_bucket_cross_region_replication": "It can be collected, or trained, again: what is lost with a region is days.",
    "s3_bucket_event_notifications_enabled": "Runs are started by a person or a schedule, not by an object.",
}
"""Why these checks of Prowler's are not for a recommender's data (docs/prowler.md)."""

TRAINED = {
    "s3_bucket_kms_encryption": "Models are internal: S3's own keys encrypt them, and no key is to be had by it.",
    "s3_bucket_server_access_logging_enabled": "Models are internal: the roles say who reads them, nobody else can.",
}
"""Why these are not for its models, which are of less worth than the data."""


@blueprint("recommender", version="1.4.0")
def recommender(env: Environment, p: RecommenderParams) -> Blueprint:
    """Train a recommender on GPUs and serve it, watched."""
    data = Bucket("data", classification="confidential", waive=COLLECTED)
    models = Bucket("models", waive=COLLECTED | TRAINED)
    cpu = NodePool("cpu", instance_type=p.cpu_type, min=1, max=p.cpu_nodes)
    gpu = NodePool("gpu", instance_type=p.gpu_type, max=p.gpu_nodes, spot=not env.tier.protected)
    cluster = TrainingCluster("train", pools=[cpu, gpu])
    fit = TrainingJob("fit", cluster=cluster, pool=gpu, gpus=p.gpus, image=p.train_image, reads=[data], writes=[models])
    api = Endpoint("api", cluster=cluster, pool=cpu, image=p.serve_image, model=p.model, reads=[models], scale=p.scale)
    watch = Monitoring(
        "watch",
        cluster=cluster,
        watches=[api, fit],
        route=p.alerts,
        alertmanager=p.alertmanager,
        secrets=p.alert_secrets,
        mail=p.mail,
    )
    return Blueprint(
        watch,
        outputs={"url": api.url, "data": data.uri, "models": models.uri, "repository": cluster.repository_url},
    )
