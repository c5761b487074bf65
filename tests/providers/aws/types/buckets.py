"""What the tests of bucket settings share: buckets, how boto3 sees a setting, how one is taken over."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.providers.aws.conftest import urn


def bucket(world: Any) -> dict[str, str]:
    world.boto("s3").create_bucket(Bucket=f"set-{world.account}")
    world.boto("s3").create_bucket(Bucket=f"logs-{world.account}")
    world.boto("s3").put_bucket_acl(Bucket=f"logs-{world.account}", ACL="log-delivery-write")
    return {"bucket": f"set-{world.account}", "logs": f"logs-{world.account}"}


def ask(operation: str, key: str) -> Any:
    """What boto3 finds under `key` of the answer; None where S3 says that there is nothing."""

    def look(world: Any, resource_id: str) -> Any:
        try:
            return getattr(world.boto("s3"), operation)(Bucket=resource_id).get(key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if not ("NoSuch" in code or "NotFound" in code):
                raise
            return None

    return look


def put(operation: str, **parameters: Any) -> Any:
    return lambda world, resource_id: getattr(world.boto("s3"), operation)(Bucket=resource_id, **parameters)


def adopts(elsewhere: Any, unfinished: Any, case: dict[str, Any], prepare: Any = bucket) -> None:
    """A setting whose creation was cut off is found by its bucket and brought to what is wanted by then."""
    engine, token = elsewhere.engine, case["token"]
    unfinished[urn(token)] = set()
    words = {"account": elsewhere.account, **prepare(elsewhere)}
    program = case["inputs"](words)
    first, _ = engine.create(token, engine.checked(token, program))
    assert case["look"](elsewhere, first) == case["made"](words)
    changed = {name: value for name, value in {**program, **case["change"](words)}.items() if value is not None}
    again, _ = engine.create(token, engine.checked(token, changed))
    assert again == first
    assert case["look"](elsewhere, first) == case["changed"](words)


def refused(world: Any, token: str, inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """The problems that a check finds, as (property, reason)."""
    return [(found.property, found.reason) for found in world.engine.check(token, inputs).failures]
