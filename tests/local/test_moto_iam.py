from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlinfra.local.moto import Moto
from tests.local.test_moto import client

TRUST = '{"Version": "2012-10-17", "Statement": []}'
OF_AWS = ("AmazonEKSClusterPolicy", "service-role/AmazonEBSCSIDriverPolicy")


@pytest.fixture(scope="module")
def iam(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Any]:
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield client("iam", moto.ensure().endpoint, "111122223333")
    moto.stop()


@pytest.mark.parametrize("name", OF_AWS)
def test_a_role_has_aws_own_policies_for_the_asking(iam: Any, name: str) -> None:
    role, arn = name.rpartition("/")[2], f"arn:aws:iam::aws:policy/{name}"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    assert [item["PolicyArn"] for item in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]] == [arn]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    assert iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]["Statement"]
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    iam.delete_role(RoleName=role)
    assert iam.list_policies(Scope="All")["Policies"] == []


@pytest.mark.parametrize("name", ["AmazonEKSClusterPolicies", "AmazonEBSCSIDriverPolicy"])
def test_one_that_aws_has_not_or_not_there_is_refused(iam: Any, name: str) -> None:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    with pytest.raises(ClientError, match="does not exist or is not attachable"):
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    iam.delete_role(RoleName=name)


def test_clients_of_an_issuer_come_and_go(iam: Any) -> None:
    made = iam.create_open_id_connect_provider(Url="https://issuer.example.com", ClientIDList=["a"], ThumbprintList=[])
    provider = {"OpenIDConnectProviderArn": made["OpenIDConnectProviderArn"]}
    for _ in range(2):  # that it is there already is no error
        iam.add_client_id_to_open_id_connect_provider(**provider, ClientID="b")
    assert iam.get_open_id_connect_provider(**provider)["ClientIDList"] == ["a", "b"]
    for _ in range(2):
        iam.remove_client_id_from_open_id_connect_provider(**provider, ClientID="a")
    assert iam.get_open_id_connect_provider(**provider)["ClientIDList"] == ["b"]
    iam.delete_open_id_connect_provider(**provider)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.add_client_id_to_open_id_connect_provider(**provider, ClientID="a")
