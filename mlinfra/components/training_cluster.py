"""`TrainingCluster`: a team's place in a Kubernetes cluster: machines, limits, priorities, image repository."""

from mlinfra.authoring import Many
from mlinfra.components import eks as own_cluster
from mlinfra.components.access import Grant
from mlinfra.components.eks_values import Eks, ExistingEks
from mlinfra.components.image_repository import PULL, PUSH, ImageRepository, add_repository
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place, Priority
from mlinfra.components.targets import needs_kubernetes
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value

PRIORITIES: dict[Priority, tuple[int, str, str]] = {
    "training-low": (1_000, "Never", "Training that waits for room"),
    "training-high": (10_000, "PreemptLowerPriority", "Training that takes the place of training-low"),
    "serving": (100_000, "PreemptLowerPriority", "Endpoints that people wait for"),
}
"""Priority value, preemption policy and meaning. Values of users' classes end at 1,000,000,000 (Kubernetes, "Pod
Priority and Preemption")."""


class TrainingCluster(Place):
    """A namespace for training and serving.

    It has a quota that follows from its pools, limits for containers that name none, a closed network, three
    priorities, and on AWS an image repository whose tags cannot be moved. Pods of the service account that is named
    like the cluster may push images to that repository and pull from it: builds within the cluster use it. Where the
    network is closed their pods carry the label `app.kubernetes.io/component: build`, which lets them out.

    A cluster that several teams share has a `Team` for each.

    It is in the Kubernetes cluster that the stack file names, or in one of its own:

        system = NodePool("system", instance_type="m6i.large", min=2, max=4)
        gpu = NodePool("gpu", instance_type="g5.xlarge", max=8, spot=True)
        cluster = TrainingCluster("train", eks=Eks(version="1.34"), pools=[system, gpu])

    makes an EKS cluster with these machines, and all that runs in it comes up in the same run. On the local target
    the records of that cluster are made, and what runs in it goes to the stack's local cluster.
    """

    eks: Eks | ExistingEks | None = None
    """The EKS cluster that it is in: one that the stack makes, `Eks(version="1.34")`, or one that is there,
    `ExistingEks(name="ml-prod")`. By default the cluster that the stack file names. On a target without AWS it is left
    aside, and the target's own cluster taken."""

    pools: Many[NodePool] = ()
    """The machines that its pods run on; none: whatever the cluster has. An EKS cluster that the stack makes starts
    them."""

    kueue: bool = False
    """Whether Kueue runs in the cluster: every training job then waits in a `JobQueue`. Kueue is not installed."""

    prometheus_operator: bool = False
    """Whether the Prometheus operator, 0.73 or newer, runs in the cluster and looks at all namespaces: a `Monitoring`
    is then made of its custom resources. It is not installed."""

    argo_rollouts: bool = False
    """Whether Argo Rollouts' controller runs in the cluster, in the namespace `argo-rollouts`: endpoints may then have
    a `Canary`, and it takes care of `BlueGreen`. It is not installed."""

    argo_gateway_plugin: bool = False
    """Whether that controller has its plugin for Gateway API, `argoproj-labs/gatewayAPI`: a `Canary` may then share
    traffic by the weights of the endpoint's HTTPRoute. It is not installed."""

    gateway_api: bool = False
    """Whether a controller for the Gateway API runs in the cluster: endpoints may then have a `GatewayAddress`. It is
    not installed."""

    metrics_adapter: bool = False
    """Whether an adapter gives metrics of Prometheus to autoscalers in the cluster, such as the Prometheus adapter or
    KEDA: endpoints may then scale by one (`Autoscale(metric=…)`). It is not installed."""

    repository: ImageRepository | None = None
    """Where builds within the cluster push images; by default a repository of its own."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def repository_url(self) -> Ref:
        """Where images are pushed to; on AWS only."""
        return self.repository.url if self.repository else self.output("repository", "repositoryUrl")

    @property
    def repository_arn(self) -> Ref:
        """The ARN of that repository; on AWS only."""
        return self.repository.arn if self.repository else self.output("repository", "arn")

    def priority_class(self, priority: Priority) -> Ref:
        """The name of a priority class."""
        return self.output(f"priority-{priority}", "metadata", "name")

    @property
    def eks_name(self) -> Value:
        """The EKS cluster's name, where `eks` says one to make or to use."""
        return self.eks.name if isinstance(self.eks, ExistingEks) else self.output(own_cluster.CLUSTER, "name")

    @property
    def eks_endpoint(self) -> Ref:
        """The URL of the EKS cluster's API, where the stack makes it."""
        return self.output(own_cluster.CLUSTER, "endpoint")

    @property
    def eks_security_group(self) -> Ref:
        """The id of the security group that the EKS cluster's machines have, where the stack makes the cluster."""
        return self.output(own_cluster.CLUSTER, "vpcConfig", "clusterSecurityGroupId")

    @property
    def oidc_issuer(self) -> Value:
        """The issuer of the tokens of the EKS cluster's service accounts, for those who need IRSA.

        Components of mlinfra get their roles by EKS Pod Identity and need none (decision 14).
        """
        if isinstance(self.eks, ExistingEks):
            return self.eks.oidc_issuer
        return self.output(own_cluster.CLUSTER, "identities", 0, "oidcs", 0, "issuer")

    @property
    def oidc_provider_arn(self) -> Value:
        """The ARN of the IAM identity provider of that issuer, which roles for IRSA trust."""
        return self.eks.oidc_provider_arn if isinstance(self.eks, ExistingEks) else self.output(own_cluster.OIDC, "arn")

    @property
    def exported(self) -> dict[str, Value]:
        """The EKS cluster as an output that other stacks import: `outputs={"cluster": cluster.exported}`.

        The parameter that takes it is an `ExistingEks`, to be given as `eks`.
        """
        return {
            "name": self.eks_name,
            "oidc_issuer": self.oidc_issuer,
            "oidc_provider_arn": self.oidc_provider_arn,
        }

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The cluster where it is its own; the namespace and what bounds it; the image repository."""
        own_cluster.enter(scope, self.eks, self.pools)
        if not needs_kubernetes(scope):
            return
        self.add_namespace(scope)
        for name, (value, preemption, meaning) in PRIORITIES.items():
            body = {"value": value, "preemptionPolicy": preemption, "globalDefault": False, "description": meaning}
            # Priority classes belong to no namespace, so their names tell stacks apart.
            scope.kubernetes(f"priority-{name}", "scheduling.k8s.io/v1", "PriorityClass", scope.label_name(name), body)
        if self.repository is None and scope.environment.has_aws:
            add_repository(scope)
        self.add_builders(scope, Grant((*PULL, *PUSH), (self.repository_arn,)))
