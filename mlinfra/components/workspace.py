"""`Workspace`: Jupyter for a team, in its cluster, with its data, its GPUs and a home that stays."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.authoring import Many
from mlinfra.components import workspace_access, workspace_pod
from mlinfra.components.access import Anonymizes, Data, Erasable, Workload, connect
from mlinfra.components.managed_secret import ManagedSecret
from mlinfra.components.network_policies import let_out, tcp
from mlinfra.components.node_pool import NodePool
from mlinfra.components.place import Place
from mlinfra.components.secret_sources import value_of
from mlinfra.components.targets import needs_kubernetes
from mlinfra.components.values import Image, StorageClassName
from mlinfra.components.workload import Request, add_service, check_placement, requested
from mlinfra.expansion import Scope
from mlinfra.graph import Ref, Value, join

_WEB: Final = (80, 443)
_USUAL: Final = Request(cpu=2.0, memory=8.0)

Framework = Literal["pytorch", "tensorflow"]


class Workspace(Workload):
    """A notebook server (Jupyter) for a team, in the namespace of its cluster.

        lab = Workspace("lab", cluster=cluster, pool=gpu, gpus=1, reads=[data], writes=[models], idle_minutes=90)

    What runs in it may read and write what `reads` and `writes` say, like a `TrainingJob`, and finds each bucket in
    `<NAME>_URI`. The home folder is a volume, which stays when the server stops.

    People reach it from their own machine, `kubectl port-forward` (the output `connect_command`), and sign in with the
    token that the Secret `<name>` holds under the key `token`; the cluster lets nobody else in. When nobody has used it
    for `idle_minutes` it stops and frees its machine; `kubectl scale statefulset <name> --replicas=1` (the output
    `start_command`) starts it again. The cluster's `admins` and `developers` may do all three, for this workspace.
    Whether it runs is theirs: no run of mlinfra starts or stops it.
    """

    holds_data: ClassVar[bool] = True

    cluster: Place
    """Where it runs: a cluster, or a team in one."""

    pool: NodePool | None = None
    """On which machines it runs; None: any without a taint."""

    gpus: int = Field(default=0, ge=0, le=16)
    """GPUs that it has while it runs."""

    cpu: float | None = Field(default=None, gt=0)
    """Cores; by default its share of the machine by GPUs, or 2 cores without GPUs."""

    memory: float | None = Field(default=None, gt=0)
    """GiB of memory; by default its share of the machine by GPUs, or 8 GiB without GPUs."""

    image: Image | Framework = "pytorch"
    """`pytorch` or `tensorflow`: the Jupyter project's images, with CUDA where there are GPUs; or an image of your own
    by digest, which serves Jupyter on port 8888 and has `python3`. In protected tiers it must be by digest."""

    reads: Many[Data] = ()
    """What notebooks may read."""

    writes: Many[Data] = ()
    """What notebooks may write; it includes neither reading nor deleting."""

    erases: Many[Erasable] = ()
    """Buckets in which notebooks may delete objects with all their old versions."""

    anonymizes: Anonymizes | None = None
    """How it makes personal data into data that is not personal any more. A workspace that reads a store marked `pii`
    may write to one that is not marked so only if it says this."""

    home_gib: int = Field(default=50, ge=1, le=16_384)
    """GiB of the home folder. It cannot be changed later (Kubernetes, "StatefulSets", limitations): another size is
    another workspace."""

    home_path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]+$", max_length=200)] = "/home/jovyan"
    """Where the home folder is in the image."""

    storage_class: StorageClassName | None = None
    """The StorageClass of the home's volume; by default the cluster's own."""

    token: ManagedSecret | None = None
    """The token to sign in with; by default one that is made up, once. The secret has to be in this cluster
    (`in_cluster`)."""

    idle_minutes: Annotated[int, Field(ge=10, le=10_080)] | None = 120
    """Minutes after which it stops if nobody uses it: no kernel at work, nothing asked of the server. What runs in a
    terminal and prints nothing is not seen; an open tab in front counts as use. None: it never stops by itself."""

    internet: bool = True
    """Whether notebooks reach the internet (HTTP and HTTPS), such as to install packages, where the network of the
    namespace is closed."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables. Not for secrets: they are stored as plain text."""

    run_as_user: int = Field(default=1000, ge=1, le=65535)
    """The user that notebooks run as; 1000 is `jovyan` in the Jupyter project's images. Never root."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def url(self) -> Value:
        """The address within the cluster, which the pod's own node reaches alone: `http://name.namespace.svc:8888`."""
        return join("http://", self.identity, ".", self.cluster.namespace, f".svc:{workspace_pod.PORT}")

    @property
    def connect_command(self) -> Value:
        """The command that brings it to http://localhost:8888 on one's own machine."""
        return self._kubectl("port-forward", "service", str(workspace_pod.PORT))

    @property
    def start_command(self) -> Value:
        """The command that starts it again once it has stopped."""
        return self._kubectl("scale", "statefulset", "--replicas=1")

    @property
    def token_value(self) -> Ref:
        """The token to sign in with; it stays secret wherever it is used."""
        return self.token.value if self.token else value_of(self.node("token-value"))

    @property
    def request(self) -> Request:
        """What it asks for."""
        return requested(self.pool, self.gpus, self.cpu, self.memory, _USUAL)

    def _kubectl(self, verb: str, kind: str, more: str) -> Value:
        return join("kubectl --namespace ", self.cluster.namespace, f" {verb} ", f"{kind}/{self.identity}", f" {more}")

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """Identity, token, home and server; what stops it; who may do what with it."""
        if not needs_kubernetes(scope):
            return
        check_placement(scope, self.cluster, self.pool, self.request)
        image = self._image(scope)
        namespace = self.cluster.namespace
        account = connect(scope, namespace, self.reads, self.writes, self.erases, anonymizes=self.anonymizes)
        if self.internet:
            let_out(scope, namespace, tcp(*_WEB))
        token = workspace_access.add_token(self, scope)
        if token is None:
            return
        workspace_access.close(self, scope)
        workspace_access.add_people(self, scope, token)
        stopper = workspace_access.add_stopper(self, scope, account) if self.idle_minutes else None
        spec = workspace_pod.stateful_set(self, scope, image, account, token, stopper)
        server = scope.kubernetes(
            "server", "apps/v1", "StatefulSet", self.identity, {"spec": spec}, namespace=namespace
        )
        # A workspace that has stopped has no pods to wait for.
        add_service(scope, namespace, workspace_pod.PORT, awaited=False, depends_on=(server.node,))

    def _image(self, scope: Scope) -> str:
        if isinstance(self.image, Image):
            return self.image
        if scope.environment.tier.protected:
            scope.problem(
                f"workspace {self.name!r} has the image {self.image!r} by its tag, and tier {scope.environment.tier} "
                "wants a digest",
                detail="A tag can be moved to other content, a digest cannot: what was reviewed is what runs "
                '(Kubernetes, "Images").',
                remedy=f'Name it by its digest: `image="{workspace_pod.repository(self.image)}@sha256:…"`.',
                code="image-without-digest",
            )
        return workspace_pod.preset(self.image, gpus=self.gpus > 0)
