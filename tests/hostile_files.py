"""Pictures, good ones of every make and ones made to harm: small functions that give (name, bytes) or several of them.

The same bytes every time. Names carry the extension that a deceiver would choose.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import islice

import numpy as np
from PIL import Image

File = tuple[str, bytes]

EXTENSIONS = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "AVIF": "avif",
    "TIFF": "tif",
    "BMP": "bmp",
    "GIF": "gif",
    "PPM": "ppm",
}


def good(count: int) -> Iterator[File]:
    """Pictures of many formats, sizes and modes, all of them sound."""
    rng = np.random.default_rng(1)
    makes = [(image_format, "RGB") for image_format in EXTENSIONS]
    makes += [("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")]
    makes += [("JPEG", "L"), ("JPEG", "CMYK"), ("WEBP", "RGBA"), ("TIFF", "CMYK"), ("TIFF", "RGBA"), ("GIF", "P")]
    for i in range(count):
        image_format, mode = makes[i % len(makes)]
        height, width = rng.integers(1, 160, 2)
        if mode == "I;16":
            image = Image.fromarray(rng.integers(0, 65_536, (height, width), np.uint16))
        else:
            coarse = rng.integers(0, 256, (4, 4, 4), np.uint8)
            image = Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC)
            image = (image if "A" in mode else image.convert("RGB")).convert(mode)
        exif = Image.Exif()
        exif[0x0112] = 1 + i % 8
        options = {"exif": exif} if image_format in ("JPEG", "PNG", "WEBP") else {}
        yield f"good.{EXTENSIONS[image_format]}", saved(image, image_format, **options)


def hostile(count: int) -> list[File]:
    """At most that many: each kind of attack, then more of cut and flipped ones."""
    files = [
        *no_pictures(),
        *huge_claims(),
        *bad_exif(),
        pixel_bomb(),
        bad_strips(),
        gif_of_many_frames(),
        gif_of_many_blocks(),
        webp_of_many_frames(),
        tiff_that_bites_its_tail(),
        png_text_bomb(),
        hair(),
    ]
    damaged = zip(cut_short(), bits_flipped(), strict=False)
    return list(islice((*files, *(file for pair in damaged for file in pair)), count))


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def sound(image_format: str) -> bytes:
    noise = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
    return saved(Image.fromarray(noise), image_format)


def cut_short() -> Iterator[File]:
    for percent in range(2, 100, 3):
        for image_format, extension in EXTENSIONS.items():
            data = sound(image_format)
            yield f"cut.{extension}", data[: len(data) * percent // 100]


def bits_flipped() -> Iterator[File]:
    rng = np.random.default_rng(3)
    while True:
        for image_format, extension in EXTENSIONS.items():
            data = bytearray(sound(image_format))
            for bit in (*rng.integers(0, 8 * 200, 2), *rng.integers(0, 8 * len(data), 6)):
                data[bit // 8] ^= 1 << bit % 8
            yield f"flipped.{extension}", bytes(data)


def no_pictures() -> Iterator[File]:
    yield "empty.jpg", b""
    yield "page.jpg", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "script.png", b"<script>alert(1)</script>"
    yield "drawing.svg.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "document.gif", b"%PDF-1.7\n"
    yield "archive.webp", b"PK\3\4" + bytes(100)
    yield "zeros.jpg", bytes(10_000)
    yield "photo.heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    yield "magic.jpg", b"\xff\xd8\xff"
    yield "magic.png", b"\x89PNG\r\n\x1a\n"
    yield "magic.gif", b"GIF89a"
    yield "magic.webp", b"RIFF\xff\xff\xff\xffWEBPVP8L"
    yield "magic.tif", b"II*\0\xff\xff\xff\xff"


def huge_claims(width: int = 60_000, height: int = 60_000) -> Iterator[File]:
    """A few bytes that say they are that large."""
    png = bytearray(sound("PNG"))
    png[16:33] = struct.pack(">II5s", width, height, png[24:29]) + bytes(4)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    yield "claim.png", bytes(png)
    jpeg = bytearray(sound("JPEG"))
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", height, width)
    yield "claim.jpg", bytes(jpeg)
    bmp = bytearray(sound("BMP"))
    bmp[18:26] = struct.pack("<II", width, height)
    yield "claim.bmp", bytes(bmp)
    gif = bytearray(sound("GIF"))
    gif[6:10] = struct.pack("<HH", width, height)
    yield "claim.gif", bytes(gif)
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 10)]
    yield "claim.tif", tiff(tags)
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    yield "claim.webp", riff(b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas + sound("WEBP")[12:])
    yield "claim.ppm", b"P6 %d %d 255\n" % (width, height)


def bad_exif() -> Iterator[File]:
    picture = Image.new("RGB", (30, 20), "teal")
    for exif in (
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\xff\xff\xff\x7f",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\x63\0\0\0\0\0\0\0",
    ):
        yield "exif.jpg", saved(picture, "JPEG", exif=exif)


def pixel_bomb(width: int = 10_000, height: int = 8_000) -> File:
    """80 megapixels in some hundred kilobytes; within the limits, so it is to be read."""
    pack = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    pixels = b"".join([pack.compress(row) for _ in range(height)]) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return "bomb.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bad_strips(rows: int = 5_000) -> File:
    """A strip a row, each of them damaged: libtiff has a line to say about every one."""
    noise = np.random.default_rng(4).integers(0, 256, (rows, 8, 3), np.uint8)
    data = bytearray(saved(Image.fromarray(noise), "TIFF", compression="tiff_lzw", strip_size=1))
    for at in range(8, len(data) // 2, 17):
        data[at] ^= 255
    return "strips.tif", bytes(data)


def gif_of_many_frames(byte_count: int = 2**21) -> File:
    frame = b",\0\0\0\0\1\0\1\0\0\2\0"
    return "frames.gif", b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + frame * (byte_count // len(frame))


def gif_of_many_blocks(byte_count: int = 2**22) -> File:
    return "blocks.gif", b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b"!\xfe" + b"\1a" * (byte_count // 2)


def webp_of_many_frames(frames: int = 5_000) -> File:
    picture = saved(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    frame = b"ANMF" + struct.pack("<I", 16 + len(picture)) + bytes(12) + b"\1\0\0\0" + picture
    animation = b"VP8X" + struct.pack("<I", 10) + b"\2" + bytes(9) + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return "frames.webp", riff(animation + frame * frames)


def tiff_that_bites_its_tail() -> File:
    return "circle.tif", tiff([(256, 4), (257, 4)], following=8)


def png_text_bomb() -> File:
    text = b"key\0\0" + zlib.compress(bytes(60 * 2**20), 9)
    data = sound("PNG")
    return "text.png", data[:33] + chunk(b"zTXt", text) + data[33:]


def hair() -> File:
    return "hair.png", saved(Image.new("L", (1, 65_535)), "PNG")


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def tiff(tags: list[tuple[int, int]], following: int = 0) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following)
