from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from mlinfra.components.network_endpoints import SERVICES, Service, service_name

REGION = "eu-west-1"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_services_that_are_known(service: str) -> None:
    assert TypeAdapter(Service).validate_python(service) == service
    assert service_name(service, REGION) == f"com.amazonaws.{REGION}.{service}"


@pytest.mark.parametrize(
    "name",
    [
        "com.amazonaws.eu-west-1.neptune-graph",
        "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0",
        "cn.com.amazonaws.cn-north-1.ecr.api",
        "aws.sagemaker.eu-west-1.studio",
    ],
)
def test_full_names_are_taken_as_they_are(name: str) -> None:
    assert TypeAdapter(Service).validate_python(name) == name
    assert service_name(name, REGION) == name


@pytest.mark.parametrize("name", ["ECR.api", "ecr/api", "", "amazonaws.com", "s3", "kmz", "aws.sagemaker"])
def test_what_is_no_service(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Service).validate_python(name)
