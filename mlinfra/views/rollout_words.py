"""Rollouts in words: what a person reads of one, of its gates, and of many."""

from __future__ import annotations

from typing import Any

from mlinfra.rollouts import GateLook, Progress, RolloutState

COLORS = {
    Progress.DONE: "green",
    Progress.ABORTED: "red",
    Progress.DEGRADED: "red",
    Progress.PAUSED: "yellow",
    Progress.PROGRESSING: "cyan",
}
COLUMNS = ("endpoint", "rollout", "state", "traffic", "pods", "by")
GATE_COLUMNS = ("step", "gate", "state", "last value", "looks", "why")


def title(state: RolloutState) -> str:
    """An endpoint, with the variant where there are several."""
    return f"{state.endpoint} ({state.variant})" if state.variant else state.endpoint


def words(state: RolloutState) -> str:
    """How far it is: `paused in step 3 of 6, new version has 10 %: CanaryPauseStep; waits for promote or abort`."""
    if state.progress is Progress.UNSEEN:
        return state.message or "its controller has not looked at it yet"
    text = str(state.progress)
    if not state.progress.ended and state.step is not None:
        text += f" in step {min(state.step + 1, state.steps)} of {state.steps}"
    if not state.progress.ended and state.weight is not None:
        text += f", the new version has {state.weight} %"
    if state.message:
        text += f": {state.message}"
    return f"{text}; it waits for promote or abort" if state.waits_for_person else text


def pods(state: RolloutState) -> str:
    """`3 of 4 ready, 1 new`."""
    new = f", {state.updated} new" if state.updated != state.wanted else ""
    return f"{state.available} of {state.wanted} ready{new}"


def row(state: RolloutState) -> dict[str, Any]:
    """A rollout in a table."""
    return {
        "endpoint": title(state),
        "rollout": state.strategy,
        "state": words(state),
        "traffic": "" if state.weight is None else f"{state.weight} %",
        "pods": pods(state),
        "by": "Argo Rollouts" if state.kind == "Rollout" else "Kubernetes",
    }


def facts(state: RolloutState) -> list[tuple[str, str]]:
    """What there is to say of a rollout, without its gates."""
    found = [
        ("endpoint", title(state)),
        ("rollout", state.strategy),
        ("state", words(state)),
        ("pods", pods(state)),
        ("new version", state.new if state.new != state.stable else ""),
        ("version before", state.stable if state.new != state.stable else ""),
        ("version", state.new if state.new == state.stable else ""),
        *((f"image of {name}", image) for name, image in (state.images or {}).items()),
        ("in", f"namespace {state.namespace}, {state.kind} {state.name}"),
    ]
    return [(name, text) for name, text in found if text]


def gate(look: GateLook) -> dict[str, Any]:
    """What a gate looks at, in a table."""
    counts = [(look.good, "good"), (look.bad, "bad"), (look.unclear, "without data"), (look.errors, "failed to ask")]
    return {
        "step": "" if look.step is None else str(look.step),
        "gate": look.name,
        "state": look.phase,
        "last value": look.value,
        "looks": ", ".join(f"{count} {word}" for count, word in counts if count),
        "why": look.message,
    }
