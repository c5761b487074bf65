from __future__ import annotations

import ipaddress
import re
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.checks.aws_names import BUCKET, RULES
from mlinfra.checks.kubernetes_names import LABEL_VALUE, broken_key
from mlinfra.checks.names import check_names
from mlinfra.checks.schema import Catalog
from mlinfra.graph import Kind


@pytest.mark.parametrize(
    "case", yaml.safe_load((Path(__file__).parent / "cases/names.yaml").read_text()), ids=lambda case: case["name"]
)
def test_cases(case: dict[str, Any], make_graph: Any, assert_told: Any) -> None:
    assert_told(check_names(make_graph(case)), case.get("problems", []))


@settings(deadline=None)
@given(st.text(string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=70))
def test_bucket_names_that_are_accepted_keep_every_rule_of_aws(name: str) -> None:
    """The rules as the S3 user guide lists them, written a second time and another way."""
    if any(BUCKET.broken(name)):
        return
    assert 3 <= len(name) <= 63
    assert set(name) <= set(string.ascii_lowercase + string.digits + ".-")
    assert name[0].isalnum()
    assert name[-1].isalnum()
    assert ".." not in name
    assert not name.startswith(("xn--", "sthree-", "amzn-s3-demo-"))
    assert not name.endswith(("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"))
    with pytest.raises(ValueError):
        ipaddress.ip_address(name)


@settings(deadline=None)
@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{1,40}(\.[a-z0-9-]{1,10})?)[a-z]", fullmatch=True))
def test_plain_bucket_names_are_accepted(name: str) -> None:
    reserved = name.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or name.endswith(("s3alias", "-s3", ".mrap"))
    assert reserved or not list(BUCKET.broken(name))


@settings(deadline=None)
@given(st.text(min_size=1))
def test_no_other_characters_are_let_into_a_bucket_name(name: str) -> None:
    if set(name) - set(string.ascii_lowercase + string.digits + ".-"):
        assert list(BUCKET.broken(name))


@settings(deadline=None)
@given(st.text(string.ascii_letters + string.digits + "._-/ ", max_size=70))
def test_label_keys_and_values_as_kubernetes_validates_them(text: str) -> None:
    """The regular expressions of apimachinery's validation package."""
    qualified = re.fullmatch(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", text)
    assert (not list(LABEL_VALUE.broken(text))) == (text == "" or (bool(qualified) and len(text) <= 63))
    if "/" not in text:
        assert (not list(broken_key(text))) == (bool(qualified) and len(text) <= 63)


def test_every_rule_is_for_an_input_that_the_sdk_has(schema_folder: Any) -> None:
    catalog = Catalog(schema_folder)
    for token, (name, rule) in RULES.items():
        sdk = catalog.sdk(token)
        assert sdk is not None
        schema = sdk.find(Kind.RESOURCE, token)
        assert schema is not None, token
        assert name in schema.inputs, token
        assert rule.source.startswith("https://docs.aws.amazon.com/")
    catalog.save()
