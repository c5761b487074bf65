"""The real Prometheus, Alertmanager and their checkers, and generated files as these take them on one machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.tools.install import ensure


@cache
def program(name: str) -> str:
    """The path of a tool, which is had from where `mlinfra setup --monitoring` has it if it is not there."""
    return str(ensure([name])[name])


def run(name: str, *arguments: str | Path, cwd: Path | None = None) -> str:
    """Run a tool that has to end well; returns all that it says."""
    done = subprocess.run([program(name), *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(inputs: Mapping[str, Any], folder: Path) -> Path:
    """Write what a ConfigMap holds to a folder; a configuration of Prometheus names its rules there."""
    for name, text in inputs["data"].items():
        (folder / name).write_text(text)
    if (config := folder / "prometheus.yml").exists():
        config.write_text(yaml.safe_dump(on_loopback(yaml.safe_load(config.read_text()), folder)))
    return folder


def on_loopback(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A configuration of Prometheus that needs no cluster: what is discovered there are ports of this machine.

    Debian's Prometheus is built without discovery in Kubernetes; relabelling and all else stay as they are.
    """
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
    return {**config, "rule_files": [str(folder / Path(file).name) for file in config["rule_files"]]}


TEMPLATES = Path("/usr/share/prometheus/alertmanager")
"""Where Debian's Alertmanager looks for the templates that are part of the program elsewhere."""

_BESIDE = f"""
mount -t tmpfs tmpfs /usr/share && mkdir -p {TEMPLATES} && : > {TEMPLATES}/default.tmpl && : > {TEMPLATES}/email.tmpl &&
exec "$@"
"""


def alertmanager() -> list[str]:
    """The command that runs Alertmanager.

    Debian's does not start without files of its package, which may not be installed. It then sees empty ones, in a
    mount namespace of its own: webhooks need no templates.
    """
    path = program("alertmanager")
    debian = "debian/" in run("alertmanager", "--version")
    if not debian or (TEMPLATES / "default.tmpl").exists():
        return [path]
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _BESIDE, "sh"]
    try:
        subprocess.run([*apart, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(
            f"Debian's Alertmanager wants files in {TEMPLATES}, and there are no mount namespaces to give it some"
        )
    return [*apart, path]
