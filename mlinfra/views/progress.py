"""Progress on stderr: lines that stay, and at a terminal, below them, what is in flight just now."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from mlinfra.report import Event, Operation, State, Step, Task, Working
from mlinfra.views.words import DOING, WORKING, duration, short_type

_REFRESHES = 8  # drawings in a second
_SHOWN = 8  # entries in flight that are drawn; the others are counted
_QUIET = 10.0  # seconds between two lines about one task where there is no terminal
_WORTH = 1.0  # seconds from which on a task is worth a line at its end


@dataclass
class _Flight:
    text: str
    begun: float
    told: float


class Progress:
    """Draws tasks and steps. Safe to call from several threads, and from handlers of signals.

    rich has a lock of its own for what it draws, and takes it before it asks for what is in flight. So the lock on that
    is never held while rich is called: two threads would wait for each other.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._draws = console.is_terminal  # asked once: rich looks at the environment each time
        self._flights: dict[str, _Flight] = {}
        self._live: Live | None = None
        self._lock = threading.RLock()
        """On what is in flight."""
        self._drawing = threading.RLock()
        """On whether there is a drawing."""
        self._checked = 0

    def event(self, event: Event) -> None:
        """Note a task, a step, or that the engine is at work."""
        match event:
            case Task():
                self._task(event)
            case Step():
                self.step(event)
            case Working(verb):
                self._flight("", WORKING[verb])
                self._draw()

    def line(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text)

    def step(self, step: Step) -> None:
        """A step begins or ends."""
        if step.operation is Operation.SAME:
            if step.state is State.DONE:
                self._checked += 1
                self._draw()
            return
        with self._lock:
            if step.state is State.STARTED:
                now = time.monotonic()
                text = f"{DOING[step.operation]} {step.node}  {short_type(step.type)}"
                self._flights[step.node] = _Flight(text, now, now)
            else:
                self._flights.pop(step.node, None)
        self._draw()

    def stop(self) -> None:
        """Take away what is drawn."""
        with self._drawing:
            if self._live:
                self._live.stop()
                self._live = None
        with self._lock:
            self._flights.clear()

    def _task(self, task: Task) -> None:
        ended = task.state in (State.DONE, State.FAILED)
        done = f" {task.fraction:.0%}" if task.fraction is not None and not ended else ""
        text = f"{task.name}{done}" + (f": {task.detail}" if task.detail else "")
        if ended:
            with self._lock:
                self._flights.pop(task.name, None)
            if task.state is State.FAILED or task.seconds >= _WORTH:
                word = "failed" if task.state is State.FAILED else "done"
                self.line(f"[dim]·[/] {escape(text)} [dim]{word}, {duration(task.seconds)}[/]")
        else:
            self._flight(task.name, text)
        self._draw()

    def _flight(self, name: str, text: str) -> None:
        now = time.monotonic()
        with self._lock:
            flight = self._flights.setdefault(name, _Flight(text, now, now))
            flight.text = text
            tells = not self._draws and now - flight.told >= _QUIET
            if tells:
                flight.told = now
        if tells:
            self.line(f"[dim]· {escape(text)} ({duration(now - flight.begun)})[/]")

    def _draw(self) -> None:
        if not self._draws:
            return
        with self._drawing:
            if self._live is None:
                self._live = Live(
                    get_renderable=self._render, console=self._console, transient=True, refresh_per_second=_REFRESHES
                )
                self._live.start()

    def _render(self) -> Group:
        with self._lock:
            flights = sorted(self._flights.values(), key=lambda flight: flight.begun)
        now = time.monotonic()
        lines = [Text(f"  … {item.text}  {duration(now - item.begun)}", style="dim") for item in flights[:_SHOWN]]
        if len(flights) > _SHOWN:
            lines.append(Text(f"  … and {len(flights) - _SHOWN} more", style="dim"))
        if self._checked:
            lines.append(Text(f"  {self._checked} unchanged", style="dim"))
        return Group(*lines)
