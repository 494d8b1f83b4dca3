"""The program of a decoding process: it gets files, and answers with pixels or a reason. The other side is workers.py.

It trusts no file, so before the first file it gives up as many rights as possible: see `_give_up_rights`. It reads
requests from stdin and answers on stdout. The messages are fixed headers, raw bytes and text, never a pickle. So the
parent can read them safely, even if a hostile file has taken over the decoder.

H height, W width, C channels.
"""

from __future__ import annotations

import os
import signal
from io import FileIO
from struct import Struct

from gmixer.errors import ImageError, ImageErrorKind
from gmixer.images.decoders import read_image
from gmixer.images.modes import in_channels, strips
from gmixer.images.reasons import as_image_error
from gmixer.images.settings import PACKED_BYTES, DecodeSettings
from gmixer.images.silence import let_pillow_read
from gmixer.sources.sniff import HEAD_BYTES, sniff

READY = 6  # the first byte sent, once
REQUEST = Struct(f"<d{PACKED_BYTES}sQ")  # seconds, DecodeSettings, number of bytes; then the file
# PIXELS, H, W, C, bytes of the note, then the note and the pixels; or FAILED, index in KINDS, 0, 0, bytes of the
# reason, then the reason
ANSWER = Struct("<BIIBH")
PIXELS, FAILED = 1, 2
KINDS: tuple[ImageErrorKind, ...] = ("corrupt", "unsupported", "too_large")
MAX_TEXT_BYTES = 4096  # of a note or a reason


def main(memory_bytes: int) -> None:
    """Answers until the parent closes its end, or has ended."""
    requests, answers = FileIO(0), FileIO(os.dup(1), "w")
    os.dup2(2, 1)  # discards the output of a decoder that prints
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the parent may have changed it, or the mask; both are inherited
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _give_up_rights(memory_bytes)
    try:
        _send(answers, bytes([READY]))
        while request := _receive(requests, REQUEST.size):
            seconds, settings, byte_count = REQUEST.unpack(request)
            # The parent kills a worker that takes too long. If the parent has ended, the kernel kills it.
            signal.setitimer(signal.ITIMER_REAL, seconds + 1)
            _answer(_receive(requests, byte_count), answers, DecodeSettings.unpacked(settings))
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (OSError, EOFError):  # the parent is gone
        os._exit(1)


def _answer(data: bytes, answers: FileIO, settings: DecodeSettings) -> None:
    image_format = sniff(data[:HEAD_BYTES])
    assert image_format is not None  # the parent has checked
    let_pillow_read(settings.max_pixels)
    try:
        image, note = read_image(data, image_format, settings, source="")
        with as_image_error(f"decoded as {image_format}", ""):
            image = in_channels(image, settings.channels)
    except ImageError as error:
        reason = _text(error.reason)
        _send(answers, ANSWER.pack(FAILED, KINDS.index(error.kind), 0, 0, len(reason)) + reason)
        return
    remark = _text(note or "")
    header = ANSWER.pack(PIXELS, image.height, image.width, settings.channels, len(remark)) + remark
    for strip in strips(image):
        _send(answers, header + strip.tobytes())
        header = b""


def _text(text: str) -> bytes:
    return text.encode(errors="replace")[:MAX_TEXT_BYTES]


def _give_up_rights(memory_bytes: int) -> None:
    """Limits memory, forbids writing to files, and leaves a few descriptors, since Pillow imports while decoding."""
    import resource

    for limit, most in {
        "RLIMIT_DATA": memory_bytes,  # memory that is written to, without libraries: the same on every machine
        "RLIMIT_NOFILE": 16,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,  # a crash is a normal answer here, and needs no core file
    }.items():
        number = getattr(resource, limit)
        hard = resource.getrlimit(number)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))


def _receive(requests: FileIO, byte_count: int) -> bytes:
    """That many bytes; b"" if the stream ends before the first one. Raises EOFError if it ends later."""
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
