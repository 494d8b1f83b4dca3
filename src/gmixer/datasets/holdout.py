"""Pictures without a part of their own to measure on → some to train on, the others held out.

A picture's side is a function of its name alone, so that adding pictures moves no other one, on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase
from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.errors import InputError


def split(pictures: DatasetBase, val_fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which are to train on and which are held out, in order. Raises InputError unless 0 < val_fraction < 1.

    Each picture is drawn for itself, so a class gives val_fraction of its pictures give or take chance. One that would
    give all of them keeps one, the only case where a later picture may move another: that one. Pictures without a label
    are all trained on: nothing can be measured with them.
    """
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction is {val_fraction}; wanted a number between 0 and 1, such as 0.2")
    keys = [pictures.key(i) for i in range(len(pictures))]
    held_out = drawn(keys, pictures.labels, val_fraction)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def drawn(keys: Sequence[str], labels: NDArray[np.int64], val_fraction: float) -> NDArray[np.bool_]:
    """(n,): True for those held out. keys: the pictures' names; labels: their classes."""
    lots = np.array([_lot(key) for key in keys], np.float64)
    held_out: NDArray[np.bool_] = (lots < val_fraction) & (labels != UNKNOWN)
    for label in np.setdiff1d(labels[held_out], labels[~held_out]):
        of_class = np.flatnonzero(labels == label)
        held_out[of_class[np.argmax(lots[of_class])]] = False
    return held_out


def _lot(key: str) -> float:
    """A number in [0, 1] that a name draws."""
    digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
