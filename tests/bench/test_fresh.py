"""bench/fresh.py and fresh_main.py: the answer of a function in a fresh process, its peak of memory, its errors."""

from __future__ import annotations

import os

import pytest

from gmixer.bench.fresh import ProcessFailed, in_fresh_process
from gmixer.bench.fresh_main import peak_bytes
from gmixer.errors import EngineError

# The functions that run in the fresh process.


def speak(word: str) -> list[object]:
    print("text that a library prints is no answer")
    os.write(1, b"nor is text that a C library prints\n")
    return [word, os.getpid(), os.environ.get("SPOKEN")]


def fill(mib: int) -> int:
    return len(b"\1" * (mib * 2**20))


def refuse() -> None:
    raise EngineError("not here")


def stumble() -> None:
    raise ZeroDivisionError("a mistake")


def die() -> None:
    os.abort()


def test_the_answer_is_what_the_function_returned() -> None:
    answer = in_fresh_process(speak, {"word": "größer"}, environment=os.environ | {"SPOKEN": "here"})
    assert answer.value[0] == "größer" and answer.value[1] != os.getpid() and answer.value[2] == "here"


def test_the_peak_is_that_of_the_fresh_process() -> None:
    """ru_maxrss would be at least the peak of this process, which is larger than both."""
    ballast = b"\1" * (100 * 2**20)
    small, large = (in_fresh_process(fill, {"mib": mib}) for mib in (1, 101))
    assert small.peak_bytes < len(ballast) < peak_bytes()
    assert 70 * 2**20 < large.peak_bytes - small.peak_bytes < 130 * 2**20


def test_gmixers_own_error_comes_back() -> None:
    with pytest.raises(EngineError, match="not here") as raised:
        in_fresh_process(refuse, {})
    assert type(raised.value) is EngineError


def test_any_other_failure_has_the_last_line_of_stderr() -> None:
    with pytest.raises(ProcessFailed, match="ZeroDivisionError: a mistake") as raised:
        in_fresh_process(stumble, {})
    assert "Traceback" in raised.value.__notes__[0]
    with pytest.raises(ProcessFailed, match="ended with status -6 and said nothing"):
        in_fresh_process(die, {})
