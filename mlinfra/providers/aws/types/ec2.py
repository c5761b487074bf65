"""What the resources of EC2 have in common: they are listed by id or tag, tagged alike, and there a moment later.

EC2 chooses their ids, so they bear the mark (`identifying`), which goes into the creating call by TagSpecifications.
What was created may not be seen at once (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html), so
each is waited for. Deletions are waited for where they take time; one that EC2 refuses, because something else still
needs what is to go, is not tried again: whatever needed it is deleted and waited for before.
"""

from __future__ import annotations

import ipaddress
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.adopting import unlike
from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.identifying import MARK
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.tags import Tagging
from mlinfra.providers.aws.waiting import until

API: Final = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
_TAGS: Final = Tagging("Resources")


@dataclass(frozen=True, slots=True)
class Listing:
    """How EC2 lists a kind of resource.

    `operation` is the call, `key` where its answer has the records, `id` a record's id, `ids` the parameter that takes
    ids; `filters` is the one that takes filters; `absent` are the error codes for an id that is not there.
    """

    operation: str
    key: str
    id: str
    ids: str
    absent: frozenset[str]
    filters: str = "Filters"
    paged: bool = True

    def filtered(self, api: Api, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """The records that pass EC2's `filters`."""
        given = {self.filters: [{"Name": name, "Values": [value]} for name, value in filters.items()] or None}
        if self.paged:
            return self.records(api.pages(self.operation, self.key, **given))
        return self.records(api.call(self.operation, **given)[self.key])

    def one(self, api: Api, resource_id: str) -> dict[str, Any] | None:
        """The record of an id; None where there is none."""
        found = api.find(self.operation, self.absent, **{self.ids: [resource_id]})
        records = self.records(found[self.key]) if found else ()
        return next((record for record in records if record[self.id] == resource_id), None)

    def records(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records in what the call lists."""
        return listed


class Ec2(Resource):
    """A resource of EC2. `listing` says how it is listed, `thing` what TagSpecifications call it.

    `gone` are the states of a record that count as not there: EC2 shows some deleted resources for about an hour.
    `failed` are those in which a resource that was being made will never be ready.
    """

    service = "ec2"
    marked = True
    resumes = True
    listing: Listing
    thing: str
    gone: Set[str] = frozenset()
    failed: Set[str] = frozenset()

    def record(self, aws: Aws, resource_id: str) -> dict[str, Any] | None:
        """What EC2 has of it; None where it is not there or on its way out."""
        found = self.listing.one(aws.api("ec2"), resource_id)
        return None if found is None or self.state(found) in self.gone else found

    def state(self, record: Mapping[str, Any]) -> str:
        """The state that a record tells, in small letters; empty where it tells none."""
        return str(record.get("State") or "").lower()

    def bearing(self, aws: Aws, mark: str) -> list[str]:
        """In one call, by the tag; the tags are looked at again, since the emulator does not filter all kinds by tag.

        EC2 shows what it deletes for some time, so what is in a state of `gone` is left out.
        """
        listed = self.listing.filtered(aws.api("ec2"), {f"tag:{MARK}": mark})
        alive = (record for record in listed if self.state(record) not in self.gone)
        return [str(record[self.listing.id]) for record in alive if tags_of(record).get(MARK) == mark]

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Wait until it is there and ready; then whatever the create call did not take, by `update`.

        Raises `AwsError` as soon as AWS says that it failed, with the reason that AWS gives.
        """
        seen: list[Live] = []

        def probe() -> str:
            if self.failed:
                self._stop(self.listing.one(aws.api("ec2"), made.id))
            live = self.read(aws, made.id, inputs)
            if live is None:
                return "it to appear"
            seen.append(live)
            return live.pending

        until(probe, aws.seconds, aws.cancelled)
        live = seen[-1]
        names, old = self.lacking(live, inputs)
        outputs = dict(live.outputs)
        if names:
            outputs |= self.update(aws, Change(made.id, old, inputs, outputs, names))
        return outputs

    def _stop(self, record: Mapping[str, Any] | None) -> None:
        if record is not None and self.state(record) in self.failed:
            code, why = self.reason(record)
            remedy = "Mend what it says; then refresh the stack and run the command again: it is made anew."
            raise AwsError(f"making {record[self.listing.id]}", code or "Failed", why or "AWS gives no reason", remedy)

    def reason(self, record: Mapping[str, Any]) -> tuple[str, str]:
        """Code and text with which AWS says why what is in a state of `failed` is so."""
        return str(record.get("FailureCode", "")), str(record.get("FailureMessage", ""))

    def lacking(self, live: Live, inputs: Mapping[str, Any]) -> tuple[frozenset[str], dict[str, Any]]:
        """The names of the inputs that a new resource does not yet have, and the inputs that it has."""
        fields, old = unlike(self, live, inputs)
        return frozenset(field.name for field in fields), old

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """The tags; then `settle`."""
        if change.touches("tags"):
            retag(aws.api("ec2"), change.id, change.old.get("tags"), change.new.get("tags"))
        return self.settle(aws, change)

    @abstractmethod
    def settle(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Make the changes of an update other than that of tags; gives the outputs that are other than before."""

    def specified(self, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The TagSpecifications of the create call; the mark is among the tags."""
        return [specification(self.thing, inputs["tags"])]


def specification(thing: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """The TagSpecification of a create call for the `thing` that it makes."""
    return {"ResourceType": thing, "Tags": _TAGS.form(tags)}


def tags_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The tags in a record."""
    return _TAGS.plain(record.get("Tags"))


def retag(api: Api, resource_id: str, old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> None:
    """Bring the tags of a resource from `old` to `new`."""
    before, after = old or {}, new or {}
    if gone := sorted(before.keys() - after.keys()):
        api.call("delete_tags", Resources=[resource_id], Tags=[{"Key": name} for name in gone])
    if different := {name: text for name, text in after.items() if before.get(name) != text}:
        api.call("create_tags", Resources=[resource_id], Tags=_TAGS.form(different))


# ------------------------------------------------------------------------------------------------ address ranges

IPV4: Final = (r"(\d{1,3}\.){3}\d{1,3}/\d{1,2}", "an IPv4 range such as 10.0.0.0/16")
IPV6: Final = (r"[0-9A-Fa-f:.]{2,45}/\d{1,3}", "an IPv6 range such as 2001:db8::/64")
"""Patterns of ranges; `range_refusals` looks at the numbers in them."""


def canonical(value: Any) -> Any:
    """A range as EC2 keeps it: 100.68.0.18/18 is 100.68.0.0/18 (API_CreateVpc). What is no range stays as it is."""
    try:
        return str(ipaddress.ip_network(value, strict=False)) if isinstance(value, str) else value
    except ValueError:
        return value


def range_refusals(value: Any, path: Path, least: int, most: int) -> Iterator[tuple[Path, str]]:
    """What is wrong with a range, whose prefix is to have from `least` to `most` bits; nothing if it is unknown."""
    if not isinstance(value, str):
        return
    try:
        length = ipaddress.ip_network(value, strict=False).prefixlen
    except ValueError:
        yield path, "must be a range of addresses: one of its numbers is too large"
        return
    if not least <= length <= most:
        yield path, f"must have a prefix of /{least} to /{most}"
