"""Images without a split of their own → some to train on, the others held out.

The side of an image depends on its name alone. So adding images moves no other image, on any machine.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase
from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.errors import InputError


def split(images: DatasetBase, val_fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of the images to train on and of those held out, in order.

    Each image is drawn independently, so a class gives about val_fraction of its images. A class that would give all
    images keeps one; only this image may change sides when others are added. Images without a label are all trained on:
    they cannot measure anything. Raises InputError unless 0 < val_fraction < 1.
    """
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction is {val_fraction}; wanted a number between 0 and 1, such as 0.2")
    keys = [images.key(i) for i in range(len(images))]
    held_out = drawn(keys, images.labels, val_fraction)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def drawn(keys: Sequence[str], labels: NDArray[np.int64], val_fraction: float) -> NDArray[np.bool_]:
    """(n,): True for the images held out. keys: their names; labels: their classes."""
    lots = np.array([_lot(key) for key in keys], np.float64)
    held_out: NDArray[np.bool_] = (lots < val_fraction) & (labels != UNKNOWN)
    for label in np.setdiff1d(labels[held_out], labels[~held_out]):
        of_class = np.flatnonzero(labels == label)
        held_out[of_class[np.argmax(lots[of_class])]] = False
    return held_out


def _lot(key: str) -> float:
    """A number in [0, 1] that depends on the name alone: in Unicode's composed form, as another system may write it."""
    digest = blake2b(unicodedata.normalize("NFC", key).encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
