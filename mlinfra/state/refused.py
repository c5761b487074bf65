"""What the service refuses, as one exception: an HTTP status and a sentence for whoever asked."""

from __future__ import annotations

from mlinfra.diagnostics import Diagnostic, MlinfraError

REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}
"""The statuses that refusals have, and their names in RFC 9110."""


class RefusedError(Exception):
    """A request, from the engine or from this process, that is not granted.

    The engine prints `text`, and looks for `Conflict: Another update`, `already exists` and `Bad Request: Stack still
    contains resources.` in it, so the status is named first as Pulumi Cloud does.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """The status's name and the message."""
        return f"{REASONS[self.status]}: {self.message}" if self.message else REASONS[self.status]

    def as_error(self, summary: str, code: str, remedy: str = "") -> MlinfraError:
        """The same as an error for the person who runs this process."""
        return MlinfraError(Diagnostic(summary, detail=self.message, remedy=remedy, code=code))
