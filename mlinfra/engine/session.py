"""A stack as the engine sees it: a work folder with its settings, an environment, the calls beside its runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.process import Ended, run_pulumi
from mlinfra.project import Project, cache_folder
from mlinfra.state.backend import Backend

_PASSED_ON = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT")
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_CLOUD = ("AWS_", "GOOGLE_", "AZURE_", "ARM_", "KUBECONFIG")
SETTINGS = {"pulumi:disable-default-providers": ["*"]}


@dataclass(frozen=True)
class Session:
    """One stack of one Pulumi project.

    `project_name` is the blueprint's name, `stack` the stack's. `attached` maps packages to the ports of our embedded
    providers; when it is empty the engine uses, and downloads, the official plugins.
    """

    project: Project
    project_name: str
    stack: str
    backend: Backend
    binary: Path
    attached: Mapping[str, int]
    cloud: bool = False
    """Whether the run may see the user's cloud credentials: only real clouds and remote states need them."""

    @property
    def folder(self) -> Path:
        """The engine's work folder for this project."""
        return self.project.folder("engine", self.project_name)

    def environment(self) -> dict[str, str]:
        """What the engine's process sees: nothing of the user's own Pulumi, credentials only where they are needed."""
        wanted = (*_PASSED_ON, *_NETWORK)
        environment = {key: value for key, value in os.environ.items() if key in wanted}
        if self.cloud:
            environment |= {key: value for key, value in os.environ.items() if key.startswith(_CLOUD)}
        environment |= self.backend.environment
        environment |= {
            "PULUMI_HOME": str(self._home()),
            "PULUMI_BACKEND_URL": self.backend.url,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_PARALLEL_DIFF": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # --event-log is hidden behind it
            "PULUMI_SKIP_CONFIRMATIONS": "true",
        }
        if self.attached:
            ports = ",".join(f"{package}:{port}" for package, port in sorted(self.attached.items()))
            environment["PULUMI_DEBUG_PROVIDERS"] = ports
            # The engine would look for the plugins that the state names, 2.5 s whatever the size.
            environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
        return environment

    def run(self, *arguments: str) -> Ended:
        """Run a `pulumi` command that does not run the program."""
        return run_pulumi(self.binary, [*arguments, "--non-interactive"], self.folder, self.environment())

    def open(self) -> None:
        """Make the work folder and the stack's record in its state backend, where they are not there yet."""
        project_file = self.folder / "Pulumi.yaml"
        runtime = f"name: {self.project_name}\nruntime: mlinfra\n"
        if not project_file.exists() or project_file.read_text() != runtime:
            project_file.write_text(runtime)
        settings = self.folder / f"Pulumi.{self.stack}.yaml"
        if not self._exists():
            provider = ["--secrets-provider", self.backend.secrets_provider]
            ended = self.run("stack", "select", "--create", self.stack, *provider)
            if not ended.succeeded:
                raise MlinfraError(
                    Diagnostic(
                        f"the state of stack {self.stack} cannot be opened",
                        detail=ended.output.strip(),
                        remedy="Check the stack file's `state`, and that the disk is not full.",
                        code="state-open",
                    ),
                    debug=ended.output,
                )
        _settle(settings, keep_salt=self.backend.states is None)

    def export(self) -> dict[str, Any]:
        """The stack's state, secrets still encrypted; empty when there is none."""
        if self.backend.states is not None:
            return self.backend.states.read(self.project_name, self.stack)
        if self.backend.local:
            with suppress(FileNotFoundError, json.JSONDecodeError):
                return dict(json.loads(self.state_file.read_text()).get("checkpoint", {}).get("latest") or {})
            return {}
        ended = self.run("stack", "export", "--stack", self.stack)
        return dict(json.loads(ended.output).get("deployment") or {}) if ended.succeeded else {}

    def resources(self) -> list[dict[str, Any]]:
        """The real resources in the state: no components, no provider instances."""
        return [
            item
            for item in self.export().get("resources") or []
            if item.get("custom") and not item["type"].startswith("pulumi:providers:")
        ]

    def settle(self) -> list[Diagnostic]:
        """End what a run that was cut off left open; says what it found. To be called after every run."""
        return self.backend.states.settle(self.project_name, self.stack) if self.backend.states is not None else []

    def _exists(self) -> bool:
        if self.backend.states is not None:
            return self.backend.states.exists(self.project_name, self.stack)
        return self.backend.local and self.state_file.exists()

    @property
    def state_file(self) -> Path:
        """The file of a local state."""
        base = Path(self.backend.url.removeprefix("file://"))
        return base / ".pulumi" / "stacks" / self.project_name / f"{self.stack}.json"

    def _home(self) -> Path:
        """The engine's own folder; its plugins, several hundred MB, are in the cache that all projects share."""
        home = self.project.folder("engine", "home")
        plugins = home / "plugins"
        if not plugins.is_symlink():
            shared = cache_folder() / "plugins"
            shared.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                plugins.symlink_to(shared)
        return home


def _settle(settings: Path, *, keep_salt: bool) -> None:
    """Put our settings in the stack's settings file, beside the salt that the engine keeps there.

    With a salt there the engine asks for a passphrase, whatever the state says that it is encrypted with.
    """
    data = yaml.safe_load(settings.read_text()) if settings.exists() else {}
    wanted = {**(data or {}), "config": SETTINGS}
    if not keep_salt:
        wanted.pop("encryptionsalt", None)
    if wanted != data:
        settings.write_text(yaml.safe_dump(wanted, sort_keys=True))
