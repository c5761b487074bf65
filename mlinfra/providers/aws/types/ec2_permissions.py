"""What a security group lets pass, one permission at a time, so that differently grouped rules can be compared.

AWS keeps a rule for each source or destination, and groups them by protocol and ports when it lists them
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from mlinfra.graph import Path
from mlinfra.providers.aws.types.ec2 import canonical

PROTOCOL: Final = (r"-1|all|[A-Za-z][A-Za-z0-9]*|\d{1,3}", "tcp, udp, icmp, icmpv6, a number, or -1 for all")
_NAMES: Final = {"all": "-1", "6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}
_OWN: Final = "self"


class Permission(NamedTuple):
    """One source or destination that may use a protocol and a range of ports; `kind` is AWS's name for its kind."""

    protocol: str
    from_port: int
    to_port: int
    kind: str
    peer: str
    description: str


_KINDS: Final = {
    "cidrBlocks": ("IpRanges", "CidrIp"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId"),
}
"""pulumi_aws's name for each kind of peer, AWS's, and the key that AWS has the peer under."""

EVERYTHING: Final = frozenset(
    {
        Permission("-1", 0, 0, "IpRanges", "0.0.0.0/0", ""),
        Permission("-1", 0, 0, "Ipv6Ranges", "::/0", ""),
    }
)
"""What AWS lets out of a new group."""


def protocol_name(value: Any) -> Any:
    """A protocol by the name that AWS lists it under: 6 is tcp, all is -1."""
    return _NAMES.get(value.lower(), value.lower()) if isinstance(value, str) else value


def port_refusals(protocol: Any, first: Any, last: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """What is wrong with the ports of a rule; nothing where something is unknown."""
    if not isinstance(protocol, str) or not all(isinstance(port, (int, float)) for port in (first, last)):
        return
    name = protocol_name(protocol)
    if name == "-1" and (first, last) not in ((0, 0), (-1, -1)):
        yield (*path, "fromPort"), "must be 0, and toPort too: protocol -1 is all protocols and all ports"
    if name in ("tcp", "udp") and not 0 <= first <= last:
        yield (*path, "fromPort"), "must be from 0 to toPort"


def from_rules(rules: Any) -> frozenset[Permission]:
    """The permissions that rules of a security group give; a group itself is `self`."""
    return frozenset(item for rule in rules or () for item in _of_rule(rule))


def _of_rule(rule: Mapping[str, Any]) -> Iterator[Permission]:
    protocol = protocol_name(rule.get("protocol"))
    first, last = _ports(protocol, rule["fromPort"], rule["toPort"])
    text = rule.get("description") or ""
    for name, (kind, _) in _KINDS.items():
        for peer in rule.get(name) or ():
            yield Permission(protocol, first, last, kind, canonical(peer), _description(kind, text))
    if rule.get("self"):
        yield Permission(protocol, first, last, "UserIdGroupPairs", _OWN, text)


def _ports(protocol: str, first: Any, last: Any) -> tuple[int, int]:
    """The ports of a rule; 0 and 0 for all protocols, of which AWS tells none."""
    return (0, 0) if protocol == "-1" else (int(first), int(last))


def _description(kind: str, text: str) -> str:
    """The emulator keeps no description of a prefix list, so none is compared or sent."""
    return "" if kind == "PrefixListIds" else text


def from_record(listed: Iterable[Mapping[str, Any]], group: str) -> frozenset[Permission]:
    """The permissions that AWS lists for `group`."""
    return frozenset(item for entry in listed for item in _of_entry(entry, group))


def _of_entry(entry: Mapping[str, Any], group: str) -> Iterator[Permission]:
    protocol = protocol_name(entry["IpProtocol"])
    first, last = _ports(protocol, entry.get("FromPort", -1), entry.get("ToPort", -1))
    for kind, key in _KINDS.values():
        for peer in entry.get(kind) or ():
            whom = _OWN if peer[key] == group else canonical(peer[key])
            yield Permission(protocol, first, last, kind, whom, _description(kind, peer.get("Description") or ""))


def to_rules(permissions: Iterable[Permission]) -> list[dict[str, Any]]:
    """Rules that give these permissions: one for each protocol, range of ports and description."""
    rules: dict[tuple[Any, ...], dict[str, Any]] = {}
    names = {kind: name for name, (kind, _) in _KINDS.items()}
    for item in sorted(permissions):
        key = (item.protocol, item.from_port, item.to_port, item.description)
        rule = rules.setdefault(key, {"protocol": key[0], "fromPort": key[1], "toPort": key[2]})
        if item.description:
            rule["description"] = item.description
        if item.peer == _OWN:
            rule["self"] = True
        else:
            rule.setdefault(names[item.kind], []).append(item.peer)
    return list(rules.values())


def as_sent(item: Permission, group: str) -> dict[str, Any]:
    """A permission as AuthorizeSecurityGroupIngress and its like take it."""
    keys = dict(_KINDS.values())
    peer = {keys[item.kind]: group if item.peer == _OWN else item.peer}
    if item.description:
        peer["Description"] = item.description
    ports = {} if item.protocol == "-1" else {"FromPort": item.from_port, "ToPort": item.to_port}
    return {"IpProtocol": item.protocol, **ports, item.kind: [peer]}
