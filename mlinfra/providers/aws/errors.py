"""AWS errors, translated at this door: one readable sentence, a code, and whether anything may have happened."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from mlinfra.diagnostics import Diagnostic, MlinfraError
from mlinfra.providers.base import UncertainError

TAKEN: Final = frozenset(
    {
        "AliasAlreadyExistsException",
        "AlreadyExistsException",
        "BucketAlreadyExists",
        "BucketAlreadyOwnedByYou",
        "DBInstanceAlreadyExists",
        "DBParameterGroupAlreadyExists",
        "DBSubnetGroupAlreadyExists",
        "EntityAlreadyExists",
        "FlowLogAlreadyExists",
        "InvalidGroup.Duplicate",
        "InvalidLaunchTemplateName.AlreadyExistsException",
        "InvalidPermission.Duplicate",
        "ParameterAlreadyExists",
        "QueueAlreadyExists",
        "QueueNameExists",
        "RepositoryAlreadyExistsException",
        "ResourceAlreadyExistsException",
        "ResourceExistsException",
        "RouteAlreadyExists",
    }
)
"""Codes that mean that the name is taken."""

_BROKEN_OFF = (ReadTimeoutError, ConnectionClosedError)
_PARAMETER: Final = re.compile(r'parameter(?: in input:)? "?([A-Za-z][\w.\[\]]*)')


class AwsError(MlinfraError):
    """A refused call. `code` is AWS's error code, or the name of botocore's exception."""

    def __init__(self, operation: str, code: str, message: str, remedy: str = "") -> None:
        self.operation, self.code, self.message, self.remedy = operation, code, message, remedy
        super().__init__(
            Diagnostic(f"{operation} failed: {code}: {message}".rstrip(": "), remedy=remedy, code="aws-refused")
        )

    def about(self, resource: str, secrets: Iterable[str]) -> AwsError:
        """The same error, naming the resource, without the message where that would show one of `secrets`."""
        message = self.message
        if any(secret and secret in message for secret in secrets):
            message = "(the message holds a secret value, so it is not shown)"
        remedy = self.remedy
        if self.code in TAKEN and not remedy:
            remedy = "It belongs to somebody else: choose another name, or import it into this stack."
        return type(self)(f"{resource}: {self.operation}", self.code, message, remedy)


class AwsUncertainError(AwsError, UncertainError):
    """A call whose answer never came: it may or may not have taken effect."""


def taken(name: str, what: str) -> AwsError:
    """The error for a name that AWS would let us overwrite, where it should not."""
    return AwsError(
        f"creating {what}",
        "AlreadyExists",
        f"{name} exists already, and this stack did not make it",
        "It belongs to somebody else: choose another name, or import it into this stack.",
    )


def translated(error: ClientError | BotoCoreError | ResponseParserError, operation: str, endpoint: str) -> AwsError:
    """What botocore raised in `operation` (`CreateBucket`), as an `AwsError`; it never holds a parameter's value."""
    if isinstance(error, ClientError):
        found = error.response.get("Error", {})
        code, message = str(found.get("Code", "Unknown")), " ".join(str(found.get("Message", "")).split())
        if message.startswith("<"):  # a page for a browser: what moto answers to what it does not know
            return AwsError(operation, "NotEmulated", f"the AWS emulator cannot do it (HTTP {code})")
        return AwsError(operation, code, message)
    if isinstance(error, ResponseParserError):  # a page again, where the service speaks XML
        return AwsError(operation, "NotEmulated", "the AWS emulator cannot do it")
    if isinstance(error, ParamValidationError):
        named = dict.fromkeys(_PARAMETER.findall(str(error)))
        return AwsError(operation, "ParamValidation", f"AWS does not take the values given for {', '.join(named)}")
    if isinstance(error, EndpointConnectionError):
        return AwsError(
            operation,
            "EndpointConnectionError",
            f"the AWS endpoint {endpoint} does not answer",
            "Is the local target running?",
        )
    if isinstance(error, _BROKEN_OFF):
        return AwsUncertainError(operation, type(error).__name__, f"the AWS endpoint {endpoint} broke off the call")
    return AwsError(operation, type(error).__name__, f"the call to {endpoint} could not be made")
