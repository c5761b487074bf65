"""A model server that imports `mlinfra.serving` gets nothing else of mlinfra."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
import prometheus_client
before = set(sys.modules)
import mlinfra.serving
from mlinfra.serving import Served, profile, write_profile
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_nothing_else_is_loaded() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = json.loads(answer.stdout)
    ours = {name for name in loaded if name.split(".")[0] == "mlinfra"}
    assert ours == {"mlinfra"} | {name for name in ours if name.split(".")[:2] == ["mlinfra", "serving"]}
    assert not any(name.startswith("mlinfra.serving.drift") for name in ours)
    others = {name.split(".")[0] for name in loaded} - {"mlinfra", "prometheus_client"}
    assert others <= set(sys.stdlib_module_names)
