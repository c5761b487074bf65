"""Every kind that keeps data or connects, as a platform team would run it in production: what is scanned."""

from mlinfra import (
    Blueprint,
    Bucket,
    Database,
    Dataset,
    Endpoint,
    Environment,
    FlowLogs,
    Generated,
    Image,
    ImageRepository,
    Key,
    ManagedSecret,
    ModelStore,
    Monitoring,
    Network,
    NodePool,
    Notification,
    Params,
    Queue,
    Replica,
    Route,
    TrainingCluster,
    TrainingJob,
    blueprint,
)

IMAGE = Image("registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4)


@blueprint("audited", version="1.0.0")
def audited(env: Environment, p: Params) -> Blueprint:
    """One of each kind, and why a check is waived where one is."""
    key = Key("keys")
    queue = Queue("work", key=key)
    people = Bucket(
        "people",
        classification="pii",
        expire_days=400,
        notifications=[Notification(to=queue)],
        replica=Replica(region="eu-central-1"),
        waive={"s3_bucket_object_lock": "A person's data has to be erased on request, which a lock would forbid."},
    )
    clicks = Dataset("clicks", bucket=people)
    artifacts = Bucket(
        "artifacts",
        classification="confidential",
        key=key,
        waive={
            "s3_bucket_object_lock": "A model is known by its digest: one that was changed is not served.",
            "s3_bucket_cross_region_replication": "A model can be trained again from data that is replicated.",
            "s3_bucket_event_notifications_enabled": "The pipeline that writes a model starts what comes after it.",
        },
    )
    models = ModelStore("models", bucket=artifacts)
    images = ImageRepository("images", key=key)
    word = ManagedSecret("word", value_from=Generated(length=32), key=key)
    net = Network(
        "net",
        interface_endpoints=["ec2", "ecr.api"],
        flow_logs=FlowLogs(),
        waive={
            "vpc_endpoint_connections_trust_boundaries": "Nodes fetch image layers through the S3 endpoint, by URLs "
            "that AWS signs for an account of its own. What may be reached is for each role to say, and roles say it."
        },
    )
    features = Database(
        "features",
        classification="confidential",
        network=net,
        key=key,
        waive={
            "rds_instance_non_default_port": "A port is no secret: its security group admits whom the blueprint names.",
            "rds_instance_protected_by_backup_plan": "RDS's own backups go back to any second; a plan would copy them.",
            "rds_instance_enhanced_monitoring_enabled": "Nobody here would act on figures of its operating system.",
        },
    )
    pool = NodePool("cpu", instance_type="m6i.xlarge", max=3)
    cluster = TrainingCluster("train", pools=[pool])
    fit = TrainingJob("fit", cluster=cluster, pool=pool, image=IMAGE, reads=[models], writes=[models])
    api = Endpoint("api", cluster=cluster, image=IMAGE, reads=[models, word, features])
    route = Route(critical="pagerduty:platform", warning="slack:#platform")
    watch = Monitoring(
        "watch", cluster=cluster, watches=[api, fit], route=route, alertmanager="alerts.example.com:9093"
    )
    return Blueprint(watch, queue, clicks, images, net)
