"""Work ahead of its turn. Where threads must meet, they do so at a barrier, which breaks if they do not."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count

import pytest

from gmixer.prefetch import FEW, batches, prefetch

LIMIT = 20  # seconds in which threads must have met; they need some thousandths of one


def ahead_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("gmixer-ahead")}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in ahead_threads():
        thread.join(LIMIT)
        assert not thread.is_alive()


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("ahead", [1, 2, 16])
@pytest.mark.parametrize("length", [0, 1, FEW, FEW + 1, 16, 17, 100])
def test_results_come_in_order(length: int, ahead: int, threads: int) -> None:
    results = prefetch(square, iter(range(length)), threads=threads, ahead=ahead)
    assert list(results) == [square(i) for i in range(length)]


def test_order_is_the_items_whoever_is_done_first() -> None:
    seventh_is_done = threading.Event()

    def slow_first(number: int) -> int:
        if number == 0:
            assert seventh_is_done.wait(LIMIT)
        elif number == 7:
            seventh_is_done.set()
        return number

    assert list(prefetch(slow_first, range(20), threads=2, ahead=10)) == list(range(20))


def test_items_are_taken_in_the_callers_thread_and_a_bounded_number_ahead() -> None:
    taken, takers = 0, set()

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            takers.add(threading.current_thread())
            yield number

    results = prefetch(square, items(), threads=2, ahead=7)
    for handed_out in range(50):
        next(results)
        assert taken == handed_out + 7
    results.close()
    assert takers == {threading.current_thread()}


def test_the_caller_and_all_threads_work_at_once() -> None:
    together = threading.Barrier(3)

    def meet(number: int) -> int:
        if number in (FEW + 1, FEW + 2):
            together.wait(LIMIT)
        return number

    for number in prefetch(meet, range(10), threads=2, ahead=10):
        if number == 0:
            together.wait(LIMIT)


def test_a_few_items_start_no_thread() -> None:
    doers = []

    def note(number: int) -> int:
        doers.append(threading.current_thread())
        return number

    for results_out, _ in enumerate(prefetch(note, range(FEW), threads=2, ahead=16), start=1):
        assert len(doers) == results_out, "each in its turn"
    assert set(doers) == {threading.current_thread()}

    program = f"""
        import sys
        from gmixer.prefetch import prefetch
        for length in ({FEW}, {FEW + 1}):
            list(prefetch(str, range(length), threads=2, ahead=16))
            print("concurrent.futures" in sys.modules)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True)
    assert run.stdout.split() == ["False", "True"]


def failing_at(place: int) -> Iterator[int]:
    yield from range(place)
    raise ValueError(f"no item {place}")


def fail_at(place: int) -> Callable[[int], int]:
    def function(number: int) -> int:
        if number == place:
            raise ValueError(f"no item {place}")
        return number

    return function


@pytest.mark.parametrize("place", [0, 1, FEW - 1, FEW, FEW + 1, 15, 16, 17, 40])
def test_an_exception_comes_in_its_place(place: int) -> None:
    sources: list[Iterable[int]] = [
        prefetch(fail_at(place), range(place + 20), threads=2, ahead=16),
        prefetch(square, failing_at(place), threads=2, ahead=16),
    ]
    for results in sources:
        got = []
        with pytest.raises(ValueError, match=f"no item {place}"):
            for result in results:
                got.append(result)
        assert len(got) == place


def test_what_is_no_exception_is_not_kept_for_later() -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(prefetch(square, items(), threads=2, ahead=16))


def test_who_leaves_early_waits_for_nobody_and_nothing_more_is_begun() -> None:
    begun, go_on = [], threading.Event()

    def stuck(number: int) -> int:
        begun.append(number)
        if number:
            assert go_on.wait(LIMIT)
        return number

    results = prefetch(stuck, count(), threads=2, ahead=16)
    assert next(results) == 0
    while len(begun) < 3:
        time.sleep(0.001)
    results.close()
    assert ahead_threads(), "two are at work yet"
    go_on.set()
    for thread in ahead_threads():
        thread.join(LIMIT)
    assert not ahead_threads()
    assert sorted(begun) == [0, 1, 2]


def test_a_generator_that_is_dropped_ends_its_threads() -> None:
    results = prefetch(square, count(), threads=2, ahead=16)
    next(results)
    threads = ahead_threads()
    assert threads
    del results
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()


def test_ctrl_c_while_the_caller_waits() -> None:
    go_on = threading.Event()

    def interrupt(number: int) -> None:
        if number == 0:
            _thread.interrupt_main()
        assert go_on.wait(LIMIT)

    with pytest.raises(KeyboardInterrupt):
        next(prefetch(interrupt, range(10), threads=2, ahead=16))
    go_on.set()


def test_many_at_once_and_one_within_another() -> None:
    together = threading.Barrier(8)

    def of_a_row(row: int) -> int:
        return sum(prefetch(lambda number: row * number, range(10), threads=2, ahead=4))

    def many() -> None:
        together.wait(LIMIT)
        sums.append(list(prefetch(of_a_row, range(20), threads=2, ahead=4)))

    sums: list[list[int]] = []
    callers = [threading.Thread(target=many) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(3 * LIMIT)
    assert sums == [[45 * row for row in range(20)]] * 8


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_of_a_fork_goes_on_where_its_parent_was() -> None:
    parent, go_on = os.getpid(), threading.Event()

    def stuck_in_the_parent(number: int) -> int:
        if number > 20 and os.getpid() == parent:
            assert go_on.wait(LIMIT)
        return number

    results = prefetch(stuck_in_the_parent, range(60), threads=2, ahead=16)
    assert [next(results) for _ in range(20)] == list(range(20))
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT)
        os._exit(0 if list(results) == list(range(20, 60)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    go_on.set()
    assert list(results) == list(range(20, 60))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("next(results)", ""),
        ("next(results); raise KeyboardInterrupt", ""),
        ("next(results); sys.exit(0)", ""),
        ("threading.Thread(target=after_the_main_thread).start()", "4950\n"),
        ("next(results); atexit.register(lambda: print(sum(results)))", "4950\n"),
        ("next(results); os.fork(); print(sum(results))", "4950\n4950\n"),
    ],
)
def test_the_interpreter_ends(program: str, said: str) -> None:
    begin = f"""
        import atexit, os, signal, sys, threading, warnings
        from gmixer.prefetch import prefetch
        warnings.simplefilter("ignore")
        signal.alarm({LIMIT})
        results = prefetch(int, range(100), threads=2, ahead=16)
        def after_the_main_thread():
            threading.main_thread().join()
            print(sum(results))
    """
    command = [sys.executable, "-u", "-c", textwrap.dedent(begin) + program]
    run = subprocess.run(command, capture_output=True, text=True)
    expected = -signal.SIGINT if "KeyboardInterrupt" in program else 0
    assert (run.returncode, run.stdout) == (expected, said), run.stderr
    assert run.stderr == "" or expected


def test_batches() -> None:
    assert list(batches(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batches(range(6), 3)) == [[0, 1, 2], [3, 4, 5]]
    assert list(batches([], 3)) == []
    for place, before in {0: [], 3: [[0, 1, 2]], 5: [[0, 1, 2], [3, 4]]}.items():
        got = []
        with pytest.raises(ValueError, match="no item"):
            for batch in batches(failing_at(place), 3):
                got.append(batch)
        assert got == before
