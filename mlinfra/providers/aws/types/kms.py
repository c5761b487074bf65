"""KMS keys and aliases. Grants are `kms_grants`."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlinfra.graph import Path
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.identifying import MARK
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.session import Api
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.tags import Tagging

_API: Final = "https://docs.aws.amazon.com/kms/latest/APIReference"
_KEY_FINAL: Final = f"{_API}/API_CreateKey.html: it cannot be changed after the key is created"
_ALIAS_FINAL: Final = f"{_API}/API_UpdateAlias.html: an alias cannot be renamed"
_GONE: Final = frozenset({"NotFoundException"})
_PENDING: Final = frozenset({"Creating", "Updating"})
_DELETED: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
"""Key states: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html"""

_USAGES: Final = {
    "SYMMETRIC_DEFAULT": ("ENCRYPT_DECRYPT",),
    **dict.fromkeys(("HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"), ("GENERATE_VERIFY_MAC",)),
    **dict.fromkeys(("RSA_2048", "RSA_3072", "RSA_4096"), ("ENCRYPT_DECRYPT", "SIGN_VERIFY")),
    **dict.fromkeys(("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"), ("SIGN_VERIFY", "KEY_AGREEMENT")),
    **dict.fromkeys(("ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"), ("SIGN_VERIFY",)),
    **dict.fromkeys(("ML_DSA_44", "ML_DSA_65", "ML_DSA_87"), ("SIGN_VERIFY",)),
    "SM2": ("ENCRYPT_DECRYPT", "SIGN_VERIFY", "KEY_AGREEMENT"),
}
"""What a key of each spec can be for: API_CreateKey, KeyUsage."""

TAGGING: Final = Tagging("KeyId", read="list_resource_tags", pair=("TagKey", "TagValue"))


class Key(Resource):
    """A key. Deleting it schedules its deletion, after which it counts as gone."""

    token = "aws:kms/key:Key"  # noqa: S105 — a type token
    service = "kms"
    fields = (
        Field("description", default=""),
        Field("keyUsage", default="ENCRYPT_DECRYPT", replaces=_KEY_FINAL, choices=(
            "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT",
        )),
        Field("customerMasterKeySpec", default="SYMMETRIC_DEFAULT", aws="KeySpec", replaces=_KEY_FINAL,
              choices=tuple(_USAGES)),
        Field("multiRegion", bool, default=False, replaces=_KEY_FINAL),
        Field("policy", document=True, computed=True),
        Field("bypassPolicyLockoutSafetyCheck", bool, default=False, apart=True),
        Field("isEnabled", bool, default=True, apart=True),
        Field("enableKeyRotation", bool, default=False, apart=True),
        Field("rotationPeriodInDays", int, computed=True, apart=True, forgotten=True, bounds=(90, 2560)),
        Field("deletionWindowInDays", int, default=30, apart=True, bounds=(7, 30)),
        TAGS,
        REGION,
    )  # fmt: skip
    outputs = ("arn", "keyId")
    marked = True

    def refusals(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """A usage that the spec is not made for, rotation of what cannot rotate, a period of no rotation."""
        spec, rotates = inputs["customerMasterKeySpec"], inputs["enableKeyRotation"]
        if spec in _USAGES and isinstance(inputs["keyUsage"], str) and inputs["keyUsage"] not in _USAGES[spec]:
            yield ("keyUsage",), f"must be {' or '.join(_USAGES[spec])} for a key of this spec (API_CreateKey)"
        if rotates is True and spec in _USAGES and spec != "SYMMETRIC_DEFAULT":
            yield ("enableKeyRotation",), "is for symmetric encryption keys only (API_EnableKeyRotation)"
        if rotates is False and inputs.get("rotationPeriodInDays") is not None:
            yield ("rotationPeriodInDays",), "needs enableKeyRotation (API_EnableKeyRotation)"

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call; what CreateKey does not take is for `complete`."""
        sent = to_aws(self.fields, inputs) | {
            "Tags": TAGGING.form(inputs.get("tags")),
            "BypassPolicyLockoutSafetyCheck": inputs["bypassPolicyLockoutSafetyCheck"] or None,
        }
        key = aws.api("kms").call("create_key", **sent)["KeyMetadata"]
        return Made(key["KeyId"], {"arn": key["Arn"], "keyId": key["KeyId"]})

    def bearing(self, aws: Aws, mark: str) -> list[str]:
        """A call for each key of the account: KMS has no filter, and the tagging service's index lags behind.

        AWS's own keys are skipped: their tags cannot be listed by everybody, and nobody can have marked them.
        """
        api, found = aws.api("kms"), []
        for listed in api.pages("list_keys", "Keys"):
            key = api.find("describe_key", _GONE, KeyId=listed["KeyId"])
            if key is None or key["KeyMetadata"]["KeyManager"] != "CUSTOMER":
                continue
            if key["KeyMetadata"]["KeyState"] in _DELETED:
                continue
            tags = TAGGING.plain(api.pages("list_resource_tags", "Tags", KeyId=listed["KeyId"]))
            if tags.get(MARK) == mark:
                found.append(str(listed["KeyId"]))
        return found

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """Wait until it can be used; then rotation, then whether it is enabled: a disabled key takes no settings."""
        self.wait(aws, made.id, inputs)
        api = aws.api("kms")
        if inputs["enableKeyRotation"]:
            _rotate(api, made.id, inputs)
        if not inputs["isEnabled"]:
            api.call("disable_key", KeyId=made.id)

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """Two calls for most keys; one more for a policy of one's own, one for keys that can rotate."""
        api = aws.api("kms")
        found = api.find("describe_key", _GONE, KeyId=resource_id)
        if found is None or found["KeyMetadata"]["KeyState"] in _DELETED:
            return None
        key = found["KeyMetadata"]
        inputs = from_aws(self.fields, key)
        del inputs["tags"], inputs["policy"]
        inputs["isEnabled"] = key["Enabled"]
        if inputs["customerMasterKeySpec"] == "SYMMETRIC_DEFAULT":
            rotation = api.call("get_key_rotation_status", KeyId=resource_id)
            inputs["enableKeyRotation"] = rotation["KeyRotationEnabled"]
            inputs["rotationPeriodInDays"] = rotation.get("RotationPeriodInDays")
        if not known or known.get("policy") is not None:
            inputs["policy"] = api.call("get_key_policy", KeyId=resource_id, PolicyName="default")["Policy"]
        state = key["KeyState"]
        return Live(
            inputs,
            {"arn": key["Arn"], "keyId": key["KeyId"]},
            TAGGING.live(api, resource_id),
            pending=f"key state {state}" if state in _PENDING else "",
        )

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Enabled first and disabled last, since a disabled key takes no settings."""
        api, new = aws.api("kms"), change.new
        if change.touches("isEnabled") and new["isEnabled"]:
            api.call("enable_key", KeyId=change.id)
        if change.touches("description"):
            api.call("update_key_description", KeyId=change.id, Description=new["description"])
        if change.touches("policy"):
            api.call(
                "put_key_policy",
                KeyId=change.id,
                PolicyName="default",
                Policy=new["policy"],
                BypassPolicyLockoutSafetyCheck=new["bypassPolicyLockoutSafetyCheck"] or None,
            )
        if change.touches("enableKeyRotation", "rotationPeriodInDays"):
            _rotate(api, change.id, new)
        if change.touches("tags"):
            TAGGING.change(api, change.id, change.old.get("tags"), new.get("tags"))
        if change.touches("isEnabled") and not new["isEnabled"]:
            api.call("disable_key", KeyId=change.id)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Schedule its deletion, `deletionWindowInDays` from now, unless that is so already."""
        if self.read(aws, resource_id, {"policy": None}) is not None:
            days = inputs.get("deletionWindowInDays")
            aws.api("kms").find("schedule_key_deletion", _GONE, KeyId=resource_id, PendingWindowInDays=days)


def _rotate(api: Api, key: str, inputs: Mapping[str, Any]) -> None:
    if inputs["enableKeyRotation"]:
        api.call("enable_key_rotation", KeyId=key, RotationPeriodInDays=inputs.get("rotationPeriodInDays"))
    else:
        api.call("disable_key_rotation", KeyId=key)


class Alias(Resource):
    """A name for a key, beginning with `alias/`. Its id is its name; it can be moved to another key."""

    token = "aws:kms/alias:Alias"  # noqa: S105 — a type token
    service = "kms"
    fields = (
        Field(
            "name",
            aws="AliasName",
            required=True,
            pattern=(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}", "alias/ and letters, digits, / _ -, but not alias/aws/"),
            replaces=_ALIAS_FINAL,
        ),
        Field("targetKeyId", required=True),
        REGION,
    )
    outputs = ("arn", "targetKeyArn")
    volatile = ("targetKeyArn",)
    names = ("name",)

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """Make it; its outputs are read, since the key may be given by id or ARN."""
        aws.api("kms").call("create_alias", **to_aws(self.fields, inputs))
        return Made(inputs["name"], self._outputs(aws, inputs["name"]))

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """The key that it leads to, in one call."""
        found = aws.api("kms").find("describe_key", _GONE, KeyId=resource_id)
        if found is None:
            return None
        key = found["KeyMetadata"]
        return Live({"name": resource_id, "targetKeyId": key["KeyId"]}, _alias_outputs(resource_id, key["Arn"]))

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Move it to another key."""
        aws.api("kms").call("update_alias", AliasName=change.id, TargetKeyId=change.new["targetKeyId"])
        return self._outputs(aws, change.id)

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Take the name away; the key stays."""
        aws.api("kms").find("delete_alias", _GONE, AliasName=resource_id)

    def equivalent(self, name: str, old: Any, new: Any) -> bool:
        """A key's id and its ARN."""
        return name == "targetKeyId" and key_id(old) == key_id(new)

    @staticmethod
    def _outputs(aws: Aws, name: str) -> dict[str, Any]:
        key = aws.api("kms").call("describe_key", KeyId=name)["KeyMetadata"]
        return _alias_outputs(name, key["Arn"])


def _alias_outputs(name: str, key_arn: str) -> dict[str, Any]:
    return {"arn": f"{key_arn.rpartition(':')[0]}:{name}", "targetKeyArn": key_arn}


def key_id(key: Any) -> str:
    """The id of a key that is given by id or ARN."""
    return str(key).rpartition("/")[2]


RESOURCES: Final = (Key(), Alias())
