"""The view for a person that loads rich, a tenth of `mlinfra validate`, once there is more to show than a sentence."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mlinfra.diagnostics import Diagnostic

if TYPE_CHECKING:
    from mlinfra.report import Event
    from mlinfra.views.person import PersonView


class LateView:
    """Sentences by itself, the rest by `PersonView`."""

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug
        self._loaded: PersonView | None = None
        self._loading = threading.Lock()

    @property
    def _person(self) -> PersonView:
        with self._loading:  # what an engine tells comes from a thread of its own
            if self._loaded is None:
                from mlinfra.views.person import PersonView

                self._loaded = PersonView(debug=self._debug)
            return self._loaded

    def message(self, text: str, **fields: Any) -> None:
        """The sentence, as `PersonView` prints it: neither wraps lines nor colours them."""
        if self._loaded:
            self._person.message(text, **fields)
        else:
            sys.stdout.write(f"{text}\n")

    def diagnostics(self, diagnostics: Iterable[Diagnostic], debug: str = "") -> None:
        """Nothing, where there are none."""
        found = list(diagnostics)
        if found or debug:
            self._person.diagnostics(found, debug)

    def event(self, event: Event) -> None:
        """Commands hand this method on before anything happens."""
        self._person.event(event)

    def close(self) -> None:
        """Take away what is drawn."""
        if self._loaded:
            self._person.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._person, name)
