"""prepare.py: images → tensors or errors, ahead of time and in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest

from gmixer.data.preprocess import ModelInput
from gmixer.errors import ImageError, InputError
from gmixer.prediction import Preparer

BAD = ImageError("corrupt", "is cut short", "7")


def tensor_of(number: int) -> ModelInput:
    if number == 7:
        raise BAD
    if number == 70:
        raise InputError("70 is no image")
    return ModelInput(np.full((3, 2, 2), number, np.float32), f"is {number}" if number % 2 else None, (1, 1))


def test_an_image_gives_its_tensor_or_its_error() -> None:
    prepare = Preparer(tensor_of)
    prepared = prepare(3)
    assert isinstance(prepared, ModelInput) and (prepared.x_CSS == 3).all() and prepared.note == "is 3"
    assert prepare(7) is BAD
    given = ImageError("missing", "no such file", "a.png")
    assert prepare(given) is given
    with pytest.raises(InputError):
        prepare(70)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_batches_keep_the_order_and_hold_errors_in_place(size: int) -> None:
    numbers = list(range(11))
    batches = list(Preparer(tensor_of).batches(numbers, size=size))
    assert [len(batch) for batch in batches] == [size] * (11 // size) + [11 % size] * bool(11 % size)
    for number, prepared in zip(numbers, chain.from_iterable(batches), strict=True):
        if number == 7:
            assert prepared is BAD
        else:
            assert isinstance(prepared, ModelInput) and (prepared.x_CSS == number).all()
            assert prepared.note == tensor_of(number).note
    assert list(Preparer(tensor_of).batches([], size=size)) == []


def test_the_next_batch_is_prepared_meanwhile_and_no_more_is_taken() -> None:
    taken, second_begun = 0, threading.Event()

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield 8 if taken <= 8 else 9

    def prepare(number: int) -> ModelInput:
        if number == 9:
            second_begun.set()
        return tensor_of(number)

    batches = Preparer(prepare).batches(endless(), size=8)
    for n in range(1, 4):
        assert len(next(batches)) == 8
        assert second_begun.wait(20)
        assert taken <= (n + 1) * 8
    batches.close()


def test_an_exception_comes_after_the_images_before_it() -> None:
    found = []
    with pytest.raises(InputError, match="70 is no image"):
        for batch in Preparer(tensor_of).batches([*range(6), 70, *range(9)], size=4):
            found += [int(x.x_CSS[0, 0, 0]) for x in batch if not isinstance(x, ImageError)]
    assert found == [0, 1, 2, 3, 4, 5]
