"""A scanner's findings, each with its answer: fixed, waived in the blueprint, the account's, or none yet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any

from audit.standing import FIXED, MOTO, account_reason, standing_reason
from mlinfra.graph import Graph


class Answer(StrEnum):
    """What is to be said of a check that failed."""

    WAIVED = "waived in the blueprint"
    STANDING = "no blueprint can pass it"
    ACCOUNT = "the account's affair"
    MOTO = "moto's own answer"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one resource. `node` is the resource's name in the graph, empty for what is not of the stack."""

    check: str
    service: str
    severity: str
    passed: bool
    text: str
    node: str = ""

    @property
    def component(self) -> str:
        """The component whose resource it is."""
        return self.node.partition("/")[0]

    @property
    def part(self) -> str:
        """The resource's name within its component."""
        return self.node.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Answered:
    """A failed check with its answer and the reason."""

    finding: Finding
    answer: Answer
    reason: str


def read_findings(file: IO[str], nodes: Mapping[str, str]) -> Iterator[Finding]:
    """The findings in Prowler's CSV output that passed or failed; `nodes` names the node of each ARN and id."""
    for row in csv.DictReader(file, delimiter=";"):
        if row["STATUS"] in ("PASS", "FAIL"):
            name = row["RESOURCE_UID"].rpartition("/")[2]
            node = nodes.get(row["RESOURCE_UID"]) or nodes.get(name) or nodes.get(row["RESOURCE_NAME"]) or ""
            passed = row["STATUS"] == "PASS"
            yield Finding(row["CHECK_ID"], row["SERVICE_NAME"], row["SEVERITY"], passed, row["STATUS_EXTENDED"], node)


def nodes_of(resources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The names of the nodes by the ARNs and ids of what they made; a setting does not go by its store's id."""
    found: dict[str, str] = {}
    for item in resources:
        outputs = item.get("outputs") or {}
        if "arn" in outputs:
            name = item["urn"].rpartition("::")[2]
            found |= {str(outputs["arn"]): name, str(item["id"]): name}
    return found


def answered(findings: Iterable[Finding], waived: Mapping[str, Mapping[str, str]]) -> list[Answered]:
    """The failed checks with their answers; `waived` has each component's waivers."""
    return [Answered(item, *_answer(item, waived)) for item in findings if not item.passed]


def _answer(finding: Finding, waived: Mapping[str, Mapping[str, str]]) -> tuple[Answer, str]:
    if reason := standing_reason(finding.check, finding.part) if finding.node else "":
        return Answer.STANDING, reason
    if reason := waived.get(finding.component, {}).get(finding.check, ""):
        return Answer.WAIVED, reason
    if reason := MOTO.get(finding.check, ""):
        return Answer.MOTO, reason
    if reason := account_reason(finding.check) if not finding.node else "":
        return Answer.ACCOUNT, reason
    return Answer.OPEN, ""


def waivers(graph: Graph, beginnings: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Each component's waivers of one scanner's checks, which are known by how their names begin."""
    waived = {node.name: node.inputs["waive"] for node in graph if "waive" in node.inputs}
    return {
        name: {check: reason for check, reason in checks.items() if check.startswith(beginnings)}
        for name, checks in waived.items()
    }


def needless(answers: Iterable[Answered], waived: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str]]:
    """The waivers, as (component, check), of which no finding had need: the check passes, or is misspelt."""
    used = {(item.finding.component, item.finding.check) for item in answers if item.answer is Answer.WAIVED}
    every = {(component, check) for component, checks in waived.items() for check in checks}
    return sorted(every - used)


def document(findings: list[Finding], answers: list[Answered], scanner: str, stacks: str) -> str:
    """The findings as a Markdown page."""
    intro = [
        "# Prowler on prod",
        "",
        f"What {scanner} finds on {stacks},",
        "of the tier prod, on the local target. `python -m audit.prowler` scans again and writes this page; it fails",
        "while a finding has no answer. A waiver is a line of the blueprint, on the component whose resource fails:",
        '`waive={"check": "reason"}`.',
    ]
    return page(intro, findings, answers, FIXED)


def page(intro: list[str], findings: list[Finding], answers: list[Answered], fixed: Mapping[str, str]) -> str:
    """A page on findings below its introduction; `fixed` says what passes, and how it was brought to."""
    failed = {item.finding.check for item in answers}
    lines = [
        *intro,
        "",
        f"{sum(item.passed for item in findings)} findings pass, {len(answers)} fail, of {len(failed)} checks.",
        "",
    ]
    for answer in Answer:
        rows = _rows(answers, answer)
        if rows:
            title = "Open" if answer is Answer.OPEN else answer[0].upper() + answer[1:]
            lines += [
                f"## {title}",
                "",
                "| check | severity | resources | why |",
                "| --- | --- | --- | --- |",
                *rows,
                "",
            ]
    passing = {item.check for item in findings if item.passed}
    lines += ["## Passing, and what for", "", "| check | how |", "| --- | --- |"]
    lines += [f"| `{check}` | {how} |" for check, how in fixed.items() if check in passing]
    others = sorted(passing - set(fixed) - failed)
    lines += ["", f"Others that pass wherever they apply: {', '.join(f'`{check}`' for check in others)}.", ""]
    return "\n".join(lines)


def _rows(answers: Iterable[Answered], answer: Answer) -> list[str]:
    grouped: dict[tuple[str, str, str], set[str]] = {}
    for item in answers:
        if item.answer is answer:
            key = (item.finding.check, item.finding.severity or "–", item.reason or item.finding.text)
            grouped.setdefault(key, set()).add(item.finding.node or "the account")
    return [
        f"| `{check}` | {severity} | {', '.join(sorted(nodes))} | {reason} |"
        for (check, severity, reason), nodes in sorted(grouped.items())
    ]
