"""What two stamps must share, so that their vectors compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gmixer.bulk.stamp import Stamp
from gmixer.errors import InputError

# These change no vector: which rows there are, and what else stands in them.
_FREE = ("model", "part_size", "gmixer", "reading.limits", "rows.classes", "rows.hash")


def check_same_space(place: str, mine: Stamp, other: str, theirs: Stamp, *, way_out: str) -> None:
    """Raises InputError, with both stamps, where their vectors do not compare. place, other: their names in errors."""
    if differences := differing(mine, theirs):
        raise InputError(
            f"{place} has vectors of {in_words(mine)}; {other} has vectors of {in_words(theirs)}. "
            f"They do not compare: {'; '.join(differences)}. {way_out}"
        )


def differing(mine: Stamp, theirs: Stamp) -> Sequence[str]:
    """One phrase for each fact that changes a vector: "precision fp32, not int8"."""
    return [phrase for phrase in mine.differences(theirs) if not _is_free(phrase.split()[0])]


def in_words(stamp: Stamp) -> str:
    """ "gmixer_8_64.distill_in1k (weights 1234abcd5678) in fp32, 64 px, float32" """
    rows: dict[str, Any] = dict(stamp.rows)
    scaled = ", scaled to length 1" if rows.get("normalize") else ""
    return (
        f"{stamp.model} (weights {stamp.weights_sha256[:12]}) in {stamp.precision}, "
        f"{stamp.preprocessing.get('image_px')} px, {rows.get('dtype')}{scaled}"
    )


def _is_free(name: str) -> bool:
    return any(name == free or name.startswith(free + ".") for free in _FREE)
