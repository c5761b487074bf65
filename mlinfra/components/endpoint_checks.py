"""What the fields of an `Endpoint` have to say together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlinfra.components import endpoint_auth, endpoint_model
from mlinfra.components.endpoint_runtimes import RUNTIMES
from mlinfra.expansion import Scope

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint


def check_fields(endpoint: Endpoint) -> None:
    """Raise `ValueError` for what cannot be together."""
    if endpoint.runtime == "custom":
        if endpoint.arguments and endpoint.image is None:
            raise ValueError("arguments are given, and no image that would get them")
        if endpoint.warm_up and endpoint.warm_up.path is None:
            raise ValueError(
                "warm_up names no path: an image of one's own has to say where its predictions are asked of"
            )
    else:
        _check_runtime(endpoint)
    if endpoint.address and endpoint.auth is None:
        raise ValueError(
            "it has an address in the world and nobody asks who calls: give `auth=ApiKeys(keys=[…])`, or say "
            '`auth="elsewhere"` where the ingress controller or the gateway asks'
        )
    taken = (endpoint_auth.PORT, endpoint_auth.METRICS_PORT)
    if endpoint_auth.keys_of(endpoint) and endpoint.port in taken:
        raise ValueError(f"port is {endpoint.port}, which is the proxy's own, as {taken[0]} and {taken[1]} are")


def _check_runtime(endpoint: Endpoint) -> None:
    runtime = RUNTIMES[endpoint.runtime]
    if said := sorted({"health_path", "metrics_path"} & endpoint.model_fields_set):
        raise ValueError(f"{' and '.join(said)} cannot be given: the runtime {endpoint.runtime} has its own")
    if endpoint.gpus < runtime.min_gpus:
        raise ValueError(
            f"the runtime {endpoint.runtime} runs on GPUs: give `gpus={runtime.min_gpus}` or more, and a pool"
        )
    if endpoint.port == runtime.metrics_port:
        raise ValueError(f"port is {endpoint.port}, at which the runtime {endpoint.runtime} has its metrics")
    if endpoint.log_requests is not None:
        raise ValueError(
            f"log_requests is given, and the runtime {endpoint.runtime} writes no log of its requests: leave it out, "
            "or serve by an image of your own whose program writes it (`mlinfra.serving`), without `runtime`"
        )
    if endpoint.thresholds.requests_per_minute and runtime.meters is None:
        raise ValueError(
            f"thresholds: requests_per_minute is given, and the runtime {endpoint.runtime} gives no metrics that would "
            "tell it: leave it out, or serve by an image of your own with `mlinfra.serving`, without `runtime`"
        )
    if isinstance(endpoint.model, str) and endpoint_model.in_registry(endpoint.model):
        raise ValueError(
            f"model is {endpoint.model!r}, without the server whose registry that is: write "
            '`RegisteredModel(server="http://…", name=…, version=…)`'
        )


def check(endpoint: Endpoint, scope: Scope) -> None:
    """Note as errors what the environment does not allow, and as a warning what it waits for."""
    name, tier = endpoint.name, scope.environment.tier
    if endpoint.hours and tier.protected:
        scope.problem(
            f"endpoint {name!r} runs from {endpoint.hours.start} to {endpoint.hours.stop} alone, and this is {tier}",
            detail="At night and at the weekend nobody would answer.",
            remedy="Give `hours` by a parameter that stacks of this tier leave out.",
            code="hours-in-protected-tier",
        )
    if endpoint_auth.keys_of(endpoint) and endpoint.cluster.network == "open":
        scope.problem(
            f"endpoint {name!r} asks for keys, and every pod of the cluster can go round that",
            detail="The namespace's network is open, so that pods reach the container behind the proxy.",
            remedy=f'Close it: `network="closed"` of {endpoint.cluster.name!r}.',
            code="endpoint-auth-open-network",
        )
    for place in endpoint.callers:
        if scope.cluster_of(place.namespace) != scope.cluster_of(endpoint.cluster.namespace):
            scope.problem(
                f"endpoint {name!r} names a caller in another Kubernetes cluster, {place.name!r}",
                detail="Network policies and the addresses of services end with the cluster.",
                remedy=f"Take {place.name} out of `callers`, and let it call an address of an ingress controller.",
                code="endpoint-caller-elsewhere",
            )


def tell(endpoint: Endpoint, scope: Scope) -> None:
    """Say, in one line, what an endpoint waits for."""
    if endpoint.waits_for:
        scope.warning(f"endpoint {endpoint.name!r} waits for {endpoint.waits_for}", code="endpoint-waits")
