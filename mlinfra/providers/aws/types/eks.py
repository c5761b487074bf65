"""EKS: what its types share: their calls and tags, and how a change is followed until it has taken effect."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.errors import AwsError, taken
from mlinfra.providers.aws.fields import Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import from_aws, moment, same, to_aws
from mlinfra.providers.aws.tags import Tagging
from mlinfra.providers.aws.waiting import until

API: Final = "https://docs.aws.amazon.com/eks/latest/APIReference"
GUIDE: Final = "https://docs.aws.amazon.com/eks/latest/userguide"
ABSENT: Final = frozenset({"ResourceNotFoundException"})
"""The code for a cluster that is not there, and for what is not in one."""
IN_USE: Final = "ResourceInUseException"
"""The code for a name that is taken, for what is in the middle of a change, and for what others still need."""

TAGGING: Final = Tagging("resourceArn", tags="tags", keys="tagKeys", pair=None)

SECONDS: Final = 3600.0
"""How long a change may take where the stack sets no timeout: pulumi_aws's own for an update of a cluster."""

CLUSTER_NAME: Final = Field(
    "clusterName",
    required=True,
    pattern=(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", "1 to 100 letters, digits, - and _, a letter or a digit first"),
    replaces=f"{API}/API_CreateCluster.html: what belongs to a cluster is known by its name, and cannot be moved",
)

_PENDING: Final = ("CREATING", "UPDATING", "PENDING", "DELETING")
_FAILED: Final = ("FAILED", "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")


class Eks(Resource):
    """A type of EKS, known by a cluster's name and its own there. Its id is `CLUSTER:NAME`.

    - `thing`: what its calls name it, as in `describe_addon`; `key`: where their answers have its record, if not there.
    - `arn`: the output that its tags hang on.
    """

    service = "eks"
    thing: str
    key: str = ""
    arn: str = "arn"

    def identity(self, inputs: Mapping[str, Any]) -> str:
        """Cluster and name."""
        return f"{inputs['clusterName']}:{inputs[self.names[0]]}"

    def where(self, resource_id: str, known: Mapping[str, Any]) -> dict[str, str]:
        """The parameters by which its calls know it."""
        cluster, name = parts(resource_id, ":", 2)
        [field] = (item for item in self.fields if item.name == self.names[0])
        return {"clusterName": cluster, field.aws or field.name: name}

    def sent(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of its create call."""
        return to_aws(self.fields, inputs, same) | {"tags": inputs.get("tags") or None}

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all; that the name is taken is somebody else's doing."""
        try:
            return self.make(aws, inputs)
        except AwsError as error:
            if error.code == IN_USE and any(words in error.message for words in ("already exists", "already in use")):
                raise taken(self.identity(inputs), self.token.rpartition(":")[2]) from None
            raise

    def make(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """The call that creates it."""
        record = aws.api("eks").call(f"create_{self.thing}", **self.sent(inputs))[self.key or self.thing]
        return Made(self.identity(inputs), self.shown(record))

    def record(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """It as its describe call gives it; None if it is gone."""
        found = aws.api("eks").find(f"describe_{self.thing}", ABSENT, **self.where(resource_id, known))
        return found[self.key or self.thing] if found else None

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call; it lists the tags, too."""
        record = self.record(aws, resource_id, known)
        if record is None or record.get("status") == "DELETING":
            return None
        inputs = from_aws(self.fields, record, same) | self.besides(aws, record, known)
        del inputs["tags"]
        return Live(inputs, self.shown(record), TAGGING.plain(record.get("tags")), pending(record))

    def besides(self, aws: Aws, record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs that are not in its record under their names."""
        return {}

    @abstractmethod
    def shown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Its outputs, by its record."""

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """One call; what belongs to it goes, too."""
        where = self.where(resource_id, inputs)
        aws.api("eks").find(f"delete_{self.thing}", ABSENT, **where, **self.leaving(inputs))

    def leaving(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What its delete call is told besides."""
        return {}

    @abstractmethod
    def alter(self, aws: Aws, change: Change) -> None:
        """Make a change in place, tags aside."""

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """What the type says, then tags; gives all outputs anew, since a change touches more than it names."""
        self.alter(aws, change)
        live = self.read(aws, change.id, change.new)
        if live and change.touches("tags"):
            TAGGING.change(aws.api("eks"), str(live.outputs[self.arn]), change.old.get("tags"), change.new.get("tags"))
        return live.outputs if live else {}


class Provisioned(Eks):
    """A type with a status: what AWS makes takes minutes, and can fail after the call that asked for it."""

    resumes = True

    def make(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; `complete` waits, and gives the outputs."""
        return Made(super().make(aws, inputs).id)

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait for it; some of its outputs are only there when it is ready."""
        self.wait(aws, made.id, inputs)
        live = self.read(aws, made.id, inputs)
        return live.outputs if live else {}

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """As ever, once what is going on has come to an end: what is taken over may not be ready yet."""
        self.wait(aws, change.id, change.new)
        return super().update(aws, change)

    def wait(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Until it is active. Raises `AwsError` with AWS's reasons where it has failed."""

        def probe() -> str:
            record = self.record(aws, resource_id, inputs)
            if record is None:
                return "it to appear"
            if record["status"] in _FAILED:
                issues = (record.get("health") or {}).get("issues") or ()
                raise AwsError(f"making {resource_id}", record["status"], "; ".join(_issue(item) for item in issues))
            return pending(record)

        patiently(aws, probe)

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Delete it, and wait until it is gone, with all that belongs to it."""
        super().delete(aws, resource_id, inputs)
        patiently(aws, lambda: "it to be deleted" if self.record(aws, resource_id, inputs) else "")


def pending(record: Mapping[str, Any]) -> str:
    """What a record still waits for; what has failed, or has no status, waits for nothing."""
    return f"it to be active; it is {record['status']}" if record.get("status") in _PENDING else ""


def follow(aws: Aws, operation: str, where: Mapping[str, str], **parameters: Any) -> None:
    """Call `operation`, which gives a record of the update, and wait until that says that it has taken effect.

    `where` names the cluster, and the node group or the add-on in it. Raises `AwsError` with AWS's reasons where the
    update fails. Source: API_DescribeUpdate.
    """
    api = aws.api("eks")
    update = api.call(operation, **where, **parameters)["update"]
    place = {("name" if name == "clusterName" else name): value for name, value in where.items()}

    def probe() -> str:
        found = api.call("describe_update", updateId=update["id"], **place)["update"]
        if found["status"] in ("Failed", "Cancelled"):
            issues = [{"code": item.get("errorCode"), "message": item.get("errorMessage"), **item}
                      for item in found.get("errors") or ()]  # fmt: skip
            raise AwsError(operation, found["status"], "; ".join(_issue(item) for item in issues))
        return "" if found["status"] == "Successful" else f"the update {update['type']}"

    patiently(aws, probe)


def patiently(aws: Aws, probe: Any) -> None:
    """Wait with as much time as a change of EKS may take."""
    until(probe, max(aws.seconds, SECONDS), aws.cancelled)


def _issue(issue: Mapping[str, Any]) -> str:
    about = ", ".join(issue.get("resourceIds") or ())
    return f"{issue.get('code')}: {issue.get('message')}" + (f" ({about})" if about else "")


def listed(api: Api, operation: str, key: str, **where: str) -> list[Any]:
    """Everything that a paged call lists; nothing where what it is asked about is not there."""
    try:
        return api.pages(operation, key, **where)
    except AwsError as error:
        if error.code in ABSENT:
            return []
        raise


def unused(setting: Any) -> bool:
    """Whether a setting such as `zonalShiftConfig` is absent, or says that it is not enabled, which is the same."""
    return not setting or setting == {"enabled": False}


def moments(record: Mapping[str, Any], *names: str) -> dict[str, str]:
    """The times that a record has under these names."""
    return {name: moment(record[name]) for name in names}


def parts(resource_id: str, separator: str, count: int) -> list[str]:
    """The names that an id is made of. Raises `AwsError` where it has not got them."""
    found = resource_id.split(separator, count - 1)
    if len(found) != count or not all(found):
        raise AwsError("reading", "InvalidId", f"{resource_id} is not made of {count} names with {separator} between")
    return found
