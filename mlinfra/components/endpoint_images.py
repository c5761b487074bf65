"""Images that are not given: the project's own by their tags, and by digest alone where loss hurts."""

from __future__ import annotations

from mlinfra.components.values import Image
from mlinfra.expansion import Scope


def pinned(scope: Scope, given: Image | None, usual: str, how: str, who: str = "") -> str:
    """The image that is given, or the usual one; notes as an error a tag in a protected tier, once for each image.

    `how` says the field; `who` has the image, with its verb, where that is not the component.
    """
    if given is not None:
        return given
    tier = scope.environment.tier
    who = who or f"{scope.component.name} has"
    summary = f"{who} the image {usual!r} by its tag, and tier {tier} wants a digest"
    # The pods of all variants are made one after the other, most of them of the same images.
    told = any((item.component, item.summary) == (scope.component.name, summary) for item in scope.problems.found)
    if "@" not in usual and tier.protected and not told:
        scope.problem(
            summary,
            detail="A tag can be moved to other content, a digest cannot: what was reviewed is what runs (Kubernetes, "
            '"Images").',
            remedy=f'Name it by its digest, "{usual.rpartition(":")[0]}@sha256:…": `{how}`.',
            code="image-without-digest",
        )
    return usual
