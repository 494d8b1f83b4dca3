"""Checks of one value each. A value that does not fit raises InputError: what came in, and what was wanted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

from gmixer.errors import InputError


def whole(name: str, value: Any, *, least: int | None = None, most: int | None = None) -> int:
    """The value, where it is an int from `least` to `most`; True and False are none."""
    fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits or (least is not None and value < least) or (most is not None and value > most):
        raise _unfit(name, value, f"a whole number{_range(least, most)}")
    return int(value)


def number(
    name: str, value: Any, *, least: float | None = None, most: float | None = None, above: float | None = None
) -> float:
    """The value, where it is a finite int or float from `least` to `most`, and more than `above`."""
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if fits:
        fits = (
            (least is None or value >= least) and (most is None or value <= most) and (above is None or value > above)
        )
    if not fits:
        raise _unfit(name, value, f"a number{_range(least, most, above)}")
    return float(value)


def probability(name: str, value: Any) -> float:
    """The value, where it is above 0 and at most 1."""
    try:
        return number(name, value, above=0, most=1)
    except InputError:
        raise _unfit(name, value, "a probability above 0, at most 1") from None


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """The value, where it is one of those allowed."""
    choices = list(allowed)
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        raise _unfit(name, value, f"one of {', '.join(map(str, choices))}")
    return value


def of_class(name: str, value: Any, kind: type) -> None:
    """The value must be an object of the class. The message does not show the value, which may hold keys."""
    if not isinstance(value, kind):
        raise InputError(f"{name} is of the type {type(value).__name__}; wanted a {kind.__name__}")


def path_text(name: str, value: Any) -> str:
    """A str, or an os.PathLike of a str, as a str."""
    text = value if isinstance(value, str) else os.fspath(value) if isinstance(value, os.PathLike) else None
    if not isinstance(text, str):
        raise InputError(f"{name} is of the type {type(value).__name__}; wanted a path, as str or Path")
    return text


def _range(least: float | None, most: float | None, above: float | None = None) -> str:
    """ ", 1 or more", " above 0", " from 1 to 1024", " above 0, at most 1" """
    if above is not None:
        return f" above {above:,}" + (f", at most {most:,}" if most is not None else "")
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    if least is not None:
        return f", {least:,} or more"
    return f", at most {most:,}" if most is not None else ""


def _unfit(name: str, value: object, wanted: str) -> InputError:
    return InputError(f"{name} is {value!r}; wanted {wanted}")
