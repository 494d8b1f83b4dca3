"""bench/fresh.py and child.py: a function in a process of its own, its answer, its peak of memory, its errors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gmixer.bench.fresh import ProcessFailed, in_fresh_process
from gmixer.bench.fresh_main import peak_bytes
from gmixer.errors import EngineError

# The functions that run there, by their name in this module.
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}


def speak(word: str) -> list[object]:
    print("what a library prints is no answer")
    os.write(1, b"nor what a C library prints\n")
    return [word, os.getpid()]


def fill(mib: int) -> int:
    return len(bytearray(mib * 2**20).replace(b"\0", b"\1"))


def refuse() -> None:
    raise EngineError("not here")


def stumble() -> None:
    raise ZeroDivisionError("nobody thought of it")


def die() -> None:
    os.abort()


def call(function: object, **arguments: object) -> object:
    return in_fresh_process(function, arguments, environment=ENVIRONMENT)  # type: ignore[arg-type]


def test_the_answer_is_what_the_function_returned() -> None:
    answer = in_fresh_process(speak, {"word": "größer"}, environment=ENVIRONMENT)
    assert answer.value[0] == "größer" and answer.value[1] != os.getpid()


def test_the_peak_is_the_childs_own() -> None:
    """ru_maxrss would be at least the parent's, which is larger than both here."""
    ballast = bytearray(100 * 2**20).replace(b"\0", b"\1")
    small, large = (in_fresh_process(fill, {"mib": mib}, environment=ENVIRONMENT) for mib in (1, 51))
    assert small.peak_bytes < len(ballast) < peak_bytes()
    assert 70 * 2**20 < large.peak_bytes - small.peak_bytes < 130 * 2**20  # the bytes before and after


def test_an_error_comes_back_as_what_it_was() -> None:
    with pytest.raises(EngineError, match="not here") as raised:
        call(refuse)
    assert type(raised.value) is EngineError


def test_a_mistake_or_a_death_says_what_the_process_said_last() -> None:
    with pytest.raises(ProcessFailed, match="ZeroDivisionError: nobody thought of it") as raised:
        call(stumble)
    assert "Traceback" in raised.value.__notes__[0]
    with pytest.raises(ProcessFailed, match="ended with status -6 and said nothing"):
        call(die)
