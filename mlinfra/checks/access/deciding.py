"""Whether a principal may do something with some resources, and with which of them.

Source: IAM user guide, "Policy evaluation logic". In the account of the resource it is enough that a policy of the
principal or one of the resource allows, and that none denies. A permissions boundary has to allow as well.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mlinfra.checks.access.conditions import Context, Verdict, judge, open_conditions
from mlinfra.checks.access.patterns import Clause, Pattern, find, may_meet
from mlinfra.checks.access.policies import ANYONE, Statement, account_of, is_account, select
from mlinfra.checks.access.principals import Principal


@dataclass(frozen=True)
class Access:
    """One way in which something is allowed: an action, the resources as the policy names them, what it depends on.

    `example` is a resource for which it is allowed. `origin` is the node with the policy.
    """

    action: str
    resource: str
    example: str
    only_if: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked: some actions on the resources of a space, which have a policy of their own or none.

    `context` is what is known of such requests whoever makes them.
    """

    actions: tuple[str, ...]
    space: Pattern
    policy: Sequence[Statement] = ()
    context: Context = field(default_factory=dict)


def may(principal: Principal, question: Question) -> list[Access]:
    """Every way in which a principal of the account may do what is asked."""
    theirs = [item for item in question.policy if concerns(item, principal.arn)]
    every = [item for item in (*principal.identity, *theirs) if may_meet(item.clause, question.space)]
    if not any(item.allows for item in every):  # as most principals have nothing to do with most stores
        return []
    return _ways(every, principal.boundary, question, {**principal.context, **question.context})


def stranger_may(kind: str, name: str, question: Question, context: Context) -> list[Access]:
    """Every way in which somebody may do what is asked of whom the graph has nothing but a name in a policy.

    What is allowed to everybody is asked of `ANYONE`, and is not told again for each who is named as well.
    """
    everybody = (kind, name) == ANYONE
    theirs = [
        item
        for item in question.policy
        if (
            _names(item, (kind, name))
            if item.allows
            else concerns(item, name) and not (everybody and item.not_principals)
        )
    ]
    return _ways(theirs, None, question, {**question.context, **context})


def strangers(policy: Iterable[Statement], known: Container[str]) -> list[tuple[str, str]]:
    """Who a resource's policy allows something of whom nothing else is known, by kind and name; everybody first."""
    found = {
        pair
        for item in policy
        if item.allows
        for pair in ({ANYONE} if item.not_principals else item.principals)
        if pair[1] not in known
    }
    return sorted(found)


def _names(item: Statement, principal: tuple[str, str]) -> bool:
    return principal == ANYONE if item.not_principals else principal in item.principals


def concerns(item: Statement, principal: str) -> bool:
    """Whether a statement of a resource's policy speaks of a principal, by its ARN.

    An account that is allowed something does not hand it on to its roles and users by itself; one that is denied
    something is denied it with all of them. Source: IAM user guide, "AWS JSON policy elements: Principal" and
    "NotPrincipal".
    """
    named = {name for _, name in item.principals}
    if item.not_principals:
        return principal not in named and ANYONE not in item.principals
    if ANYONE in item.principals or principal in named:
        return True
    return not item.allows and any(is_account(name) and account_of(name) == account_of(principal) for name in named)


def _ways(
    every: Sequence[Statement], boundary: Sequence[Statement] | None, question: Question, context: Context
) -> list[Access]:
    found: list[Access] = []
    for action in question.actions:
        refusing = [*select(every, action, allows=False), *select(boundary or (), action, allows=False)]
        denied = [item.clause for item in refusing if judge(item.conditions, context) is Verdict.YES]
        doubtful = [item for item in refusing if judge(item.conditions, context) is Verdict.MAYBE]
        bounds = []
        if boundary is not None:
            bounds = [
                item.clause
                for item in select(boundary, action, allows=True)
                if judge(item.conditions, context) is not Verdict.NO
            ]
            if not bounds:
                continue
        for item in select(every, action, allows=True):
            if judge(item.conditions, context) is not Verdict.NO:
                groups = [bounds] if bounds else []
                found += _of_statement(item, action, question.space, groups, denied, doubtful, context)
    return found


def _of_statement(
    item: Statement,
    action: str,
    space: Pattern,
    bounds: list[list[Clause]],
    denied: list[Clause],
    doubtful: list[Statement],
    context: Context,
) -> Iterator[Access]:
    """The resources that one statement allows, each as it is written."""
    depends = open_conditions(item.conditions, context)
    for written, clause in item.parts():
        example = find(space, [[clause], *bounds], denied)
        if example is None:
            continue
        unless = [
            f"unless {' and '.join(open_conditions(other.conditions, context))}"
            for other in doubtful
            if find(space, [[clause], *bounds, [other.clause]], denied) is not None
        ]
        yield Access(action, written, example, tuple(dict.fromkeys((*depends, *unless))), item.origin)
