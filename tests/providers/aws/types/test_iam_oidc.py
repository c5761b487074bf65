"""OpenID Connect providers, against moto and what the local target adds to it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.providers.aws.conftest import World, urn
from tests.providers.aws.types.unknowns import judged

PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ISSUER = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
ONE, TWO = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280", "06b25927c42a721631c1efd9431e648fa62e1e39"


def provider(world: Any, arn: str) -> Any:
    iam = world.boto("iam")
    try:
        live = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return None
    tags = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"]
    found = {tag["Key"]: tag["Value"] for tag in tags}
    return live["Url"], set(live["ClientIDList"]), set(live["ThumbprintList"]), found


def test_provider(lifecycle: Any) -> None:
    plain = ISSUER.removeprefix("https://")

    def drift(world: Any, arn: str) -> None:
        iam = world.boto("iam")
        iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="vault")
        iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=[ONE, TWO])
        iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["tier"])

    lifecycle(
        PROVIDER,
        inputs=lambda words: {
            "url": ISSUER,
            "clientIdLists": ["sts.amazonaws.com", "old"],
            "thumbprintLists": [ONE],
            "tags": {"team": "ml"},
        },
        look=provider,
        made=lambda words: (plain, {"sts.amazonaws.com", "old"}, {ONE}, {"team": "ml"}),
        outputs=lambda words: {"arn": f"arn:aws:iam::{words['account']}:oidc-provider/{plain}"},
        change=lambda words: {
            "clientIdLists": ["vault", "sts.amazonaws.com"],
            "thumbprintLists": [TWO],
            "tags": {"tier": "dev"},
        },
        changed=lambda words: (plain, {"sts.amazonaws.com", "vault"}, {TWO}, {"tier": "dev"}),
        replaces=lambda words: [{"url": f"{ISSUER}0"}],
        drift=drift,
        drifted={"clientIdLists": ["sts.amazonaws.com"], "thumbprintLists": [ONE, TWO], "tags": None},
    )


def test_a_url_means_the_same_with_its_scheme_and_without(world: World) -> None:
    program = {"url": ISSUER, "clientIdLists": ["sts.amazonaws.com"]}
    inputs = world.engine.checked(PROVIDER, program)
    arn, state = world.engine.create(PROVIDER, inputs)
    assert world.engine.read(PROVIDER, arn, inputs, state) == (inputs, state), "thumbprints are IAM's own affair"
    shorter = {**inputs, "url": ISSUER.removeprefix("https://") + "/"}
    assert not world.engine.diff(PROVIDER, inputs, shorter, state).diffs


def test_a_url_has_one_provider(world: World, failure: Any) -> None:
    inputs = world.engine.checked(PROVIDER, {"url": ISSUER, "clientIdLists": ["a"]})
    world.engine.create(PROVIDER, inputs)
    error, _ = failure(world.engine.create, PROVIDER, inputs)
    assert "EntityAlreadyExists" in error.details()
    assert "belongs to somebody else" in error.details()


def test_what_a_create_that_was_cut_off_has_made_is_taken_over(elsewhere: World, unfinished: Any) -> None:
    program = {"url": ISSUER, "clientIdLists": ["sts.amazonaws.com"], "tags": {"team": "ml"}}
    inputs = elsewhere.engine.checked(PROVIDER, program)
    made = elsewhere.boto("iam").create_open_id_connect_provider(Url=ISSUER, ClientIDList=["other"], ThumbprintList=[])
    unfinished[urn(PROVIDER)] = set()
    arn, _ = elsewhere.engine.create(PROVIDER, inputs)
    assert arn == made["OpenIDConnectProviderArn"]
    assert provider(elsewhere, arn)[1:] == ({"sts.amazonaws.com"}, set(), {"team": "ml"})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"url": "http://issuer.example.com"}, "must begin with https://"),
    ({"url": "https://issuer.example.com:8443"}, "no port"),
    ({"url": "https://issuer.example.com/?a=b"}, "no query"),
    ({"clientIdLists": [str(number) for number in range(101)]}, "at most 100"),
    ({"clientIdLists": None}, "is required"),
    ({"thumbprintLists": [ONE] * 6}, "at most 5"),
    ({"thumbprintLists": ["short"]}, "40 hexadecimal digits"),
]


@pytest.mark.parametrize(("inputs", "why"), REFUSED)
def test_what_aws_refuses_is_refused_before(world: World, inputs: dict[str, Any], why: str) -> None:
    failures = world.engine.check(PROVIDER, {"url": ISSUER, "clientIdLists": ["a"], **inputs}).failures
    assert any(why in f"{item.property} {item.reason}" for item in failures), failures


def test_unknown_parts_are_not_judged(world: World) -> None:
    assert judged(
        world, PROVIDER, {"url": ISSUER, "clientIdLists": ["a"], "thumbprintLists": [ONE], "tags": {"a": "b"}}
    )
