"""`capacity`: what a stack asks for against what its machines have, and its machines against the account's quotas."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mlinfra.checks.capacity.amounts import plural
from mlinfra.checks.capacity.ground import Setting
from mlinfra.checks.capacity.record import CapacityReport, VcpuUse
from mlinfra.checks.capacity.report import capacity_report
from mlinfra.checks.capacity.vcpus import SERVICE
from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.stack import AwsTarget, KubeconfigTarget, LocalTarget, Stack
from mlinfra.workflow.request import Request
from mlinfra.workflow.rolled_back import compile_kept

AWS_QUOTA: Final = "capacity-aws-quota"


def capacity(request: Request) -> tuple[CapacityReport, list[Diagnostic]]:
    """The report on a stack as `up` would make it, and what stands in it for imports from stacks that are not up.

    No engine and no cluster is asked. AWS is, for its quotas of machines, where the stack lands there and there are
    credentials.
    """
    compiled = compile_kept(request, stand_in=True, look_far=False, capacity=False)
    setting = Setting.of(compiled.graph, compiled.environment)
    target = compiled.stack.file.target
    notes: list[str] = []
    if not setting.pools and isinstance(target, LocalTarget):
        from mlinfra.local.nodes import FALLBACK  # most stacks declare machines

        setting = setting._replace(pools=(FALLBACK,))
        notes.append("the stack declares no machines: the local target has one plain machine then")
    report = _with_quotas(capacity_report(compiled.graph, setting), compiled.stack)
    warnings = [item for item in compiled.warnings if item.code == "import-not-up"]
    return replace(report, notes=(*notes, *report.notes)), warnings


def _with_quotas(report: CapacityReport, stack: Stack) -> CapacityReport:
    """The report with what the account allows, or with a note on why that is not known."""
    if not report.vcpus:
        return report
    target = stack.file.target
    if isinstance(target, KubeconfigTarget):
        return replace(report, vcpus=())  # whose machines these are is not the stack's to say
    if not isinstance(target, AwsTarget):
        note = "AWS's quotas were not asked for: the local AWS has none of machines"
        return replace(report, notes=(*report.notes, note))
    from mlinfra.providers.aws.quotas import read_quotas

    codes = [item.code for item in report.vcpus]
    found = read_quotas(target.account, target.region, SERVICE, codes)
    uses = tuple(replace(item, value=found.values.get(item.code)) for item in report.vcpus)
    problems = [problem for item in uses if (problem := _beyond(item, target.account, target.region))]
    notes = (f"AWS's quotas are not all known: {found.reason}",) if found.reason else ()
    others = ("other machines of the account in that region count against the same quotas",) if found.values else ()
    return replace(
        report,
        vcpus=uses,
        notes=(*report.notes, *notes, *others),
        problems=tuple(sorted((*report.problems, *problems), key=lambda item: item.severity is not Severity.ERROR)),
    )


def _beyond(item: VcpuUse, account: str, region: str) -> Diagnostic | None:
    """Machines that a quota does not allow. That the most are beyond it keeps nothing from starting: a warning."""
    if item.value is None or item.vcpus.most <= item.value:
        return None
    always = item.vcpus.fewest > item.value
    asked = item.vcpus.fewest if always else item.vcpus.most
    few = asked - item.value
    which = "fewest" if always else "most"
    return Diagnostic(
        f"The {which} machines come to {asked:g} {plural('vCPU', asked)}, and account {account} may have "
        f"{item.value:g} of them in {region}",
        detail=f"The quota is {item.code}, {item.name}; {few:g} {plural('vCPU', few)} too few, and what else runs in "
        f"the account counts, too. It is asked for by {', '.join(item.machines)}.",
        remedy="Ask AWS for more in Service Quotas: `aws service-quotas request-service-quota-increase --service-code "
        f"{SERVICE} --quota-code {item.code} --desired-value {asked:g} --region {region}`.",
        code=AWS_QUOTA,
        severity=Severity.ERROR if always else Severity.WARNING,
    )
