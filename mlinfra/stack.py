"""Stack files: `stacks/<name>.yaml`, one environment of one blueprint, values only."""

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from mlinfra.diagnostics import Diagnostic, Location, MlinfraError, Problems
from mlinfra.documented import Documented
from mlinfra.environment import LOCAL, Environment, Owner
from mlinfra.positions import Positions, read_yaml
from mlinfra.project import Project
from mlinfra.tiers import Tier
from mlinfra.validation import diagnostics_of

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]|[a-z]")
LOCAL_REGION = "us-east-1"

PLACE = r"service|files|(file|s3|gs|azblob|postgres|https?)://.+"
"""The places that a state may be in."""


class Section(Documented):
    """A part of a stack file: every field known, no type guessed."""


class EnvironmentSection(Section):
    """The environment and how much it matters."""

    name: Annotated[str, Field(pattern=f"^({NAME.pattern})$")]
    """Name of the environment, part of physical names and tags: lower-case letters, digits and hyphens, at most 32."""

    tier: Tier
    """Sets safety defaults: dev, staging or prod."""


class OwnerSection(Section):
    """Who answers for the stack and who pays for it."""

    team: Annotated[str, Field(min_length=1, max_length=63)]
    """The team that owns the stack; a tag and a label on everything made."""

    cost_center: Annotated[str, Field(min_length=1, max_length=63)]
    """Where the cost is booked; a tag and a label on everything made."""


class LocalTarget(Section):
    """The target that runs on this machine: moto for AWS, a Kubernetes control plane of its own."""

    kind: Literal["local"] = "local"
    """`local`."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = LOCAL_REGION
    """AWS region to stand in for."""

    provider: Literal["embedded", "official"] = "embedded"
    """Whose providers work on it: those within mlinfra, or Pulumi's plugins, to see that both do the same."""


class AwsTarget(Section):
    """An AWS account and an EKS cluster in it."""

    kind: Literal["aws"]
    """`aws`."""

    account: Annotated[str, Field(pattern=r"^\d{12}$")]
    """Account id, 12 digits in quotes; a run against another account is refused."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    """AWS region, for example `eu-west-1`."""

    cluster: str | None = None
    """Name of the EKS cluster for Kubernetes resources; none: the stack has no Kubernetes resources."""


class KubeconfigTarget(Section):
    """An existing Kubernetes cluster (kind, k3d, minikube, on-premises), without AWS."""

    kind: Literal["kubeconfig"]
    """`kubeconfig`."""

    path: str
    """Path of the kubeconfig file, relative to the project folder; `~` stands for the home folder."""

    context: str | None = None
    """Context in that file; none: its current one."""

    provider: Literal["official", "embedded"] = "official"
    """Which Kubernetes provider applies: Pulumi's plugin, or the one within mlinfra that needs no download."""

    def file(self, root: Path) -> Path:
        """The kubeconfig file; `root` is the project folder."""
        return root / Path(self.path).expanduser()  # a path that is absolute stays as it is


Target = Annotated[LocalTarget | AwsTarget | KubeconfigTarget, Field(discriminator="kind")]


class KeepSection(Section):
    """How much of the state's past the state service keeps; the newest version is always kept."""

    versions: Annotated[int, Field(ge=1, le=100_000)] = 100
    """How many versions of the state are kept."""

    days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """For how many days versions and the records of updates are kept."""


class StateSection(Section):
    """Where the stack's state is kept."""

    backend: Annotated[str, Field(pattern=f"^({PLACE})$")] = "service"
    """`service` (a database under `.mlinfra/`, journalled, every version kept), `files` (the engine's own files
    there), or the URL of one of Pulumi's backends: `s3://bucket`, `file:///path`, …"""

    secrets_provider: str = "passphrase"
    """How secrets in the state are encrypted: `passphrase`, or a key's URL such as `awskms://alias/name`."""

    keep: KeepSection = KeepSection()
    """How much of the state's past the state service keeps."""

    @field_validator("backend", mode="before")
    @classmethod
    def _not_local(cls, backend: object) -> object:
        if backend == "local":
            raise ValueError(
                "`local` is called `files` now, the engine's own files under .mlinfra/state/; the default is `service`"
            )
        return backend


_RELEASE = r"[0-9]+(\.[0-9]+){0,2}"
_BOUND = rf"(>=|<=|==|!=|>|<) *{_RELEASE}"


class ImportSection(Section):
    """An output of another stack that becomes a parameter of this one."""

    stack: Annotated[str, Field(pattern=f"^({NAME.pattern})$")]
    """The other stack: a file in stacks/, without `.yaml`."""

    output: Annotated[str, Field(min_length=1)]
    """The name of its output."""

    version: Annotated[str, Field(pattern=rf"^{_BOUND}( *, *{_BOUND})*$")] | None = None
    """Versions of the other stack's blueprint that will do, in quotes: `">=1.2"`, `">=1.2, <2"`. It is asked which
    version made the output. None: any."""

    def admits(self, version: str) -> bool:
        """Whether a version of the other stack's blueprint will do. Numbers that are left out are 0: 1.2 is 1.2.0."""
        from packaging.specifiers import SpecifierSet  # most stacks import nothing

        return SpecifierSet(self.version or "").contains(version)


def _spelled_out(value: object) -> object:
    """`platform-dev.network` is short for a stack and an output."""
    if isinstance(value, str):
        stack, dot, output = value.partition(".")
        if not (dot and stack and output):
            raise ValueError(f"{value!r} is not of the form stack.output, such as platform-dev.network")
        return {"stack": stack, "output": output}
    return value


_SHORT = Annotated[str, Field(pattern=rf"^({NAME.pattern})\..+$")]
Import = Annotated[ImportSection, BeforeValidator(_spelled_out, json_schema_input_type=_SHORT | ImportSection)]
"""An import as a stack file may write it: in full, or short."""


class StackFile(Section):
    """One environment of one blueprint."""

    blueprint: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*(@\d+\.\d+\.\d+)?$")]
    """Name of the blueprint, and the version that the stack is written for: `recommender@1.4.0`."""

    environment: EnvironmentSection
    """The environment and its tier."""

    owner: OwnerSection
    """Who answers for the stack and who pays for it."""

    target: Target = LocalTarget()
    """Where the stack lands."""

    params: dict[str, Any] = Field(default_factory=dict)
    """The blueprint's parameters; their names, types and defaults are the blueprint's."""

    imports: dict[str, Import] = Field(default_factory=dict)
    """Parameters that are outputs of other stacks: `network: platform-dev.network`, or with the versions that will do,
    `network: {stack: platform-dev, output: network, version: ">=1.2"}`."""

    state: StateSection = StateSection()
    """Where the stack's state is kept."""

    protect: list[str] = Field(default_factory=list)
    """Names of components that no update or destroy may delete."""

    allow_loss: list[str] = Field(default_factory=list)
    """Names of components whose data an update or a destroy may delete or replace: `allow_loss: [data]`. Without it,
    a run that would lose data is refused in every tier. Take a name out again once the run is done; those that no
    longer give anything up are warned of. It may name a component that the blueprint has no more."""

    @field_validator("protect", "allow_loss")
    @classmethod
    def _no_repetition(cls, names: list[str]) -> list[str]:
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"named more than once: {', '.join(repeated)}")
        return names

    @model_validator(mode="after")
    def _kept_or_given_up(self) -> Self:
        both = sorted(set(self.protect) & set(self.allow_loss))
        if both:
            raise ValueError(f"both in `protect` and in `allow_loss`: {', '.join(both)}; a name can be in one of them")
        return self


class Stack:
    """A stack file that was read and is valid, its name, and where in the file each value stands."""

    def __init__(self, name: str, file: StackFile, positions: Positions) -> None:
        self.name = name
        self.file = file
        self.positions = positions

    @property
    def blueprint(self) -> str:
        """The blueprint's name, without the version."""
        return self.file.blueprint.partition("@")[0]

    @property
    def blueprint_version(self) -> str | None:
        """The version that the stack is written for, if it says one."""
        return self.file.blueprint.partition("@")[2] or None

    def place(self, *path: str | int) -> Location:
        """Where in the stack file the value at `path` stands."""
        return self.positions.place(path)

    def environment(self) -> Environment:
        """The environment that the blueprint is compiled for."""
        target = self.file.target
        account = LOCAL if isinstance(target, LocalTarget) else getattr(target, "account", "")
        return Environment(
            name=self.file.environment.name,
            tier=self.file.environment.tier,
            owner=Owner(self.file.owner.team, self.file.owner.cost_center),
            account=account,
            region="" if isinstance(target, KubeconfigTarget) else target.region,
            cluster=LOCAL if isinstance(target, LocalTarget) else getattr(target, "cluster", None) or "",
            has_kubernetes=not isinstance(target, AwsTarget) or target.cluster is not None,
        )

    def with_target(self, target: LocalTarget | AwsTarget | KubeconfigTarget) -> "Stack":
        """The same stack, sent to another target."""
        return Stack(self.name, self.file.model_copy(update={"target": target}), self.positions)


def stack_names(project: Project) -> list[str]:
    """The names of the project's stacks, sorted."""
    return sorted(path.stem for path in project.stacks.glob("*.yaml"))


def load_stack(project: Project, name: str) -> Stack:
    """Read and check `stacks/<name>.yaml`; raises `MlinfraError` with every problem that the file has."""
    path = project.stacks / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        raise _unknown_stack(project, name)
    shown = project.relative(path)
    data, positions = read_yaml(path, shown)
    if not isinstance(data, dict):
        raise MlinfraError(
            Diagnostic(
                f"{shown} is empty" if data is None else f"{shown} is not a mapping",
                detail="A stack file holds at least `blueprint`, `environment` and `owner`.",
                remedy="Start from one of the other files in stacks/.",
                location=Location(shown, 1),
                code="stack-empty",
            )
        )
    problems = Problems()
    _check_plain(data, (), positions, problems)
    problems.raise_errors()
    try:
        # JSON mode: strict about types, yet texts become enums, which YAML has no other way to write.
        file = StackFile.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise MlinfraError(*diagnostics_of(error, data, StackFile, positions.place, f"stack {name}")) from None
    stack = Stack(name, file, positions)
    _check_imports(stack, problems)
    problems.raise_errors()
    return stack


def stack_schema() -> dict[str, Any]:
    """The JSON Schema of stack files, for editors."""
    schema = StackFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mlinfra stack", **schema}


def _check_imports(stack: Stack, problems: Problems) -> None:
    for name, section in stack.file.imports.items():
        place = stack.place("imports", name)
        if name in stack.file.params:
            problems.error(
                f"stack {stack.name} both gives the parameter {name!r} and imports it from stack {section.stack}",
                detail=f"It is given at {stack.place('params', name)}.",
                remedy="Take one of the two out.",
                location=place,
                code="import-twice",
            )
        if section.stack == stack.name:
            problems.error(
                f"stack {stack.name} imports {name!r} from itself",
                remedy="Name the stack that makes it.",
                location=place,
                code="import-cycle",
            )


def _check_plain(value: object, path: tuple[str | int, ...], positions: Positions, problems: Problems) -> None:
    """Note what YAML can write and JSON cannot: dates, infinities, binary, sets."""
    match value:
        case dict():
            for key, item in value.items():
                _check_plain(item, (*path, key), positions, problems)
        case list():
            for index, item in enumerate(value):
                _check_plain(item, (*path, index), positions, problems)
        case float() if not math.isfinite(value):
            _not_plain(f"{_dotted(path)} is no finite number", positions.place(path), problems)
        case None | bool() | int() | float() | str():
            pass
        case _:
            _not_plain(f"{_dotted(path)} is a {type(value).__name__}: {value}", positions.place(path), problems)


def _not_plain(what: str, place: Location, problems: Problems) -> None:
    problems.error(
        f"{place.file}: {what}",
        detail="A stack holds texts, numbers, booleans, lists and mappings. YAML reads an unquoted date as a date.",
        remedy="Put it in quotes.",
        location=place,
        code="stack-value",
    )


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path)


def _unknown_stack(project: Project, name: str) -> MlinfraError:
    known = stack_names(project)
    problems = Problems()
    problems.error(
        f"there is no stack {name!r}",
        detail=f"Stacks are the files in {project.relative(project.stacks)}/: {', '.join(known) or 'none yet'}.",
        remedy=f"Name one of them with --stack, or write stacks/{name}.yaml."
        if NAME.fullmatch(name)
        else "A stack's name has lower-case letters, digits and hyphens, begins with a letter, and at most 32 of them.",
        code="stack-unknown",
    )
    return MlinfraError(*problems.found)
