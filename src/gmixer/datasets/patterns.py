"""A path with `*`, `?`, `[…]` or `{000..010}` → the paths that it names. A name that exists is no pattern."""

from __future__ import annotations

import glob
import itertools
import math
import os
import re

from gmixer.errors import InputError

MAX_PATHS = 1_000_000  # that one pattern may name
_SERIES = re.compile(r"\{(\d{1,18})\.\.(\d{1,18})\}", re.ASCII)  # the first number and the last one


def expanded(pattern: str) -> list[str]:
    """The pattern is read folder by folder, and a part that exists as it is written stays: `set [2024]/*.tar`.

    `*`, `?` and `[…]` give the names that exist, sorted. `{000..010}` gives a series of names, whether they exist or
    not. Raises InputError for a series that is empty or longer than MAX_PATHS.
    """
    found = [os.sep if pattern.startswith(os.sep) else ""]
    parts = [part for part in pattern.split(os.sep) if part]
    for i, part in enumerate(parts):
        end = os.sep if i < len(parts) - 1 else ""
        found = [f"{path}{end}" for folder in found for path in _matches(folder, part, pattern, alike=len(found))]
    return found


def _matches(folder: str, part: str, pattern: str, *, alike: int) -> list[str]:
    """folder: "" or with a slash at its end. alike: in how many folders the part is looked for."""
    if os.path.lexists(folder + part):
        return [folder + part]
    paths: list[str] = []
    for name in series(part, pattern, alike=alike):
        if glob.has_magic(name) and not os.path.lexists(folder + name):
            paths += (folder + match for match in sorted(glob.glob(name, root_dir=folder or None)))
        else:
            paths.append(folder + name)
    return paths


def series(part: str, pattern: str, *, alike: int = 1) -> list[str]:
    """`a-{08..10}.tar` → a-08.tar, a-09.tar, a-10.tar; several series give all combinations.

    pattern: the whole, in errors. alike: in how many folders the part is looked for.
    """
    pieces = _SERIES.split(part)
    spans = [(first, range(int(first), int(last) + 1)) for first, last in zip(pieces[1::3], pieces[2::3], strict=True)]
    count = alike * math.prod(len(numbers) for _, numbers in spans)
    if spans and not 0 < count <= MAX_PATHS:
        raise InputError(f"{pattern} matches {count:,} files; wanted 1 to {MAX_PATHS:,}, as in {{000..010}}")
    choices = [[pieces[0]]]
    for (first, numbers), rest in zip(spans, pieces[3::3], strict=True):
        choices += [[f"{number:0{len(first)}}" for number in numbers], [rest]]
    return ["".join(choice) for choice in itertools.product(*choices)]
