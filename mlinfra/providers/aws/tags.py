"""How each service tags: the same three calls everywhere, under other names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.providers.aws.session import Api


@dataclass(frozen=True, slots=True)
class Tagging:
    """A service's tagging calls.

    `target` is the parameter that names the resource; `pair` the keys of one tag, or None where tags are a map;
    `listed` where the answer of `read` holds them, if not under `tags`; `extra` goes into every call.
    """

    target: str
    tag: str = "tag_resource"
    untag: str = "untag_resource"
    read: str = "list_tags_for_resource"
    tags: str = "Tags"
    keys: str = "TagKeys"
    listed: str = ""
    pair: tuple[str, str] | None = ("Key", "Value")
    extra: Mapping[str, str] = field(default_factory=dict)

    def form(self, tags: Mapping[str, str] | None) -> Any:
        """Tags as the service takes them; None for none."""
        if not tags or self.pair is None:
            return dict(tags) if tags else None
        key, value = self.pair
        return [{key: name, value: text} for name, text in sorted(tags.items())]

    def plain(self, tags: Mapping[str, str] | Iterable[Mapping[str, str]] | None) -> dict[str, str]:
        """Tags as the service lists them, as a map; without those that AWS itself sets (`aws:…`)."""
        if isinstance(tags, Mapping):
            found = dict(tags)
        else:
            key, value = self.pair or ("Key", "Value")
            found = {item[key]: item[value] for item in tags or ()}
        return {name: text for name, text in found.items() if not name.startswith("aws:")}

    def live(self, api: Api, resource: str) -> dict[str, str]:
        """The tags that `resource` has now."""
        found = api.call(self.read, **{self.target: resource}, **self.extra)
        return self.plain(found.get(self.listed or self.tags))

    def change(self, api: Api, resource: str, old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> None:
        """Bring the tags of `resource` from `old` to `new`: what is gone is taken off, what differs is put on."""
        before, after = old or {}, new or {}
        if gone := sorted(before.keys() - after.keys()):
            api.call(self.untag, **{self.target: resource, self.keys: gone}, **self.extra)
        if different := {name: text for name, text in after.items() if before.get(name) != text}:
            api.call(self.tag, **{self.target: resource, self.tags: self.form(different)}, **self.extra)
