"""An engine across os.fork(): the child has none of the parent's threads, and perhaps a lock that one of them held.

A child that hangs is killed by its own alarm, which no lock can hold up, and fails its test.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.errors import EngineError
from gmixer.images.decode import decode
from gmixer.runtimes import Engine
from mixers import drawn_images, drawn_mixer, engine_of

LIMIT = 20  # seconds in which a child must be done; it needs some hundredths of one
SMALL = replace(VARIANTS["gmixer_8_64"].model, blocks=2, channels=96, channel_hidden=200)
X = drawn_images(SMALL, 8)

# Python 3.12 and later warn of every fork with threads, which is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def run_in_child(body: Callable[[], object]) -> None:
    """Runs body in a forked child and fails if that fails or hangs."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT)
        try:
            body()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code != -signal.SIGALRM, "the child hung"
    assert code == 0, f"the child ended with {code}"


@contextmanager
def hammered(engine: Engine) -> Iterator[None]:
    """Two other threads call the engine without a pause, and take turns."""
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            engine.forward(X)

    threads = [threading.Thread(target=hammer) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_of(drawn_mixer(SMALL), SMALL, threads=request.param)


@pytest.fixture
def check(engine: Engine) -> Callable[[], None]:
    """Compares the engine's results with those before any fork, bit for bit, at a larger and at a smaller batch."""
    wanted = engine.forward(X)

    def check() -> None:
        for batch in (len(X), 1):
            got = engine.forward(X[:batch])
            np.testing.assert_array_equal(got.logits, wanted.logits[:batch])
            np.testing.assert_array_equal(got.features, wanted.features[:batch])

    return check


def test_child_and_parent_go_on(engine: Engine, check: Callable[[], None]) -> None:
    def child() -> None:
        check()
        if sys.platform == "linux":  # the caller alone would get all done too, but slowly
            assert len(os.listdir("/proc/self/task")) == engine.threads

    for _ in range(3):
        run_in_child(child)
        check()


def test_a_fork_while_other_threads_are_inside_forward(engine: Engine, check: Callable[[], None]) -> None:
    with hammered(engine):
        for _ in range(50):
            run_in_child(check)
    check()


def test_several_threads_of_a_child_make_its_first_call(engine: Engine, check: Callable[[], None]) -> None:
    def first_calls() -> None:
        with hammered(engine):
            check()

    for _ in range(10):
        run_in_child(first_calls)


def test_a_child_of_a_child(engine: Engine, check: Callable[[], None]) -> None:
    """Whether the child between them used the engine or not, and while its own threads use it."""

    def child() -> None:
        run_in_child(check)
        check()
        run_in_child(check)
        with hammered(engine):
            run_in_child(check)
        check()

    run_in_child(child)
    check()


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_a_child_deletes_the_engine(used: bool) -> None:
    engines = [engine_of(drawn_mixer(SMALL), SMALL, threads=2)]
    wanted = engines[0].forward(X).logits

    def child() -> None:
        if used:
            engines[0].forward(X)
        engines.clear()

    run_in_child(child)
    np.testing.assert_array_equal(engines[0].forward(X).logits, wanted)


@pytest.mark.parametrize("used", ["", "engine.forward(x)"], ids=["unused", "used"])
def test_the_interpreter_ends_in_a_child(used: str) -> None:
    program = f"""
        import os, signal, numpy as np
        from gmixer.runtimes import Engine
        from gmixer.weights import find_checkpoint
        checkpoint = find_checkpoint("gmixer_8_64.distill_in1k")
        engine, x = Engine(checkpoint.model, checkpoint.tensors(), threads=2), np.zeros((1, 3, 64, 64), np.float32)
        engine.forward(x)
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        else:
            signal.alarm({LIMIT})
            {used}
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=3 * LIMIT)
    assert run.stdout == "0\n"


def test_a_child_makes_its_own_engine(check: Callable[[], None]) -> None:
    model = drawn_mixer(SMALL)  # here, since torch's own threads do not outlive a fork

    def child() -> None:
        engine = engine_of(model, SMALL, threads=2)
        assert np.isfinite(engine.forward(X).logits).all()
        check()

    run_in_child(child)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the address space")
def test_a_child_that_gets_no_threads_says_so() -> None:
    engine = engine_of(drawn_mixer(SMALL), SMALL, threads=64)
    engine.forward(X)

    def child() -> None:
        go_on = threading.Event()
        for _ in range(64):  # they take the stacks that the parent's threads left behind
            threading.Thread(target=go_on.wait).start()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), limits[1]))  # 8 MiB go to each thread's stack
        with pytest.raises(EngineError, match=r"64 threads cannot be started .* ask for fewer"):
            engine.forward(X)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        engine.forward(X)  # nothing is broken
        go_on.set()

    run_in_child(child)


def test_a_fork_while_another_thread_reads_a_pil_image(photos: list[Path]) -> None:
    stop = threading.Event()

    def read() -> None:
        with Image.open(photos[0]) as image:
            decode(image)

    def hammer() -> None:
        while not stop.is_set():
            read()

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        for _ in range(20):
            run_in_child(read)
    finally:
        stop.set()
        thread.join()


predictor_of_all: gmixer.Predictor


def classify(path: Path) -> gmixer.Prediction:
    return predictor_of_all.classify(path)


def test_workers_of_a_multiprocessing_pool_share_a_predictor(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    global predictor_of_all
    predictor_of_all = predictor
    wanted = [classify(path) for path in photos]
    with multiprocessing.get_context("fork").Pool(2) as pool:  # its workers are killed at the end, hung or not
        assert pool.map_async(classify, photos).get(timeout=LIMIT) == wanted
