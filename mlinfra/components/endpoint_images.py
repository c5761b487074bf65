"""Images that are not given: the project's own by their tags, and by digest alone where loss hurts."""

from __future__ import annotations

from mlinfra.components.values import Image
from mlinfra.expansion import Scope


def pinned(scope: Scope, given: Image | None, usual: str, how: str) -> str:
    """The image that is given, or the usual one; notes as an error a tag in a protected tier. `how` says the field."""
    if given is not None:
        return given
    if "@" not in usual and scope.environment.tier.protected:
        name, tier = scope.component.name, scope.environment.tier
        scope.problem(
            f"{name} has the image {usual!r} by its tag, and tier {tier} wants a digest",
            detail="A tag can be moved to other content, a digest cannot: what was reviewed is what runs (Kubernetes, "
            '"Images").',
            remedy=f'Name it by its digest, "{usual.rpartition(":")[0]}@sha256:…": `{how}`.',
            code="image-without-digest",
        )
    return usual
