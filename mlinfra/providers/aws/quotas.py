"""Quotas of a real AWS account, asked with the credentials of whoever runs the command, as the AWS CLI finds them.

Nothing but reading: `sts:GetCallerIdentity`, `servicequotas:GetServiceQuota` and
`servicequotas:GetAWSDefaultServiceQuota`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_CONFIG: Final = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
_NONE_OF_ITS_OWN: Final = "NoSuchResourceException"


@dataclass(frozen=True, slots=True)
class Quotas:
    """Values by the quotas' codes; `reason` says why nobody could be asked, or what was not answered."""

    values: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def read_quotas(account: str, region: str, service: str, codes: Iterable[str]) -> Quotas:
    """The quotas of a service that hold in an account and a region.

    An account that has no value of its own has AWS's default. Never raises for what AWS, the network or missing
    credentials can cause: then `reason` says so.
    """
    session = botocore.session.Session()
    values: dict[str, float] = {}
    try:
        if session.get_credentials() is None:
            return Quotas(reason="there are no AWS credentials")
        sts: Any = session.create_client("sts", region_name=region, config=_CONFIG)
        found = sts.get_caller_identity()["Account"]
        if found != account:
            return Quotas(reason=f"the credentials are for account {found}, and the stack is for {account}")
        client = session.create_client("service-quotas", region_name=region, config=_CONFIG)
        for code in codes:
            values[code] = _value(client, service, code)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        return Quotas(values, f"AWS answered {error.operation_name} with {code}")
    except BotoCoreError as error:
        return Quotas(values, f"AWS was not asked: {error}")
    return Quotas(values)


def _value(client: Any, service: str, code: str) -> float:
    try:
        answer = client.get_service_quota(ServiceCode=service, QuotaCode=code)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != _NONE_OF_ITS_OWN:
            raise
        answer = client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)
    return float(answer["Quota"]["Value"])
