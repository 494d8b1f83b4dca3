"""frames.py: how many frames a GIF or TIFF holds, in bounded time."""

from __future__ import annotations

import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.images.frames import has_more_frames

FRAME = b",\0\0\0\0\1\0\1\0\0\2\0"  # of one pixel, its data left out
HEAD = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6)
MAX_BYTES = 64 * 2**20  # Limits.max_bytes


def saved(image_format: str, frames: int, **options: object) -> bytes:
    images = [Image.new("RGB", (9, 7), (n, 255 - n, 90)) for n in range(frames)]
    images[0].putpixel((3, 3), (250, 1, 2))
    out = BytesIO()
    images[0].save(out, image_format, save_all=True, append_images=images[1:], **options)
    return out.getvalue()


@pytest.mark.parametrize("image_format", ["GIF", "TIFF"])
@pytest.mark.parametrize("options", [{}, {"comment": b"c" * 700}, {"big_tiff": True}, {"compression": "tiff_lzw"}])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_it_counts_as_pillow_does(image_format: str, options: dict[str, object], frames: int) -> None:
    data = saved(image_format, frames, **options)
    count: int = Image.open(BytesIO(data)).n_frames  # type: ignore[attr-defined]
    assert count == frames
    assert has_more_frames(data, image_format, count - 1) is True
    assert has_more_frames(data, image_format, count) is False


def test_both_byte_orders_of_a_tiff() -> None:
    page = (1).to_bytes(2) + bytes(12)
    chain = b"MM\0*" + (8).to_bytes(4) + page + (26).to_bytes(4) + page + (0).to_bytes(4)
    assert has_more_frames(chain, "TIFF", 1) is True
    assert has_more_frames(chain, "TIFF", 2) is False


def test_pages_in_a_circle_are_counted_once() -> None:
    page = (1).to_bytes(2) + bytes(12)
    circle = b"MM\0*" + (8).to_bytes(4) + page + (26).to_bytes(4) + page + (8).to_bytes(4)
    assert has_more_frames(circle, "TIFF", 1) is True
    assert has_more_frames(circle, "TIFF", 2) is False


@pytest.mark.parametrize("image_format", ["GIF", "TIFF"])
def test_a_file_cut_short_holds_what_is_there(image_format: str) -> None:
    data = saved(image_format, 5)
    for length in range(8 if image_format == "TIFF" else 13, len(data)):
        assert has_more_frames(data[:length], image_format, 5) is False


@pytest.mark.parametrize(
    ("what", "piece", "words"),
    [
        ("frames", FRAME, "holds more than 1,000 frames"),
        ("blocks of a comment", b"!\xfe" + b"\1a" * 999 + b"\0", "holds more than 1,048,576 blocks"),
        ("blocks of a frame", b",\0\0\0\0\1\0\1\0\0\2" + b"\1\5" * (MAX_BYTES // 2 - 30), "1,048,576 blocks"),
        ("nothing", b"\1", "1,048,576 blocks"),
    ],
)
def test_a_gif_of_the_largest_size_costs_no_more_than_a_second(what: str, piece: bytes, words: str) -> None:
    """By Pillow's own count it took half a minute."""
    data = (HEAD + piece * (MAX_BYTES // len(piece)))[:MAX_BYTES]
    start = time.process_time()
    with pytest.raises(ImageError, match=words) as caught:
        decode(data)
    assert time.process_time() - start < 2
    assert caught.value.kind == "too_large"


def test_an_ordinary_large_gif_is_read() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500), np.uint8)
    out = BytesIO()
    Image.fromarray(noise).save(out, "GIF")
    assert (decode(out.getvalue())[:, :, 0] == noise).all()


def test_a_tiff_whose_pages_are_all_large_costs_little() -> None:
    """1,001 pages of 65,535 tags each, laid over one another: Pillow would read them all."""
    count, pages = 65_535, 1_002
    data = bytearray(b"II*\0" + (8).to_bytes(4, "little") + b"\xff" * (16 * pages + 12 * count + 100))
    for page in range(pages):  # 16 bytes apart; each one's next lies behind its tags
        at = 8 + 16 * page
        data[at : at + 2] = count.to_bytes(2, "little")
        data[at + 2 + 12 * count : at + 6 + 12 * count] = (at + 16).to_bytes(4, "little")
    start = time.process_time()
    with pytest.raises(ImageError, match="more than 1,000 frames"):
        decode(bytes(data))
    assert time.process_time() - start < 1
