"""KMS grants: who may do what with a key, without a word in its policy."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.comparing import changed
from mlinfra.providers.aws.errors import AwsError, taken
from mlinfra.providers.aws.fields import REGION, Field
from mlinfra.providers.aws.resource import Aws, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.types.kms import key_id
from mlinfra.providers.aws.waiting import until

_FINAL: Final = "https://docs.aws.amazon.com/kms/latest/developerguide/grants.html: a grant cannot be changed"
_GONE: Final = frozenset({"NotFoundException", "InvalidGrantIdException"})
_PRINCIPAL: Final = (
    r"arn:aws[\w-]*:(iam|sts)::\d{12}:.+|[a-z0-9.-]+\.amazonaws\.com",
    "the ARN of a principal, or a service's name such as ecs.amazonaws.com",
)
_OPERATIONS: Final = (
    "CreateGrant", "Decrypt", "DeriveSharedSecret", "DescribeKey", "Encrypt", "GenerateDataKey",
    "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac",
    "GetPublicKey", "ReEncryptFrom", "ReEncryptTo", "RetireGrant", "Sign", "Verify", "VerifyMac",
)  # fmt: skip
"""Source: API_CreateGrant, Operations."""

_CONTEXTS: Final = ("encryptionContextEquals", "encryptionContextSubset")
_GRANT: Final = (
    Field("name", pattern=(r"[A-Za-z0-9:/_-]{1,256}", "1 to 256 letters, digits and : / _ -"), replaces=_FINAL),
    Field("granteePrincipal", required=True, replaces=_FINAL, pattern=_PRINCIPAL),
    Field("retiringPrincipal", replaces=_FINAL, pattern=_PRINCIPAL),
    Field("operations", many=True, required=True, unordered=True, replaces=_FINAL, choices=_OPERATIONS),
)
_CONSTRAINTS: Final = Field("constraints", tuple(Field(name, dict) for name in _CONTEXTS), many=True, replaces=_FINAL)


class Grant(Resource):
    """A grant. Its id is that of the key, a colon and the grant's own.

    The name is for KMS what a token is elsewhere: CreateGrant with the name and all else of a grant that is there
    answers with that grant. So it is looked for before one is made, and again after a create that was cut off.
    """

    token = "aws:kms/grant:Grant"  # noqa: S105 — a type token
    service = "kms"
    fields = (
        *_GRANT,
        Field("keyId", required=True, replaces=_FINAL),
        _CONSTRAINTS,
        Field("grantCreationTokens", many=True, unordered=True, apart=True, replaces=_FINAL),
        Field("retireOnDelete", bool, default=False, apart=True, replaces=_FINAL),  # as the official provider has it
        REGION,
    )
    outputs = ("grantId", "grantToken")
    names = ("name",)
    longest = 255

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """Nothing to grant, and more than one constraint."""
        if inputs["operations"] == []:
            yield ("operations",), "must have at least one (API_CreateGrant)"
        constraints = inputs.get("constraints")
        if not isinstance(constraints, list):
            return
        if len(constraints) > 1:
            yield ("constraints",), "must be one at most (API_CreateGrant)"
        for index, constraint in enumerate(constraints):
            if isinstance(constraint, Mapping) and sum(constraint.get(name) is not None for name in _CONTEXTS) != 1:
                yield ("constraints", index), f"must have one of {' and '.join(_CONTEXTS)}"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Two calls: whether there is such a grant, which KMS would answer with, and the grant itself."""
        if self.locate(aws, inputs) is not None:
            raise taken(inputs["name"], "a grant")
        constraints = inputs.get("constraints") or [{}]
        made = aws.api("kms").call(
            "create_grant",
            **to_aws(_GRANT, inputs),
            KeyId=inputs["keyId"],
            Constraints=to_aws(_CONSTRAINTS.kind, constraints[0]) or None,  # type: ignore[arg-type]  # it has parts
            GrantTokens=inputs.get("grantCreationTokens"),
        )
        grant = made["GrantId"]
        return Made(f"{inputs['keyId']}:{grant}", {"grantId": grant, "grantToken": made["GrantToken"]})

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """Wait until it is listed: grants are "eventually consistent" (grant-manage.html)."""
        self.wait(aws, made.id, inputs)

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """Among the key's grants: the one of this name that is alike in everything that KMS tells."""
        for record in _listed(aws, inputs["keyId"]):
            if not changed((*_GRANT, _CONSTRAINTS), _inputs(record), inputs):
                return f"{inputs['keyId']}:{record['GrantId']}"
        return None

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call. The token is told at the creation alone."""
        key, _, grant = resource_id.rpartition(":")
        record = next((item for item in _listed(aws, key, grant) if item["GrantId"] == grant), None)
        return None if record is None else Live({"keyId": key, **_inputs(record)}, {"grantId": grant})

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Revoke it, or retire it where `retireOnDelete` says so; wait until it is gone."""
        key, _, grant = resource_id.rpartition(":")
        if inputs.get("retireOnDelete"):
            arn = key if key.startswith("arn:") else aws.arn("kms", f"key/{key}")
            aws.api("kms").find("retire_grant", _GONE, KeyId=arn, GrantId=grant)  # it takes no key's id
        else:
            aws.api("kms").find("revoke_grant", _GONE, KeyId=key, GrantId=grant)
        until(lambda: "the grant to be gone" if self.read(aws, resource_id, inputs) else "", aws.seconds, aws.cancelled)

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A key's id and its ARN."""
        return name == "keyId" and key_id(old) == key_id(new)


def _listed(aws: Aws, key: str, grant: str | None = None) -> list[Any]:
    """The grants of a key; a key that is gone has none. Where it is, moto fails without a code."""
    api = aws.api("kms")
    try:
        return api.pages("list_grants", "Grants", KeyId=key, GrantId=grant)
    except AwsError as error:
        if error.code in _GONE or api.find("describe_key", _GONE, KeyId=key) is None:
            return []
        raise


def _inputs(record: Mapping[str, Any]) -> dict[str, Any]:
    constraint = replace(_CONSTRAINTS, many=False)
    found = from_aws((constraint,), record)["constraints"]
    return {**from_aws(_GRANT, record), "constraints": [found] if found else None}


RESOURCES: Final = (Grant(),)
