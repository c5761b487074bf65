"""Who can read a store: principals of the graph, those whom policies name, and whoever can take their roles."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mlinfra.checks.access.conditions import Verdict, judge
from mlinfra.checks.access.deciding import Access, Question, concerns, may, stranger_may, strangers
from mlinfra.checks.access.patterns import pattern
from mlinfra.checks.access.policies import ANYONE, account_of, is_account, select
from mlinfra.checks.access.principals import Principal, about
from mlinfra.checks.access.symbols import shown
from mlinfra.checks.data.held import Held, Sources
from mlinfra.checks.data.record import Reader, unique

ASSUME: Final = "sts:AssumeRole"
_KINDS: Final = {"AWS": "role", "Service": "service", "Federated": "federated", "CanonicalUser": "account"}


def readers(sources: Sources, held: Held) -> tuple[Reader, ...]:
    """Every reader of a store, one row each, by kind and name; those who have to take a role first come after it."""
    direct = {item.arn: reader for item in sources.principals if (reader := _reader(sources, held, item))}
    others = [reader for kind, name in _strangers(sources, held) if (reader := _stranger(sources, held, kind, name))]
    taking = _taking(sources, direct)
    return tuple(sorted((*direct.values(), *others, *taking), key=lambda item: (item.through, item.kind, item.name)))


def _reader(sources: Sources, held: Held, principal: Principal) -> Reader | None:
    ways = [way for question in held.questions for way in may(principal, question)]
    if not ways:
        return None
    opened = sources.keys.decrypts(principal, held.key, held.sealed) if held.key else []
    if held.key and not opened:
        return None
    made = Reader(
        principal.kind,
        principal.name,
        shown(principal.arn),
        principal.component,
        used_by=tuple(used_by(sources, principal)),
    )
    return _with(made, held, ways, opened)


def _with(reader: Reader, held: Held, ways: list[Access], opened: list[Access]) -> Reader:
    """A reader with what it can read and by what."""
    return replace(
        reader,
        reads=unique(_part(held, way.resource) for way in ways),
        actions=unique(way.action for way in ways),
        policies=unique(way.origin for way in ways),
        decrypts_by=unique(way.origin for way in opened),
        only_if=unique((*_always(ways), *_always(opened))),
    )


def _always(ways: list[Access]) -> tuple[str, ...]:
    """What access depends on; nothing where one way to it depends on nothing."""
    if not ways or any(not way.only_if for way in ways):
        return ()
    return tuple(shown(" and ".join(way.only_if)) for way in ways)


def _part(held: Held, resource: str) -> str:
    """The part of a store that a policy names, without what is the same for all of it."""
    start = held.start
    if resource in ("*", start, f"{start}*", f"{start}/*"):
        return "*"
    return shown(resource.removeprefix(start.partition("/")[0]).removeprefix("/"))


# ------------------------------------------------------------------------------------------------ named in policies


def _strangers(sources: Sources, held: Held) -> list[tuple[str, str]]:
    """Whom the store's own policy names and the graph does not make; the account itself hands on nothing by that."""
    known = sources.principals.found
    policy = [item for question in held.questions for item in question.policy]
    own = sources.symbols.account
    return [
        (kind, name)
        for kind, name in strangers(policy, known)
        if not (kind == "AWS" and is_account(name) and account_of(name) == own)
    ]


def _stranger(sources: Sources, held: Held, kind: str, name: str) -> Reader | None:
    everybody = (kind, name) == ANYONE
    context = about(name) if kind == "AWS" and not is_account(name) else {}
    if kind == "AWS" and is_account(name):
        context = {"aws:principalaccount": account_of(name), "aws:securetransport": "true"}
    if kind == "Service":
        context = {"aws:principalisawsservice": "true", "aws:securetransport": "true"}
    context = context or {"aws:securetransport": "true"}
    ways = [way for question in held.questions for way in stranger_may(kind, name, question, context)]
    opened = sources.keys.stranger_decrypts(kind, name, held.key, held.sealed) if ways and held.key else []
    if not ways or (held.key and not opened):
        return None
    if everybody and held.closed and not _always(ways):
        made = Reader("everybody", "every principal of this account")
    elif everybody:
        made = Reader("everybody", "everybody, without signing in")
    elif is_account(name):
        made = Reader("account", account_of(name), shown(name))
    else:
        made = Reader(
            "user" if ":user/" in name else _KINDS.get(kind, kind.lower()), name.rpartition("/")[2], shown(name)
        )
    return _with(made, held, ways, opened)


# ------------------------------------------------------------------------------------------------ taking roles


def used_by(sources: Sources, role: Principal) -> Iterator[str]:
    """Who takes a role, by its trust policy."""
    symbols = sources.symbols
    bound = [
        f"service account {symbols.input(node, 'namespace')}/{symbols.input(node, 'serviceAccount')} "
        f"in {symbols.input(node, 'clusterName')}"
        for node in symbols.of_type("aws:eks/podIdentityAssociation:PodIdentityAssociation")
        if symbols.input(node, "roleArn") == role.arn
    ]
    found = [shown(text) for text in bound]
    for item in role.trust:
        if not item.allows:
            continue
        for kind, name in sorted(item.principals):
            accounts = [
                str(wanted)
                for keys in item.conditions.values()
                for key, wanted in keys.items()
                if key.endswith((":sub", "kubernetes-service-account"))
            ]
            if accounts and found and bound:
                continue
            found.append(f"service account {', '.join(accounts)}" if accounts else _taker(kind, name))
    yield from unique(found)


def _taker(kind: str, name: str) -> str:
    if (kind, name) == ANYONE:
        return "everybody"
    return f"account {shown(account_of(name))}" if kind == "AWS" and is_account(name) else shown(name)


def _taking(sources: Sources, direct: dict[str, Reader]) -> Iterator[Reader]:
    """The principals of the graph that can take a role which reads, or one that can take such a role, and so on."""
    roles = {item.arn: item for item in sources.principals if item.kind == "role"}
    for arn, reader in direct.items():
        if arn not in roles:
            continue
        seen = {arn}
        waiting = deque([roles[arn]])
        while waiting:
            role = waiting.popleft()
            for taker in sources.principals:
                if taker.arn not in seen and _takes(taker, role):
                    seen.add(taker.arn)
                    waiting.append(taker)
                    if taker.arn not in direct:
                        yield replace(
                            reader,
                            kind=taker.kind,
                            name=taker.name,
                            arn=shown(taker.arn),
                            component=taker.component,
                            used_by=tuple(used_by(sources, taker)),
                            through=reader.name,
                        )


def _takes(taker: Principal, role: Principal) -> bool:
    """Whether a principal can take a role: the role's trust policy names it, or its account and its own policies do.

    Source: IAM user guide, "Granting a user permissions to switch roles".
    """
    context = taker.context
    trusting = [
        item for item in select(role.trust, ASSUME, allows=True) if judge(item.conditions, context) is not Verdict.NO
    ]
    if any(concerns(item, taker.arn) for item in trusting):
        return bool(may(taker, Question((ASSUME,), pattern(role.arn), role.trust)))
    named = {name for item in trusting for _, name in item.principals if is_account(name)}
    if not any(account_of(name) == account_of(taker.arn) for name in named):
        return False
    refusing = [item for item in role.trust if not item.allows]
    return bool(may(taker, Question((ASSUME,), pattern(role.arn), refusing)))
