"""The roles, users and groups of a graph with all policies that the graph attaches to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mlinfra.checks.access.conditions import Context
from mlinfra.checks.access.managed import MANAGED
from mlinfra.checks.access.policies import PolicyError, Statement, account_of, statements
from mlinfra.checks.access.symbols import Symbols, at
from mlinfra.graph import Node, Secret

KINDS: Final = {"aws:iam/role:Role": "role", "aws:iam/user:User": "user", "aws:iam/group:Group": "group"}
_INLINE: Final = {
    "aws:iam/rolePolicy:RolePolicy": "role",
    "aws:iam/userPolicy:UserPolicy": "user",
    "aws:iam/groupPolicy:GroupPolicy": "group",
}
_ATTACHED: Final = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "role",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "user",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "group",
}
_TYPES: Final = {"role": "AssumedRole", "user": "User", "group": "User"}
"""Values of aws:PrincipalType (IAM user guide, "AWS global condition context keys")."""


@dataclass
class Principal:
    """Somebody who may be allowed things.

    `identity` are the statements of its own policies; `boundary` those of its permissions boundary, None without one;
    `trust` those of a role that say who may take it. `unseen` says which of its policies could not be read.
    """

    kind: str
    name: str
    arn: str
    node: str = ""
    component: str | None = None
    identity: list[Statement] = field(default_factory=list)
    boundary: list[Statement] | None = None
    trust: list[Statement] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    @cached_property
    def context(self) -> Context:
        """What is known of each of its requests. The principal of a role's session is the role."""
        return {**_ALWAYS, **about(self.arn), "aws:principaltype": _TYPES[self.kind]}


_ALWAYS: Final = {"aws:securetransport": "true", "aws:principalisawsservice": "false", "aws:viaawsservice": "false"}
"""Whoever wants to read can use TLS, and calls for itself."""


def about(arn: str) -> Context:
    """What an ARN says of requests that its owner makes."""
    return {**_ALWAYS, "aws:principalarn": arn, "aws:principalaccount": account_of(arn)}


class Principals:
    """All principals of a graph."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.found: dict[str, Principal] = {}
        """By ARN."""
        self.problems: list[str] = []
        self._policies = {symbols.arn(node): node for node in symbols.of_type("aws:iam/policy:Policy")}
        for token, kind in KINDS.items():
            for node in symbols.of_type(token):
                self._add(kind, node)
        self._attach()
        self._join_groups()

    def __iter__(self) -> Iterator[Principal]:
        """By ARN."""
        return iter(sorted(self.found.values(), key=lambda item: item.arn))

    def read(self, node: Node, document: Any) -> list[Statement]:
        """The statements of a policy that stands in a node. One that cannot be read is noted in `problems`."""
        if document is None:
            return []
        if isinstance(document, Secret):
            self.problems.append(f"the policy of {node.name} is secret, and was not read")
            return []
        try:
            return statements(document, node.name)
        except PolicyError as error:
            self.problems.append(f"the policy of {node.name} cannot be read: {error}")
            return []

    # ------------------------------------------------------------------------------------ gathering

    def _list(self, node: Node, key: str) -> list[Any]:
        """An input that is a list; one that is not known yet is noted."""
        found = self.symbols.input(node, key)
        if found is not None and not isinstance(found, list):
            self.problems.append(f"{key} of {node.name} is not known before it is made")
        return self.symbols.items(node, key)

    def _add(self, kind: str, node: Node) -> None:
        symbols = self.symbols
        arn = symbols.arn(node)
        made = self._named(kind, arn)
        made.node, made.component = node.name, node.component
        made.trust += self.read(node, symbols.input(node, "assumeRolePolicy")) if kind == "role" else []
        for item in self._list(node, "inlinePolicies"):
            made.identity += self.read(node, at(item, "policy"))
        for policy_arn in self._list(node, "managedPolicyArns"):
            self._give(made, policy_arn)
        if boundary := symbols.input(node, "permissionsBoundary"):
            known = self._document(boundary)
            if known is None:
                made.unseen.append(f"{boundary} (permissions boundary)")
            else:
                made.boundary = known

    def _attach(self) -> None:
        symbols = self.symbols
        for token, kind in _INLINE.items():
            for node in symbols.of_type(token):
                holder = self._named(kind, symbols.input(node, kind))
                holder.identity += self.read(node, symbols.input(node, "policy"))
        for token, kind in _ATTACHED.items():
            for node in symbols.of_type(token):
                self._give(self._named(kind, symbols.input(node, kind)), symbols.input(node, "policyArn"))
        for node in symbols.of_type("aws:iam/policyAttachment:PolicyAttachment"):
            for kind in KINDS.values():
                for name in self._list(node, f"{kind}s"):
                    self._give(self._named(kind, name), symbols.input(node, "policyArn"))

    def _join_groups(self) -> None:
        """What a group may, its members may."""
        symbols = self.symbols
        pairs = [
            (symbols.input(node, "group"), user)
            for node in symbols.of_type("aws:iam/groupMembership:GroupMembership")
            for user in self._list(node, "users")
        ]
        pairs += [
            (group, symbols.input(node, "user"))
            for node in symbols.of_type("aws:iam/userGroupMembership:UserGroupMembership")
            for group in self._list(node, "groups")
        ]
        for group_name, user_name in pairs:
            group, user = self._named("group", group_name), self._named("user", user_name)
            user.identity += group.identity
            user.unseen += group.unseen

    def _named(self, kind: str, name: Any) -> Principal:
        """A principal by its name or its ARN; one that the graph does not make is noted, too."""
        text = name if isinstance(name, str) else "⟨?⟩"
        arn = text if text.startswith("arn:") else self._arn_of(kind, text)
        return self.found.setdefault(arn, Principal(kind, arn.rpartition("/")[2], arn))

    def _arn_of(self, kind: str, name: str) -> str:
        """The ARN of a principal by its name, which is unique in an account whatever its path is."""
        same = (item.arn for item in self.found.values() if (item.kind, item.name) == (kind, name))
        start = f"arn:{self.symbols.partition}:iam::{self.symbols.account}"
        return next(same, f"{start}:{kind}/{name}")

    def _give(self, holder: Principal, arn: Any) -> None:
        known = self._document(arn)
        if known is None:
            holder.unseen.append(str(arn))
        else:
            holder.identity += known

    def _document(self, arn: Any) -> list[Statement] | None:
        """A managed policy: one of the graph, or one of AWS's that is known here."""
        node = self._policies.get(str(arn))
        if node is not None:
            return self.read(node, self.symbols.input(node, "policy"))
        name = str(arn).rpartition(":iam::aws:policy/")[2]
        return MANAGED.get(name) if str(arn) != name else None
