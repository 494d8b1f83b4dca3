"""Files by another encoder than Pillow (tifffile, or made by hand), outcomes in float64 or by how they were made.

What Pillow's convert("RGB"), which timm uses, makes of some of them is asserted too: it is why gmixer differs.
"""

from __future__ import annotations

import warnings
import zlib
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from gmixer.errors import ImageError
from gmixer.images.decode import decode
from handmade import SHORT, chunk, encoded, png
from handmade import tiff as handmade_tiff

RNG = np.random.default_rng(0)
ORDERS = ["<", ">"]
EVERY_HW = np.arange(65_536).reshape(256, 256)  # every pair of two bytes, and every number of 16 bits


def by_timm(data: bytes) -> np.ndarray:
    with warnings.catch_warnings(action="ignore"):  # a palette with alpha is one that Pillow warns of
        return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def by_pillow(data: bytes) -> np.ndarray:
    """In the file's own mode, not converted."""
    return np.asarray(Image.open(BytesIO(data)))


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Values in 0…255, alpha in 0…1."""
    return np.rint(colour * alpha + 255.0 * (1 - alpha))


def error_of(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value


# --- every value there is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_every_value_under_every_alpha(image_format: str) -> None:
    value, alpha = (EVERY_HW >> 8).astype(np.uint8), (EVERY_HW & 255).astype(np.uint8)
    want = over_white(value.astype(float), alpha / 255)
    file = encoded(Image.fromarray(np.dstack([value] * 3 + [alpha])), image_format, lossless=True, exact=True)
    for channel in range(3):
        assert np.array_equal(decode(file)[:, :, channel], want)
    assert np.array_equal(by_timm(file)[:, :, 0], value)  # the alpha dropped
    if image_format != "WEBP":
        grey = Image.merge("LA", [Image.fromarray(value), Image.fromarray(alpha)])
        assert np.array_equal(decode(encoded(grey, image_format))[:, :, 1], want)


def test_a_palette_of_256_colours_with_256_alphas() -> None:
    palette, alpha = RNG.integers(0, 256, (256, 3), np.uint8), RNG.permutation(256).astype(np.uint8)
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    image.putpalette(palette.tobytes())
    file = encoded(image, "PNG", transparency=alpha.tobytes())
    assert Image.open(BytesIO(file)).mode == "P"
    assert np.array_equal(decode(file).reshape(256, 3), over_white(palette.astype(float), alpha[:, None] / 255))
    assert np.array_equal(by_timm(file).reshape(256, 3), palette)


STORAGE: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 7},
    {"tile": (16, 16)},
    {"compression": "zlib"},
    {"compression": "zlib", "predictor": True},
    {"bigtiff": True},
]


def tiff(array: np.ndarray, **options: Any) -> bytes:
    out = BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("storage", STORAGE, ids=str)
def test_every_grey_of_sixteen_bits(order: str, storage: dict[str, Any]) -> None:
    file = tiff(EVERY_HW.astype(np.uint16), byteorder=order, photometric="minisblack", **storage)
    if order == ">" and "bigtiff" in storage:
        assert error_of(file).kind == "unsupported"  # Pillow knows no such files
        return
    want = np.rint(EVERY_HW * (255 / 65_535))
    for channel in range(3):
        assert np.array_equal(decode(file)[:, :, channel], want)
    assert by_timm(file)[30_000 // 256, 30_000 % 256].tolist() == [255] * 3  # clipped


@pytest.mark.parametrize("order", ORDERS)
def test_colour_of_sixteen_bits_keeps_the_upper_eight_as_in_pillow(order: str) -> None:
    colour_HWC = np.dstack([EVERY_HW, EVERY_HW[::-1], EVERY_HW.T]).astype(np.uint16)
    png_of_it = png(256, 256, 16, 2, filtered(packed(colour_HWC, 16)))
    for file in (tiff(colour_HWC, byteorder=order, photometric="rgb"), png_of_it):
        assert np.array_equal(decode(file), colour_HWC >> 8)
        assert np.array_equal(by_timm(file), colour_HWC >> 8)


# --- TIFF: never other pixels than the file holds -------------------------------------------------------------------


def colours(channels: np.ndarray, photometric: str) -> np.ndarray:
    """Channels first and in 0…1 → RGB in 0…255."""
    match photometric:
        case "minisblack":
            rgb = channels[[0, 0, 0]]
        case "miniswhite":
            rgb = 1 - channels[[0, 0, 0]]
        case "rgb":
            rgb = channels[:3]
        case _:  # inks
            rgb = (1 - channels[:3]) * (1 - channels[3])
    return 255 * np.moveaxis(rgb, 0, 2)


KINDS = [("minisblack", 1), ("miniswhite", 1), ("rgb", 3), ("separated", 4)]
ALPHAS = [None, "unassalpha", "assocalpha", "unspecified"]


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("photometric", "count"), KINDS)
def test_a_tiff_is_read_rightly_or_not_at_all(photometric: str, count: int, alpha: str | None, planes: str) -> None:
    read = set()
    for depth, order, storage in product((np.uint8, np.uint16), ORDERS, STORAGE):
        white = np.iinfo(depth).max
        exact = RNG.random((count + (alpha is not None), 20, 30))
        if alpha == "assocalpha":
            exact[:-1] *= exact[-1]
        stored = np.rint(exact * white).astype(depth)
        exact = stored / white
        want = colours(exact, photometric)
        if alpha == "unassalpha":
            want = want * exact[-1][:, :, None] + 255 * (1 - exact[-1][:, :, None])
        elif alpha == "assocalpha":
            want = want + 255 * (1 - exact[-1][:, :, None])
        options = storage | ({"extrasamples": [alpha]} if alpha else {})
        if len(stored) > 1:
            options = options | {"planarconfig": planes}
        array = stored[0] if len(stored) == 1 else stored if planes == "separate" else np.moveaxis(stored, 0, 2).copy()
        file = tiff(array, photometric=photometric, byteorder=order, **options)
        try:
            pixels = decode(file)
        except ImageError as error:
            assert error.kind in {"unsupported", "corrupt"}
        else:
            # Pillow rounds when it divides by the alpha and keeps the upper 8 bits of 16: of colour, ink and alpha.
            assert np.abs(pixels - want).max() <= (1 if depth == np.uint8 and alpha != "assocalpha" else 3)
            read.add((depth, order, str(storage)))
    if planes == "contig" and alpha is None and photometric != "miniswhite":
        assert len(read) == 22  # all but the two big-endian BigTIFFs


def separate(stored: np.ndarray, photometric: str, **options: Any) -> bytes:
    """stored: channels first."""
    return tiff(stored, photometric=photometric, planarconfig="separate", **options)


def one_plane(grey_HW: np.ndarray, photometric: int, compression: int = 1) -> bytes:
    """A grey TIFF that says "separate", which means nothing for one channel, as some writers do."""
    data = grey_HW.tobytes() if compression == 1 else zlib.compress(grey_HW.tobytes())
    tags = {259: (SHORT, [compression]), 284: (SHORT, [2])}
    return handmade_tiff(grey_HW.shape[1], grey_HW.shape[0], [8], photometric, data, tags=tags)


NOISE_CHW = RNG.integers(0, 256, (4, 20, 30), np.uint8)
DEEP_CHW = RNG.integers(0, 65_536, (4, 20, 30), np.uint16)
WITH_ALPHA: dict[str, Any] = {"extrasamples": ["unassalpha"]}
BIG_ZLIB: dict[str, Any] = {"byteorder": ">", "compression": "zlib", "photometric": "minisblack"}
MISREAD = {
    "rgb of 16 bits": (separate(DEEP_CHW[:3], "rgb"), DEEP_CHW[:3] >> 8),
    "inks of 16 bits": (separate(DEEP_CHW, "separated"), DEEP_CHW >> 8),
    "rgba of 16 bits": (separate(DEEP_CHW, "rgb", **WITH_ALPHA), DEEP_CHW >> 8),
    "lab": (separate(NOISE_CHW[:3], "cielab"), NOISE_CHW[:3]),
    "lab, compressed": (separate(NOISE_CHW[:3], "cielab", compression="zlib"), NOISE_CHW[:3]),
    "grey with alpha": (separate(NOISE_CHW[:2], "minisblack", compression="zlib", **WITH_ALPHA), NOISE_CHW[:2]),
    "one plane, white as 0": (one_plane(NOISE_CHW[0], 0), 255 - NOISE_CHW[:1]),
    "signed, of 16 bits": (tiff((DEEP_CHW[0] >> 1).astype(np.int16), **BIG_ZLIB), DEEP_CHW[:1] >> 1),
    "signed, of 32 bits": (tiff(DEEP_CHW[0].astype(np.int32), **BIG_ZLIB), DEEP_CHW[:1]),
}


@pytest.mark.parametrize(("file", "held_CHW"), MISREAD.values(), ids=list(MISREAD))
def test_what_pillow_misreads_is_refused(file: bytes, held_CHW: np.ndarray) -> None:
    pixels = np.atleast_3d(by_pillow(file))  # else it is time to read it
    assert pixels.shape == np.moveaxis(held_CHW, 0, 2).shape
    assert not np.array_equal(pixels, np.moveaxis(held_CHW, 0, 2))
    for source in (file, Image.open(BytesIO(file))):
        with pytest.raises(ImageError, match=r"which Pillow misreads|that Pillow misreads") as caught:
            decode(source)
        assert caught.value.kind == "unsupported"
        assert ": save it with" in caught.value.reason


def test_the_same_images_in_another_form_are_read() -> None:
    """What the refusals advise."""
    together = tiff(np.moveaxis(DEEP_CHW[:3], 0, 2).copy(), photometric="rgb")
    by_libtiff = separate(DEEP_CHW[:3], "rgb", compression="zlib")
    for file in (together, by_libtiff):
        assert np.array_equal(decode(file), np.moveaxis(DEEP_CHW[:3] >> 8, 0, 2))
    assert np.array_equal(decode(separate(NOISE_CHW[:3], "rgb")), np.moveaxis(NOISE_CHW[:3], 0, 2))
    assert np.array_equal(decode(one_plane(NOISE_CHW[0], 1))[:, :, 0], NOISE_CHW[0])
    turned = one_plane(NOISE_CHW[0], 0, compression=8)
    assert np.array_equal(decode(turned)[:, :, 0], 255 - NOISE_CHW[0])
    want = np.rint(DEEP_CHW[0] * (255 / 65_535))
    for options in (BIG_ZLIB | {"compression": None}, BIG_ZLIB | {"byteorder": "<"}):
        assert np.array_equal(decode(tiff(DEEP_CHW[0].astype(np.int32), **options))[:, :, 0], want)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("storage", STORAGE[:4], ids=str)
def test_floating_point_is_refused(order: str, kind: type, storage: dict[str, Any]) -> None:
    grey = tiff(RNG.random((20, 30)).astype(kind), byteorder=order, photometric="minisblack", **storage)
    colour = tiff(RNG.random((20, 30, 3)).astype(kind), byteorder=order, photometric="rgb", **storage)
    assert error_of(grey).kind == error_of(colour).kind == "unsupported"


def test_of_pages_of_several_kinds_the_first() -> None:
    out = BytesIO()
    with tifffile.TiffWriter(out, bigtiff=True) as file:
        file.write(np.moveaxis(NOISE_CHW[:3], 0, 2).copy(), photometric="rgb")
        file.write(DEEP_CHW[0, :5], photometric="minisblack")
        file.write(RNG.random((4, 4)), photometric="minisblack")
    assert np.array_equal(decode(out.getvalue()), np.moveaxis(NOISE_CHW[:3], 0, 2))


# --- PNG, interlaced ------------------------------------------------------------------------------------------------


PALETTE = RNG.integers(0, 256, (256, 3), np.uint8)
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # x y dx dy
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def packed(samples_HWC: np.ndarray, depth: int) -> np.ndarray:
    """(H, bytes of a row)."""
    rows = samples_HWC.reshape(len(samples_HWC), -1)
    if depth == 16:
        return rows.astype(">u2").view(np.uint8)
    bits = (rows[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(len(rows), -1).astype(np.uint8), axis=1)


def filtered(rows: np.ndarray) -> bytes:
    """Each row behind the byte that says "no filter"."""
    return b"".join(b"\0" + row.tobytes() for row in rows)


@pytest.mark.parametrize(
    ("colour", "depth"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8),
     (6, 16)],
)  # fmt: skip
def test_interlaced_pngs_hold_the_same_image(colour: int, depth: int) -> None:
    for height, width in [(1, 1), (1, 9), (2, 3), (5, 1), (8, 8), (13, 11)]:
        samples = RNG.integers(0, 2**depth, (height, width, CHANNELS[colour]))
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        rows = b"".join(filtered(packed(part, depth)) for part in passes if part.size)
        palette = [chunk(b"PLTE", PALETTE[: 2**depth].tobytes())] if colour == 3 else []
        whole = decode(png(width, height, depth, colour, filtered(packed(samples, depth)), *palette))
        interlaced = png(width, height, depth, colour, rows, *palette, interlace=1)
        assert np.array_equal(decode(interlaced), whole)
        eight = samples * 255 / (2**depth - 1)
        want = {0: eight, 2: eight, 3: PALETTE[samples[:, :, 0] if colour == 3 else 0]}.get(colour)
        if want is None:
            want = over_white(eight[:, :, :-1], eight[:, :, -1:] / 255)
        assert np.abs(whole - want).max() <= (0.5 if depth < 16 or colour == 0 else 2)  # upper 8 bits of 16


# --- JPEG -----------------------------------------------------------------------------------------------------------

y, x = np.mgrid[0:45, 0:61] / 61
SMOOTH_HWC = np.dstack([255 * x, 255 * y, 255 * (1 - x), 127 * y]).astype(np.uint8)
SMOOTH_CMYK = Image.frombytes("CMYK", (61, 45), SMOOTH_HWC.tobytes())


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_progressive_jpeg_is_the_same_image_as_a_baseline_one(mode: str, subsampling: int) -> None:
    """Both hold the same coefficients, in another order."""
    image = SMOOTH_CMYK if mode == "CMYK" else Image.fromarray(SMOOTH_HWC[:, :, :3]).convert(mode)
    made = [encoded(image, "JPEG", subsampling=subsampling, progressive=progressive) for progressive in (False, True)]
    assert b"\xff\xc0" in made[0] and b"\xff\xc2" in made[1]
    assert np.array_equal(decode(made[0]), decode(made[1]))


def test_a_cmyk_jpeg_of_many_inks() -> None:
    inks = SMOOTH_HWC.astype(float)
    want = (255 - inks[:, :, :3]) * (255 - inks[:, :, 3:]) / 255
    file = encoded(SMOOTH_CMYK, "JPEG", quality=100)
    assert np.abs(decode(file) - want).max() <= 4
