"""What holds data: the resource types whose deletion loses something that no run can make again.

The question for each type is: once it is deleted and made again, is what was in it there? The answer is the same for
whoever made it, a component of mlinfra or a `Raw`, so it is asked of the type. Replacing is deleting: what comes in its
place is empty.

Types that may look as if they held data, and do not:

- Queues and topics (`aws:sqs/queue:Queue`, `aws:sns/topic:Topic`): messages are on their way, for 14 days at most. What
  they tell of, such as an object in a bucket, stays where it is.
- Parameters (`aws:ssm/parameter:Parameter`), Kubernetes Secrets and ConfigMaps: the value is an input, so the next run
  writes it again. A secret of Secrets Manager is another matter: its value can be set, and rotated, without a run.
- Caches (`aws:elasticache/cluster:Cluster`, `aws:dax/cluster:Cluster`): filled again from what they cache.
- Settings of a store (versioning, lifecycle rules, policies): inputs, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CLAIM: Final = "kubernetes:core/v1:PersistentVolumeClaim"
NAMESPACE: Final = "kubernetes:core/v1:Namespace"
STATEFUL_SET: Final = "kubernetes:apps/v1:StatefulSet"

_OBJECTS = "every object in it, and every version of each"
_TABLE = "the rows in it"
_DATABASE = "the databases in it, and its automated backups"
_FILES = "the files on it"
_KEY = "whatever is encrypted under it: nothing else opens that again"
_IMAGES = "the images in it; their digests are what stacks run"
_SNAPSHOT = "the copy that it is, perhaps the only one"
_STREAM = "the records in it that nobody has read yet"
_INDEX = "the documents in it"

HELD: Final[Mapping[str, str]] = {
    # Objects and files.
    "aws:s3/bucket:Bucket": _OBJECTS,
    "aws:s3/bucketV2:BucketV2": _OBJECTS,
    "aws:s3/directoryBucket:DirectoryBucket": _OBJECTS,
    "aws:s3tables/tableBucket:TableBucket": "every table in it",
    "aws:s3tables/table:Table": _TABLE,
    "aws:glacier/vault:Vault": "every archive in it",
    "aws:efs/fileSystem:FileSystem": _FILES,
    "aws:fsx/lustreFileSystem:LustreFileSystem": _FILES,
    "aws:fsx/ontapFileSystem:OntapFileSystem": _FILES,
    "aws:fsx/ontapVolume:OntapVolume": _FILES,
    "aws:fsx/openZfsFileSystem:OpenZfsFileSystem": _FILES,
    "aws:fsx/windowsFileSystem:WindowsFileSystem": _FILES,
    "aws:ebs/volume:Volume": _FILES,
    "aws:ebs/snapshot:Snapshot": _SNAPSHOT,
    "aws:ec2/instance:Instance": "the files on its root volume, which goes with it",
    # Keys and secrets.
    "aws:kms/key:Key": _KEY,
    "aws:kms/externalKey:ExternalKey": _KEY,
    "aws:kms/replicaKey:ReplicaKey": _KEY,
    "aws:kms/replicaExternalKey:ReplicaExternalKey": _KEY,
    "aws:secretsmanager/secret:Secret": "its value and the versions before it, which may have been set by hand",
    # Databases.
    "aws:rds/instance:Instance": _DATABASE,
    "aws:rds/cluster:Cluster": _DATABASE,
    "aws:rds/globalCluster:GlobalCluster": _DATABASE,
    "aws:rds/snapshot:Snapshot": _SNAPSHOT,
    "aws:rds/clusterSnapshot:ClusterSnapshot": _SNAPSHOT,
    "aws:docdb/cluster:Cluster": _DATABASE,
    "aws:docdb/elasticCluster:ElasticCluster": _DATABASE,
    "aws:neptune/cluster:Cluster": _DATABASE,
    "aws:dsql/cluster:Cluster": _DATABASE,
    "aws:redshift/cluster:Cluster": _DATABASE,
    "aws:redshiftserverless/namespace:Namespace": _DATABASE,
    "aws:memorydb/cluster:Cluster": _DATABASE,
    "aws:elasticache/replicationGroup:ReplicationGroup": "the keys in it: it may be a store as well as a cache",
    # Tables, indexes, streams.
    "aws:dynamodb/table:Table": _TABLE,
    "aws:dynamodb/globalTable:GlobalTable": _TABLE,
    "aws:keyspaces/keyspace:Keyspace": "every table in it",
    "aws:keyspaces/table:Table": _TABLE,
    "aws:timestreamwrite/database:Database": "every table in it",
    "aws:timestreamwrite/table:Table": _TABLE,
    "aws:opensearch/domain:Domain": _INDEX,
    "aws:opensearch/serverlessCollection:ServerlessCollection": _INDEX,
    "aws:elasticsearch/domain:Domain": _INDEX,
    "aws:kinesis/stream:Stream": _STREAM,
    "aws:msk/cluster:Cluster": _STREAM,
    "aws:msk/serverlessCluster:ServerlessCluster": _STREAM,
    # What machine learning makes.
    "aws:ecr/repository:Repository": _IMAGES,
    "aws:ecrpublic/repository:Repository": _IMAGES,
    "aws:sagemaker/featureGroup:FeatureGroup": "the features in its online store",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": "the models registered in it, with their approvals",
    "aws:sagemaker/notebookInstance:NotebookInstance": "the notebooks on its volume",
    # Records and copies.
    "aws:backup/vault:Vault": "the recovery points in it",
    "aws:cloudwatch/logGroup:LogGroup": "what was logged, which audits may ask for",
    "aws:cloudtrail/eventDataStore:EventDataStore": "the events in it",
    "aws:cognito/userPool:UserPool": "the users in it: their passwords cannot be exported",
    # In the cluster.
    CLAIM: "the volume that it holds, where its class says that volumes go with their claims",
    "kubernetes:core/v1:PersistentVolume": "what is on the volume",
}
"""Types that hold data, each with what is lost with one of them."""


def lost_with(token: str, inputs: Mapping[str, Any]) -> str:
    """What is lost when a resource of this type, with these inputs, is deleted; empty where nothing is.

    A StatefulSet holds data where it makes volume claims; a namespace where something in it does, which `in_namespace`
    finds.
    """
    if token == STATEFUL_SET:
        spec = inputs.get("spec")
        claims = isinstance(spec, Mapping) and spec.get("volumeClaimTemplates")
        return (
            "the volumes that its pods write to: one that comes in its place may start with empty ones"
            if claims
            else ""
        )
    return HELD.get(token, "")


def in_namespace(inputs: Mapping[str, Any]) -> str:
    """The Kubernetes namespace that a resource with these inputs is in; empty where it is in none, or nobody knows."""
    metadata = inputs.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    return namespace if isinstance(namespace, str) else ""
