"""decode.py, and the small files it stands on: limits, read, arrays, orient, quiet."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from gmixer.errors import IMAGE_ERROR_KINDS, GmixerError, ImageError, InputError
from gmixer.images.decode import decode
from gmixer.images.silence import let_pillow_read
from gmixer.options import Limits, Reading
from gmixer.sources.entry import may_be_image, read
from gmixer.sources.local import LocalFile

RNG = np.random.default_rng(0)
NOISE_HWC = RNG.integers(0, 256, (19, 23, 3), np.uint8)
LOSSLESS = ["PNG", "BMP", "PPM", "TIFF"]
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM"]


def encoded(image: Image.Image | np.ndarray, image_format: str, **options: object) -> bytes:
    out = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, image_format, **options)
    return out.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def error_of(source: object, **options: object) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(source, **options)  # type: ignore[arg-type]
    assert caught.value.kind in IMAGE_ERROR_KINDS
    assert "\n" not in caught.value.reason
    return caught.value


# --- what comes out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", FORMATS)
def test_an_upright_rgb_file_is_bit_identical_to_pillows(image_format: str, tmp_path: Path) -> None:
    data = encoded(NOISE_HWC, image_format)
    path = tmp_path / "wrong.extension"
    path.write_bytes(data)
    for source in (data, bytearray(data), memoryview(data), path, os.fspath(path), Image.open(BytesIO(data))):
        pixels = decode(source)
        assert (pixels.dtype, pixels.shape, pixels.flags.c_contiguous) == (np.uint8, NOISE_HWC.shape, True)
        assert np.array_equal(pixels, by_pillow(data))


@pytest.mark.parametrize("options", [{"quality": 30}, {"progressive": True}, {"subsampling": 0}, {"keep_rgb": True}])
def test_jpegs_of_several_makes(options: dict[str, object]) -> None:
    data = encoded(NOISE_HWC, "JPEG", **options)
    assert np.array_equal(decode(data), by_pillow(data))


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(LOSSLESS), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_lossless_formats_come_back_exactly(image_format: str, width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert np.array_equal(decode(encoded(pixels, image_format)), pixels)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (3, 1), (3, 3), (3, 50), (1, 65_500), (65_500, 1)])
def test_thin_images(height: int, width: int) -> None:
    pixels = RNG.integers(0, 256, (height, width, 3), np.uint8)
    assert np.array_equal(decode(encoded(pixels, "PNG")), pixels)
    assert np.array_equal(decode(pixels), pixels)
    assert decode(encoded(pixels, "JPEG")).shape == pixels.shape


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame(image_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], lossless=True)
    assert Image.open(BytesIO(data)).n_frames == 3
    assert np.abs(decode(data).astype(int) - (255, 0, 0)).max() <= 3  # WebP's red is not quite


def test_a_broken_second_frame_does_not_cost_the_first() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert (decode(data[: len(data) // 2 + 20]) == (255, 0, 0)).all()


def test_the_first_page_keeps_its_own_tags() -> None:
    pages = [Image.new("RGB", (8, 4), colour) for colour in ("red", "blue")]
    pages[1].encoderinfo = {"tiffinfo": {0x0112: 6}}  # only the second page is to be turned
    assert decode(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])).shape == (4, 8, 3)


def test_a_pil_image_is_left_as_it_was() -> None:
    image = Image.open(BytesIO(encoded(NOISE_HWC, "PNG")))
    decode(image)
    assert np.array_equal(np.asarray(image), NOISE_HWC)
    assert (image.mode, image.size) == ("RGB", (23, 19))


# --- arrays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 5), (3, 3), (4, 3), (5, 1)])
def test_a_two_dimensional_array_is_grey(shape: tuple[int, int]) -> None:
    grey_HW = RNG.integers(0, 256, shape, np.uint8)
    expected = np.dstack([grey_HW] * 3)
    assert np.array_equal(decode(grey_HW), expected)
    assert np.array_equal(decode(grey_HW[:, :, None]), expected)
    assert decode(grey_HW).flags.c_contiguous


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1, 3), (1, 3, 3), (3, 3, 3), (3, 224, 3)])
def test_the_channel_axis_is_the_third(shape: tuple[int, ...]) -> None:
    pixels = RNG.integers(0, 256, shape, np.uint8)
    assert np.shares_memory(decode(pixels), pixels)  # not copied
    assert np.array_equal(decode(pixels[::-1, ::-1]), pixels[::-1, ::-1])
    assert decode(np.asfortranarray(pixels)).flags.c_contiguous


def test_an_rgba_array_lies_over_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    assert decode(rgba).tolist() == [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 5, 3), np.float32), ["float32 (5, 5, 3)", "* 255"]),
        (np.zeros((5, 5, 3), np.int64), ["int64"]),
        (np.zeros((5, 5, 3), bool), ["bool"]),
        (np.zeros((3, 5, 7), np.uint8), ["uint8 (3, 5, 7)", "transpose(1, 2, 0)"]),
        (np.zeros((5, 5, 2), np.uint8), ["(5, 5, 2)"]),
        (np.zeros((2, 5, 5, 3), np.uint8), ["one by one"]),
        (np.zeros((0, 5, 3), np.uint8), ["(0, 5, 3)"]),
        (np.zeros(5, np.uint8), ["(5,)"]),
        (np.zeros((), np.uint8), ["()"]),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        decode(array, name="frame 7")
    assert str(caught.value).startswith("frame 7: got ")
    assert "wanted uint8 (height, width, 3)" in str(caught.value)
    assert all(word in str(caught.value) for word in words)


# --- other numbers of channels --------------------------------------------------------------------------------------


def grey_of(rgb_HWC: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb_HWC).convert("L"))[:, :, None]


IMAGES = {
    **{mode: Image.fromarray(NOISE_HWC).convert(mode) for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB")},
    "LA": Image.merge("LA", [Image.fromarray(NOISE_HWC[:, :, c]) for c in (0, 1)]),
    "RGBA": Image.fromarray(np.dstack([NOISE_HWC, NOISE_HWC[:, :, 1]])),
    "I;16": Image.fromarray(RNG.integers(0, 65_536, (19, 23), np.uint16)),
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=list(IMAGES))
def test_one_channel_is_the_grey_of_the_rgb(image: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image, "TIFF" if image.mode in {"CMYK", "YCbCr", "LAB"} else "PNG", exif=exif)
    path = tmp_path / "image"
    path.write_bytes(data)
    for source in (data, path, image, Image.open(BytesIO(data))):
        for orientation in ("apply", "ignore"):
            grey = decode(source, channels=1, reading=Reading(orientation=orientation))
            assert (grey.dtype, grey.flags.c_contiguous) == (np.uint8, True)
            assert np.array_equal(grey, grey_of(decode(source, reading=Reading(orientation=orientation))))
            assert np.array_equal(decode(source, channels=3), decode(source))


@pytest.mark.parametrize("image_format", [*LOSSLESS, "WEBP"])
def test_grey_keeps_its_values(image_format: str) -> None:
    every_HW = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(decode(encoded(every_HW, image_format, lossless=True), channels=1)[:, :, 0], every_HW)
    assert np.array_equal(decode(np.dstack([every_HW] * 3), channels=1)[:, :, 0], every_HW)


def test_arrays_to_one_channel() -> None:
    grey_HW = RNG.integers(0, 256, (4, 6), np.uint8)
    grey = decode(grey_HW, channels=1)
    assert (grey.shape, np.shares_memory(grey, grey_HW)) == ((4, 6, 1), True)
    assert np.shares_memory(decode(grey, channels=1), grey)  # not copied
    for view in (grey_HW.T, grey_HW[::-1], grey_HW[:, ::2], np.asfortranarray(grey_HW)):
        assert np.array_equal(decode(view, channels=1), view[:, :, None])
        assert decode(view, channels=1).flags.c_contiguous
    assert np.array_equal(decode(NOISE_HWC[::-1], channels=1), grey_of(NOISE_HWC[::-1]))
    rgba = RNG.integers(0, 256, (5, 3, 4), np.uint8)
    assert np.array_equal(decode(rgba, channels=1), grey_of(decode(rgba)))


@pytest.mark.parametrize("channels", [2, 4, 5, 300])
def test_planes_are_taken_as_they_are(channels: int) -> None:
    planes = RNG.integers(0, 256, (6, 7, channels), np.uint8)
    taken = decode(planes, channels=channels)
    assert np.shares_memory(taken, planes) and np.array_equal(taken, planes)
    turned = decode(planes.transpose(1, 0, 2), channels=channels)
    assert np.array_equal(turned, planes.transpose(1, 0, 2)) and turned.flags.c_contiguous


@pytest.mark.parametrize("source", ["cat.jpg", b"", Image.new("RGBA", (2, 2)), Image.new("CMYK", (2, 2)), [NOISE_HWC]])
def test_planes_come_as_arrays_only(source: object) -> None:
    words = r"an image file has 1 or 3 channels, so for 4 pass a uint8 array \(height, width, 4\)"
    with pytest.raises(InputError, match=f"^frame 7: got a {type(source).__name__}; {words}$"):
        decode(source, name="frame 7", channels=4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 7), np.uint8), ["uint8 (5, 7)"]),
        (np.zeros((5, 7, 1), np.uint8), ["uint8 (5, 7, 1)"]),
        (np.zeros((5, 7, 3), np.uint8), ["uint8 (5, 7, 3)"]),
        (np.zeros((5, 7, 4), np.uint8), ["uint8 (5, 7, 4)"]),
        (np.zeros((2, 7, 5), np.uint8), ["uint8 (2, 7, 5)", "transpose(1, 2, 0)"]),
        (np.zeros((5, 7, 2), np.float32), ["float32 (5, 7, 2)", "* 255"]),
        (np.zeros((1, 5, 7, 2), np.uint8), ["one by one"]),
        (np.zeros((0, 7, 2), np.uint8), ["(0, 7, 2)"]),
    ],
)
def test_other_planes_are_refused(array: np.ndarray, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        decode(array, name="frame 7", channels=2)
    assert str(caught.value).startswith("frame 7: got ")
    assert "an image file has 1 or 3 channels, so for 2 pass a uint8 array (height, width, 2)" in str(caught.value)
    assert all(word in str(caught.value) for word in words)
    assert "transpose" in words[-1] or "transpose" not in str(caught.value)


@pytest.mark.parametrize("shape", [(6, 4), (6, 5, 1), (6, 5, 3)])
def test_four_planes_are_not_made_of_an_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"so for 4 pass a uint8 array \(height, width, 4\)$"):
        decode(np.zeros(shape, np.uint8), channels=4)


def test_one_channel_over_white_and_of_sixteen_bits() -> None:
    assert decode(Image.new("LA", (1, 1), (0, 51)), channels=1).tolist() == [[[204]]]
    sixteen = Image.fromarray(np.array([[0, 32_768, 65_535]], np.uint16))
    assert decode(sixteen, channels=1).tolist() == [[[0], [128], [255]]]


def test_one_channel_refuses_what_three_do() -> None:
    for array in (np.zeros((5, 5, 2), np.uint8), np.zeros((5, 5), np.float32), np.zeros((1, 5, 5, 1), np.uint8)):
        with pytest.raises(InputError, match="1 or none for grey"):
            decode(array, channels=1)
    assert error_of(Image.new("F", (1, 1)), channels=1).kind == "unsupported"
    assert error_of(encoded(NOISE_HWC, "PNG")[:200], channels=1).kind == "corrupt"


@pytest.mark.parametrize("channels", [0, -1, 1.0, True, "3", None])
def test_channels_are_a_whole_number_above_zero(channels: object) -> None:
    with pytest.raises(InputError, match=r"channels is .*; wanted a whole number, 1 or more"):
        decode(NOISE_HWC, channels=channels)  # type: ignore[arg-type]


def test_memory_that_runs_out_while_turning_grey_is_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "atleast_3d", lambda _: (_ for _ in ()).throw(MemoryError))
    assert error_of(Image.fromarray(NOISE_HWC), channels=1).kind == "too_large"


# --- orientation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(image_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(NOISE_HWC, image_format, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB"))
    assert expected.shape == ((23, 19, 3) if orientation >= 5 else (19, 23, 3))
    assert np.array_equal(decode(data), expected)
    assert np.array_equal(decode(Image.open(BytesIO(data))), expected)
    assert decode(data).flags.c_contiguous
    assert np.array_equal(decode(data, reading=Reading(orientation="ignore")), by_pillow(data))


def test_orientation_6_turns_right() -> None:
    """Not by Pillow's judgement: the camera's left edge is the top of the image's right edge."""
    exif = Image.Exif()
    exif[0x0112] = 6
    row = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)  # red first
    assert decode(encoded(row, "PNG", exif=exif)).tolist() == [[[255, 0, 0]], [[0, 255, 0]], [[0, 0, 255]]]
    column = row.transpose(1, 0, 2)
    assert decode(encoded(column, "PNG", exif=exif)).tolist() == [[[0, 0, 255], [0, 255, 0], [255, 0, 0]]]


def test_orientation_goes_with_every_mode() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    grey_HW = RNG.integers(0, 65_536, (4, 6), np.uint16)
    turned = decode(encoded(grey_HW, "PNG", exif=exif))
    assert np.array_equal(turned, np.rot90(decode(Image.fromarray(grey_HW))))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\xff\xff\xff\x7f",  # a fraction, past the end
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",  # orientation 99
        b"Exif\0\0II*\0\x08\0\0\0\x02\0\x1a\x01\x05\0\x01\0\0\0\x26\0\0\0\x1b\x01\x05\0\x01\0\0\0\x26\0\0\0"
        + bytes(24),
    ],
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Truncated File Read")  # of the judge, not of decode
def test_damaged_exif_is_ignored_and_the_image_kept(image_format: str, exif: bytes) -> None:
    data = encoded(NOISE_HWC, image_format, exif=exif)
    assert np.array_equal(decode(data), by_pillow(data))


def test_exif_that_raises_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def getexif(image: Image.Image) -> Image.Exif:
        raise ZeroDivisionError

    monkeypatch.setattr(Image.Image, "getexif", getexif)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "getexif", getexif)
    assert np.array_equal(decode(encoded(NOISE_HWC, "PNG")), NOISE_HWC)


def test_an_unknown_orientation_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(InputError, match="wanted one of apply, ignore"):
        decode(NOISE_HWC, reading=Reading(orientation="upright"))  # type: ignore[arg-type]


# --- files that cannot be had ---------------------------------------------------------------------------------------


def test_kinds_of_files(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_bytes(b"<html><body>404</body></html>")
    (tmp_path / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "cut.png").write_bytes(encoded(NOISE_HWC, "PNG")[:200])
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "to nowhere.jpg").symlink_to(tmp_path / "nowhere")
    for name, kind, word in [
        ("missing.jpg", "missing", "no such file"),
        ("to nowhere.jpg", "missing", "link to a file that does not exist"),
        ("page.jpg/inside.jpg", "missing", "no such file"),
        ("", "unreadable", "folder"),
        ("pipe.jpg", "unreadable", "pipe"),
        ("n" * 300, "unreadable", "name too long"),
        ("zero\0byte", "unreadable", "cannot exist"),
        ("empty.jpg", "empty", "no bytes"),
        ("page.jpg", "not_image", "like HTML"),
        ("phone.jpg", "corrupt", "table of images"),
        ("cut.png", "corrupt", "PNG"),
    ]:
        path = f"{tmp_path}/./{name}"
        error = error_of(path)
        assert (error.kind, error.source) == (kind, path)  # the path exactly as given
        assert word in error.reason
        assert str(error) == f"{path}: {error.reason}"
    assert error_of("/dev/zero").kind == "unreadable"
    assert error_of("/dev/null").kind == "unreadable"


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(path: str, flags: int) -> int:  # chmod does not stop root, who runs the tests in containers
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refusing)
    error = error_of("locked.jpg")
    assert (error.kind, error.reason) == ("unreadable", "cannot be read: permission denied")


def test_what_errors_call_the_image() -> None:
    assert error_of(b"").source == "<bytes>"
    assert error_of(b"", name="<stdin>").source == "<stdin>"
    assert error_of(memoryview(b"")).kind == "empty"
    assert error_of(Path("missing.jpg")).source == "missing.jpg"
    assert error_of("missing.jpg", name="row 7").source == "row 7"
    assert error_of(Image.new("F", (1, 1))).source == "<image>"
    error = pickle.loads(pickle.dumps(error_of(b"")))
    assert (error.kind, error.source) == ("empty", "<bytes>")


@pytest.mark.parametrize("source", [5, None, [NOISE_HWC], BytesIO(b"")])
def test_sources_of_other_types_are_refused(source: object) -> None:
    with pytest.raises(InputError, match="wanted a path, bytes, a PIL image or a uint8 array"):
        decode(source)  # type: ignore[arg-type]


def test_a_pil_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="0x5"):
        decode(Image.new("RGB", (0, 5)))


def test_a_pil_image_not_read_yet_may_turn_out_damaged() -> None:
    error = error_of(Image.open(BytesIO(encoded(NOISE_HWC, "PNG")[:200])))
    assert (error.kind, error.source) == ("corrupt", "<image>")


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9"])
@pytest.mark.parametrize("field", ["max_bytes", "max_pixels", "max_frames"])
def test_limits_are_whole_numbers_above_zero(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"Limits.{field} is "):
        Limits(**{field: value})  # type: ignore[arg-type]


def test_too_many_bytes(tmp_path: Path) -> None:
    data = encoded(NOISE_HWC, "BMP")
    path = tmp_path / "a.bmp"
    path.write_bytes(data)
    for source in (data, path):
        assert decode(source, reading=Reading(limits=Limits(max_bytes=len(data)))).shape == NOISE_HWC.shape
        error = error_of(source, reading=Reading(limits=Limits(max_bytes=len(data) - 1)))
        assert error.kind == "too_large"
        assert f"{len(data):,} bytes; the limit is {len(data) - 1:,}, set by Limits.max_bytes" in error.reason


def test_a_file_that_says_it_is_empty_is_counted_while_read() -> None:
    status = Path("/proc/self/status")  # a regular file of 0 bytes, says fstat
    if not status.exists() or status.stat().st_size:
        pytest.skip("no /proc here")
    assert error_of(status).kind == "not_image"
    with pytest.raises(ImageError, match="the limit is 10"):
        read(LocalFile(str(status)), Limits(max_bytes=10))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    path.touch()
    os.truncate(path, 2**40)
    tracemalloc.start()
    error = error_of(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert error.reason.startswith(f"holds {2**40:,} bytes; the limit is 67,108,864")


def header_only(image_format: str, width: int, height: int) -> bytes:
    """A tiny file that claims to be that large."""
    if image_format == "PPM":
        return b"P6 %d %d 255\n" % (width, height)
    data = bytearray(encoded(Image.new("RGB", (1, 1)), image_format))
    if image_format == "BMP":
        data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    elif image_format == "PNG":
        return (
            bytes(data[:8]) + png_chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + b"\x08\2\0\0\0") + data[33:]
        )
    elif image_format == "GIF":
        data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    elif image_format == "JPEG":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = height.to_bytes(2) + width.to_bytes(2)
    return bytes(data)


def png_chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "PPM", "JPEG", "GIF"])
@pytest.mark.parametrize("size", [(12_000, 10_000), (20_000, 20_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_from_the_header(image_format: str, size: tuple[int, int]) -> None:
    tracemalloc.start()
    error = error_of(header_only(image_format, *size))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert error.kind == "too_large"
    assert error.reason.startswith(f"holds {size[0] * size[1]:,} pixels ({size[0]}x{size[1]}); the limit is 89,000,000")
    assert "set by Limits.max_pixels" in error.reason


def test_the_pixel_limit_is_exact_and_holds_for_pil_images() -> None:
    for source in (encoded(NOISE_HWC, "PNG"), Image.fromarray(NOISE_HWC)):
        assert decode(source, reading=Reading(limits=Limits(max_pixels=19 * 23))).shape == NOISE_HWC.shape
        assert error_of(source, reading=Reading(limits=Limits(max_pixels=19 * 23 - 1))).kind == "too_large"


def test_pillows_own_limit_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for image_format in ("JPEG", "PNG", "BMP", "PPM"):
        assert decode(encoded(NOISE_HWC, image_format)).shape == NOISE_HWC.shape
    assert error_of(encoded(NOISE_HWC, "TIFF")).kind == "too_large"  # asked within the decoder: no bare bomb error


@pytest.mark.parametrize("image_format", ["WEBP", "TIFF"])
def test_a_limit_above_pillows_is_kept(image_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As --max-pixels and a decoding process set it: a slide of 200 megapixels is read."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    data = encoded(NOISE_HWC, image_format)
    assert "raise Limits.max_pixels (--max-pixels), and in Python this limit too" in error_of(data).reason
    let_pillow_read(19 * 23)
    assert decode(data).shape == NOISE_HWC.shape
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    let_pillow_read(19 * 23)
    assert Image.MAX_IMAGE_PIXELS is None


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_frame_limit_is_exact(image_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), (50 * n, 0, 0)) for n in range(5)]
    data = encoded(frames[0], image_format, save_all=True, append_images=frames[1:])
    assert decode(data, reading=Reading(limits=Limits(max_frames=5))).shape == (8, 8, 3)
    error = error_of(data, reading=Reading(limits=Limits(max_frames=4)))
    assert error.kind == "too_large"
    assert "more than 4 frames" in error.reason


# --- damage ---------------------------------------------------------------------------------------------------------

SMALL_HWC = RNG.integers(0, 256, (5, 6, 3), np.uint8)
SAMPLES = {name: encoded(SMALL_HWC, name) for name in FORMATS} | {
    "TIFF, LZW": encoded(SMALL_HWC, "TIFF", compression="tiff_lzw"),
    "TIFF, JPEG": encoded(SMALL_HWC, "TIFF", compression="jpeg"),
    "PNG, palette": encoded(Image.fromarray(SMALL_HWC).quantize(5), "PNG", transparency=2),
    "JPEG, EXIF": encoded(
        SMALL_HWC, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\6" + bytes(7)
    ),
}


def pixels_or_image_error(data: bytes) -> np.ndarray | ImageError:
    """Any other exception fails the test."""
    try:
        return decode(data, reading=Reading(limits=Limits(max_pixels=1_000_000)))
    except ImageError as error:
        assert error.kind in IMAGE_ERROR_KINDS
        assert error.reason
        return error


@pytest.mark.parametrize("sample", SAMPLES)
def test_cut_short_anywhere(sample: str) -> None:
    data = SAMPLES[sample]
    whole = decode(data)
    failed = 0
    for length in range(len(data)):
        result = pixels_or_image_error(data[:length])
        if isinstance(result, ImageError):
            failed += 1
        else:  # only what follows the pixels is missing
            assert np.array_equal(result, whole), f"half an image from {length} of {len(data)} bytes"
    assert failed > len(data) / 2


@pytest.mark.parametrize("sample", SAMPLES)
def test_one_bit_flipped(sample: str) -> None:
    data = SAMPLES[sample]
    for bit in RNG.choice(8 * len(data), size=150, replace=False):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        pixels_or_image_error(bytes(flipped))


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_any_damage(sample: str, data: st.DataObject) -> None:
    damaged = bytearray(SAMPLES[sample])
    for position, value in data.draw(st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)))):
        damaged[position] = value
    pixels_or_image_error(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([b"", *(data[:16] for data in SAMPLES.values())]), st.binary(max_size=300))
def test_random_bytes(head: bytes, tail: bytes) -> None:
    pixels_or_image_error(head + tail)


@pytest.mark.parametrize(
    "raised",
    [
        OSError("a\nb"),
        ValueError("v"),
        SyntaxError("s"),
        TypeError("t"),
        ZeroDivisionError(),
        MemoryError(),
        Image.DecompressionBombError("b"),
        NotImplementedError("n"),
        KeyError("k"),
        RecursionError(),
        AssertionError(),
    ],
    ids=repr,
)
def test_whatever_a_decoder_raises_is_one_image_error(raised: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(image: Image.Image) -> None:
        raise raised

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    error = error_of(encoded(NOISE_HWC, "PNG"), name="a.png")
    assert error.source == "a.png"
    assert error.kind == ("too_large" if isinstance(raised, (Image.DecompressionBombError, MemoryError)) else "corrupt")


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_let_through(raised: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(image: Image.Image) -> None:
        raise raised

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    with pytest.raises(raised):
        decode(encoded(NOISE_HWC, "PNG"))


def test_truncation_is_an_error_even_where_pillow_would_pad() -> None:
    data = encoded(RNG.integers(0, 256, (64, 64, 3), np.uint8), "JPEG")
    error = error_of(data[: len(data) // 2])
    assert error.kind == "corrupt"
    assert "JPEG" in error.reason


def test_kept_errors_do_not_keep_the_files_alive(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    path.write_bytes(encoded(RNG.integers(0, 256, (600, 600, 3), np.uint8), "PNG")[:1_000_000])
    tracemalloc.start()
    kept = []
    for _ in range(10):
        try:
            decode(path)
        except ImageError as error:
            kept.append(error)
    assert len(kept) == 10
    assert tracemalloc.get_traced_memory()[0] < 1_000_000
    tracemalloc.stop()


# --- peace and quiet ------------------------------------------------------------------------------------------------

NOISY = """
import sys, warnings
from gmixer.errors import ImageError
from gmixer.images.decode import decode
for path in sys.argv[1:]:
    try:
        print(decode(path).shape)
    except ImageError as error:
        print(error.kind)
"""


@pytest.mark.parametrize("flags", [[], ["-W", "error"], ["-W", "always"]])
def test_nothing_is_said_on_stderr(flags: list[str], tmp_path: Path) -> None:
    lzw = bytearray(SAMPLES["TIFF, LZW"])
    lzw[10] ^= 255  # libtiff writes to file descriptor 2 itself
    raw = bytearray(SAMPLES["TIFF"])
    samples_per_pixel = raw.index((277).to_bytes(2, "little"))
    raw[samples_per_pixel + 8 : samples_per_pixel + 10] = b"\xff\x7f"  # Pillow logs an error
    palette = encoded(Image.new("P", (4, 4)), "PNG", transparency=bytes([0, 1]))
    files = {
        "lzw.tif": bytes(lzw),
        "logged.tif": bytes(raw),
        "cut.tif": SAMPLES["TIFF"][:-9],  # Pillow warns
        "large.png": header_only("PNG", 10_000, 10_000),  # Pillow warns of a bomb
        "apng.png": palette[:33] + png_chunk(b"acTL", bytes(8)) + palette[33:],  # Pillow warns
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    run = subprocess.run(
        [sys.executable, *flags, "-c", NOISY, *(tmp_path / name for name in files)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stderr == ""
    assert run.stdout.split("\n")[-2] == "(4, 4, 3)"


def test_warnings_of_others_still_come_through() -> None:
    decode(encoded(NOISE_HWC, "PNG"))
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def test_a_thread_that_decodes_does_not_silence_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")

        def load(image: Image.Image) -> None:
            warnings.warn("from the decoder", stacklevel=1)
            pool.submit(warnings.warn, "from elsewhere").result()
            raise OSError

        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
        error_of(encoded(NOISE_HWC, "PNG"))
        caught = [str(warning.message) for warning in seen]
    assert caught == ["from elsewhere"]


def test_many_threads_at_once() -> None:
    data = [encoded(RNG.integers(0, 256, (30, 40, 3), np.uint8), name) for name in FORMATS] * 10
    data[::7] = [b"GIF89a cut short"] * len(data[::7])

    def one(item: bytes) -> np.ndarray | str:
        try:
            return decode(item)
        except GmixerError as error:
            return str(error)

    alone = [one(item) for item in data]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(one, data))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_may_be_image_agrees_with_decode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for data in SAMPLES.values():
        path.write_bytes(data)
        assert may_be_image(LocalFile(str(path)))
