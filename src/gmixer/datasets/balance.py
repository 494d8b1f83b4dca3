"""How many images each class has: what a user should see before a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages
from gmixer.datasets.splits import counted

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


def balance(images: LabeledImages, num_classes: int | None = None) -> Balance:
    """If the data holds only numbers, the classes have names such as "class 17", and go up to the largest number.

    num_classes: up to this many, if there are no names.
    """
    known = images.labels[images.labels != UNKNOWN]
    counts = np.bincount(known, minlength=num_classes or 0 if images.classes is None else len(images.classes))
    names = images.classes or [f"class {label}" for label in range(len(counts))]
    return Balance(tuple(zip(names, counts.tolist(), strict=True)), len(images) - len(known))


def described(
    train: LabeledImages, val: LabeledImages, *, num_classes: int | None = None, val_called: str = ""
) -> list[str]:
    """What a user should know of the two splits before a run, one sentence each.

    num_classes: of the model, if the data holds only numbers. val_called: the folder of the images held out.
    """
    trained_on, held_out = balance(train, num_classes), balance(val, num_classes)
    where = f" ({val_called})" if val_called else ""
    learned = counted(len(train), "image")
    lines = [f"{learned} to learn from, {len(val):,} held out{where}; {_spread(trained_on)}"]
    if trained_on.unlabelled or held_out.unlabelled:
        learned = counted(trained_on.unlabelled, "image")
        lines.append(f"without a label: {learned} to learn from, {held_out.unlabelled:,} held out")
    if trained_on.empty:
        lines.append(f"no image to learn from: {_first_names(trained_on.empty)}")
    if held_out.empty:
        lines.append(f"no image held out, so not measured: {_first_names(held_out.empty)}")
    return lines + list(dict.fromkeys((*train.notes, *val.notes)))


def _spread(balance: Balance) -> str:
    if balance.smallest is None or balance.largest is None:
        return "no classes"
    (least_name, least), (most_name, most) = balance.smallest, balance.largest
    classes = f"{len(balance.classes):,} classes"
    if least == most:
        return f"{classes} of {most:,} each"
    return f"{classes}, the smallest of {least:,} ({least_name}), the largest of {most:,} ({most_name})"


def _first_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
