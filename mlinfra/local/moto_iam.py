"""What moto's IAM lacks and the local target serves itself.

- The clients of an OpenID Connect provider, one by one. Source: IAM API reference,
  `AddClientIDToOpenIDConnectProvider` and `RemoveClientIDFromOpenIDConnectProvider`; both are without effect where
  nothing is to be changed.
- AWS's own policies, as roles ask for them. Moto has them all or none, and all 1,582 of them take a second an account.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, Final

_OF_AWS: Final = re.compile(r"arn:aws[a-z-]*:iam::aws:policy/(?:.*/)?([^/]+)$")


def extend(responses: Any) -> None:
    """Give moto's IAM, which is the module `moto.iam.responses`, the calls that it lacks; once is enough."""
    kind = responses.IamResponse
    if hasattr(kind, "add_client_id_to_open_id_connect_provider"):
        return
    from moto.core.responses import EmptyResult

    def add(response: Any) -> Any:
        _change(response, True)
        return EmptyResult()

    def remove(response: Any) -> Any:
        _change(response, False)
        return EmptyResult()

    kind.add_client_id_to_open_id_connect_provider = add
    kind.remove_client_id_from_open_id_connect_provider = remove
    _lend_policies()


def _lend_policies() -> None:
    """Let roles have AWS's policies: one is there as long as a role has it."""
    from moto.iam.models import IAMBackend

    attach, detach = IAMBackend.attach_role_policy, IAMBackend.detach_role_policy

    def attaching(backend: Any, policy_arn: str, role_name: str) -> None:
        if policy_arn not in backend.managed_policies and (policy := _of_aws(backend, policy_arn)):
            backend.managed_policies[policy_arn] = policy
        attach(backend, policy_arn, role_name)

    def detaching(backend: Any, policy_arn: str, role_name: str) -> None:
        detach(backend, policy_arn, role_name)
        if _OF_AWS.match(policy_arn) and not backend.managed_policies[policy_arn].attachment_count:
            del backend.managed_policies[policy_arn]

    IAMBackend.attach_role_policy, IAMBackend.detach_role_policy = attaching, detaching


def _of_aws(backend: Any, arn: str) -> Any:
    """A policy of AWS's by its ARN; None where AWS has none of that name and path."""
    from moto.iam.models import AWSManagedPolicy

    match = _OF_AWS.match(arn)
    data = _policies().get(match[1]) if match else None
    if data is None:
        return None
    policy = AWSManagedPolicy.from_data(match[1] if match else "", backend.account_id, backend.region_name, data)
    return policy if policy.arn == arn else None


@functools.cache
def _policies() -> dict[str, Any]:
    """AWS's policies by their names, as moto has copied them."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    found: dict[str, Any] = json.loads(aws_managed_policies_data)
    return found


def _change(response: Any, there: bool) -> None:
    provider = response.backend.get_open_id_connect_provider(response._get_param("OpenIDConnectProviderArn"))
    client = response._get_param("ClientID")
    others = [item for item in provider.client_id_list if item != client]
    provider.client_id_list = [*others, client] if there else others
