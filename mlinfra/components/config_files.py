"""Files of configuration that components put into a cluster, as texts."""

from __future__ import annotations

from typing import Any, Final

import orjson
import yaml

_Dumper: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where PyYAML was built with it: the rules of a small stack take 1 ms, and 7 ms without."""


def as_yaml(data: Any) -> str:
    """YAML, in the order that the data has."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return text


def as_json(data: Any) -> str:
    """JSON for people, keys sorted."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
