"""workers.py and worker_main.py: decoders in processes that may be killed."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gmixer
from gmixer.config import DataConfig
from gmixer.data import Preprocess
from gmixer.errors import EngineError, ImageError, InputError
from gmixer.images.decode import decode
from gmixer.isolation import workers as isolation
from gmixer.isolation.workers import Workers
from gmixer.options import Limits, Reading

RNG = np.random.default_rng(0)
NOISE_HWC = RNG.integers(0, 256, (19, 23, 3), np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def encoded(image: Image.Image | np.ndarray, image_format: str, **options: object) -> bytes:
    out = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, image_format, **options)
    return out.getvalue()


PNG = encoded(NOISE_HWC, "PNG")
HEAVY = encoded(Image.new("RGB", (8000, 8000)), "PNG")  # takes about a second to decode


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Ended after the test, whatever still holds them."""
    workers = Workers()
    yield workers
    isolation._end_all(workers._idle)


def pids(workers: Workers) -> list[int]:
    return [worker._process.pid for worker in workers._idle]


def is_alive(pid: int) -> bool:
    """A zombie is dead, but not yet buried: here it counts as alive, since somebody should have."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def error_of(data: bytes, workers: Workers, **limits: float) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, name="a.png", workers=workers, reading=Reading(limits=Limits(**limits)))  # type: ignore[arg-type]
    assert caught.value.source == "a.png" and "\n" not in caught.value.reason
    return caught.value


# Runs `body` when it decodes a PNG of 23 pixels width; otherwise as isolation.PROGRAM.
HARMED = """
import sys
memory_bytes, *folders = sys.argv[1:]
sys.path += folders
from PIL import PngImagePlugin
true_load = PngImagePlugin.PngImageFile.load
def load(image):
    import os, signal, struct, time
    if image.width == 23:
        {body}
    return true_load(image)
PngImagePlugin.PngImageFile.load = load
from gmixer.isolation.worker_main import main
main(int(memory_bytes))
"""


@pytest.fixture
def harmed() -> Iterator[Callable[[str], Workers]]:
    """Makes workers whose PNG decoder runs `body` for an image of 23 pixels width."""
    made: list[Workers] = []

    def make(body: str) -> Workers:
        made.append(Workers(program=HARMED.replace("{body}", body)))
        return made[-1]

    yield make
    for workers in made:
        isolation._end_all(workers._idle)


OTHER = encoded(RNG.integers(0, 256, (4, 5, 3), np.uint8), "PNG")


# --- the same answers -----------------------------------------------------------------------------------------------


def images() -> Iterator[tuple[str, bytes]]:
    image = Image.fromarray(NOISE_HWC)
    alpha = Image.fromarray(np.dstack([NOISE_HWC, NOISE_HWC[:, :, 1]]))
    for image_format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM"):
        yield image_format, encoded(image, image_format)
    for mode in ("1", "L", "P", "RGBA", "LA"):
        yield f"PNG {mode}", encoded(alpha.convert(mode), "PNG")
    yield "PNG I;16", encoded(RNG.integers(0, 65_536, (19, 23), np.uint16), "PNG")
    yield "PNG tRNS", encoded(image.quantize(9), "PNG", transparency=3)
    yield "GIF P", encoded(image.quantize(9), "GIF", transparency=3)
    yield "WEBP RGBA", encoded(alpha, "WEBP")
    for mode in ("CMYK", "YCbCr", "LAB", "F"):
        yield f"TIFF {mode}", encoded(image.convert("L" if mode == "F" else mode).convert(mode), "TIFF")
    for compression in ("tiff_lzw", "jpeg", "tiff_deflate", "packbits"):
        yield f"TIFF {compression}", encoded(image, "TIFF", compression=compression)
    yield "JPEG CMYK", encoded(image.convert("CMYK"), "JPEG")
    yield "JPEG progressive", encoded(image, "JPEG", progressive=True)
    yield "MPO", encoded(image, "MPO", save_all=True, append_images=[image])
    exif = Image.Exif()
    exif[0x0112] = 6
    for image_format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        yield f"{image_format} turned", encoded(image, image_format, exif=exif)
    for image_format in ("PNG", "GIF", "WEBP", "AVIF", "TIFF"):
        yield f"{image_format} of 3 frames", encoded(image, image_format, save_all=True, append_images=[image] * 2)
    yield "large", encoded(RNG.integers(0, 256, (2100, 2100, 3), np.uint8), "BMP")  # goes in several strips
    for image_format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM"):
        data = encoded(NOISE_HWC, image_format)
        yield f"{image_format} cut short", data[: len(data) * 2 // 3]
    yield "empty", b""
    yield "text", b"<html>"
    yield "too many pixels", b"P6 60000 60000 255\n"


def test_pixels_and_errors_are_those_of_the_same_process(workers: Workers) -> None:
    for what, data in images():
        for reading, channels in ((Reading(), 3), (Reading(orientation="ignore"), 3), (Reading(), 1)):
            answers = []
            for own in (None, workers):
                try:
                    answers.append(decode(data, reading=reading, channels=channels, workers=own))
                except ImageError as error:
                    answers.append(error.args)
            if isinstance(answers[0], tuple):
                assert answers[0] == answers[1], what
            else:
                np.testing.assert_array_equal(answers[1], answers[0], err_msg=what)
                assert answers[1].dtype == np.uint8 and answers[1].flags.c_contiguous
    assert len(pids(workers)) == 1, "one worker did it all"


def test_a_predictor_says_the_same(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    isolated = gmixer.load("gmixer_8_64.distill_in1k", isolate=True)
    assert isolated.classify(photos) == predictor.classify(photos)
    np.testing.assert_array_equal(isolated.embed(photos).vectors, predictor.embed(photos).vectors)


def test_what_is_in_memory_already_starts_no_process(workers: Workers) -> None:
    for source in (NOISE_HWC, Image.open(BytesIO(PNG))):
        assert np.array_equal(decode(source, workers=workers), NOISE_HWC)
    for data in (b"", b"not an image"):
        error_of(data, workers)
    assert not workers._idle


# --- files made to harm ---------------------------------------------------------------------------------------------


def test_a_file_that_takes_too_long_is_given_up(workers: Workers) -> None:
    decode(PNG, workers=workers)
    (pid,) = pids(workers)
    start = time.monotonic()
    error = error_of(HEAVY, workers, max_seconds=0.1)
    assert error.kind == "timeout"
    assert error.reason.startswith("cannot be decoded as PNG within 0.1 s, the limit, set by Limits.max_seconds")
    assert time.monotonic() - start < 1
    assert not is_alive(pid)
    assert np.array_equal(decode(PNG, workers=workers), NOISE_HWC)


def test_a_file_that_asks_for_too_much_memory_is_too_large(workers: Workers) -> None:
    error = error_of(HEAVY, workers, max_memory_bytes=150 * 2**20)  # 256 MB of pixels
    assert error.kind == "too_large"
    assert error.reason == (
        "cannot be decoded as PNG: it needs more memory than there is (--isolate sets a limit, in Python "
        "Limits.max_memory_bytes): raise it, leave out --isolate, or make the image smaller"
    )
    (pid,) = pids(workers)
    assert np.array_equal(
        decode(PNG, workers=workers, reading=Reading(limits=Limits(max_memory_bytes=150 * 2**20))), NOISE_HWC
    )
    assert pids(workers) == [pid], "which is no reason to end a worker"


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "the decoder ended with SIGSEGV"),
        ("os.abort()", "crashed", "SIGABRT"),
        ("os._exit(3)", "crashed", "status 3"),
        ("os.kill(os.getpid(), 40)", "crashed", "signal 40"),
        ("bytearray(2**40)", "too_large", "more memory than there is"),
        ("time.sleep(60)", "timeout", "1 s"),
    ],
)
def test_whatever_a_decoder_does_costs_one_image(
    body: str, kind: str, words: str, harmed: Callable[[str], Workers]
) -> None:
    workers = harmed(body)
    reading = Reading(limits=Limits(max_seconds=1))
    wanted = decode(OTHER)
    for _ in range(2):
        assert np.array_equal(decode(OTHER, workers=workers, reading=reading), wanted)
        error = error_of(PNG, workers, max_seconds=1)
        assert error.kind == kind and words in error.reason, error
    assert np.array_equal(decode(OTHER, workers=workers, reading=reading), wanted)


def test_a_decoder_can_write_to_no_file(harmed: Callable[[str], Workers], tmp_path: Path) -> None:
    workers = harmed(f"os.write(os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY), b'x')")
    assert "File too large" in error_of(PNG, workers).reason
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize(
    "answer",
    [
        "struct.pack('<BIIBH', 1, 2**32 - 1, 2**32 - 1, 3, 0)",
        "struct.pack('<BIIBH', 1, 60_000, 60_000, 3, 0)",
        "struct.pack('<BIIBH', 1, 0, 5, 3, 0)",
        "struct.pack('<BIIBH', 1, 1, 1, 4, 0) + bytes(4)",
        "struct.pack('<BIIBH', 2, 250, 0, 0, 3) + b'abc'",
        "struct.pack('<BIIBH', 7, 0, 0, 0, 0)",
        "b'\\x80\\x05cos\\nsystem\\n' * 9",
    ],
)
def test_an_answer_that_is_none_is_not_believed(answer: str, harmed: Callable[[str], Workers]) -> None:
    """As of a decoder that a file has taken over. 3 is where the worker's own answers go."""
    workers = harmed(f"os.write(3, {answer})")
    error = error_of(PNG, workers)
    assert error.kind == "crashed" and "an invalid answer" in error.reason
    assert not workers._idle


def test_a_reason_cannot_command_the_terminal(harmed: Callable[[str], Workers]) -> None:
    workers = harmed("os.write(3, struct.pack('<BIIBH', 2, 0, 0, 0, 9) + b'a\\x1b[2J\\n\\xffb\\0'); time.sleep(60)")
    assert error_of(PNG, workers).reason == "a[2J\ufffdb"


def test_what_a_decoder_prints_is_not_an_answer(harmed: Callable[[str], Workers]) -> None:
    workers = harmed("os.write(1, b'x' * 100); os.write(2, b'y' * 100); print('z')")
    assert np.array_equal(decode(PNG, workers=workers), NOISE_HWC)


# --- processes ------------------------------------------------------------------------------------------------------


def test_workers_end_with_their_owner() -> None:
    preprocess = Preprocess(gmixer.load("gmixer_8_64.distill_in1k").data, Reading(isolate=True))
    preprocess(PNG)
    (pid,) = pids(preprocess._workers)
    assert is_alive(pid)
    del preprocess
    gc.collect()
    assert not is_alive(pid), "and it is no zombie either"


def test_a_worker_that_died_meanwhile_is_replaced(workers: Workers) -> None:
    decode(PNG, workers=workers)
    (pid,) = pids(workers)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert np.array_equal(decode(PNG, workers=workers), NOISE_HWC)
    assert pids(workers) != [pid]


def test_threads_take_a_worker_each(workers: Workers) -> None:
    data = [encoded(RNG.integers(0, 256, (30, 40, 3), np.uint8), "PNG") for _ in range(40)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda item: decode(item, workers=workers), data))
    for item, pixels in zip(data, together, strict=True):
        np.testing.assert_array_equal(pixels, decode(item))
    assert 1 <= len(pids(workers)) <= 3


def test_an_interrupt_costs_the_worker_not_the_next_image(workers: Workers) -> None:
    decode(PNG, workers=workers)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            decode(HEAVY, workers=workers)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not workers._idle
    assert np.array_equal(decode(PNG, workers=workers), NOISE_HWC)


def run_in_child(body: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            body()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_child_of_a_fork_has_workers_of_its_own(workers: Workers) -> None:
    decode(PNG, workers=workers)
    (pid,) = pids(workers)
    ends = {worker._answers.fileno() for worker in workers._idle}

    def child() -> None:
        assert not ends & {int(name) for name in os.listdir("/proc/self/fd") if "pipe" in link(name)}
        assert np.array_equal(decode(PNG, workers=workers), NOISE_HWC)
        assert pids(workers) != [pid]
        isolation._end_all(workers._idle)

    def link(name: str) -> str:
        try:
            return os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            return ""

    run_in_child(child)
    assert np.array_equal(decode(PNG, workers=workers), NOISE_HWC)
    assert pids(workers) == [pid]


def test_a_fork_while_threads_start_workers() -> None:
    """The child gets no half-started worker, and no lock that nobody will open."""
    stop = threading.Event()

    def start_and_end() -> None:
        while not stop.is_set():
            decode(OTHER, workers=Workers())

    thread = threading.Thread(target=start_and_end)
    thread.start()
    try:
        for _ in range(5):
            run_in_child(lambda: decode(OTHER, workers=Workers()))
            time.sleep(0.03)
    finally:
        stop.set()
        thread.join()


PROGRAM = """
import os, signal, sys, time
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
from gmixer.options import Limits, Reading
from gmixer.images.decode import decode
from gmixer.isolation.workers import Workers
workers = Workers()
decode(bytes.fromhex(sys.argv[1]), workers=workers)
print(workers._idle[0]._process.pid, flush=True)
"""


def run_program(rest: str, *arguments: str) -> subprocess.Popen[str]:
    program = PROGRAM + textwrap.dedent(rest)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, PNG.hex(), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid) and not is_zombie(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_zombie(pid: int) -> bool:
    """Of a process whose parent is gone: whoever has taken it in may not bury it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "rest", ["", "sys.exit(3)", "raise KeyboardInterrupt", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"]
)
def test_workers_end_with_the_process(rest: str) -> None:
    process = run_program(rest)
    said, complaints = process.communicate(timeout=20)
    assert wait_until_gone(int(said), 5)
    assert "ResourceWarning" not in complaints
    assert complaints == "" or "KeyboardInterrupt" in rest


def test_a_worker_in_an_endless_loop_ends_although_its_parent_was_killed() -> None:
    process = run_program(
        """
        from gmixer.images.settings import DecodeSettings
        from gmixer.isolation.workers import _Worker
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # the worker's clock must not be stopped by what it inherits
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        worker = _Worker(2**31, sys.argv[2])
        print(worker._process.pid, flush=True)
        import threading
        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGKILL]).start()
        settings = DecodeSettings(10**6, 10, True, 3, 0, False)
        worker.decode(bytes.fromhex(sys.argv[1]), "PNG", source="", limits=Limits(max_seconds=1), settings=settings)
        """,
        HARMED.replace("{body}", "while True: pass"),
    )
    said, _ = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL, "it was still waiting"
    pid = int(said.split()[1])
    assert is_alive(pid)
    assert wait_until_gone(pid, 8)


def test_a_worker_that_dies_does_not_end_its_parent_by_sigpipe() -> None:
    process = run_program(
        """
        worker = workers._idle[0]
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
        worker.is_alive = lambda: True  # it dies just after it was looked at
        try:
            decode(bytes.fromhex(sys.argv[1]), workers=workers)
        except Exception as error:
            print(error.kind)
        """
    )
    assert process.communicate(timeout=20)[0].split()[1] == "crashed" and process.returncode == 0


def test_a_worker_is_light_and_knows_nothing_of_the_user(
    harmed: Callable[[str], Workers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy = [
        "numpy",
        "typer",
        "dataclasses",
        "ctypes",
        "gmixer.options",
        "gmixer.images.decode",
        "gmixer.images.pixels",
    ]
    assert all(find_spec(name) for name in heavy)
    (tmp_path / "PIL.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SECRET", "token")
    body = f"bad = [m for m in {heavy} if m in sys.modules]; raise OSError(str([bad, dict(os.environ), os.getcwd()]))"
    reason = error_of(PNG, harmed(f"import sys; {body}")).reason
    assert "[[], {" in reason and "SECRET" not in reason and "PYTHONPATH" not in reason and "'/']" in reason


def test_where_no_worker_can_be_started(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    for executable in ("/no/such/python", "", "/bin/false"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(EngineError, match=r"no decoding process can be started .* leave out isolate"):
            decode(PNG, workers=workers)


def test_a_preprocess_can_be_copied_and_sent(predictor: gmixer.Predictor) -> None:
    config: DataConfig = predictor.data
    preprocess = Preprocess(config, reading=Reading(isolate=True))
    tensor = preprocess(PNG)
    for other in (copy.deepcopy(preprocess), pickle.loads(pickle.dumps(preprocess))):
        np.testing.assert_array_equal(other(PNG), tensor)
        assert pids(other._workers) != pids(preprocess._workers)


@pytest.mark.parametrize("value", [0, -1, True, "9", float("nan"), float("inf"), 86_401])
def test_max_seconds_is_a_number_above_zero(value: object) -> None:
    with pytest.raises(InputError, match=r"Limits\.max_seconds is "):
        Limits(max_seconds=value)  # type: ignore[arg-type]
    assert Limits(max_seconds=0.5, max_memory_bytes=2**60, max_pixels=2**70).max_seconds == 0.5


def test_limits_without_end_are_taken(workers: Workers) -> None:
    limits = Limits(max_pixels=2**70, max_frames=2**70, max_memory_bytes=2**60, max_seconds=86_400)
    assert np.array_equal(decode(PNG, workers=workers, reading=Reading(limits=limits)), NOISE_HWC)
