"""Reasons for Checkov's findings that no blueprint can answer: how a kind of component is, whatever it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CPU = (
    "cores are requested, so each pod has its own when all want more; cores that nobody uses are better used than "
    "forbidden (Kubernetes, “Resource Management for Pods and Containers”). Memory, which nobody can give back, has a "
    "limit"
)
_USER = (
    "never root. 1000 is the user that images of Jupyter, TorchServe and Triton are built for, and `run_as_user` names "
    "another; what keeps pods from the machine's files is that they mount none of them, gain no privileges and have no "
    "capabilities"
)
_PROGRAM = (
    "the program is its team's own, and so are caches, compiled kernels and checkpoints that it writes beside itself; "
    "what it writes goes with the pod"
)
_TAG = (
    "the publisher's image of one version, which its registry does not move; a digest, or a mirror's image, is given "
    "by the component's field"
)
_PULLED = (
    "the image of one version stays what it is, and a pod that moves has to start while the registry cannot be reached"
)
_PLUGIN = "it has no port: kubelet itself drops a plugin whose socket is gone, and NVIDIA's own manifest has no probe"
_ROOT = "kubelet's folder of plugins is root's; the pod has no capabilities, gains none, and sees that folder alone"
_WARMS = (
    "the program that serves has one; the one beside it, which sends the warm-up request before a replica is ready, "
    "does nothing afterwards and answers nobody"
)
_SOCKET = (
    "the kubelet's socket, which says which pod has which GPU, is root's; the pod has no capabilities, gains none, and "
    "has a namespace of its own that Prometheus alone may call"
)
_VARIABLES = (
    "by `secretKeyRef`, never inline: the AWS SDKs, database drivers and servers look for credentials in variables, "
    "and developers get no shell in a pod (`Place.developers`)"
)

STANDING: Final[Mapping[tuple[str, str, str], str]] = {
    ("CKV_K8S_11", "", ""): _CPU,
    ("CKV_K8S_35", "", ""): _VARIABLES,
    ("CKV_K8S_40", "", ""): _USER,
    ("CKV_K8S_22", "TrainingJob", ""): _PROGRAM,
    ("CKV_K8S_22", "BatchInference", ""): _PROGRAM,
    ("CKV_K8S_22", "Workspace", ""): "people install packages in their notebook; what is not at home goes with the pod",
    ("CKV_K8S_8", "Workspace", ""): (
        "restarting a notebook that is slow to answer would lose what a person has in memory; it has a readiness probe"
    ),
    ("CKV_K8S_9", "Workspace", ""): (
        "the notebook itself has one; the program beside it that stops it when nobody uses it answers nobody"
    ),
    ("CKV_K8S_15", "Monitoring", ""): _PULLED,
    ("CKV_K8S_43", "Monitoring", ""): _TAG,
    ("CKV_K8S_38", "Monitoring", ""): (
        "Prometheus asks the Kubernetes API for pods to scrape; its role lets it look at pods, jobs and autoscalers of "
        "its namespace, and nothing else"
    ),
    ("CKV_K8S_22", "Monitoring", "gpu-exporter"): (
        "DCGM, which the exporter loads, writes beside itself, and NVIDIA's own manifest lets it"
    ),
    ("CKV_K8S_23", "Monitoring", "gpu-exporter"): _SOCKET,
    ("CKV_K8S_40", "Monitoring", "gpu-exporter"): _SOCKET,
    ("CKV_K8S_8", "Endpoint", "deployment"): _WARMS,
    ("CKV_K8S_9", "Endpoint", "deployment"): _WARMS,
    ("CKV_K8S_38", "DriftMonitor", ""): (
        "only where `retrain` is asked for: it makes a run of the training job through the Kubernetes API"
    ),
    ("CKV_K8S_15", "TrainingCluster", "autoscaler-pods"): _PULLED,
    ("CKV_K8S_43", "TrainingCluster", "autoscaler-pods"): _TAG,
    ("CKV_K8S_38", "TrainingCluster", "autoscaler-pods"): (
        "it works on machines through the Kubernetes API: that is all it is for"
    ),
    ("CKV_K8S_15", "TrainingCluster", "device-plugin-pods"): _PULLED,
    ("CKV_K8S_43", "TrainingCluster", "device-plugin-pods"): _TAG,
    ("CKV_K8S_8", "TrainingCluster", "device-plugin-pods"): _PLUGIN,
    ("CKV_K8S_9", "TrainingCluster", "device-plugin-pods"): _PLUGIN,
    ("CKV_K8S_23", "TrainingCluster", "device-plugin-pods"): _ROOT,
    ("CKV_K8S_40", "TrainingCluster", "device-plugin-pods"): _ROOT,
}
"""Checks that a kind of component fails: (check, kind, name of the part within the component), "" for any."""

FIXED: Final[Mapping[str, str]] = {
    "CKV_K8S_8": "liveness probes, also of the cluster's autoscaler and of kube-state-metrics",
    "CKV_K8S_9": "readiness probes; an endpoint's asks `health_path`",
    "CKV_K8S_13": "memory is limited to what is requested",
    "CKV_K8S_14": "`Image` takes digests alone, so no image is of a tag that moves",
    "CKV_K8S_20": "no container can gain privileges",
    "CKV_K8S_21": "everything has a namespace of its own",
    "CKV_K8S_22": "read-only file systems, with a writable /tmp",
    "CKV_K8S_28": "every capability is dropped",
    "CKV_K8S_31": "the runtime's seccomp profile, also for NVIDIA's device plugin",
    "CKV_K8S_38": "a token of the Kubernetes API only where a pod asks that API something",
    "CKV_K8S_43": "`Image` takes digests alone",
    "CKV2_K8S_6": "namespaces are closed by network policies",
}
"""What is the way it is so that these checks pass, and where."""


def standing_reason(check: str, kind: str, part: str) -> str:
    """Why a part of a kind of component fails a check whatever its blueprint says; empty where it could pass."""
    places = ((kind, part), (kind, ""), ("", ""))
    return next((STANDING[check, *place] for place in places if (check, *place) in STANDING), "")
