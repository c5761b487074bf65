"""What a kubelet makes of a pod: the variables, the command and the files that its container gets.

Sources: Kubernetes, "Define Dependent Environment Variables" and "Expose Pod Information to Containers Through
Environment Variables"; kubelet, `makeEnvironment` and `k8s.io/kubernetes/third_party/forked/golang/expansion`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SIGN = re.compile(r"\$(\$|\(([^)]*)\))?")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` by its value, `$$` by `$`; what is not known stays."""

    def one(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return known.get(found[2], found[0]) if found[2] is not None else found[0]

    return _SIGN.sub(one, text)


def written(container: Any) -> dict[str, Any]:
    """The variables of a container as they stand in its template; None for those that Kubernetes fills in."""
    return {item["name"]: item.get("value") for item in container["env"]}


def environment(pod: Any, container: int = 0) -> dict[str, str]:
    """The variables of a container, in the order in which the kubelet makes them."""
    made: dict[str, str] = {}
    for item in pod["spec"]["containers"][container].get("env", []):
        source = item.get("valueFrom")
        made[item["name"]] = expand(item.get("value", ""), made) if source is None else _field(pod, source)
    return made


def command(pod: Any, container: int = 0) -> list[str]:
    """The command with its arguments."""
    known = environment(pod, container)
    return [expand(part, known) for part in pod["spec"]["containers"][container].get("command", [])]


def files(pod: Any, config_maps: Mapping[str, Mapping[str, str]], container: int = 0) -> dict[str, str]:
    """The files that are mounted from ConfigMaps, by their paths; each is mounted by itself."""
    known = environment(pod, container)
    volumes = {item["name"]: item for item in pod["spec"]["volumes"]}
    found: dict[str, str] = {}
    for mount in pod["spec"]["containers"][container]["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "configMap" in volume:
            key = mount.get("subPath") or expand(mount["subPathExpr"], known)
            found[mount["mountPath"]] = config_maps[volume["configMap"]["name"]][key]
    return found


def _field(pod: Any, source: Any) -> str:
    path = source["fieldRef"]["fieldPath"]
    if keyed := _KEYED.fullmatch(path):
        return str(pod["metadata"].get(keyed[1], {}).get(keyed[2], ""))
    found = pod
    for part in path.split("."):
        found = found[part]
    return str(found)
