"""Who may decrypt with a KMS key: what is encrypted can be read by nobody else.

Source: KMS developer guide, "Key policies", "IAM policies" and "Grants". A key's policy rules alone: an IAM policy
counts only where the key's policy allows the account to hand out the key's use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlinfra.checks.access.conditions import Context, Verdict, judge
from mlinfra.checks.access.deciding import Access, Question, may, stranger_may
from mlinfra.checks.access.patterns import pattern
from mlinfra.checks.access.policies import Statement, account_of, is_account, select
from mlinfra.checks.access.principals import Principal, Principals
from mlinfra.checks.access.symbols import Symbols
from mlinfra.graph import Node

DECRYPT: Final = "kms:Decrypt"
_KEY: Final = "aws:kms/key:Key"


class Keys:
    """The keys of a graph. A key may be given by its ARN, its id or an alias."""

    def __init__(self, symbols: Symbols, principals: Principals) -> None:
        self.symbols, self.principals = symbols, principals
        self._nodes: dict[str, Node] = {}
        for node in symbols.of_type(_KEY):
            self._nodes |= {symbols.arn(node): node, str(symbols.output(node, "id")): node}
        for alias in symbols.of_type("aws:kms/alias:Alias"):
            target = self._nodes.get(str(symbols.input(alias, "targetKeyId")))
            if target is not None:
                self._nodes |= {str(symbols.input(alias, "name")): target, symbols.arn(alias): target}
        self._policies = {node.name: self._policy(node) for node in symbols.of_type(_KEY)}
        self._grants = self._granted()

    def node(self, key: str) -> Node | None:
        """The node of a key; None where the graph does not make it."""
        return self._nodes.get(key)

    def decrypts(self, principal: Principal, key: str, context: Context) -> list[Access]:
        """Every way in which a principal of the account may decrypt with a key."""
        node = self.node(key)
        if node is None:  # its policy is not here: taken to leave its use to the account's IAM policies
            return may(principal, self._question(key, (), context))
        policy = self._policies[node.name]
        question = self._question(self.symbols.arn(node), policy, context)
        known = {**principal.context, **question.context}
        delegated = any(
            any(is_account(name) and self._own(name) for _, name in item.principals)
            for item in select(policy, DECRYPT, allows=True)
            if judge(item.conditions, known) is not Verdict.NO
        )
        allowed = principal if delegated else _without_identity(principal)
        return may(allowed, question) + self._by_grant(principal.arn, node)

    def stranger_decrypts(self, kind: str, name: str, key: str, context: Context) -> list[Access]:
        """Every way in which somebody may decrypt who is known by a name in a policy alone."""
        node = self.node(key)
        if node is None:
            return [Access(DECRYPT, key, key, ("the key's policy allows it",))]
        question = self._question(self.symbols.arn(node), self._policies[node.name], context)
        found = stranger_may(kind, name, question, {}) + self._by_grant(name, node)
        account = account_of(name)
        if account and not is_account(name):  # the account's own policies are not here
            names = {other for item in question.policy for _, other in item.principals if is_account(other)}
            for other in sorted(names):
                if account_of(other) == account:
                    found += stranger_may("AWS", other, question, {})
        return found

    # ------------------------------------------------------------------------------------ the keys' own

    def _question(self, arn: str, policy: list[Statement] | tuple[()], context: Context) -> Question:
        return Question((DECRYPT,), pattern(arn), policy, {"kms:calleraccount": self.symbols.account, **context})

    def _own(self, principal: str) -> bool:
        return account_of(principal) == self.symbols.account

    def _policy(self, node: Node) -> list[Statement]:
        """A key's policy; without one it has the default, by which the account hands out its use."""
        for other in (*self.symbols.of_type("aws:kms/keyPolicy:KeyPolicy"), node):
            given = self.symbols.input(other, "policy")
            if given is not None and (
                other is node or self._nodes.get(str(self.symbols.input(other, "keyId"))) is node
            ):
                return self.principals.read(other, given)
        root = f"arn:{self.symbols.partition}:iam::{self.symbols.account}:root"
        return [Statement(True, ("kms:*",), principals=frozenset({("AWS", root)}), origin=node.name)]

    def _granted(self) -> Mapping[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for grant in self.symbols.of_type("aws:kms/grant:Grant"):
            node = self.node(str(self.symbols.input(grant, "keyId")))
            operations = self.symbols.items(grant, "operations")
            if node is not None and "Decrypt" in operations:
                grantee = str(self.symbols.input(grant, "granteePrincipal"))
                found.setdefault(node.name, []).append((grantee, grant.name))
        return found

    def _by_grant(self, arn: str, node: Node) -> list[Access]:
        key = self.symbols.arn(node)
        return [
            Access(DECRYPT, key, key, (), grant) for grantee, grant in self._grants.get(node.name, ()) if grantee == arn
        ]


def _without_identity(principal: Principal) -> Principal:
    """A principal for whom the key's policy alone speaks; its own denials still count."""
    denials = [item for item in principal.identity if not item.allows]
    return Principal(
        principal.kind, principal.name, principal.arn, principal.node, principal.component, denials, principal.boundary
    )
