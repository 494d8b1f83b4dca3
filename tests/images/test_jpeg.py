"""jpeg.py: simplejpeg's pixels are Pillow's; where they might not be, Pillow is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import skimage
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, features

import gmixer
from gmixer.data import Preprocess
from gmixer.errors import ImageError, InputError
from gmixer.images import jpeg
from gmixer.images.decode import decode
from gmixer.images.decoders import open_image
from gmixer.images.exif import upright, upright_pixels
from gmixer.images.settings import DecodeSettings
from gmixer.isolation.workers import Workers
from gmixer.options import Limits, Reading
from handmade import adobe, segment, segments, with_marker

PHOTOS = Path(skimage.__file__).parent / "data"
PHOTO = Image.open(PHOTOS / "chelsea.png").convert("RGB")
PHOTO_HWC = np.asarray(PHOTO)
NOISE_HWC = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "grey")
BY_SIMPLEJPEG = {"4:4:0": "440", "4:1:1": "411"}  # Pillow cannot write these


def saved(image: Image.Image | np.ndarray, **options: object) -> bytes:
    out = BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFile, "MAXBLOCK", 2**22)  # Pillow's buffer is too small for progressive noise
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, "JPEG", **options)
    return out.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def fast(data: bytes, reduce_to_px: int = 0, *, apply_exif: bool = True) -> np.ndarray | None:
    """What simplejpeg is taken for; None where it is not."""
    opened = open_image(data, "JPEG", DecodeSettings(10**8, 10, True, 3, reduce_to_px, False), source="")
    return jpeg.plain_pixels(opened.image, data, apply_exif=apply_exif)


Outcome = np.ndarray | tuple[str, str]


def outcome(data: bytes, reduce_to_px: int = 0) -> Outcome:
    try:
        return decode(data, reduce_to_px=reduce_to_px)
    except ImageError as error:
        return error.kind, error.reason


def outcome_by_pillow(data: bytes, reduce_to_px: int = 0) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "_decoder", lambda: None)
        return outcome(data, reduce_to_px)


def assert_same(got: Outcome, want: Outcome) -> None:
    if isinstance(want, tuple):
        assert got == want
    else:
        np.testing.assert_array_equal(got, want)


@st.composite
def images(draw: st.DrawFn, most_px: int = 200) -> np.ndarray:
    """uint8 (H, W, 3): noise, a gradient, or a piece of a photograph."""
    height, width = draw(st.integers(1, most_px)), draw(st.integers(1, most_px))
    content, seed = draw(st.sampled_from(("noise", "gradient", "photo"))), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    if content == "noise":
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if content == "gradient":
        corners = Image.fromarray(rng.integers(0, 256, (2, 2, 3), np.uint8))
        return np.asarray(corners.resize((width, height), Image.Resampling.BILINEAR))
    top, left = (int(rng.integers(0, side - most_px + 1)) for side in PHOTO_HWC.shape[:2])
    return np.ascontiguousarray(PHOTO_HWC[top : top + height, left : left + width])


@st.composite
def files(draw: st.DrawFn, most_px: int = 200, exif: bool = False) -> bytes:
    """Sound JPEGs of every make that jpeg.py takes."""
    pixels_HWC, quality = draw(images(most_px)), draw(st.integers(1, 100))
    sampling = draw(st.sampled_from(SAMPLINGS))
    if sampling in BY_SIMPLEJPEG:
        return simplejpeg.encode_jpeg(pixels_HWC, quality, colorsubsampling=BY_SIMPLEJPEG[sampling])
    options: dict[str, object] = {"progressive": draw(st.booleans()), "optimize": draw(st.booleans())}
    options["restart_marker_blocks"] = draw(st.sampled_from((0, 0, 1, 3, 20)))
    if exif:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = draw(st.integers(0, 9))
    image = Image.fromarray(pixels_HWC)
    if sampling == "grey":
        return saved(image.convert("L"), quality=quality, **options)
    return saved(image, quality=quality, subsampling=sampling, **options)


# --- sound files ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=300)
@given(files())
@example(saved(NOISE_HWC[:7, :5]))
@example(saved(NOISE_HWC[:1, :1]))
def test_pixels_are_pillows_bit_for_bit(data: bytes) -> None:
    pixels_HWC = fast(data)
    assert pixels_HWC is not None, "not tried, or given up"
    np.testing.assert_array_equal(pixels_HWC, by_pillow(data))
    np.testing.assert_array_equal(decode(data), pixels_HWC)


@settings(deadline=None, max_examples=60)
@given(files(most_px=40, exif=True))
def test_exif_turns_them_as_it_turns_pillows(data: bytes) -> None:
    image = Image.open(BytesIO(data))
    if not 0 < image.getexif().get(0x0112, 1) < 9:
        del image.getexif()[0x0112]  # nonsense turns nothing
    want_HWC = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    pixels_HWC = fast(data)
    assert pixels_HWC is not None and pixels_HWC.flags.c_contiguous
    np.testing.assert_array_equal(pixels_HWC, want_HWC)
    np.testing.assert_array_equal(decode(data), want_HWC)
    np.testing.assert_array_equal(decode(data, reading=Reading(orientation="ignore")), by_pillow(data))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (30, 20)])
@pytest.mark.parametrize("orientation", range(10))
def test_pixels_turn_as_images_do(orientation: int, size: tuple[int, int]) -> None:
    image = PHOTO.crop((0, 0, *size))
    want_HWC = np.asarray(upright(image, orientation))
    pixels_HWC = upright_pixels(np.array(image), orientation)
    np.testing.assert_array_equal(pixels_HWC, want_HWC)
    assert pixels_HWC.flags.c_contiguous


def test_an_orientation_in_xmp_counts_too() -> None:
    """Pillow reads it where EXIF says nothing."""
    data = saved(PHOTO, xmp=b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>')
    assert fast(data).shape == (PHOTO.width, PHOTO.height, 3)
    assert_same(outcome(data), outcome_by_pillow(data))


@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg"])
def test_real_photographs(name: str) -> None:
    image = Image.open(PHOTOS / name).convert("RGB")
    own = [(PHOTOS / name).read_bytes()] if name.endswith("jpg") else []
    for data in [*own, saved(image, quality=95), saved(image, quality=75, progressive=True)]:
        pixels_HWC = fast(data)
        assert pixels_HWC is not None
        np.testing.assert_array_equal(pixels_HWC, by_pillow(data))


def test_decode_does_without_pillows_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    data, want_HWC = saved(PHOTO), by_pillow(saved(PHOTO))
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    np.testing.assert_array_equal(decode(data), want_HWC)


def test_grey_for_a_grey_model_is_pillows() -> None:
    for data in (saved(PHOTO), saved(PHOTO.convert("L"))):
        want_HW = np.asarray(Image.open(BytesIO(data)).convert("RGB").convert("L"))
        np.testing.assert_array_equal(decode(data, channels=1)[:, :, 0], want_HW)


def test_limits_are_those_of_the_whole_image() -> None:
    for reduce_to_px in (0, 10):
        with pytest.raises(ImageError) as caught:
            decode(
                saved(PHOTO),
                reading=Reading(limits=Limits(max_pixels=PHOTO.width * PHOTO.height - 1)),
                reduce_to_px=reduce_to_px,
            )
        assert caught.value.kind == "too_large"


# --- damaged and unusual files --------------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file that was cut, or of which bits are flipped, bytes written over, lost or added; behind the first
    three bytes, by which it is known as a JPEG."""
    data = bytearray(draw(files(most_px=60)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(3, max(3, len(data) - 1)))
        match draw(st.sampled_from(("cut", "flip", "flip", "flip", "write", "lose", "add"))):
            case "cut":
                del data[at:]
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "write":
                data[at : at + 2] = draw(st.binary(min_size=2, max_size=2))
            case "lose":
                del data[at : at + draw(st.integers(1, 4))]
            case "add":
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
    return bytes(data)


@settings(deadline=None, max_examples=600)
@given(damaged(), st.sampled_from((0, 0, 0, 5)))
def test_of_a_damaged_file_comes_what_pillow_makes_of_it(data: bytes, reduce_to_px: int) -> None:
    assert_same(outcome(data, reduce_to_px), outcome_by_pillow(data, reduce_to_px))


def test_a_large_file_is_damaged_as_pillow_says() -> None:
    """Pillow feeds its decoder 64 KiB at a time."""
    rng, tried = np.random.default_rng(0), 0
    for options in ({}, {"progressive": True}, {"restart_marker_blocks": 7}):
        data = saved(PHOTO, quality=98, **options)
        assert len(data) > 2**16
        for at in rng.integers(600, len(data) - 2, 25):
            flipped = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
            assert_same(outcome(flipped), outcome_by_pillow(flipped))
            tried += fast(flipped) is not None
    assert tried > 10  # a flipped bit often makes another sound file


def frame_of(data: bytes) -> int:
    """Where its frame's header begins."""
    return next(start for marker, start, _ in segments(data) if marker in (0xC0, 0xC1, 0xC2))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def progressive_cut_short() -> bytes:
    """Sound but for its last scans, with an end: a decoder smooths what is missing."""
    data = saved(PHOTO, progressive=True)
    return data[: data.rindex(b"\xff\xda")] + b"\xff\xd9"


YCC = saved(PHOTO)
AT = frame_of(YCC)
UNUSUAL_HEADERS = {
    "ink": saved(PHOTO.convert("CMYK")),
    "ink, YCCK": with_marker(saved(PHOTO.convert("CMYK")), adobe(2)),
    "RGB": saved(PHOTO, keep_rgb=True),
    "RGB by Adobe's marker": with_marker(saved(PHOTO, subsampling=0), adobe(0)),
    "an unknown transform": with_marker(YCC, adobe(7)),
    "a marker of Adobe's that is too long": with_marker(YCC, segment(0xEE, b"Adobe" + bytes(7) + b"\1")),
    "a marker of Adobe's that is another's": with_marker(YCC, segment(0xEE, b"Abode" + bytes(6) + b"\1")),
    "filler before a segment": YCC[:2] + b"\xff" + YCC[2:],
    "something between two segments": YCC[:AT] + b"\0" + YCC[AT:],
    "a segment that does not begin as one": YCC[:AT] + b"\0" + segment(0xE5)[1:] + YCC[AT:],
    "arithmetic coding": patched(YCC, AT + 1, b"\xc9"),
    "lossless": patched(YCC, AT + 1, b"\xc3"),
    "12 bits": patched(YCC, AT + 4, b"\x0c"),
    "a channel that is not there": patched(YCC, AT + 9, b"\4"),
    "other numbers of channels": patched(YCC, AT + 10, b"\0"),
    "a sampling of 2x2, 2x1, 1x1": patched(YCC, AT + 14, b"\x21"),
    "a sampling of 3x1": patched(YCC, AT + 11, b"\x31"),
    "two frames": YCC[:AT] + YCC[AT : AT + 19] + YCC[AT:],
    "1,001 segments": YCC[:2] + 1001 * segment(0xFE) + YCC[2:],
    "no pixels": YCC[: segments(YCC)[-1][1]],
}
WARNED_OF = {
    "no end": YCC[:-2],
    "an end written over": YCC[:-2] + b"\0\0",
    "restarts that do not come": YCC[:AT] + segment(0xDD, b"\0\1") + YCC[AT:],
    "half of it": YCC[: len(YCC) // 2],
}
ALSO_TAKEN = {
    "Photoshop's marker": with_marker(YCC, adobe(1)),
    "neither JFIF's nor Adobe's": with_marker(YCC, b""),
    "extended": patched(YCC, AT + 1, b"\xc1"),
    "999 segments": YCC[:2] + 980 * segment(0xFE) + YCC[2:],
    "a video behind it": YCC + bytes(range(256)) * 300,
    "progressive without its last scan": progressive_cut_short(),
    "grey, called 2x2": patched(saved(PHOTO.convert("L")), frame_of(saved(PHOTO.convert("L"))) + 11, b"\x22"),
}


@pytest.mark.parametrize("name", [*UNUSUAL_HEADERS, *WARNED_OF])
def test_pillow_decides_on(name: str) -> None:
    data = UNUSUAL_HEADERS.get(name) or WARNED_OF[name]
    assert (jpeg._plain_size(data) is None) == (name in UNUSUAL_HEADERS)
    assert_same(outcome(data), outcome_by_pillow(data))
    if isinstance(outcome(data), np.ndarray) or name in WARNED_OF:
        assert fast(data) is None


@pytest.mark.parametrize("name", ALSO_TAKEN)
def test_simplejpeg_is_trusted_with(name: str) -> None:
    data = ALSO_TAKEN[name]
    assert fast(data) is not None
    np.testing.assert_array_equal(decode(data), by_pillow(data))


def test_a_file_of_several_images_is_pillows() -> None:
    out = BytesIO()
    PHOTO.save(out, "MPO", save_all=True, append_images=[PHOTO])
    assert Image.open(BytesIO(out.getvalue())).format == "MPO"
    assert fast(out.getvalue()) is None
    np.testing.assert_array_equal(decode(out.getvalue()), by_pillow(out.getvalue()))


def test_pixels_of_another_size_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "_decoder", lambda: lambda data, colours, **options: PHOTO_HWC[1:])
    assert fast(YCC) is None


def test_what_pillow_is_told_to_forgive_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    data = YCC[: len(YCC) // 2]
    assert outcome(data)[0] == "corrupt"
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    np.testing.assert_array_equal(decode(data), by_pillow(data))


# --- where it is not there ------------------------------------------------------------------------------------------


def test_without_simplejpeg_pillow_decodes() -> None:
    """In a process of its own, which has not seen it yet."""
    program = (
        "import sys, numpy as np; from io import BytesIO; from PIL import Image\n"
        "from gmixer.images.decode import decode; from gmixer.images import jpeg\n"
        "assert 'simplejpeg' not in sys.modules\n"
        "sys.modules['simplejpeg'] = None\n"  # importing it now fails
        "data = sys.stdin.buffer.read()\n"
        "assert np.array_equal(decode(data), np.asarray(Image.open(BytesIO(data)).convert('RGB')))\n"
        "assert jpeg._decoder() is None"
    )
    subprocess.run([sys.executable, "-c", program], input=YCC, check=True)


def test_other_formats_do_without_it() -> None:
    program = (
        "import sys; from gmixer.images.decode import decode; decode(sys.argv[1])\n"
        "assert 'simplejpeg' not in sys.modules and 'gmixer.images.jpeg' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, os.fspath(PHOTOS / "chelsea.png")], check=True)


@pytest.mark.parametrize("version", [None, "2.1.5"])
def test_a_pillow_of_another_library_is_not_compared(version: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "version", lambda feature: version)
    assert jpeg._decoder.__wrapped__() is None


def test_it_lets_other_threads_run() -> None:
    """Python lets a thread keep its lock for 100 s here; only a thread that gives it away lets another one run."""
    image = PHOTO.resize((4000, 3000))
    data = saved(image)
    opened = open_image(data, "JPEG", DecodeSettings(10**8, 1, True, 3, 0, False), source="").image
    order: list[str] = []
    begun = threading.Event()

    def decoding() -> None:
        begun.set()
        order.append("begun")
        assert jpeg.plain_pixels(opened, data, apply_exif=False) is not None
        order.append("decoded")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)
    try:
        for _ in range(20):  # a machine that does other things may be late; without giving away it is late every time
            order.clear()
            begun.clear()
            thread = threading.Thread(target=decoding)
            thread.start()
            begun.wait()
            order.append("meanwhile")
            thread.join()
            if order == ["begun", "meanwhile", "decoded"]:
                return
    finally:
        sys.setswitchinterval(interval)
    pytest.fail(f"the other thread ran only after it: {order}")


# --- reduced --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(files(), st.integers(1, 100))
@example(saved(PHOTO_HWC[:1, :1]), 1)
@example(saved(PHOTO_HWC[:7, :9]), 1)
@example(saved(PHOTO_HWC[:16, :31]), 8)
def test_reduced_pixels_are_pillows_too(data: bytes, reduce_to_px: int) -> None:
    """And the short side keeps what it needs, but not twice that, unless an eighth is not small enough."""
    pixels_HWC, full_HWC = decode(data, reduce_to_px=reduce_to_px), by_pillow(data)
    np.testing.assert_array_equal(pixels_HWC, outcome_by_pillow(data, reduce_to_px))
    scale = max(s for s in (1, 2, 4, 8) if s == 1 or min(full_HWC.shape[:2]) >= s * reduce_to_px)
    assert pixels_HWC.shape == (-(-full_HWC.shape[0] // scale), -(-full_HWC.shape[1] // scale), 3)
    taken = fast(data, reduce_to_px)
    assert (taken is not None) == (scale == 1 or min(full_HWC.shape[:2]) >= 8)
    if scale == 1:
        np.testing.assert_array_equal(pixels_HWC, full_HWC)


def test_only_jpegs_are_reduced_and_inks_are_too() -> None:
    out = BytesIO()
    PHOTO.save(out, "PNG")
    np.testing.assert_array_equal(decode(out.getvalue(), reduce_to_px=10), PHOTO_HWC)
    np.testing.assert_array_equal(decode(PHOTO, reduce_to_px=10), PHOTO_HWC)
    assert decode(saved(PHOTO.convert("CMYK")), reduce_to_px=100).shape == (150, 226, 3)
    assert decode(saved(PHOTO), reduce_to_px=100, channels=1).shape == (150, 226, 1)


def test_workers_reduce_alike() -> None:
    workers, data = Workers(), saved(PHOTO)
    for reduce_to_px in (0, 50, 100):
        got_HWC = decode(data, workers=workers, reduce_to_px=reduce_to_px)
        np.testing.assert_array_equal(got_HWC, decode(data, reduce_to_px=reduce_to_px))


@pytest.mark.parametrize("wrong", [-1, 1.5, None, "9"])
def test_reduce_to_px_is_a_whole_number(wrong: object) -> None:
    with pytest.raises(InputError, match="reduce_to_px is "):
        decode(saved(PHOTO), reduce_to_px=wrong)  # type: ignore[arg-type]


def test_fast_decode_moves_the_tensor_a_little_and_only_of_large_jpegs() -> None:
    config = gmixer.load("gmixer_8_64.distill_in1k").data  # 72 px before the crop
    exact, quick = Preprocess(config), Preprocess(config, Reading(fast_decode=True))
    large = saved(PHOTO.resize((1804, 1200)), quality=90)
    difference = np.abs(exact.crop(decode(large)).astype(int) - quick.crop(decode(large, reduce_to_px=144)))
    assert 0 < difference.mean() < 2
    np.testing.assert_array_equal(quick(large), quick.from_pixels(decode(large, reduce_to_px=144)))
    assert not np.array_equal(quick(large), exact(large))
    small = saved(PHOTO.resize((350, 287)))
    np.testing.assert_array_equal(quick(small), exact(small))


def test_load_takes_fast_decode() -> None:
    data = saved(PHOTO.resize((1804, 1200)))
    exact, quick = (gmixer.load("gmixer_8_64.distill_in1k", fast_decode=wanted) for wanted in (False, True))
    a, b = (predictor.embed(data).vectors for predictor in (exact, quick))
    assert not np.array_equal(a, b)
    assert a @ b > 0.99 * np.linalg.norm(a) * np.linalg.norm(b)


def test_the_command_takes_fast_decode(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(saved(PHOTO.resize((1804, 1200))))
    command = [sys.executable, "-m", "gmixer", "classify", "--json", os.fspath(tmp_path / "large.jpg")]
    exact, quick = (
        subprocess.run([*command, *more], check=True, capture_output=True).stdout for more in ([], ["--fast-decode"])
    )
    assert exact != quick and exact.count(b"index") == quick.count(b"index") == 5
