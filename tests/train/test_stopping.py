"""stopping.py: the first signal is noted, the second one does what it did before."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from gmixer.train.stopping import stopping


def test_the_second_one_may_be_the_other_one() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda n, frame: came.append(n))
    try:
        with stopping() as asked:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        assert (asked, came) == ([signal.SIGTERM], [signal.SIGINT])
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_one_works(number: signal.Signals) -> None:
    came: list[int] = []
    before = signal.signal(number, lambda n, frame: came.append(n))
    try:
        with stopping() as asked:
            os.kill(os.getpid(), number)
            assert asked == [number] and came == []
            os.kill(os.getpid(), number)
            assert asked == [number] and came == [number]
        with stopping() as asked:
            pass
        os.kill(os.getpid(), number)
        assert asked == [] and came == [number, number]
    finally:
        signal.signal(number, before)


def test_another_thread_hears_nothing_and_runs_all_the_same() -> None:
    ran = []

    def run() -> None:
        with stopping() as asked:
            ran.append(asked)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [[]]
