"""checks.py: what fits comes back, everything else is told with what was wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gmixer.checks import number, one_of, probability, whole
from gmixer.errors import InputError


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (lambda v: whole("n", v), -3),
        (lambda v: whole("n", v, least=1, most=4), 4),
        (lambda v: number("n", v, least=0), 0),
        (lambda v: number("n", v, above=0, most=1), 1),
        (lambda v: probability("n", v), 0.5),
        (lambda v: one_of("n", v, ["fp32", "bf16"]), "bf16"),
    ],
)
def test_what_fits_comes_back(check: Callable[[Any], Any], value: Any) -> None:
    assert check(value) == value


@pytest.mark.parametrize(
    ("check", "value", "wanted"),
    [
        (lambda v: whole("n", v), 1.0, "a whole number"),
        (lambda v: whole("n", v), True, "a whole number"),
        (lambda v: whole("n", v, least=1), 0, "a whole number, 1 or more"),
        (lambda v: whole("n", v, least=1, most=1024), 1025, "a whole number from 1 to 1,024"),
        (lambda v: number("n", v), "3", "a number"),
        (lambda v: number("n", v), float("nan"), "a number"),
        (lambda v: number("n", v, least=0), float("inf"), "a number, 0 or more"),
        (lambda v: number("n", v, above=0, most=86_400), 0, "a number above 0, at most 86,400"),
        (lambda v: probability("n", v), 0, "a probability above 0, at most 1"),
        (lambda v: probability("n", v), False, "a probability above 0, at most 1"),
        (lambda v: one_of("n", v, ["fp32", "bf16"]), "fp64", "one of fp32, bf16"),
        (lambda v: one_of("n", v, [1, 2]), True, "one of 1, 2"),
    ],
)
def test_what_does_not_fit_is_told(check: Callable[[Any], Any], value: Any, wanted: str) -> None:
    with pytest.raises(InputError) as refused:
        check(value)
    assert str(refused.value) == f"n is {value!r}; wanted {wanted}"
