"""The files and arrays that the net feeds to gmixer: the same on every machine.

Random numbers come from RandomState.randint alone. NumPy promises that its stream never changes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import handmade
import hostile_files

REPOSITORY = Path(__file__).parents[2]
PHOTOS = REPOSITORY / "examples" / "photos"
GOOD_FILES, HOSTILE_FILES = 80, 240


def uniform(seed: int, shape: tuple[int, ...], *, bits: int = 15) -> NDArray[np.float32]:
    """float32 values in -1 … 1, each an exact multiple of 2^-bits."""
    whole = np.random.RandomState(seed).randint(-(2**bits), 2**bits + 1, shape)
    return (whole / 2.0**bits).astype(np.float32)


def noise(seed: int, height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.RandomState(seed).randint(0, 256, (height, width, channels)).astype(np.uint8)


def png_of(pixels_HWC: NDArray[np.uint8], orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = BytesIO()
    Image.fromarray(pixels_HWC).save(out, "PNG", exif=exif, compress_level=1)
    return out.getvalue()


def coloured(number: int, classes: int, side: int = 64) -> bytes:
    """A PNG of its class's colour under noise: what a classifier can learn."""
    colour = np.random.RandomState(1_000 + number % classes).randint(60, 190, 3)
    shift = np.random.RandomState(number).randint(-50, 51, (side, side, 3))
    return png_of((colour + shift).astype(np.uint8))


def image_files() -> Iterator[tuple[str, bytes]]:
    """Every file whose image the net records: (a name of its own, the bytes)."""
    for i, (name, data) in enumerate(hostile_files.good(GOOD_FILES)):
        yield f"good {i:03} {name}", data
    for i, (name, data) in enumerate(hostile_files.hostile(HOSTILE_FILES)):
        yield f"hostile {i:03} {name}", data
    for name, data in made_by_hand():
        yield f"handmade {name}", data
    for path in sorted(PHOTOS.iterdir()):
        yield f"photo {path.name}", path.read_bytes()
    for path in shipped_photos():
        yield f"skimage {path.name}", path.read_bytes()


def shipped_photos() -> list[Path]:
    """The images inside scikit-image's wheel. Another version of it may hold others."""
    package = find_spec("skimage")
    if package is None or package.origin is None:
        return []
    folder = Path(package.origin).parent / "data"
    return sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg", ".gif", ".tif", ".tiff"))


def made_by_hand() -> Iterator[tuple[str, bytes]]:
    """PNG, TIFF, PPM, BMP, JPEG of many kinds."""
    yield from _pngs()
    yield from _tiffs()
    yield from _jpegs()
    for white in (255, 256, 4_095, 65_535):
        letter = "B" if white < 256 else "H"
        head = f"\n4 1\n{white}\n".encode()
        values = [0, 1, white // 3, white]
        yield f"ppm P5 {white}", b"P5" + head + struct.pack(f">4{letter}", *values)
        yield f"ppm P6 {white}", b"P6" + head + struct.pack(f">12{letter}", *np.repeat(values, 3))
        yield f"ppm P2 {white}", b"P2" + head + b" ".join(b"%d" % value for value in values)
    yield "ppm P1", b"P1\n2 1\n1 0"
    yield "ppm P4", b"P4\n2 1\n\x80"
    for bits, masks, pixel in (
        (16, (0xF800, 0x7E0, 0x1F, 0), struct.pack("<HH", 0xF800, 0)),
        (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), bytes([40, 100, 200, 51])),
    ):
        head = struct.pack("<IiiHHIIiiII", 108, 1, -1, 1, bits, 3, 0, 0, 0, 0, 0) + struct.pack("<4I", *masks)
        yield f"bmp {bits}", b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 108) + head.ljust(108, b"\0") + pixel


def _pngs() -> Iterator[tuple[str, bytes]]:
    raw = np.random.RandomState(7).bytes(4_096)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    clear = {0: struct.pack(">H", 1), 2: struct.pack(">3H", 1, 2, 3), 3: bytes([0, 51, 204])}
    for colour, kinds in depths.items():
        for depth in kinds:
            row = -(-13 * depth * channels[colour] // 8)
            rows = b"".join(b"\0" + raw[row * y : row * y + row] for y in range(11))
            palette = [handmade.chunk(b"PLTE", raw[: 3 * 2**depth])] if colour == 3 else []
            yield f"png {colour} {depth}", handmade.png(13, 11, depth, colour, rows, *palette)
            if colour in clear:
                values = clear[colour][: 2**depth]
                transparent = handmade.chunk(b"tRNS", values)
                yield f"png {colour} {depth} clear", handmade.png(13, 11, depth, colour, rows, *palette, transparent)
    passes = [(2, 2), (1, 2), (3, 1), (2, 3), (6, 2), (3, 5), (11, 3)]  # of Adam7, 11×6 pixels: (width, rows)
    rows = b"".join(b"\0" + raw[: 3 * width] for width, count in passes for _ in range(count))
    yield "png interlaced", handmade.png(11, 6, 8, 2, rows, interlace=1)


def _tiffs() -> Iterator[tuple[str, bytes]]:
    raw = np.random.RandomState(8).bytes(4_096)
    short = handmade.SHORT
    kinds: list[tuple[str, list[int], int, handmade.Tags]] = [
        ("grey 1", [1], 1, {}),
        ("grey 1 white is 0", [1], 0, {}),
        ("grey 8", [8], 1, {}),
        ("grey 8 white is 0", [8], 0, {}),
        ("grey 8 separate", [8], 0, {284: (short, [2])}),
        ("grey 12", [12], 1, {}),
        ("grey 16", [16], 1, {}),
        ("grey 16 white is 0", [16], 0, {}),
        ("grey 16 signed", [16], 1, {339: (short, [2])}),
        ("grey 32 signed", [32], 1, {339: (short, [2])}),
        ("grey 32 float", [32], 1, {339: (short, [3])}),
        ("grey 16 float", [16], 1, {339: (short, [3])}),
        ("grey with alpha", [8] * 2, 1, {338: (short, [2])}),
        ("grey with premultiplied alpha", [8] * 2, 1, {338: (short, [1])}),
        ("rgb 8", [8] * 3, 2, {}),
        ("rgb 16", [16] * 3, 2, {}),
        ("rgb 32", [32] * 3, 2, {}),
        ("rgb 16 separate", [16] * 3, 2, {284: (short, [2])}),
        ("rgb with alpha", [8] * 4, 2, {338: (short, [2])}),
        ("rgb 16 with alpha", [16] * 4, 2, {338: (short, [2])}),
        ("rgb with premultiplied alpha", [8] * 4, 2, {338: (short, [1])}),
        ("rgb and something", [8] * 4, 2, {338: (short, [0])}),
        ("inks 8", [8] * 4, 5, {}),
        ("inks 16", [16] * 4, 5, {}),
        ("lab", [8] * 3, 8, {}),
        ("ycbcr", [8] * 3, 6, {530: (short, [1, 1])}),
        ("ycbcr subsampled", [8] * 3, 6, {530: (short, [2, 2])}),
    ]
    for name, bits, photometric, tags in kinds:
        data = raw[: 6 * -(-9 * sum(bits) // 8)]
        for order in "<>":
            yield f"tiff {name} {order}", handmade.tiff(9, 6, bits, photometric, data, order=order, tags=tags)
        packed: handmade.Tags = {**tags, 259: (short, [8])}
        yield f"tiff {name} zlib", handmade.tiff(9, 6, bits, photometric, zlib.compress(data), tags=packed)
    for order in "<>":
        yield f"tiff big {order}", handmade.tiff(9, 6, [8] * 3, 2, raw[:162], big=True, order=order)


def _jpegs() -> Iterator[tuple[str, bytes]]:
    y, x = np.mgrid[0:45, 0:61] / 61
    smooth = np.dstack([255 * x, 255 * y, 255 * (1 - x), 127 * y]).astype(np.uint8)
    inks, rgb = Image.frombytes("CMYK", (61, 45), smooth.tobytes()), Image.fromarray(smooth[:, :, :3])
    for mode, image in (("CMYK", inks), ("RGB", rgb), ("L", rgb.convert("L"))):
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                options = {"subsampling": subsampling, "progressive": progressive, "quality": 90}
                name = f"jpeg {mode} {subsampling} {'progressive' if progressive else 'baseline'}"
                yield name, handmade.encoded(image, "JPEG", **options)
        plain = handmade.encoded(image, "JPEG", quality=90)
        for transform in (0, 1, 2):
            yield f"jpeg {mode} adobe {transform}", handmade.with_marker(plain, handmade.adobe(transform))
        yield f"jpeg {mode} no marker", handmade.with_marker(plain, b"")
    large = Image.fromarray(noise(9, 12, 16)).resize((1600, 1200), Image.Resampling.BICUBIC)
    yield "jpeg large", handmade.encoded(large, "JPEG", quality=90)
