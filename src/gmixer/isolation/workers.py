"""Decodes files in separate processes, which may be killed. A file that hangs the decoder, crashes it or fills the
memory fails alone.

A worker is a new Python that imports Pillow and a few modules of gmixer; worker_main.py is its program. It gets bytes,
not paths, and no environment. The pixels come back raw, and every answer is checked, because a hostile file may have
taken over the decoder. A worker is no sandbox: it runs as the same user and may read that user's files, but it can
write to no file.

H height, W width, C channels.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from io import FileIO

import numpy as np
import PIL

import gmixer
from gmixer.errors import EngineError, ImageError, words_of
from gmixer.images import extras
from gmixer.images.pixels import NotedPixels, Pixels, noted
from gmixer.images.settings import DecodeSettings
from gmixer.isolation.worker_main import ANSWER, FAILED, KINDS, MAX_TEXT_BYTES, PIXELS, READY, REQUEST
from gmixer.options import Limits

START_SECONDS = 60  # guessed: a worker is up in 0.1 s, from a cold network disk in some seconds
PIPE_BYTES = 2**20  # the most that Linux allows every user; the pixels of a 500x375 image fit

PROGRAM = """
import sys
memory_bytes, *folders = sys.argv[1:]
sys.path += folders
from gmixer.isolation.worker_main import main
main(int(memory_bytes))
"""
# With these, glibc keeps the memory of an image for the next one. Otherwise it returns the memory, and the kernel
# clears it again: 426 page faults and 1.2 ms for a 500x375 image.
_ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(2**26), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
# A worker that has died must not end this process by SIGPIPE: the command does not ignore this signal.
_NO_SIGPIPE = getattr(socket, "MSG_NOSIGNAL", 0)
_DARWIN_SO_NOSIGPIPE = 0x1022  # Python has no name for it

_running: set[_Worker] = set()
_starting = threading.RLock()  # held over a fork, so that the child gets no half-started worker


class Workers:
    """Decodes files, each in an idle worker or a new one: as many workers as threads call at once.

    The workers end with this object, and with the process, also if it crashes. After a fork the child starts new ones.
    program: what a worker runs; tests pass other programs.
    """

    def __init__(self, *, program: str = PROGRAM) -> None:
        self._program = program
        self._idle: deque[_Worker] = deque()
        weakref.finalize(self, _end_all, self._idle)

    def __reduce__(self) -> tuple[type[Workers], tuple[()]]:
        return Workers, ()  # a copy, also in another process, starts its own workers

    def decode(
        self, data: bytes, image_format: str, *, source: str, limits: Limits, settings: DecodeSettings
    ) -> NotedPixels:
        """A file of that format (sniff) → pixels of 3 channels or 1.

        limits: the time and the memory; settings has the others.
        Raises ImageError, also "timeout" and "crashed"; EngineError if no process can be started.
        """
        worker = self._take(limits.max_memory_bytes)
        try:
            return worker.decode(data, image_format, source=source, limits=limits, settings=settings)
        finally:
            if worker.idle:
                self._idle.append(worker)
            else:  # interrupted, for example by Ctrl-C: its next answer would belong to this file
                worker.end()

    def _take(self, memory_bytes: int) -> _Worker:
        with suppress(IndexError):  # none is idle
            while True:
                worker = self._idle.pop()
                if worker.memory_bytes == memory_bytes and worker.is_alive():
                    return worker
                worker.end()
        return _Worker(memory_bytes, self._program)


class _Worker:
    """One process. idle: it has answered every request."""

    def __init__(self, memory_bytes: int, program: str) -> None:
        self.memory_bytes = memory_bytes
        self.idle = False
        try:
            with _starting:
                self._process, self._requests, self._answers = _start(memory_bytes, program)
                _running.add(self)
        except OSError as error:
            raise _no_worker(words_of(error, "it gives no reason"), memory_bytes) from error
        self._readable = select.poll()
        self._readable.register(self._answers, select.POLLIN)
        try:
            if self._receive((1,), time.monotonic() + START_SECONDS)[0] != READY:
                raise EOFError
        except (OSError, EOFError):
            end = self._end_of_process()
            self.end()
            raise _no_worker(f"it ended with {end}", memory_bytes) from None
        except BaseException:
            self.end()
            raise
        self.idle = True

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def decode(
        self, data: bytes, image_format: str, *, source: str, limits: Limits, settings: DecodeSettings
    ) -> NotedPixels:
        """See Workers.decode. If the worker is not idle afterwards, the caller must end it."""
        self.idle = False
        deadline = time.monotonic() + limits.max_seconds
        request = REQUEST.pack(limits.max_seconds, settings.packed(), len(data))
        try:
            self._requests.settimeout(limits.max_seconds)
            self._requests.sendall(request + data, _NO_SIGPIPE)
            answer = ANSWER.unpack(self._receive((ANSWER.size,), deadline).tobytes())
            match answer:
                case (what, int(kind), 0, 0, int(byte_count)) if what == FAILED and kind < len(KINDS):
                    reason = self._receive_text(byte_count, deadline)
                    self.idle = True
                    raise ImageError(KINDS[kind], reason, source)
                case (what, int(height), int(width), int(depth), int(byte_count)) if (
                    what == PIXELS and 0 < height * width <= settings.max_pixels and depth == settings.channels
                ):
                    note = self._receive_text(byte_count, deadline)
                    pixels_HWC = self._receive((height, width, depth), deadline)
                    self.idle = True
                    return noted(pixels_HWC, note or None)
            end = "an invalid answer"
        except TimeoutError:
            end = "SIGALRM"
        except (OSError, EOFError):
            end = self._end_of_process()
        if end == "SIGALRM":  # by the clock of this process, or by the worker's own
            reason = f"within {limits.max_seconds:g} s, the limit, set by Limits.max_seconds: make it smaller"
            raise ImageError("timeout", f"cannot be decoded as {image_format} {reason}", source)
        reason = f"the decoder ended with {end}; the file is damaged, or made to do harm"
        raise ImageError("crashed", f"cannot be decoded as {image_format}: {reason}", source)

    def end(self) -> None:
        """Kills the process. May be called again."""
        _running.discard(self)
        self._close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def leave_to_the_parent(self) -> None:
        """In the child of a fork: forgets the process. An open end here would keep it alive after the parent."""
        self._close()
        self._process.returncode = 0  # the child must not wait for it

    def _close(self) -> None:
        self._requests.close()
        self._answers.close()

    def _receive(self, shape: tuple[int, ...], deadline: float) -> Pixels:
        """uint8 of that shape. Raises TimeoutError; EOFError if the worker has ended."""
        array = np.empty(shape, np.uint8)
        view = memoryview(array.reshape(-1))  # type: ignore[arg-type] # it is a buffer
        while view:
            got = self._answers.readinto(view)
            if got is not None:
                if got == 0:
                    raise EOFError
                view = view[got:]
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._readable.poll(1000 * left)
        return array

    def _receive_text(self, byte_count: int, deadline: float) -> str:
        """A reason or a note; characters that could control a terminal are left out. Raises as `_receive` does."""
        words = self._receive((min(byte_count, MAX_TEXT_BYTES),), deadline).tobytes()
        return "".join(c for c in words.decode(errors="replace") if c.isprintable())

    def _end_of_process(self) -> str:
        """SIGSEGV, status 1, …"""
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "no answer"
        try:
            return signal.Signals(-status).name
        except ValueError:
            return f"status {status}" if status >= 0 else f"signal {-status}"


def _start(memory_bytes: int, program: str) -> tuple[subprocess.Popen[bytes], socket.socket, FileIO]:
    """The process, the end for requests, and the end for answers. Raises OSError."""
    # The standard library and the folders of these packages only: no module of the current folder is imported.
    folders = [os.path.dirname(os.path.abspath(package.__path__[0])) for package in (gmixer, PIL)]
    folders += extras.folders()
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    answers = FileIO(reading)
    try:
        if sys.platform == "darwin":
            ours.setsockopt(socket.SOL_SOCKET, _DARWIN_SO_NOSIGPIPE, 1)
        os.set_blocking(reading, False)
        if sys.platform == "linux":
            with suppress(OSError):  # a user may have too many large pipes
                fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program, str(memory_bytes), *folders],
            stdin=theirs.fileno(),
            stdout=writing,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=_ALLOCATOR | {name: os.environ[name] for name in os.environ if name.startswith(("LD_", "DYLD_"))},
            process_group=0,  # Ctrl-C goes to this process alone, which then ends its workers
        )
    except BaseException:
        ours.close()
        answers.close()
        raise
    finally:
        theirs.close()
        os.close(writing)
    return process, ours, answers


def _no_worker(said: str, memory_bytes: int) -> EngineError:
    return EngineError(
        f"no decoding process can be started from {sys.executable!r} with {memory_bytes:,} bytes of memory "
        f"(Limits.max_memory_bytes): {said}; leave out isolate to decode without one, which JPEG XL always needs"
    )


def _end_all(workers: deque[_Worker]) -> None:
    while workers:
        workers.pop().end()


def _in_child_of_fork() -> None:
    for worker in _running:
        worker.leave_to_the_parent()
    _running.clear()
    _starting.release()


os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_in_child_of_fork)
