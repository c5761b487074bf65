"""One Kubernetes cluster: get, list, apply, delete and watch objects of any kind.

Objects are plain dicts as the API server gives them. Source of paths, verbs and options:
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from mlinfra.providers.kubernetes import kubeconfig
from mlinfra.providers.kubernetes.discovery import Discovery, Resource
from mlinfra.providers.kubernetes.errors import ApiError
from mlinfra.providers.kubernetes.transport import CONNECTIONS, Transport

Object: TypeAlias = dict[str, Any]

WATCH_SECONDS: Final = 20
"""How long a watch stays open before it is asked for anew; less than the transport waits for a line."""
NO_KIND: Final = "NoKind"
"""The reason of the `ApiError` for a kind that the cluster does not have."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply came to: the object as the server has it, and whether this request made it."""

    object: Object
    created: bool


class Cluster:
    """One cluster, for any number of threads.

    Every method raises `ApiError` for what the server refuses and `UnreachableError` when it does not answer.
    `namespace` is the one that the kubeconfig's context names, or `default`.
    """

    def __init__(self, access: kubeconfig.Access, *, connections: int = CONNECTIONS) -> None:
        self.server = access.server
        self.namespace = access.namespace
        self._transport = Transport(access, connections)
        self.discovery = Discovery(lambda path, accept: self._transport.request("GET", path, accept=accept)[1])

    @classmethod
    def from_kubeconfig(
        cls,
        source: str | Path,
        context: str | None = None,
        *,
        connections: int = CONNECTIONS,
        local: Path | None = None,
    ) -> Cluster:
        """The cluster that a kubeconfig names, given as a path or as its text; `local` as `kubeconfig.load` takes it.

        Raises `MlinfraError` for a kubeconfig that cannot be used. No request is made yet.
        """
        return cls(kubeconfig.load(source, context, local=local), connections=connections)

    def close(self) -> None:
        """Close idle connections. The cluster can still be used: it connects anew."""
        self._transport.close()

    def resource(self, api_version: str, kind: str, wait: float = 0.0) -> Resource:
        """How a kind is served; `wait` is for how many seconds to go on asking for a kind that is not there yet."""
        found = self.discovery.find(api_version, kind, wait)
        if found is None:
            message = f"the cluster has no kind {kind} in {api_version}: is the CustomResourceDefinition installed?"
            raise ApiError("GET", f"/apis/{api_version}", 404, {"message": message, "reason": NO_KIND})
        return found

    def path(self, api_version: str, kind: str, namespace: str | None, name: str = "", wait: float = 0.0) -> str:
        """The path of an object, or of a collection where there is no name.

        A namespace that is given for a kind without one is left out.
        """
        resource = self.resource(api_version, kind, wait)
        parts = ["apis" if "/" in api_version else "api", api_version]
        if resource.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [resource.plural, *([quote(name, safe="")] if name else [])]
        return "/" + "/".join(parts)

    def request(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Any:
        """One request of any sort: the JSON answer."""
        return self._transport.request(method, path, body, content_type=content_type)[1]

    def merge(self, path: str, patch: Object) -> Object:
        """Change the fields of an object that a JSON merge patch names: null takes one away. The object as it is then.

        Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
        """
        changed: Object = self.request("PATCH", path, patch, content_type="application/merge-patch+json")
        return changed

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """An object, or None where it, or its kind, is not there."""
        try:
            found: Object = self.request("GET", self.path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", limit: int = 0
    ) -> list[Object]:
        """The objects of a kind, in a namespace or in all. `labels` is a label selector, `limit` how many at most."""
        query = {key: value for key, value in (("labelSelector", labels), ("limit", limit)) if value}
        path = self.path(api_version, kind, namespace)
        answer = self.request("GET", f"{path}?{urlencode(query)}" if query else path)
        return [{**item, "apiVersion": api_version, "kind": kind} for item in answer["items"]]

    def apply(
        self,
        manifest: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        wait_for_kind: float = 0.0,
    ) -> Applied:
        """Server-side apply: make the object, or bring the fields that the manifest declares to what it says.

        `manager` owns those fields from then on; a field that it owned and that is left out is removed. `force` takes
        fields over from other managers. Fields that the kind does not have are refused.
        Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        metadata = manifest["metadata"]
        path = self.path(
            manifest["apiVersion"], manifest["kind"], metadata.get("namespace"), metadata["name"], wait_for_kind
        )
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        status, live = self._transport.request(
            "PATCH", f"{path}?{urlencode(query)}", manifest, content_type="application/apply-patch+yaml"
        )
        return Applied(live, created=status == 201)

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> Object | None:
        """Delete an object: None when it is gone, or was not there; else the object, which its finalizers still keep.

        With `uid`, an object that was made anew under the same name is left alone: `ApiError` with status 409.
        `propagation` is `Background`, `Foreground` or `Orphan`:
        https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            left: Object = self.request("DELETE", self.path(api_version, kind, namespace, name), options)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return left if (left.get("metadata") or {}).get("deletionTimestamp") else None

    def events(self, collection: str, resource_version: str) -> Iterator[tuple[str, Object]]:
        """What happens to the objects under a path after a version: pairs of event type and object, `BOOKMARK` too.

        Ends after `WATCH_SECONDS`. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#watch
        """
        query = {
            "watch": 1,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
            "resourceVersion": resource_version,
        }
        for event in self._transport.stream(f"{collection}?{urlencode(query)}"):
            yield event["type"], event["object"]

    def logs(
        self, namespace: str, pod: str, *, container: str = "", follow: bool = False, since: str = "", tail: int = 0
    ) -> Iterator[tuple[str, str]]:
        """What a container of a pod wrote: pairs of time and line; with `follow` until it ends.

        `since` is a time as the lines have them, cut to seconds by the server; `tail` is how many of the last lines, 0
        for all. Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log
        """
        query = {
            "timestamps": "true",
            **({"container": container} if container else {}),
            **({"follow": "true"} if follow else {}),
            **({"sinceTime": since} if since else {}),
            **({"tailLines": tail} if tail else {}),
        }
        for line in self._transport.lines(f"{self.path('v1', 'Pod', namespace, pod)}/log?{urlencode(query)}"):
            time, _, text = line.decode(errors="replace").partition(" ")
            yield time, text
