"""What a destroy leaves where it is: what holds data, the settings that it has, and all that these need."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mlinfra.naming import component_of, name_of

Resource = Mapping[str, Any]


def kept_by_destroy(resources: Iterable[Resource], holding: Collection[str]) -> frozenset[str]:
    """The URNs that stay when what is in `holding` stays; `resources` is the whole state, components among them.

    A store without its settings would be worse than none: without its public access block, its policy, the rule that
    lets personal data expire. Settings are resources of the same component and the same service that depend on the
    store. Whatever stays keeps what it depends on, its component and its provider: a database its subnets.
    """
    everything = {item["urn"]: item for item in resources}
    kept = {urn for urn in holding if urn in everything}
    kept |= {item["urn"] for item in everything.values() if any(_is_setting_of(item, everything[urn]) for urn in kept)}
    waiting = list(kept)
    while waiting:
        for urn in _needs(everything[waiting.pop()]):
            if urn in everything and urn not in kept:
                kept.add(urn)
                waiting.append(urn)
    return frozenset(kept)


def _is_setting_of(item: Resource, store: Resource) -> bool:
    return (
        store["urn"] in (item.get("dependencies") or ())
        and _service(item["type"]) == _service(store["type"])
        and component_of(name_of(item["urn"])) == component_of(name_of(store["urn"]))
    )


def _service(token: str) -> str:
    """Package and service of a type: `aws:s3` of `aws:s3/bucketPolicy:BucketPolicy`."""
    return token.partition("/")[0]


def _needs(item: Resource) -> Iterator[str]:
    yield from item.get("dependencies") or ()
    yield item.get("parent", "")
    yield item.get("provider", "").rpartition("::")[0]
    yield item.get("deletedWith", "")
