"""Random journals as the engine could have written them, the same ones for the same seed.

`Update` goes through an update as `JournalSnapshotManager` in pkg/engine/journal_snapshot.go of pulumi/pulumi, version
3.222.0, does: it knows of every resource whether it is one of the base's, by index, or was made by an operation of this
journal, and points at it in the same way; operations overlap; the journal may break off anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

STACK = "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev"
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
BEGIN, SUCCESS, FAILURE, REFRESH_SUCCESS, OUTPUTS, WRITE, SECRETS_MANAGER, REBUILT = range(8)
TYPES = ("aws:s3/bucket:Bucket", "aws:iam/role:Role", "kubernetes:core/v1:Secret", "random:index/pet:Pet")


@dataclass(eq=False)
class Live:
    """A resource as the engine has it in memory: its state, and where the journal says it is."""

    state: Json
    old: int | None = None
    new: int | None = None

    def pointer(self, name: str) -> Json:
        """The two fields `nameOld` and `nameNew`."""
        return {f"{name}Old": self.old, f"{name}New": self.new}


End: TypeAlias = Callable[[], None]


class Update:
    """One update; `base` and `entries` are what it came to."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.entries: list[Json] = []
        self.operations = 0
        self.names = 0
        self.open: list[End] = []
        self.base = self.random.choices([None, self.deployment()], [1, 9])[0]
        self.lives = self.numbered(self.base)
        self.made: list[Live] = []
        self.run()
        if self.maybe(0.3):
            del self.entries[self.random.randint(0, len(self.entries)) :]

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    # ------------------------------------------------------------------------------------------ states

    def value(self, depth: int = 0) -> Any:
        """A property's value, secrets with their ciphertext among them."""
        kinds: list[Callable[[], Any]] = [
            lambda: self.random.choice(["", "text", "ünï ⇒ <b>&amp;</b>", "4dabf181", "a\u2028b"]),
            lambda: self.random.choice([0, 1, -7, 2**53, 0.5, 1e30]),
            lambda: self.random.choice([True, False, None]),
            lambda: {SIGNATURE: SECRET, "ciphertext": f"v1:{self.random.getrandbits(64):x}:"},
            lambda: [self.value(depth + 1) for _ in range(self.random.randrange(3))],
            lambda: {f"k{index}": self.value(depth + 1) for index in range(self.random.randrange(3))},
        ]
        return self.random.choice(kinds[: 4 if depth > 1 else 6])()

    def urn(self, token: str, parent: str = "") -> str:
        self.names += 1
        kind = parent.split("::")[2] if parent else "pulumi:pulumi:Stack"
        token = token if kind == "pulumi:pulumi:Stack" else f"{kind}${token}"
        return f"urn:pulumi:dev::shop::{token}::{self.random.choice(['n', 'n::m', 'ñ'])}{self.names}"

    def resource(self, others: list[Json]) -> Json:
        """A new resource that refers to some of those before it."""
        parents = [state["urn"] for state in others if not state["custom"]]
        parent = self.random.choice(parents) if parents else ""
        custom = self.maybe(0.8)
        token = self.random.choice(TYPES) if custom else "shop:index:Team"
        state: Json = {"urn": self.urn(token, parent), "custom": custom, "type": token}
        if parent:
            state["parent"] = parent
        providers = [one for one in others if one["type"].startswith("pulumi:providers:") and "id" in one]
        if custom:
            state["id"] = self.random.choice(["", "one", "two"]) or f"id-{self.names}"
            if providers:
                provider = self.random.choice(providers)
                state["provider"] = f"{provider['urn']}::{provider['id']}"
        return self.vary(state, others)

    def provider(self) -> Json:
        token = f"pulumi:providers:{self.random.choice(['aws', 'kubernetes'])}"
        return {"urn": self.urn(token), "custom": True, "type": token, "id": f"id-{self.names}"}

    def vary(self, state: Json, others: list[Json]) -> Json:
        """The state with its inputs, outputs, references and options chosen anew; empty ones are left out."""
        urns = [other["urn"] for other in others if other["urn"] != state["urn"]]

        def some(most: int) -> list[str]:
            return self.random.sample(urns, self.random.randint(0, min(most, len(urns))))

        dependencies = some(3)
        rare: dict[str, Callable[[], Any]] = {
            "protect": lambda: True,
            "taint": lambda: True,
            "external": lambda: True,
            "initErrors": lambda: ["it did not become ready"],
            "additionalSecretOutputs": lambda: ["password"],
            "customTimeouts": lambda: {"create": 600},
            "importID": lambda: "imported",
            "retainOnDelete": lambda: True,
            "deletedWith": lambda: "".join(some(1)),
            "replaceWith": lambda: some(1),
            "created": lambda: "2025-01-02T03:04:05.678Z",
            "modified": lambda: "2025-01-02T03:04:05Z",
            "sourcePosition": lambda: "project:///main.py#3",
            "stackTrace": lambda: [{"sourcePosition": "project:///main.py#3"}],
            "ignoreChanges": lambda: ["tags"],
            "hideDiff": lambda: ["a[0]"],
            "replaceOnChanges": lambda: ["name"],
            "replacementTrigger": self.value,
            "refreshBeforeUpdate": lambda: True,
            "viewOf": lambda: "".join(some(1)),
            "resourceHooks": lambda: {"beforeCreate": ["check"]},
        }
        fields = {name: make() for name, make in rare.items() if self.maybe(0.06)}
        fields["inputs"] = {f"p{index}": self.value() for index in range(self.random.randrange(3))}
        fields["outputs"] = {f"q{index}": self.value() for index in range(self.random.randrange(3))}
        fields["dependencies"] = dependencies
        fields["propertyDependencies"] = {
            f"p{index}": self.random.sample(dependencies, self.random.randint(0, len(dependencies)))
            for index in range(self.random.randrange(3))
        }
        kept = {key: state[key] for key in ("urn", "custom", "type", "id", "parent", "provider") if key in state}
        return kept | {name: item for name, item in fields.items() if item not in ("", [], {}, None)}

    def renamed(self, state: Json) -> Json:
        """The state under a new name, and a component's under a new type too, with the old URN among its aliases."""
        token = state["type"] if state["custom"] else self.random.choice([state["type"], "shop:index:Crew"])
        urn = self.urn(token, "" if state.get("parent", STACK) == STACK else state["parent"])
        return {**state, "urn": urn, "type": token, "aliases": [state["urn"]] * self.random.choice([1, 1, 2])}

    def deployment(self) -> Json:
        """A deployment that an update may begin with."""
        states: list[Json] = []
        if self.maybe(0.95):
            states.append({"urn": STACK, "custom": False, "type": "pulumi:pulumi:Stack"})
        states += [self.provider() for _ in range(self.random.choice([0, 1, 1, 2]))]
        for _ in range(self.random.choice([0, 1, 3, 8])):
            states.append(self.resource(states))
            if self.maybe(0.1):
                # One that waits for deletion since its replacement was made.
                states.append({**self.vary(states[-1], states[:-1]), "delete": True})
            elif self.maybe(0.05):
                states[-1]["pendingReplacement"] = True
        kinds = self.random.choices(["creating", "updating", "deleting", "reading", "importing"], k=3)
        found: Json = {
            "resources": states,
            "pending_operations": [{"resource": self.resource(states), "type": kind} for kind in kinds]
            if self.maybe(0.2)
            else [],
            "secrets_providers": self.secrets_provider() if self.maybe(0.7) else None,
        }
        metadata = {"integrity_error": {"command": "up", "error": "lost"}} if self.maybe(0.05) else {}
        manifest = {"time": "2025-01-02T03:04:05Z", "magic": "m", "version": "v3.0.0"}
        return {"manifest": manifest, "metadata": metadata} | {name: part for name, part in found.items() if part}

    def secrets_provider(self) -> Json:
        return self.random.choice(
            [{"type": "passphrase", "state": {"salt": "v1:abc="}}, {"type": "service", "state": {"url": "http://h"}}]
        )

    # ------------------------------------------------------------------------------------------ entries

    def numbered(self, deployment: Json | None) -> list[Live]:
        return [Live(state, old=index) for index, state in enumerate((deployment or {}).get("resources", []))]

    def entry(self, kind: int, operation: int, /, **fields: Any) -> None:
        """An entry as the engine writes it: removeOld and removeNew are always there, other empty fields are not."""
        given = {name: item for name, item in fields.items() if item is not None}
        self.entries.append(
            {
                "version": 1,
                "kind": kind,
                "sequenceID": len(self.entries) + 1,
                "operationID": operation,
                "removeOld": None,
                "removeNew": None,
            }
            | given
        )

    def begin(self, kind: str | None, state: Json) -> int:
        self.operations += 1
        operation = {"resource": state, "type": kind} if kind else None
        self.entry(BEGIN, self.operations, operation=operation)
        return self.operations

    def finish(self, operation: int, state: Json | None, live: Live | None = None, **fields: Any) -> None:
        """End an operation, three in four times with success; `live` becomes the resource it made."""
        if self.maybe(0.2):
            self.entry(FAILURE, operation, state=state)
            return
        self.entry(SUCCESS, operation, state=state, **fields)
        if live is not None:
            live.new = operation
            self.made.append(live)

    def run(self) -> None:
        if self.maybe(0.9):
            self.entry(SECRETS_MANAGER, 0, secretsProvider=self.secrets_provider())
        if self.maybe(0.15):
            # Providers of the base were given new versions.
            base = self.deployment()
            self.entry(WRITE, 0, newSnapshot=base)
            self.lives = self.numbered(base)
        if self.lives and self.maybe(0.3):
            self.refresh()
        self.steps()

    def states(self) -> list[Json]:
        return [live.state for live in self.lives + self.made]

    def drain(self, most: int) -> None:
        """End operations, whichever, until at most so many are open."""
        while len(self.open) > most:
            self.open.pop(self.random.randrange(len(self.open)))()

    def refresh(self) -> None:
        """Look at resources of the base: each stays, changes or is found to be gone; then the base is built anew."""
        gone: list[Live] = []

        def look(live: Live) -> None:
            # This version says nothing of what a refresh is about; one that did would be understood.
            operation = self.begin(self.random.choice([None, None, None, "reading"]), live.state)

            def end() -> None:
                removable = live.state["custom"] and not live.state["type"].startswith("pulumi:providers:")
                if self.maybe(0.1):
                    self.entry(FAILURE, operation, isRefresh=True, state=live.state, removeOld=live.old)
                elif removable and self.maybe(0.3):
                    self.entry(REFRESH_SUCCESS, operation, isRefresh=True, removeOld=live.old)
                    gone.append(live)
                else:
                    before = self.states()[: live.old]
                    marks = {name: True for name in ("delete", "pendingReplacement") if live.state.get(name)}
                    live.state = self.vary(live.state, before) | marks if self.maybe(0.5) else live.state
                    self.entry(REFRESH_SUCCESS, operation, isRefresh=True, state=live.state, removeOld=live.old)

            self.open.append(end)

        for live in list(self.lives):
            if self.maybe(0.8):
                look(live)
            self.drain(3)
        self.drain(0)
        if self.maybe(0.9):
            self.entry(REBUILT, 0)
            left = [live for live in self.lives if live not in gone]
            self.lives = [Live(live.state, old=index) for index, live in enumerate(left)]
        else:
            self.lives = [live for live in self.lives if live not in gone]

    def steps(self) -> None:
        """What a program asks for, in any order that an engine could choose."""
        registered = [live for live in self.lives if self.maybe(0.8)]
        creates = [None] * self.random.choice([0, 1, 3, 6])
        goals = [*registered, *creates]
        if self.maybe(0.3):
            self.random.shuffle(goals)
        for live in goals:
            if live is None:
                self.create()
            elif live.state.get("pendingReplacement"):
                self.discard(live)
            elif live.state.get("delete"):
                self.delete(live)
            else:
                choose = self.random.choices(
                    [
                        self.same,
                        self.update,
                        self.replace,
                        self.recreate,
                        self.delete,
                        self.look_up,
                        self.refresh_first,
                    ],
                    [8, 4, 2, 2, 2, 1, 1],
                )[0]
                choose(live)
            if self.made and self.maybe(0.3):
                self.outputs(self.random.choice(self.made))
            self.drain(self.random.randrange(4))
        self.drain(0 if self.maybe(0.8) else 2)
        self.open.clear()

    def changed(self, live: Live) -> Json:
        before = [other.state for other in self.made]
        state = self.vary(live.state, before)
        return self.renamed(state) if self.maybe(0.1) else state

    def create(self) -> None:
        live = Live(self.resource(self.states()))
        operation = self.begin("creating", live.state)
        self.open.append(lambda: self.finish(operation, live.state, live))

    def same(self, live: Live) -> None:
        new = Live(self.changed(live))
        operation = self.begin(None, new.state)
        if self.maybe(0.05):
            self.open.append(lambda: self.finish(operation, None))  # a create that was not among the targets
        else:
            self.open.append(lambda: self.finish(operation, new.state, new, **live.pointer("remove")))

    def update(self, live: Live) -> None:
        new = Live(self.changed(live))
        operation = self.begin("updating", new.state)
        self.open.append(lambda: self.finish(operation, new.state, new, **live.pointer("remove")))

    def look_up(self, live: Live) -> None:
        new = Live({**self.changed(live), "external": True})
        operation = self.begin("reading", new.state)
        self.open.append(lambda: self.finish(operation, new.state, new, **live.pointer("remove")))

    def replace(self, live: Live) -> None:
        """Create first, mark the old one, delete it later; or import in its place."""
        new = Live(self.changed(live))
        operation = self.begin(self.random.choice(["creating", "importing"]), new.state)

        def end() -> None:
            before = len(self.made)
            self.finish(operation, new.state, new, **live.pointer("delete"))
            if len(self.made) > before and self.maybe(0.7):
                self.delete(live)

        self.open.append(end)

    def recreate(self, live: Live) -> None:
        """Delete first, so that the old one waits for its replacement; then create."""
        operation = self.begin("deleting", live.state)

        def end() -> None:
            if self.maybe(0.1):
                self.entry(FAILURE, operation)
                return
            self.entry(SUCCESS, operation, **live.pointer("pendingReplacement"))
            new = Live(self.changed(live))
            again = self.begin("creating", new.state)
            self.open.append(lambda: self.finish(again, new.state, new, **live.pointer("remove")))

        self.open.append(end)

    def delete(self, live: Live) -> None:
        operation = self.begin("deleting", live.state)
        if self.maybe(0.1):
            self.open.append(lambda: self.entry(FAILURE, operation))
        else:
            self.open.append(lambda: self.entry(SUCCESS, operation, **live.pointer("remove")))

    def discard(self, live: Live) -> None:
        """Forget one whose replacement is not wanted any more."""
        operation = self.begin(None, live.state)
        self.open.append(lambda: self.entry(SUCCESS, operation, **live.pointer("remove")))

    def refresh_first(self, live: Live) -> None:
        """A resource that wants to be looked at before each update: what is then done refers to what was found."""
        found = Live({**self.changed(live), "refreshBeforeUpdate": True})
        operation = self.begin(None, found.state)

        def end() -> None:
            before = len(self.made)
            self.finish(operation, found.state, found, isRefresh=True, **live.pointer("remove"))
            if len(self.made) > before:
                self.made.remove(found)
                self.random.choice([self.same, self.update, self.replace, self.recreate, self.delete])(found)

        self.open.append(end)

    def outputs(self, live: Live) -> None:
        """A component, or a resource, tells its outputs: they are its state from now on."""
        self.operations += 1
        live.state = {**live.state, "outputs": {"told": self.value()}}
        self.entry(OUTPUTS, self.operations, state=live.state, **live.pointer("remove"))
