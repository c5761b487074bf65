"""What an account of moto's holds, told from within its process: every resource of every service, whoever made it.

No list of types is gone by: moto keeps resources as objects of classes of its own in maps and lists of a backend, which
there is one of for each service, account and region. Whatever such an object is in is a resource, so a type that no
component knows of is found too. What a backend is born with (a default VPC, AWS's own policies) is known by having been
looked at in the moment when it was born: `watch` has to be called before the account is used.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, Final

from moto.core.base_backend import AccountSpecificBackend, BackendDict, BaseBackend

from mlinfra.local.eks_records import Cluster

Record = dict[str, Any]

_DEPTH: Final = 3
_OWN: Final = ("core", "utilities", "moto_api", "backends", "settings")
"""Parts of moto that are no service."""

_RECORDS: Final = frozenset(
    {
        ("cloudwatch", "metric_data"),
        ("cloudwatch", "paged_metric_data"),
        ("rds", "events"),
        ("sns", "sms_message_objects"),
        ("ssm", "_commands"),
        ("sts", "assumed_roles"),
    }
)
"""Service and attribute of what moto notes down of calls: no resource, in AWS either."""

_HOLDERS: Final = {"Reservation": "instances"}
"""Classes of what is no resource itself and has resources in an attribute: what one call has launched, in EC2."""

_STATES: Final = ("state", "status", "key_state", "_status", "_state", "lifecycle")
_ENDED: Final = frozenset(
    {"deleted", "deleting", "terminated", "shutting-down", "pendingdeletion", "pending_deletion", "closed", "cancelled"}
)
_DATES: Final = ("deleted_date", "deletion_date")
"""AWS shows for a while what was deleted, a key or a secret for days. It is no leak: nobody pays for it."""

_NAMES: Final = ("arn", "id", "name", "physical_resource_id")
_AWS: Final = re.compile(r"alias/aws/|arn:aws[a-z-]*:(iam::aws:|rds:[^:]*:[^:]*:(og|pg|cluster-pg):default[.:])")
"""What belongs to AWS itself in every account, and is made when a service first needs it: names that nobody else may
give (API_CreateAlias, API_CreateDBParameterGroup, API_CreateOptionGroup)."""


class Births:
    """What moto's backends were born with. One for a process."""

    def __init__(self) -> None:
        # By identity, and kept, so that no other object can have that identity.
        self._known: dict[int, Any] = {}
        self._watching = False

    def watch(self) -> None:
        """Take all that is there for known, and from now on whatever a new backend begins with."""
        for _, _, backend in _backends():
            self._look(backend)
        if not self._watching:
            self._watching = True
            self._follow()

    def made(self) -> list[Record]:
        """What is there beside: a record for each, with `account`, `region`, `type`, `id`, `arn`, `tags`."""
        found: list[Record] = []
        seen: set[int] = set()
        for service, account, backend in _backends():
            tags: Mapping[str, Any] | None = None
            for attribute, key, item in _held(backend):
                known = id(item) in self._known or id(item) in seen
                if known or (service, attribute) in _RECORDS or _ended(item) or _outlived(backend, item):
                    continue
                seen.add(id(item))
                tags = _by_arn(backend) if tags is None else tags
                record = _record(service, backend, key, item, tags)
                if not _of_aws(record, item):
                    found.append({"account": account, "region": backend.region_name, **record})
        return sorted(found, key=lambda item: (item["account"], item["region"], item["type"], item["id"]))

    def _look(self, backend: BaseBackend) -> None:
        for _, _, item in _held(backend):
            self._known[id(item)] = item

    def _follow(self) -> None:
        """Look at each new backend before anybody has used it."""
        first: Callable[[Any, str], Any] = AccountSpecificBackend.__getitem__

        def get(backends: Any, region: str) -> Any:
            before = set(backends.keys())
            found = first(backends, region)
            for name in set(backends.keys()) - before:
                self._look(dict.__getitem__(backends, name))
            return found

        AccountSpecificBackend.__getitem__ = get


_births: Final = Births()


def answer(method: str, clusters: Iterable[tuple[str, str, Cluster]]) -> Record:
    """`POST` begins to watch, `GET` tells what was made since. `clusters` are EKS's, which moto has no part in."""
    if method == "POST":
        _births.watch()
    return {"held": _births.made() + [record for place in clusters for record in _of_eks(*place)]}


def _of_eks(account: str, region: str, cluster: Cluster) -> Iterator[Record]:
    """An EKS cluster, and all that belongs to it."""
    for held in (cluster, *(part for part in cluster.parts() if not part.over)):
        record = held.record
        arns = {key: value for key, value in record.items() if key.lower().endswith("arn") and ":eks:" in str(value)}
        key = "arn" if "arn" in arns else min(arns, key=len, default="")
        kind = key.removesuffix("Arn") if key != "arn" else "cluster"
        arn = str(arns.get(key, ""))
        yield {
            "account": account,
            "region": region,
            "type": f"eks {kind}",
            "id": arn.rpartition(":")[2].partition("/")[2] or cluster.name,
            "arn": arn,
            "tags": _plain(record.get("tags")),
        }


def _backends() -> Iterator[tuple[str, str, BaseBackend]]:
    """Service, account and backend of all that there are."""
    for backends in list(BackendDict._instances):
        for account, regions in list(backends.items()):
            for backend in list(regions.values()):
                yield backends.service_name, account, backend


def _held(backend: BaseBackend) -> Iterator[tuple[str, str, Any]]:
    """The resources in a backend: the attribute that has it, the key that it has there, the object."""
    for attribute, value in list(vars(backend).items()):
        for key, item in _within(value, "", 0):
            yield attribute, key, item


def _within(value: Any, key: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        parts = [(str(name), item) for name, item in list(value.items())]
    elif isinstance(value, list | tuple | set):
        parts = [(key, item) for item in list(value)]
    else:
        return
    for name, item in parts:
        if type(item).__name__ in _HOLDERS:
            yield from _within(getattr(item, _HOLDERS[type(item).__name__]), name, depth + 1)
        elif _is_resource(item):
            yield name, item
        elif depth < _DEPTH:
            yield from _within(item, name, depth + 1)


def _is_resource(item: Any) -> bool:
    parts = type(item).__module__.split(".")
    ours = len(parts) > 1 and parts[0] == "moto" and parts[1] not in _OWN
    return ours and not isinstance(item, BaseBackend | Enum | type | Mapping | list)


def _ended(item: Any) -> bool:
    for name in _STATES:
        state = _attribute(item, name)
        state = _attribute(state, "name") or state if not isinstance(state, str) else state
        if isinstance(state, str) and state.lower() in _ENDED:
            return True
    return any(isinstance(_attribute(item, name), int | float | str | datetime.datetime) for name in _DATES)


def _outlived(backend: Any, item: Any) -> bool:
    """Whether it is of a VPC or an instance that is gone. AWS takes such things away with it, or refuses to delete it
    before they are; moto leaves a VPC's network ACL, the interfaces of its endpoints and of instances behind
    (API_DeleteVpc, API_DeleteVpcEndpoints, API_TerminateInstances).
    """
    if _is_resource(instance := _attribute(item, "instance")) and _ended(instance):
        return True
    vpcs, vpc = _attribute(backend, "vpcs"), _attribute(item, "vpc_id")
    return isinstance(vpcs, Mapping) and isinstance(vpc, str) and bool(vpc) and vpc not in vpcs


def _of_aws(record: Record, item: Any) -> bool:
    """Whether it belongs to AWS itself. A key is known by its alias, whose prefix AWS keeps for its own keys: moto says
    `KeyManager: CUSTOMER` of every key (API_CreateAlias, API_KeyMetadata).
    """
    aliases = _attribute(item, "aliases")
    names = [record["id"], record["arn"], *(aliases if isinstance(aliases, Mapping) else ())]
    return any(_AWS.match(str(name)) for name in names)


# ------------------------------------------------------------------------------------------------ what it is


def _record(service: str, backend: BaseBackend, key: str, item: Any, tags: Mapping[str, Any]) -> Record:
    names = [str(found) for name in _NAMES if isinstance(found := _attribute(item, name), str) and found]
    arn = next((name for name in names if name.startswith("arn:")), "")
    plain = [name for name in names if not name.startswith("arn:")]
    # IAM has ids that nobody uses beside names; of the two, the ARN ends with what a person calls it.
    short = next((name for name in plain if arn.endswith(name)), plain[0] if plain else key or arn)
    kind = re.sub(r"^(Fake|Mock)", "", type(item).__name__)
    return {
        "type": f"{service} {kind}",
        "id": short,
        "arn": arn,
        "tags": tags.get(arn) or _tags(backend, item, {arn, short, key, *names}),
    }


def _by_arn(backend: Any) -> dict[str, dict[str, str]]:
    """Tags by ARN, of services that tell them to AWS's Resource Groups Tagging API."""
    found: dict[str, dict[str, str]] = {}
    with suppress(Exception):  # moto's, on resources that are half there: other ways to their tags follow
        for resource in backend.iter_tagged_resources():
            found[str(resource.arn)] = _plain(resource.tags)
    return found


def _tags(backend: Any, item: Any, names: set[str]) -> dict[str, str]:
    """The tags of a resource, wherever its service keeps them."""
    for tags in (_attribute(item, "tags"), _attribute(item, "tag_set"), _attribute(item, "_tags")):
        if found := _plain(tags):
            return found
    kept = _attribute(backend, "tags")  # EC2: by id
    if isinstance(kept, Mapping):
        for name in names & set(kept):
            if found := _plain(kept[name]):
                return found
    for holder in (item, backend):
        tagger = _attribute(holder, "tagger")
        for name in names if tagger is not None else ():
            with suppress(Exception):
                if found := _plain(tagger.get_tag_dict_for_resource(name)):
                    return found
    return {}


def _plain(tags: Any) -> dict[str, str]:
    """Tags as a map, from any of the forms that services have."""
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items() if isinstance(value, str | int | bool)}
    found = {}
    for item in tags if isinstance(tags, list | tuple) else ():
        pair = {str(key).lower(): value for key, value in item.items()} if isinstance(item, Mapping) else {}
        if "key" in pair:
            found[str(pair["key"])] = str(pair.get("value", ""))
    return found


def _attribute(item: Any, name: str) -> Any:
    """An attribute, None where there is none or it cannot be told: moto computes some."""
    with suppress(Exception):
        return getattr(item, name, None)
    return None
