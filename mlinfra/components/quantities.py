"""CPU and memory as Kubernetes writes them, and amounts as people say them.

Values for Kubernetes are written in canonical form, as the API server stores them, so that what is declared and what is
read back are the same text. Source: Kubernetes API conventions, "Quantities" (apimachinery/pkg/api/resource).
"""

from __future__ import annotations

import math

GPU = "nvidia.com/gpu"
"""The resource name of NVIDIA's device plugin."""


def cores(count: float) -> str:
    """CPU cores, to the thousandth: `2`, `1500m`."""
    thousandths = round(count * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def gibibytes(count: float) -> str:
    """Memory in GiB, to the MiB, rounded down: `2Gi`, `1536Mi`."""
    mebibytes = math.floor(count * 1024 + 1e-6)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def counted(count: float, several: str) -> str:
    """An amount in words: `4 GPUs`, `1 GPU`, `1 GiB of memory`; `several` is the word for more than one."""
    return f"{count:g} {several.removesuffix('s') if count == 1 else several}"
