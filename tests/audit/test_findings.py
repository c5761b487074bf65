"""A scanner's findings and their answers: from rows as Prowler writes them."""

from __future__ import annotations

import csv
import io

import pytest

from audit.findings import Answer, Finding, answered, document, needless, nodes_of, read_findings
from audit.standing import STANDING, account_reason

BUCKET = {"urn": "u::data/bucket", "id": "b-data", "outputs": {"arn": "arn:aws:s3:::b-data"}}
SETTING = {"urn": "u::data/versioning", "id": "b-data", "outputs": {}}
NETWORK = {"urn": "u::net/vpc", "id": "vpc-1", "outputs": {"arn": "arn:aws:ec2:us-east-1:1:vpc/vpc-1"}}
COLUMNS = ("CHECK_ID", "SERVICE_NAME", "SEVERITY", "STATUS", "STATUS_EXTENDED", "RESOURCE_UID", "RESOURCE_NAME")


def row(check: str, status: str = "FAIL", uid: str = "arn:aws:s3:::b-data", name: str = "") -> dict[str, str]:
    return dict(zip(COLUMNS, (check, "s3", "low", status, "It fails; it does.", uid, name), strict=True))


def found(*rows: dict[str, str]) -> list[Finding]:
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    file.seek(0)
    return list(read_findings(file, nodes_of([SETTING, BUCKET, NETWORK])))


@pytest.mark.parametrize(
    ("uid", "name", "node"),
    [
        ("arn:aws:s3:::b-data", "b-data", "data/bucket"),
        ("arn:aws:ec2:us-east-1:2:vpc/vpc-1", "", "net/vpc"),
        ("other", "vpc-1", "net/vpc"),
        ("arn:aws:s3:::somebody", "somebody", ""),
    ],
)
def test_a_finding_is_of_the_node_whose_resource_it_names(uid: str, name: str, node: str) -> None:
    [item] = found(row("s3_check", uid=uid, name=name))
    assert (item.node, item.passed, item.text) == (node, False, "It fails; it does.")


def test_what_is_neither_passed_nor_failed_is_left_out() -> None:
    assert found(row("s3_check", "MANUAL")) == []
    assert [item.passed for item in found(row("s3_check", "PASS"))] == [True]


@pytest.mark.parametrize(
    ("finding", "answer"),
    [
        (Finding("s3_bucket_object_lock", "s3", "low", False, "", "data/bucket"), Answer.WAIVED),
        (Finding("s3_bucket_object_lock", "s3", "low", False, "", "other/bucket"), Answer.OPEN),
        (Finding("s3_bucket_object_lock", "s3", "low", False, "", "other/logs-bucket"), Answer.STANDING),
        (Finding("s3_bucket_object_lock", "s3", "low", False, "", "data/logs-bucket"), Answer.STANDING),
        (Finding("s3_bucket_object_lock", "s3", "low", False, "", "data/replica-bucket"), Answer.WAIVED),
        (Finding("rds_instance_certificate_expiration", "rds", "low", False, "", "db/instance"), Answer.MOTO),
        (Finding("s3_bucket_no_mfa_delete", "s3", "low", False, "", "other/bucket"), Answer.STANDING),
        (Finding("s3_bucket_no_mfa_delete", "s3", "low", False, "", ""), Answer.OPEN),
        (Finding("iam_password_policy_number", "iam", "low", False, "", ""), Answer.ACCOUNT),
        (Finding("iam_password_policy_number", "iam", "low", False, "", "data/role"), Answer.OPEN),
    ],
)
def test_every_failure_has_its_answer(finding: Finding, answer: Answer) -> None:
    [item] = answered([finding], {"data": {"s3_bucket_object_lock": "for a reason"}})
    assert item.answer is answer
    assert bool(item.reason) == (answer is not Answer.OPEN)


def test_what_passed_wants_no_answer_and_a_waiver_for_it_is_needless() -> None:
    waived = {"data": {"s3_bucket_object_lock": "for a reason"}}
    passed = [Finding("s3_bucket_object_lock", "s3", "low", True, "", "data/bucket")]
    assert answered(passed, waived) == []
    assert needless([], waived) == [("data", "s3_bucket_object_lock")]


def test_the_page_has_each_check_once_with_its_resources() -> None:
    findings = found(row("s3_bucket_no_mfa_delete"), row("s3_odd"), row("s3_bucket_secure_transport_policy", "PASS"))
    page = document(findings, answered(findings, {}), "Prowler 5", "a stack")
    assert "1 findings pass, 2 fail" in page
    assert "| `s3_odd` | low | data/bucket | It fails; it does. |" in page
    assert "## Open" in page
    assert "refuses what does not come over TLS" in page


def test_reasons_say_something() -> None:
    assert all(len(reason) > 15 for reason in STANDING.values())
    assert account_reason("s3_bucket_object_lock") == ""
