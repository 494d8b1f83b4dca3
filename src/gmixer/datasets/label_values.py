"""What the values of a label column mean. The rule is the same for CSV, Parquet, JSON, tars and Hugging Face's rows."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.labeled_images import UNKNOWN
from gmixer.errors import InputError

MISSING = ("", "nan", "<na>", "#n/a")  # as programs write an empty cell; in lower case
MISSING_AMONG_NUMBERS = ("na", "n/a", "null", "none")  # among names they may be names: Namibia, no tumour
BOOLEANS = {"false": False, "true": True}

_INDEX_LIMIT = 2**63  # numbers from here on fit into no int64
_MAX_DIGITS = 300  # a text of more digits is a name; so every number below is finite, as a float too
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,5})?", re.ASCII | re.IGNORECASE)

_Value: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True)
class Labels:
    """index: (n,) UNKNOWN for an image without a label. classes: the names that `index` counts, sorted; None: the
    labels are whole numbers, and `index` holds them.

    written: how the data writes a number where that differs from str(number), such as 2134 as "02134".
    """

    index: NDArray[np.int64]
    classes: Sequence[str] | None = None
    written: Mapping[int, str] = field(default_factory=dict)


def numbered(values: Sequence[object], source: str) -> Labels:
    """values: numbers, texts (also as UTF-8 bytes), booleans or None, one for each image.

    - None, NaN, -1 and an empty text are no label, also as a text.
    - Labels are numbers if every label is one: 1, 1.0, "1", "01", "1.0" and "1e0" are the same class.
    - Labels are the names False and True if every label is a boolean: true, "TRUE".
    - Otherwise labels are names, without white space at the ends, and in Unicode's composed form (NFC).

    Raises InputError for a mixture of numbers and names, and for a number that is not whole or is below -1. Raises it
    for a value of another type, too.
    """
    place: dict[tuple[type, object], int] = {}  # by type too: 1, 1.0 and True are one key of a dict
    if nested := [value for value in values if isinstance(value, list | dict)]:
        raise _wrong_type(nested[0], source)
    row_place = np.array([place.setdefault((type(value), value), len(place)) for value in values], np.intp)
    cells = [_cell(value, source) for _, value in place]
    known = [cell for cell in cells if not _is_missing(cell)]
    numbers = _numbers(cells)
    if numbers is not None:
        labels = _by_number(cells, numbers, source)
    elif all(_truth(cell) is not None for cell in known):
        labels = _by_name([None if _is_missing(cell) else str(_truth(cell)) for cell in cells])
    else:
        _check_one_kind(known, source)
        labels = _by_name([None if _is_missing(cell) else str(cell) for cell in cells])
    return replace(labels, index=labels.index[row_place])


def label_text(value: object, names: Sequence[str] | None = None) -> str | None:
    """The name of one label, without a look at the others; None for no label, and for a value of another type.

    1, 1.0 and True are "1", "1" and "True". names: the classes that whole numbers index.
    """
    try:
        cell = _cell(value, "")
    except InputError:
        return None
    if _is_missing(cell):
        return None
    number = None if isinstance(cell, str) else _number(cell)
    if names is not None and isinstance(number, int) and 0 <= number < len(names):
        return names[number]
    return str(cell if number is None else number)


def whole_number(text: str) -> int | None:
    """The number that a name is, such as 17 for "017"; None for every other name."""
    number = _number(text)
    return number if isinstance(number, int) and number >= 0 else None


def _cell(value: object, source: str) -> _Value:
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{source} has a label that is no UTF-8 text: {value!r:.80}; wanted a name") from None
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value.strip())
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise _wrong_type(value, source)


def _wrong_type(value: object, source: str) -> InputError:
    got = f"has the label {str(value)[:80]}, of the type {type(value).__name__}"
    return InputError(f"{source} {got}; wanted a whole number or a name for each image")


def _number(cell: _Value) -> int | float | None:
    """An int for a whole number, also of a float or a text; None for what is no number."""
    if cell is None or isinstance(cell, bool):
        return None
    if isinstance(cell, int):
        return cell
    if isinstance(cell, str):
        if len(cell) > _MAX_DIGITS or not _NUMBER.fullmatch(cell):
            return None
        if cell.lstrip("+-").isdigit():
            return int(cell)
        number = float(cell)
        if math.isinf(number):
            return None
        cell = number
    return int(cell) if cell.is_integer() else cell


def _is_missing(cell: _Value) -> bool:
    if isinstance(cell, str) and cell.lower() in MISSING:
        return True
    return cell is None or cell != cell or _number(cell) == UNKNOWN  # NaN differs from itself


def _truth(cell: _Value) -> bool | None:
    if isinstance(cell, bool):
        return cell
    return BOOLEANS.get(cell.lower()) if isinstance(cell, str) else None


def _check_one_kind(labels: Sequence[_Value], source: str) -> None:
    """Raises InputError if some labels are texts, and others are numbers or booleans by their type."""
    by_kind = {_kind(label): label for label in reversed(labels)}
    if len(by_kind) > 1:
        found = " and ".join(f"{kind} ({by_kind[kind]})" for kind in sorted(by_kind, reverse=True))
        raise InputError(f"{source} has labels that are {found}; wanted one kind")


def _kind(label: _Value) -> str:
    if isinstance(label, bool):
        return "booleans"
    return "names" if isinstance(label, str) else "numbers"


def _numbers(cells: Sequence[_Value]) -> list[int | float | None] | None:
    """The number of each value, None for no label; None if some value is no number."""
    found: list[int | float | None] = []
    for cell in cells:
        missing = _is_missing(cell) or (isinstance(cell, str) and cell.lower() in MISSING_AMONG_NUMBERS)
        number = None if missing else _number(cell)
        if number is None and not missing:
            return None
        found.append(number)
    return found


def _by_number(cells: Sequence[_Value], numbers: Sequence[int | float | None], source: str) -> Labels:
    spellings: dict[int, set[str]] = {}
    for cell, number in zip(cells, numbers, strict=True):
        if number is None:
            continue
        if isinstance(number, float):  # infinity, too
            raise InputError(f"{source} has the label {number:g}; wanted whole numbers or names")
        if number < UNKNOWN:
            raise InputError(f"{source} has the label {number}; wanted 0, 1, 2 …, or -1 for unknown")
        spelling = cell if isinstance(cell, str) and cell.isdigit() else str(number)
        spellings.setdefault(number, set()).add(spelling)
    written = {n: min(texts) for n, texts in spellings.items() if len(texts) == 1 and texts != {str(n)}}
    if max(spellings, default=0) < _INDEX_LIMIT:
        return Labels(np.array([UNKNOWN if n is None else n for n in numbers], np.int64), None, written)
    in_order = {number: i for i, number in enumerate(sorted(spellings))}
    index = np.array([UNKNOWN if n is None else in_order[int(n)] for n in numbers], np.int64)
    return Labels(index, tuple(written.get(number, str(number)) for number in in_order))


def _by_name(names: Sequence[str | None]) -> Labels:
    """Names → their places among the names, sorted; None is no label."""
    classes = tuple(sorted({name for name in names if name is not None}))
    place = {name: i for i, name in enumerate(classes)}
    return Labels(np.array([UNKNOWN if name is None else place[name] for name in names], np.int64), classes)
