"""`--set lr=0.1`: values of a job's config for one run, checked against the config that the job declares.

A value is written as in YAML's core schema (https://yaml.org/spec/1.2.2/#103-core-schema): `0.1`, `1e-3`, `true`,
`null`, `[1, 2]`, `{a: 1}`. A config says by its own value of which kind another may be, so that a text stays a text
even where it looks like a number.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import yaml

from mlinfra.diagnostics import Problems

_CODE: Final = "run-setting"


def parse(texts: Sequence[str]) -> dict[str, str]:
    """What `--set` was given, the values' texts by key; raises `MlinfraError` with all that is not `key=value`."""
    problems = Problems()
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            problems.error(
                f"--set {text!r} is not of the form key=value", remedy="Write for example --set lr=0.1", code=_CODE
            )
        elif key in found:
            problems.error(f"--set {key} is given twice", remedy="Give it once.", code=_CODE)
        else:
            found[key] = value
    problems.raise_errors()
    return found


def merged(job: str, config: dict[str, Any] | None, settings: Mapping[str, str]) -> dict[str, Any] | None:
    """A job's config with the settings in it; the config itself where there are none, None for a job without config.

    Raises `MlinfraError` with every key that the config does not have and every value that does not fit.
    """
    problems = Problems()
    if config is None:
        if settings:
            problems.error(
                f"job {job} has no config, so there is nothing to set",
                detail=f"It was given --set {next(iter(settings))}.",
                remedy=f"Declare its parameters in the blueprint: TrainingJob({job!r}, …, config={{…}}), then up.",
                code="run-no-config",
            )
        problems.raise_errors()
        return None
    result = copy.deepcopy(config)
    for key, text in settings.items():
        _apply(job, result, key, text, problems)
    problems.raise_errors()
    return result


def differences(base: Any, now: Any) -> dict[str, Any]:
    """The values of a config that are not the base's, by dotted key; None for what is left out."""
    return dict(_differences(base, now, ()))


def _differences(base: Any, now: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(base, Mapping) and isinstance(now, Mapping):
        for key in [*base, *(key for key in now if key not in base)]:
            yield from _differences(base.get(key), now.get(key), (*path, str(key)))
    elif base != now or isinstance(base, bool) != isinstance(now, bool):
        yield ".".join(path), now


def _apply(job: str, config: dict[str, Any], key: str, text: str, problems: Problems) -> None:
    prefix, rest, holder = "", key, config
    while (name := rest if rest in holder else rest.partition(".")[0]) != rest and name in holder:
        if not isinstance(holder[name], dict):
            problems.error(
                f"--set {key}: {prefix}{name} of job {job} is {_kind(holder[name])}, which has no keys",
                remedy=f"Set it whole: --set {prefix}{name}=…",
                code=_CODE,
            )
            return
        prefix, rest, holder = f"{prefix}{name}.", rest.removeprefix(f"{name}."), holder[name]
    if name not in holder:
        _unknown(job, holder, prefix, name, key, problems)
        return
    try:
        holder[name] = read(text, holder[name])
    except ValueError as error:
        problems.error(f"--set {key}: {error}", code=_CODE)


def _unknown(job: str, holder: Mapping[str, Any], prefix: str, name: str, setting: str, problems: Problems) -> None:
    close = difflib.get_close_matches(name, holder, n=1, cutoff=0.5)
    keys = ", ".join(f"{prefix}{key}" for key in holder) or "none"
    problems.error(
        f"--set {setting}: the config of job {job} has no {prefix}{name}",
        detail=f"It has {keys}.",
        remedy=f"Did you mean {prefix}{close[0]}?"
        if close
        else "Add it to the job's config in the blueprint, then up.",
        code=_CODE,
    )


def read(text: str, base: Any) -> Any:
    """A value from its text, of the kind that `base` is; raises `ValueError` with a sentence.

    Any kind may take the place of `null`, whole numbers and fractions take each other's place, and `null` takes that
    of anything but a text.
    """
    if isinstance(base, str):
        return _unquoted(text)
    if not text.strip():
        raise ValueError(f"it is given nothing; write null for no value, or {_kind(base)} such as {_shown(base)}")
    try:
        value = _plain(_loaded(text), text)
    except (yaml.YAMLError, RecursionError):  # a list can be made to hold itself
        raise ValueError(f"{text!r} cannot be read") from None
    if base is None or value is None:
        return value
    if _kind(value) == _kind(base):
        return base if value == base else value  # 1 and 1.0 are the same number, and the same run
    raise ValueError(f"{text!r} is {_kind(value)}, and {_kind(base)} is wanted, such as {_shown(base)}")


def _loaded(text: str) -> Any:
    """JSON, which PyYAML reads but for characters beyond the first 65,536; else YAML."""
    with suppress(ValueError):
        return json.loads(text)
    return yaml.load(text, _Core)  # noqa: S506 — a SafeLoader


def _unquoted(text: str) -> str:
    """A text is taken as it stands, but for quotes around it."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _plain(value: Any, text: str) -> Any:
    """The value, if JSON can hold it."""
    match value:
        case None | bool() | int():
            return value
        case str() if value.isascii() or value.encode(errors="ignore").decode() == value:  # no half of a character
            return value
        case float() if math.isfinite(value):
            return value
        case list():
            return [_plain(item, text) for item in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _plain(item, text) for key, item in value.items()}
    raise ValueError(f"{text!r} holds what JSON cannot: numbers are finite, keys are texts, texts are whole")


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a group of values"
        case _:
            return "nothing"


def _shown(base: Any) -> str:
    if isinstance(base, bool):
        return "true"
    if isinstance(base, dict):
        return "{key: value}; or set its keys one by one"
    return str(base)


class _Core(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, in which `1e-3` is a text, `no` is false, `010` is 8 and `12:30` is 750."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node))
    if text[:2] in ("0x", "0o"):
        return int(text, 0)
    return int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else float(text)


_NUMBER: Final = "tag:yaml.org,2002:float"
_RESOLVERS: Final = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_NUMBER, r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+", "-+.0123456789"),
)
for _tag, _form, _first in _RESOLVERS:
    _Core.add_implicit_resolver(_tag, re.compile(f"^(?:{_form})$"), ["" if item == "\0" else item for item in _first])
_Core.add_constructor(_NUMBER, _number)
