"""How many pictures each class has: what a person should see before a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages

NAMED = 5  # classes that a sentence names


@dataclass(frozen=True, slots=True)
class Balance:
    """classes: (name, number of pictures), in the order of the class indices. unlabelled: pictures without a label."""

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
        """The classes without a picture."""
        return tuple(name for name, count in self.classes if not count)


def balance(pictures: LabeledImages) -> Balance:
    """Where the data only has numbers, classes go up to the largest and are called "class 17"."""
    known = pictures.labels[pictures.labels != UNKNOWN]
    counts = np.bincount(known, minlength=len(pictures.classes or ()))
    names = pictures.classes or [f"class {label}" for label in range(len(counts))]
    return Balance(tuple(zip(names, counts.tolist(), strict=True)), len(pictures) - len(known))


def described(train: LabeledImages, val: LabeledImages) -> list[str]:
    """What a person should know of the two parts before a run, a sentence each."""
    learnt, held_out = balance(train), balance(val)
    lines = [f"{len(train):,} pictures to learn from, {len(val):,} held out; {_spread(learnt)}"]
    if learnt.unlabelled or held_out.unlabelled:
        lines.append(f"without a label: {learnt.unlabelled:,} of those to learn from, {held_out.unlabelled:,} held out")
    if learnt.empty:
        lines.append(f"no picture to learn from: {_some(learnt.empty)}")
    if held_out.empty:
        lines.append(f"no picture held out, so not measured: {_some(held_out.empty)}")
    return lines + list(dict.fromkeys((*train.notes, *val.notes)))


def _spread(counted: Balance) -> str:
    if counted.smallest is None or counted.largest is None:
        return "no classes"
    (least_name, least), (most_name, most) = counted.smallest, counted.largest
    classes = f"{len(counted.classes):,} classes"
    if least == most:
        return f"{classes} of {most:,} each"
    return f"{classes}, the smallest of {least:,} ({least_name}), the largest of {most:,} ({most_name})"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
