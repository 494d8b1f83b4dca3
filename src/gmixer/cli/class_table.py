"""The accuracy of each class on stdout: of gmixer validate, and of gmixer train --knn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gmixer.evaluate import Share

EXTREMES = 5  # classes shown at either end


def show_classes(classes: Sequence[Share], names: Sequence[str], *, all_of_them: bool) -> None:
    """classes: top-1 of each class, in the order of the names. Classes without an image are left out."""
    from gmixer.rows.text import printable

    rows = [(share, index) for index, share in enumerate(classes) if share.n]
    if not all_of_them:
        rows.sort(key=lambda row: (-row[0].value, row[1]))
    shown = rows if all_of_them or len(rows) <= 2 * EXTREMES else [*rows[:EXTREMES], None, *rows[-EXTREMES:]]
    for row in shown:
        if row is None:
            print("  …")
            continue
        share, index = row
        print(f"  {share.value:7.1%}  {share.correct:>4} of {share.n:<4}  {printable(names[index])}")
