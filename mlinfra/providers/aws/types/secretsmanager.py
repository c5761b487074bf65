"""Secrets Manager: secrets, and the versions that hold their values."""

# ruff: noqa: ARG002 — every type has the frame's methods, whether it needs all of their arguments or not

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.providers.aws.errors import AwsError
from mlinfra.providers.aws.fields import REGION, TAGS, Field
from mlinfra.providers.aws.resource import Aws, Change, Live, Made, Resource
from mlinfra.providers.aws.shapes import from_aws, to_aws
from mlinfra.providers.aws.tags import Tagging

_API: Final = "https://docs.aws.amazon.com/secretsmanager/latest/apireference"
_NAME_FINAL: Final = f"{_API}/API_UpdateSecret.html: a secret's name is not among what can be updated"
_VALUE_FINAL: Final = f"{_API}/API_PutSecretValue.html: a version's value is final; another value is another version"
_GONE: Final = frozenset({"ResourceNotFoundException"})

TAGGING: Final = Tagging("SecretId")


class Secret(Resource):
    """A secret, without its value. Its id is its ARN; `recoveryWindowInDays` of 0 deletes it at once and for good."""

    token = "aws:secretsmanager/secret:Secret"  # noqa: S105 — a type token
    service = "secretsmanager"
    fields = (
        Field("name", pattern=(r"[\w/+=.@-]{1,512}", "1 to 512 letters, digits and /_+=.@-"), replaces=_NAME_FINAL),
        Field("description", default=""),
        Field("kmsKeyId"),
        Field("policy", document=True, computed=True, apart=True),
        Field("recoveryWindowInDays", int, default=30, apart=True, choices=(0, *range(7, 31))),
        Field("forceOverwriteReplicaSecret", bool, default=False, apart=True),
        TAGS,
        REGION,
    )
    outputs = ("arn",)
    names = ("name",)
    longest = 512

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call, tags and all; its policy is for `complete`."""
        sent = to_aws(self.fields, inputs) | {"Tags": TAGGING.form(inputs.get("tags"))}
        api = aws.api(self.service)
        try:
            arn = api.call("create_secret", **sent)["ARN"]
        except AwsError as error:
            found = api.find("describe_secret", _GONE, SecretId=inputs["name"]) or {}
            raise _waits_for_deletion(error, found["DeletedDate"]) if found.get("DeletedDate") else error from None
        return Made(arn, {"arn": arn})

    def complete(self, aws: Aws, made: Made, inputs: Mapping[str, Any]) -> None:
        """A policy is a second call."""
        if policy := inputs.get("policy"):
            aws.api(self.service).call("put_resource_policy", SecretId=made.id, ResourcePolicy=policy)

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call; one more for a policy. A secret that waits for its deletion counts as gone."""
        api = aws.api(self.service)
        found = api.find("describe_secret", _GONE, SecretId=resource_id)
        if found is None or found.get("DeletedDate"):
            return None
        inputs = from_aws(self.fields, found)
        del inputs["tags"]
        if not known or known.get("policy") is not None:
            inputs["policy"] = api.call("get_resource_policy", SecretId=resource_id).get("ResourcePolicy")
        return Live(inputs, {"arn": found["ARN"]}, TAGGING.plain(found.get("Tags")))

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """Its ARN ends in random characters, so it is asked for by its name."""
        live = self.read(aws, inputs["name"], {"policy": None})
        return str(live.outputs["arn"]) if live else None

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """A call for each group of settings that differs."""
        api, new = aws.api(self.service), change.new
        if change.touches("description", "kmsKeyId"):
            api.call("update_secret", SecretId=change.id, Description=new["description"], KmsKeyId=new.get("kmsKeyId"))
        if change.touches("policy"):
            api.call("put_resource_policy", SecretId=change.id, ResourcePolicy=new["policy"])
        if change.touches("tags"):
            TAGGING.change(api, change.id, change.old.get("tags"), new.get("tags"))
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """At once, or after the days in which it can still be recovered."""
        days = inputs.get("recoveryWindowInDays", 30)
        how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        if self.read(aws, resource_id, {"policy": None}) is not None:
            aws.api(self.service).find("delete_secret", _GONE, SecretId=resource_id, **how)


def _waits_for_deletion(error: AwsError, since: Any) -> AwsError:
    return AwsError(
        error.operation,
        error.code,
        f"a secret of this name was deleted on {since:%Y-%m-%d} and can still be recovered, so its name is not free",
        "Restore it and import it, wait, or choose another name; recoveryWindowInDays 0 deletes a secret at once.",
    )


class SecretVersion(Resource):
    """A value of a secret. Its id is `SECRET_ID|VERSION_ID`.

    Another value is another version. AWS keeps the current version for as long as the secret is there, so deleting it
    only takes its other stages away (API_UpdateSecretVersionStage).
    """

    token = "aws:secretsmanager/secretVersion:SecretVersion"  # noqa: S105 — a type token
    service = "secretsmanager"
    fields = (
        Field("secretId", required=True, replaces=_VALUE_FINAL),
        Field("secretString", secret=True, replaces=_VALUE_FINAL),
        Field("secretBinary", secret=True, replaces=_VALUE_FINAL),
        Field("versionStages", many=True, unordered=True, computed=True),
        REGION,
    )
    outputs = ("arn", "secretArn", "versionId")

    def locate(self, aws: Aws, inputs: Mapping[str, Any]) -> str | None:
        """The version at its first stage, if it holds the same value.

        PutSecretValue takes a token that would become the version's id. One that is the same for the same resource
        would be refused with another value, and do nothing with a value that comes back after another; one that is made
        of the value would show it to whoever can guess. So the value itself is compared.
        """
        stage = next(iter(inputs.get("versionStages") or ()), "AWSCURRENT")
        gone = _GONE | {"InvalidRequestException"}
        found = aws.api(self.service).find("get_secret_value", gone, SecretId=inputs["secretId"], VersionStage=stage)
        if found is None:
            return None
        resource_id = f"{inputs['secretId']}|{found['VersionId']}"
        live = self.read(aws, resource_id, inputs)
        values = ("secretString", "secretBinary")
        same = live is not None and all(live.inputs[name] == inputs.get(name) for name in values)
        return resource_id if same else None

    def create(self, aws: Aws, inputs: Mapping[str, Any]) -> Made:
        """One call. `secretBinary` is base64, as in pulumi_aws."""
        sent = to_aws(self.fields, inputs)
        if "SecretBinary" in sent:
            sent["SecretBinary"] = base64.b64decode(sent["SecretBinary"])
        answer = aws.api(self.service).call("put_secret_value", **sent)
        version = answer["VersionId"]
        outputs = {"arn": answer["ARN"], "secretArn": answer["ARN"], "versionId": version}
        return Made(f"{inputs['secretId']}|{version}", outputs)

    def read(self, aws: Aws, resource_id: str, known: Mapping[str, Any]) -> Live | None:
        """One call."""
        secret, _, version = resource_id.rpartition("|")
        gone = _GONE | {"InvalidRequestException"}  # the secret waits for its deletion
        found = aws.api(self.service).find("get_secret_value", gone, SecretId=secret, VersionId=version)
        if found is None:
            return None
        binary = found.get("SecretBinary")
        inputs = {
            "secretId": secret,
            "secretString": found.get("SecretString"),
            "secretBinary": base64.b64encode(binary).decode() if binary is not None else None,
            "versionStages": found.get("VersionStages"),
        }
        return Live(inputs, {"arn": found["ARN"], "secretArn": found["ARN"], "versionId": version})

    def update(self, aws: Aws, change: Change) -> Mapping[str, Any]:
        """Move the stages that differ: a stage is on one version at a time."""
        api, version = aws.api(self.service), change.outputs["versionId"]
        secret = change.new["secretId"]
        old, new = set(change.old.get("versionStages") or ()), set(change.new.get("versionStages") or ())
        holders = api.call("describe_secret", SecretId=secret).get("VersionIdsToStages", {})
        for stage in sorted(new - old):
            holder = next((other for other, stages in holders.items() if stage in stages and other != version), None)
            self._stage(aws, secret, stage, to=version, off=holder)
        for stage in sorted(old - new - {"AWSCURRENT"}):
            self._stage(aws, secret, stage, off=version)
        return {}

    def delete(self, aws: Aws, resource_id: str, inputs: Mapping[str, Any]) -> None:
        """Take its stages away, all but AWSCURRENT, which has to be on some version."""
        secret, _, version = resource_id.rpartition("|")
        live = self.read(aws, resource_id, inputs)
        for stage in (live.inputs["versionStages"] or ()) if live else ():
            if stage != "AWSCURRENT":
                self._stage(aws, secret, stage, off=version)

    def _stage(self, aws: Aws, secret: str, stage: str, *, to: str | None = None, off: str | None = None) -> None:
        aws.api(self.service).call(
            "update_secret_version_stage",
            SecretId=secret,
            VersionStage=stage,
            MoveToVersionId=to,
            RemoveFromVersionId=off,
        )


RESOURCES: Final = (Secret(), SecretVersion())
