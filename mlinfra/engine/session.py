"""A stack as the engine sees it: a work folder with its settings, an environment, the calls beside its runs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.engine.begun import Begun
from mlinfra.engine.process import Ended, run_pulumi
from mlinfra.engine.running import Noted
from mlinfra.project import Project, cache_folder
from mlinfra.state.backend import Backend

_PASSED_ON = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT")
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_CLOUD = ("AWS_", "GOOGLE_", "AZURE_", "ARM_", "KUBECONFIG")
SETTINGS = {"pulumi:disable-default-providers": ["*"]}

_MEMORY = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}
"""The engine looks for garbage when what it holds has grown fivefold, not twofold, as long as it holds less than 1 GiB.

A fifth of its processor time at 1,000 resources went there; an update of them without a change takes it 260 MB in place
of 176. https://go.dev/doc/gc-guide
"""

STACK_TYPE = "pulumi:pulumi:Stack"
ORIGIN = "mlinfra:origin"
"""The stack's output that says where the others come from: which blueprint, at which version, with which parameters,
and the resources that each is made of. It belongs to this program: it is written with the others, in one step, and
shown to nobody."""

MOVED = "mlinfra:moved-to"
"""The tag of a stack whose state was moved: where to. Empty for one that was moved back: on the engine's own backends
`pulumi stack tag rm` leaves the last tag in place."""


def real(resources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of a state's resources that are real: no components, no provider instances."""
    return [item for item in resources if item.get("custom") and not item["type"].startswith("pulumi:providers:")]


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
    workspace: str = ""
    """A work folder of its own within the project's, for a state beside the one that the stack file names."""

    @property
    def folder(self) -> Path:
        """The engine's work folder for this project."""
        return self.project.folder("engine", self.project_name, *filter(None, [self.workspace]))

    @property
    def settings(self) -> Path:
        """The engine's settings for this stack; the salt or the key of the state's secrets is in them."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    @property
    def running(self) -> Noted:
        """Where the engines that run for this stack are noted."""
        return Noted(self.folder / "running" / self.stack)

    @property
    def begun(self) -> Begun:
        """The log of creates that the embedded providers have begun for this stack."""
        return Begun(self.folder / f"begun-{self.stack}.log")

    @property
    def cut_off(self) -> Path:
        """What runs that were cut off have left to be done: `mlinfra.engine.repair`."""
        return self.folder / f"cut-off-{self.stack}.json"

    @property
    def applied(self) -> Path:
        """The digest of what the last update has left: `mlinfra.workflow.applied`."""
        return self.folder / f"applied-{self.stack}"

    def environment(self, *, expects_changes: bool = True) -> dict[str, str]:
        """What the engine's process sees: nothing of the user's own Pulumi, credentials only where they are needed.

        Where no change is expected, a journal's entries come in larger batches: nobody waits for those that say of a
        resource that it stays. A change that comes all the same is as durable; each of its steps takes up to 0.1 s
        longer.
        """
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
            # Milliseconds; 50 unless told, waited for twice in a step.
            "PULUMI_JOURNALING_BATCH_PERIOD": "5" if expects_changes else "50",
            **_MEMORY,
        }
        if self.attached:
            ports = ",".join(f"{package}:{port}" for package, port in sorted(self.attached.items()))
            environment["PULUMI_DEBUG_PROVIDERS"] = ports
            # The engine would look for the plugins that the state names, 2.5 s whatever the size.
            environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
            # Inputs that are what they were mean no difference, and providers are not asked for one: ours compare
            # inputs with inputs, and put all that counts into them. Official plugins compare with outputs, too.
            environment["PULUMI_ENABLE_LEGACY_DIFF"] = "true"
        return environment

    def run(self, *arguments: str) -> Ended:
        """Run a `pulumi` command that does not run the program."""
        return run_pulumi(self.binary, [*arguments, "--non-interactive"], self.folder, self.environment(), self.running)

    def ask(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a `pulumi` command whose whole output is data; `given` is what it reads. Nothing of either is kept."""
        return subprocess.run(  # noqa: S603 — the binary is ours, the arguments are a list
            [str(self.binary), *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment(),
            input=given,
            capture_output=True,
            check=False,
        )

    def open(self, *, take_back: bool = False) -> None:
        """Make the work folder and the stack's record in its state backend, where they are not there yet.

        Raises `MlinfraError` when the state cannot be opened, or when it was moved elsewhere and is not to be taken
        back.
        """
        self.prepare()
        tags = self.tags()
        if tags is None:
            provider = ["--secrets-provider", self.backend.secrets_provider]
            ended = self.run("stack", "select", "--create", self.stack, *provider)
            if not ended.succeeded:
                raise self._not_opened(ended.output)
        elif tags.get(MOVED) and not take_back:
            raise moved_away(self.stack, tags[MOVED])
        if self.backend.states is not None and self.backend.secrets_provider != "default" and not self.resources():
            # Whoever held the stack has made it, without the engine, which takes the key at no other time.
            ended = self.run("stack", "change-secrets-provider", self.backend.secrets_provider, "--stack", self.stack)
            if not ended.succeeded:
                raise self._not_opened(ended.output)
        _settle(self.settings, keep_salt=self.backend.states is None)

    def prepare(self) -> None:
        """Make the work folder: what the engine wants to see before it reads a state."""
        project_file = self.folder / "Pulumi.yaml"
        runtime = f"name: {self.project_name}\nruntime: mlinfra\n"
        if not project_file.exists() or project_file.read_text() != runtime:
            project_file.write_text(runtime)

    def tags(self) -> dict[str, str] | None:
        """What is noted beside the stack's state; None when there is no such stack. Raises `MlinfraError`."""
        if self.backend.states is not None:
            return self.backend.states.tags(self.project_name, self.stack)
        if self.backend.local:
            if not self.state_file.exists():
                return None
            try:
                return dict(json.loads(self.state_file.with_suffix(".pulumi-tags").read_bytes())["tags"])
            except (FileNotFoundError, ValueError, KeyError):
                return {}
        asked = self.ask("stack", "tag", "ls", "--json", "--stack", self.stack)
        if asked.returncode == 0:
            return dict(json.loads(asked.stdout or b"{}"))
        told = asked.stderr.decode(errors="replace")
        if "no stack named" in told:
            return None
        raise self._not_opened(told)

    def moved_to(self) -> str:
        """The place that the stack's state was moved to; empty while it is here. Raises `MlinfraError`."""
        return (self.tags() or {}).get(MOVED, "")

    def mark(self, place: str) -> None:
        """Note beside the state that it was moved to a place; empty: that it is here. Raises `MlinfraError`."""
        if self.backend.states is not None:
            self.backend.states.tag(self.project_name, self.stack, MOVED, place)
            return
        ended = self.run("stack", "tag", "set", MOVED, place, "--stack", self.stack)
        if not ended.succeeded:
            raise self._not_opened(ended.output)

    def _not_opened(self, told: str) -> MlinfraError:
        return MlinfraError(
            Diagnostic(
                f"the state of stack {self.stack} cannot be opened",
                detail=told.strip(),
                remedy="Check the stack file's `state`, and that the disk is not full.",
                code="state-open",
            ),
            debug=told,
        )

    def export(self) -> dict[str, Any]:
        """The stack's state, secrets still encrypted; empty when there is none."""
        if self.backend.states is not None:
            return self.backend.states.read(self.project_name, self.stack)
        if self.backend.local:
            with suppress(FileNotFoundError, json.JSONDecodeError):
                return dict(json.loads(self.state_file.read_text()).get("checkpoint", {}).get("latest") or {})
            return {}
        asked = self.ask("stack", "export", "--stack", self.stack)
        return dict(json.loads(asked.stdout).get("deployment") or {}) if asked.returncode == 0 else {}

    def whole(self) -> list[dict[str, Any]]:
        """Everything in the state, components and provider instances too."""
        return list(self.export().get("resources") or [])

    def resources(self) -> list[dict[str, Any]]:
        """The real resources in the state: no components, no provider instances."""
        return real(self.whole())

    def unprotect(self, urns: Collection[str]) -> None:
        """Take the engine's protection off resources; for whoever holds the stack, between two runs.

        Raises `MlinfraError` when the state cannot be written.
        """
        if self.backend.states is not None:
            self.backend.states.unprotect(self.project_name, self.stack, urns)
            return
        ended = self.run("state", "unprotect", *sorted(urns), "--yes", "--stack", self.stack)
        if not ended.succeeded:
            raise MlinfraError(
                Diagnostic("the protection cannot be taken away", detail=ended.output.strip(), code="unprotect")
            )

    def settle(self) -> list[Diagnostic]:
        """End what a run that was cut off left open; says what it found. For whoever holds the stack, before a run."""
        return self.backend.states.settle(self.project_name, self.stack) if self.backend.states is not None else []

    def give_back(self) -> None:
        """End the update of an engine of this process that ended without doing so. To be called after every run."""
        if self.backend.states is not None:
            self.backend.states.give_back(self.project_name, self.stack)

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


def moved_away(stack: str, place: str) -> MlinfraError:
    """What is said of a stack whose state was moved, by a run that would use the old one."""
    return MlinfraError(
        Diagnostic(
            f"the state of stack {stack} was moved to {place}",
            detail="What is left here is as it was then. A run on it would know nothing of what was done since.",
            remedy=f'Write `state: {{backend: "{place}"}}` in the stack file.',
            code="state-moved",
        )
    )


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
