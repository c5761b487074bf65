"""Which values are secret: what was secret going in, wherever it comes out, and all data of a Secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from mlinfra.diagnostics import MlinfraError
from mlinfra.functions import reveal
from mlinfra.graph import REDACTED, Path, Secret, walk
from mlinfra.providers.base import InitFailedError
from mlinfra.providers.kubernetes.objects import INPUTS

LAST_APPLIED: Path = ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
"""Where `kubectl apply` keeps a copy of the whole object."""
_SHORTEST: Final = 4  # shorter texts stand in every sentence, and guard nothing


def secret_paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where secrets stand in a value, the outermost ones."""
    if isinstance(value, Secret):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from secret_paths(item, (*path, index))


def conceal(value: Any, paths: Iterable[Path]) -> Any:
    """A copy of a plain value with what stands at `paths` marked as secret. Paths that lead nowhere are skipped."""
    tree: dict[Any, Any] = {}
    for path in paths:
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[None] = True
    return _conceal(value, tree)


def _conceal(value: Any, tree: dict[Any, Any]) -> Any:
    if not tree:
        return value
    if None in tree:
        return value if isinstance(value, Secret) else Secret(value)
    if isinstance(value, Mapping):
        return {key: _conceal(item, tree.get(key, {})) for key, item in value.items()}
    if isinstance(value, list):
        return [_conceal(item, tree.get(index, {})) for index, item in enumerate(value)]
    return value


def input_secrets(kind: str, given: Iterable[Path]) -> set[Path]:
    """The secret paths in inputs: the `given` ones, and the data of a Secret whether it was marked or not."""
    return {*given, ("data",), ("stringData",)} if kind == "Secret" else set(given)


def without_indexes(paths: Iterable[Path]) -> set[Path]:
    """The paths, each cut at the first list on its way.

    Servers and webhooks reorder items and add some, so a list with a secret in it is secret as a whole.
    """
    return {path[: next((at for at, part in enumerate(path) if isinstance(part, int)), len(path))] for path in paths}


def output_secrets(kind: str, inputs: Iterable[Path]) -> set[Path]:
    """The secret paths in outputs for those in the inputs."""
    known = without_indexes(input_secrets(kind, inputs))
    if not known:
        return set()
    return {*known, LAST_APPLIED, *((INPUTS, *path) for path in (*known, LAST_APPLIED))}


@contextmanager
def kept_secret(inputs: Any) -> Iterator[None]:
    """Take the secret texts of `inputs` out of the errors raised within: servers quote the values that they refuse."""
    try:
        yield
    except InitFailedError as error:
        error.reasons = [_without(reason, inputs) for reason in error.reasons]
        error.args = ("; ".join(error.reasons),)
        raise
    except MlinfraError as error:
        error.diagnostics = tuple(
            replace(item, summary=_without(item.summary, inputs), detail=_without(item.detail, inputs))
            for item in error.diagnostics
        )
        error.args = ("; ".join(item.summary for item in error.diagnostics),)
        raise


def _without(message: str, inputs: Any) -> str:
    secrets = [reveal(item) for item in walk(inputs) if isinstance(item, Secret)]
    texts = {item for secret in secrets for item in walk(secret) if isinstance(item, str) and len(item) >= _SHORTEST}
    for text in sorted(texts, key=len, reverse=True):
        message = message.replace(text, REDACTED)
    return message
