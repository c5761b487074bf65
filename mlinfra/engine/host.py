"""Our language host: what the engine calls in place of a language's own to run a program.

Protocol: `pulumirpc.LanguageRuntime`. The engine is given our address with `--client`.
"""

from __future__ import annotations

import threading
import traceback
from typing import Any

from mlinfra.diagnostics import Diagnostic
from mlinfra.engine.redaction import Redactor
from mlinfra.engine.registration import Program, Registration
from mlinfra.wire.protocol import language_pb2, language_pb2_grpc, plugin_pb2
from mlinfra.wire.server import Server, channel

VERSION = "1.0.0"


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):  # type: ignore[misc]  # generated without types
    """Runs one program, as often as the engine asks; keeps what the last run came to."""

    def __init__(self, program: Program, packages: list[Any], redactor: Redactor) -> None:
        self.program = program
        self.packages = packages
        self.redactor = redactor
        self.outputs: dict[str, Any] = {}
        self.diagnostics: list[Diagnostic] = []
        self._lock = threading.Lock()

    def serve(self) -> Server:
        """Start serving."""
        return Server(language_pb2_grpc.add_LanguageRuntimeServicer_to_server, self, threads=4)

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """The provider plugins that the program needs, for the engine to have at hand before it starts."""
        return language_pb2.GetRequiredPackagesResponse(packages=self.packages)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """Who we are."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Run(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """Register the graph. `bail` says that whatever went wrong has been told already."""
        with self._lock, channel(request.monitor_address) as monitor:
            registration = Registration(self.program, monitor, request.project, request.stack, self.redactor)
            try:
                succeeded = registration.run()
            except Exception:
                self.diagnostics.append(
                    Diagnostic(
                        "registering the graph failed: this is a bug in mlinfra",
                        detail=self.redactor.text(traceback.format_exc()),
                        remedy="Please report it with the output of `mlinfra graph --json` for this stack.",
                        code="internal",
                    )
                )
                return language_pb2.RunResponse(bail=True)
        self.outputs = registration.stack_outputs
        self.diagnostics += registration.problems.found
        return language_pb2.RunResponse(bail=not succeeded)
