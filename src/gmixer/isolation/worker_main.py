"""What runs in a decoding process: files in, pixels or a reason out. The other side is isolate.py.

It trusts nothing that it decodes, so before the first file it gives up what it can: see `_give_up`. It reads requests
from stdin and answers on stdout. The messages are fixed headers, raw bytes and text, never a pickle: the parent must be
able to read what a decoder sends that a hostile file has taken over.

H height, W width, C channels.
"""

from __future__ import annotations

import os
import signal
from io import FileIO
from struct import Struct

from gmixer.errors import ImageError, ImageErrorKind
from gmixer.images.decoders import as_image_error, read_image
from gmixer.images.modes import in_channels, strips
from gmixer.sources.sniff import HEAD_BYTES, sniff

READY = 6  # the first byte said, once
# seconds, most pixels, most frames, pixels to reduce to, bytes of the file that follows, channels, turn
REQUEST = Struct("<dQQQQB?")
ANSWER = Struct("<BIIB")  # PIXELS, H, W, C, then the pixels; or FAILED, place in KINDS, bytes of the reason, 0
PIXELS, FAILED = 1, 2
KINDS: tuple[ImageErrorKind, ...] = ("corrupt", "unsupported", "too_large")
MAX_REASON_BYTES = 4096


def main(memory_bytes: int) -> None:
    """Answers until the parent closes its end, or is no more."""
    requests, answers = FileIO(0), FileIO(os.dup(1), "w")
    os.dup2(2, 1)  # to nowhere, should a decoder print
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # inherited like the mask, whatever the parent did with them
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _give_up(memory_bytes)
    try:
        _send(answers, bytes([READY]))
        while request := _receive(requests, REQUEST.size):
            seconds, max_pixels, max_frames, reduce_to_px, byte_count, channels, apply_exif = REQUEST.unpack(request)
            # The parent kills a worker that takes too long. Where it cannot any more, the kernel does.
            signal.setitimer(signal.ITIMER_REAL, seconds + 1)
            _answer(_receive(requests, byte_count), answers, max_pixels, max_frames, reduce_to_px, channels, apply_exif)
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (OSError, EOFError):  # the parent is gone
        os._exit(1)


def _answer(
    data: bytes, answers: FileIO, max_pixels: int, max_frames: int, reduce_to_px: int, channels: int, apply_exif: bool
) -> None:
    image_format = sniff(data[:HEAD_BYTES])
    assert image_format is not None  # the parent has looked
    try:
        picture = read_image(
            data,
            image_format,
            source="",
            max_pixels=max_pixels,
            max_frames=max_frames,
            apply_exif=apply_exif,
            reduce_to_px=reduce_to_px,
        )
        with as_image_error(f"decoded as {image_format}", ""):
            picture = in_channels(picture, channels)
    except ImageError as error:
        reason = error.reason.encode(errors="replace")[:MAX_REASON_BYTES]
        _send(answers, ANSWER.pack(FAILED, KINDS.index(error.kind), len(reason), 0) + reason)
        return
    header = ANSWER.pack(PIXELS, picture.height, picture.width, channels)
    for strip in strips(picture):
        _send(answers, header + strip.tobytes())
        header = b""


def _give_up(memory_bytes: int) -> None:
    """No more memory than that, not a byte into any file; few descriptors, for what Pillow imports while decoding."""
    import resource

    for limit, most in {
        "RLIMIT_DATA": memory_bytes,  # what is written to, not the libraries: the same on every machine
        "RLIMIT_NOFILE": 16,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,  # a crash is an answer here, not something to look into
    }.items():
        number = getattr(resource, limit)
        hard = resource.getrlimit(number)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))


def _receive(requests: FileIO, byte_count: int) -> bytes:
    """That many bytes; none where the stream ends at once. Raises EOFError where it ends later."""
    data = bytearray(byte_count)
    view = memoryview(data)
    while view:
        got = requests.readinto(view)
        if not got:
            if len(view) == byte_count:
                return b""
            raise EOFError
        view = view[got:]
    return bytes(data)


def _send(answers: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[answers.write(view) :]
