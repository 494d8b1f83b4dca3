"""How many images each class has: what a user should see before a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages

NAMED = 5  # the classes that a sentence names


@dataclass(frozen=True, slots=True)
class Balance:
    """classes: (name, number of images), in the order of the class indices. unlabelled: images without a label."""

    classes: tuple[tuple[str, int], ...]
    unlabelled: int

    @property
    def largest(self) -> tuple[str, int] | None:
        return max(self.classes, key=lambda row: row[1], default=None)

    @property
    def smallest(self) -> tuple[str, int] | None:
        return min(self.classes, key=lambda row: row[1], default=None)

    @property
    def empty(self) -> tuple[str, ...]:
        """The classes without an image."""
        return tuple(name for name, count in self.classes if not count)


def balance(images: LabeledImages) -> Balance:
    """If the data holds only numbers, the classes go up to the largest number, with names such as "class 17"."""
    known = images.labels[images.labels != UNKNOWN]
    counts = np.bincount(known, minlength=len(images.classes or ()))
    names = images.classes or [f"class {label}" for label in range(len(counts))]
    return Balance(tuple(zip(names, counts.tolist(), strict=True)), len(images) - len(known))


def described(train: LabeledImages, val: LabeledImages) -> list[str]:
    """What a user should know of the two splits before a run, one sentence each."""
    trained_on, held_out = balance(train), balance(val)
    lines = [f"{len(train):,} images to learn from, {len(val):,} held out; {_spread(trained_on)}"]
    if trained_on.unlabelled or held_out.unlabelled:
        lines.append(
            f"without a label: {trained_on.unlabelled:,} images to learn from, {held_out.unlabelled:,} held out"
        )
    if trained_on.empty:
        lines.append(f"no image to learn from: {_first_names(trained_on.empty)}")
    if held_out.empty:
        lines.append(f"no image held out, so not measured: {_first_names(held_out.empty)}")
    return lines + list(dict.fromkeys((*train.notes, *val.notes)))


def _spread(counted: Balance) -> str:
    if counted.smallest is None or counted.largest is None:
        return "no classes"
    (least_name, least), (most_name, most) = counted.smallest, counted.largest
    classes = f"{len(counted.classes):,} classes"
    if least == most:
        return f"{classes} of {most:,} each"
    return f"{classes}, the smallest of {least:,} ({least_name}), the largest of {most:,} ({most_name})"


def _first_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
