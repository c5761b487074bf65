"""Whether a `Key` can be used for what a component wants it for, told where it cannot."""

from __future__ import annotations

from typing import Final

from mlinfra.components.key import Key, Service
from mlinfra.expansion import Scope

BY_OTHERS: Final[dict[Service, str]] = {
    "ec2": 'EBS user guide, "How Amazon EBS encryption works": EC2 makes grants on the key of a volume',
    "ecr": 'ECR user guide, "Encryption at rest": ECR makes grants on the key of a repository',
    "rds": 'RDS user guide, "AWS KMS key management": RDS makes grants on the key of an instance',
    "secretsmanager": 'Secrets Manager user guide, "Secret encryption and decryption": whoever writes a value uses the '
    "key, and that is who runs mlinfra",
}
"""Services whose key others use than roles of components: the service itself by grants of its own, or who deploys."""


def check_key(scope: Scope, key: Key | None, service: Service) -> None:
    """Note as errors what keeps a service from using a key."""
    if key is None:
        return
    name = scope.component.name
    if key.via and service not in key.via:
        scope.problem(
            f"{name} is to be encrypted with key {key.name!r}, which may be used through {', '.join(key.via)} alone",
            detail='KMS refuses every other service (KMS developer guide, "kms:ViaService").',
            remedy=f'Add it: `via=[…, "{service}"]`.',
            code="key-not-for-service",
        )
    if key.users == "references" and service in BY_OTHERS:
        scope.problem(
            f"{name} is to be encrypted with key {key.name!r}, which admits roles of components and nobody else",
            detail=f"{BY_OTHERS[service]}.",
            remedy='Give it another key, one with `users="account"`.',
            code="key-without-grants",
        )
