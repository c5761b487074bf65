"""What ended badly in the engine, as diagnostics: which resource, of which component, where, why, what to do."""

from __future__ import annotations

import re

from mlinfra.diagnostics import Diagnostic, Severity
from mlinfra.engine.events import Told
from mlinfra.engine.process import Ended
from mlinfra.graph import Graph
from mlinfra.naming import component_of

_BOILERPLATE = re.compile(
    r"^((update|preview|refresh|destroy|resource \w+|one or more errors) (failed|occurred)"
    r"( with \d+ errors?)?|\d+ errors? occurred):?$",
    re.IGNORECASE,
)
_PROTECTED = re.compile(
    r"(?:Preview failed: )?resource \"[^\"]*\" cannot be (?P<verb>delete|replace)d\s+because it is protected.*"
    r"|unable to (?P<also>replace) resource \"[^\"]*?(?P<name>[^\":]*)\"(?: as part of replacing \"[^\"]*\")?"
    r"\s+as it is currently marked for protection.*",
    re.DOTALL,
)
"""The engine's own words for a step on a protected resource; its advice names the `pulumi` command, not ours.

Source: resource/deploy/step.go and step_generator.go in pkg of pulumi/pulumi."""

_PREFIX = re.compile(
    r"^(?:\s*\*\s*)?(?:error: )?(?:Preview failed: )?"
    r"(?:(?:creating|updating|deleting|reading|sdk-v\d[^:]*) urn:pulumi:\S+:\s*)?"
    r"(?:rpc error: code = \w+ desc = )?"
    r"(?:\S+ resource '[^']*' has a problem: )?",
)

REMEDIES: tuple[tuple[str, str, str], ...] = (
    (
        r"does not have the stack: it was cancelled|taken from this run: it was cancelled",
        "cancelled",
        "Somebody has cancelled this run. What it had done is in the state; the next `up` goes on from there.",
    ),
    (
        r"BucketAlready|already (taken|exists)|AlreadyExists",
        "name-taken",
        "Somebody else has this name. Give the component another name, or bring the existing resource in by import.",
    ),
    (
        r"cannot (be )?reach|[Cc]onnection refused|Name or service not known|timed out connecting|unreachable",
        "unreachable",
        "Check that the target is up: `mlinfra local status` for the local one, else your network and credentials.",
    ),
    (r"Insufficient |FailedScheduling|Unschedulable", "does-not-fit", "Ask for less, or declare a larger node pool."),
    (r"is not ready", "not-ready", "See the pod's own log and events: `kubectl describe` with `mlinfra local env`."),
    (r"[Nn]o space left on device", "disk-full", "Free some space on the disk and run the command again."),
    (
        r"protected resource",
        "protected",
        "Name the component in the stack's `allow_loss`, and take it out of `protect`, if losing it is what you want.",
    ),
    (
        r"AccessDenied|UnauthorizedOperation|[Ff]orbidden",
        "access-denied",
        "The credentials of this run may not do this; ask for exactly this permission.",
    ),
    (
        r"locked by|[Cc]onflict: Another update",
        "locked",
        "Wait until the other run has ended; if it was killed, run the command again.",
    ),
)
"""What an error's text tells about its kind: a pattern, a code, and what to do about it."""


def diagnose(told: Told, output: str, ended: Ended, graph: Graph, stack: str) -> list[Diagnostic]:
    """The diagnostics of one run; none when it went well."""
    # "info#err" is what a plugin writes to its stderr: sdk/go/common/resource/plugin/plugin.go of pulumi/pulumi.
    found = [_of_message(kind, node, text, graph) for kind, node, text in told.messages if kind in ("warning", "error")]
    diagnostics = _distinct([item for item in found if item is not None])
    if ended.interrupted:
        return [*diagnostics, _interrupted()]
    failed = ended.code != 0
    if failed and not any(item.severity is Severity.ERROR for item in diagnostics):
        diagnostics.append(_of_output(output, ended, stack))
    return diagnostics


def _of_message(severity: str, node: str, text: str, graph: Graph) -> Diagnostic | None:
    text = _PROTECTED.sub(_protection, text)
    lines = [line for line in text.splitlines() if line.strip()]
    cleaned = "\n".join(_PREFIX.sub("", line.strip()) for line in lines if not _BOILERPLATE.match(line.strip()))
    cleaned = cleaned.strip()
    if not cleaned:
        return None
    code, remedy = _kind(cleaned)
    known = graph.nodes.get(node)
    named = known is not None or "/" in node  # one that the blueprint no longer has is in the state, and has a name
    first, _, rest = cleaned.removeprefix(f"{node}: ").partition("\n")
    return Diagnostic(
        summary=f"{node}: {first.removeprefix(f'{node}: ')}" if named else first,
        detail=rest.strip(),
        remedy="" if rest else remedy,  # whoever had more to say has said what to do, and knows better
        location=graph.source_of(node),
        component=(known.component if known else None) or component_of(node) if named else None,
        resource=node if named else None,
        code=code or "engine",
        severity=Severity.WARNING if severity == "warning" else Severity.ERROR,
    )


def _protection(told: re.Match[str]) -> str:
    if told["verb"]:
        return f"it is a protected resource, and this run would {told['verb']} it"
    return f"this run would replace {told['name']}, and that is a protected resource"


def _of_output(output: str, ended: Ended, stack: str) -> Diagnostic:
    """The engine failed without an event: what it printed last is all there is."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error:")] or lines[-3:]
    text = "\n".join(line.removeprefix("error:").strip() for line in told)
    code, remedy = _kind(output)
    how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"ended with exit code {ended.code}"
    return Diagnostic(
        f"the engine {how} while it worked on stack {stack}",
        detail=text,
        remedy=remedy
        or "Run the command again: it picks up where this one ended. `--debug` shows all that was printed.",
        code=code or "engine",
    )


def _interrupted() -> Diagnostic:
    return Diagnostic(
        "interrupted: what was in flight was finished and the state is saved as far as the run came",
        remedy="Give the same command again: it does what is left to do.",
        code="interrupted",
    )


def _kind(text: str) -> tuple[str, str]:
    for pattern, code, remedy in REMEDIES:
        if re.search(pattern, text):
            return code, remedy
    return "", ""


def _distinct(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    return list(dict.fromkeys(diagnostics))
