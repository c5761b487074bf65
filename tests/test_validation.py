"""Validation errors in the words of somebody who wrote the value: the path is theirs, not pydantic's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlinfra.diagnostics import Diagnostic, Location
from mlinfra.validation import diagnostics_of


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Local(Strict):
    kind: Literal["local"]
    aws: int = 1
    """How many."""


class Remote(Strict):
    kind: Literal["aws"]
    account: str


class Whole(Strict):
    target: Local | Remote = Field(default=Local(kind="local"), discriminator="kind")
    local: dict[str, Local] = Field(default_factory=dict)
    either: int | list[int] | None = None
    checked: Annotated[int, AfterValidator(lambda number: number)] | bool = 1
    texts: dict[str, str] = Field(default_factory=dict)
    kubeconfig: list[Local] = Field(default_factory=list)

    @model_validator(mode="after")
    def _odd(self) -> Whole:
        if self.checked == 13:
            raise ValueError("Thirteen is not allowed")
        return self


def told(data: Any) -> list[Diagnostic]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(data)
    return diagnostics_of(
        caught.value, data, Whole, lambda path: Location("/".join(map(str, path)) or "-"), "it", component="c"
    )


@pytest.mark.parametrize(
    ("data", "path", "summary", "remedy"),
    [
        ({"target": {"kind": "local", "aws": "1"}}, "target/aws", "target.aws: should be a valid integer", ""),
        ({"target": {"kind": "aws"}}, "target/account", "target.account is missing", ""),
        ({"target": {"kind": "aws", "account": 1}}, "target/account", "target.account: ", "Put it in quotes."),
        (
            {"target": {"kind": "aws", "account": "1", "acount": ""}},
            "target/acount",
            "there is no field 'target.acount'",
            "Did you mean 'account'?",
        ),
        (
            {"local": {"local": {"kind": "local", "aws": "1"}}},
            "local/local/aws",
            "local.local.aws: should be a valid integer",
            "",
        ),
        ({"local": {"a[0]": {"kind": "aws"}}}, "local/a[0]/kind", "local.a[0].kind: should be 'local'", ""),
        ({"kubeconfig": [{"kind": "local", "aws": None}]}, "kubeconfig/0/aws", "kubeconfig.0.aws", ""),
        ({"checked": "x"}, "checked", "checked: should be a valid", ""),
        ({"checked": 13}, "-", "Thirteen is not allowed", ""),
        (
            {"zzz": 1},
            "zzz",
            "there is no field 'zzz'",
            "The fields are checked, either, kubeconfig, local, target, texts.",
        ),
        ({"texts": {1: "x"}}, "texts/1", "texts.1: should be a valid string", "Put it in quotes."),
    ],
)
def test_paths_are_the_authors_own(data: Any, path: str, summary: str, remedy: str) -> None:
    item = told(data)[0]
    assert str(item.location) == path
    assert item.summary.startswith(f"it: {summary}")
    assert item.remedy == remedy
    assert item.component == "c"


def test_what_a_field_is_for_is_the_detail() -> None:
    (item,) = told({"target": {"kind": "local", "aws": "x"}})
    assert item.detail == "How many."


def test_every_problem_is_told_once() -> None:
    found = told({"either": {"a": 1}, "checked": [], "zzz": 1})
    assert len(found) == len(set(found))
    assert {str(item.location) for item in found} == {"either", "checked", "zzz"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["local", "aws"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["kind", "aws", "account", "local", "kubeconfig", "x[0]", "function-after"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(data=st.dictionaries(st.sampled_from(sorted(Whole.model_fields)), VALUES, max_size=3))
def test_every_path_leads_through_the_data(data: dict[str, Any]) -> None:
    try:
        Whole.model_validate(data)
    except ValidationError as error:
        paths: list[tuple[str | int, ...]] = []
        diagnostics_of(error, data, Whole, lambda path: paths.append(path) or Location("x"), "it")  # type: ignore[func-returns-value]
        assert paths
        for path in paths:
            found: Any = data
            for part in path[:-1]:
                found = found[part]


@given(secret=st.text("0123456789abcdef", min_size=12))
def test_values_are_not_told(secret: str) -> None:
    for data in ({"target": {"kind": "local", "aws": secret}}, {"checked": secret}, {"either": secret}):
        assert secret not in "".join(str(item.as_json()) for item in told(data))
