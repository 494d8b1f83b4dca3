"""Which models there are: queries on the table of config.py, with timm's names, filters and order. No torch."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from gmixer.config import VARIANTS

UNTRAINED = "untrained"  # timm's tag of a variant that was never published with weights


def list_models(
    filter: str | Iterable[str] = "",
    *,
    pretrained: bool = False,
    exclude_filters: str | Iterable[str] = "",
    include_tags: bool | None = None,
) -> list[str]:
    """Model names in natural order (12 before 24).

    filter, exclude_filters: one or more patterns as in a shell ("gmixer*"); exclusion goes last. With tags, a pattern
        without one stands for all tags.
    pretrained: only those published with weights.
    include_tags: `variant.tag` instead of `variant`; None: as `pretrained`.
    """
    tags_on = pretrained if include_tags is None else include_tags
    trained = set(_tagged(pretrained_only=True)) | {name for name, variant in VARIANTS.items() if variant.pretrained}
    names = set(_tagged(pretrained_only=False)) if tags_on else set(VARIANTS)
    if wanted := _patterns(filter, tags_on):
        names = {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in wanted)}
    unwanted = _patterns(exclude_filters, tags_on)
    names = {name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in unwanted)}
    return sorted(names & trained if pretrained else names, key=_natural)


def list_pretrained(filter: str | Iterable[str] = "", *, exclude_filters: str | Iterable[str] = "") -> list[str]:
    """Every `variant.tag` published with weights."""
    return list_models(filter, pretrained=True, exclude_filters=exclude_filters, include_tags=True)


def is_model(model_name: str) -> bool:
    """Whether a variant of that name exists; its tag is not looked at, as in timm."""
    return model_name.partition(".")[0] in VARIANTS


def is_model_pretrained(model_name: str) -> bool:
    """Whether weights were published under that name, with or without a tag."""
    base, _, tag = model_name.partition(".")
    return base in VARIANTS and (tag in VARIANTS[base].pretrained if tag else bool(VARIANTS[base].pretrained))


def _tagged(*, pretrained_only: bool) -> Iterable[str]:
    for name, variant in VARIANTS.items():
        yield from (f"{name}.{tag}" for tag in variant.pretrained)
        if not variant.pretrained and not pretrained_only:
            yield f"{name}.{UNTRAINED}"


def _patterns(given: str | Iterable[str], tags_on: bool) -> list[str]:
    patterns = [given] if isinstance(given, str) else list(given)
    patterns = [pattern for pattern in patterns if pattern]
    if tags_on:
        patterns += [f"{pattern}.*" for pattern in patterns if "." not in pattern]
    return patterns


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.lower())]
