"""Preprocess against the installed timm: every byte and every float the same."""

from __future__ import annotations

import pickle
import platform
import re
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from functools import cache
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import skimage
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform

from drawn_pixels import CONFIGS, noise
from gmixer.catalogue import VARIANTS
from gmixer.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig
from gmixer.data import Preprocess, preprocess
from gmixer.data import create_transform as our_transform
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Reading

CROP_MODES = ("center", "squash", "border")
INTERPOLATIONS = ("bicubic", "bilinear")
CONFIG = CONFIGS[0]

# Photographs and drawings that ship inside scikit-image's wheel.
REAL = (
    "astronaut.png", "camera.png", "chelsea.png", "chessboard_RGB.png", "coffee.png", "coins.png",
    "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip


@cache
def timm_transforms(config: DataConfig):
    kwargs = config.to_timm()
    return create_transform(**kwargs, is_training=False, normalize=False), create_transform(**kwargs, is_training=False)


def timm_says(config: DataConfig, pixels_HWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """timm's cropped pixels, uint8 (S, S, C), and its tensor, float32 (C, S, S), of 3 channels or 1."""
    image = Image.fromarray(pixels_HWC if config.in_chans == 3 else pixels_HWC[:, :, 0])
    to_pixels, to_tensor = timm_transforms(config)
    return to_pixels(image).numpy().transpose(1, 2, 0), to_tensor(image).numpy()


def assert_bit_equal(config: DataConfig, pixels_HWC: np.ndarray) -> None:
    want_pixels, want_x = timm_says(config, pixels_HWC)
    run = Preprocess(config)
    pixels, x_CHW = run.crop(pixels_HWC), run.from_pixels(pixels_HWC)
    side, channels = config.image_px, config.in_chans
    assert pixels.dtype == np.uint8 and pixels.shape == (side, side, channels)
    assert x_CHW.dtype == np.float32 and x_CHW.shape == (channels, side, side) and x_CHW.flags.c_contiguous
    np.testing.assert_array_equal(pixels, want_pixels)
    assert_same_bits(x_CHW, want_x)


def assert_same_bits(x_CHW: np.ndarray, want_x: np.ndarray) -> None:
    """-0.0 is not 0.0."""
    np.testing.assert_array_equal(x_CHW.view(np.uint32), want_x.view(np.uint32))


def real(name: str) -> np.ndarray:
    return np.array(Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB"))


def every_mode(config: DataConfig) -> Iterator[DataConfig]:
    for crop_mode, interpolation in product(CROP_MODES, INTERPOLATIONS):
        yield replace(config, crop_mode=crop_mode, interpolation=interpolation)


@pytest.mark.parametrize("name", REAL)
def test_real_images(name):
    pixels_HWC = real(name)
    for config in CONFIGS[:2]:
        for each in every_mode(config):
            assert_bit_equal(each, pixels_HWC)


@pytest.mark.parametrize("seed", range(200))
def test_random_images(seed):
    """200 sizes, log-uniform from 4 to 900 px, sides no more than 1:10; noise, so that any shifted pixel shows."""
    rng = np.random.default_rng(seed)
    long = int(np.exp(rng.uniform(np.log(4), np.log(900))))
    short = max(1, int(long / np.exp(rng.uniform(0, np.log(10)))))
    height, width = (long, short) if seed % 2 else (short, long)
    for config in every_mode(CONFIGS[seed // 2 % len(CONFIGS)]):
        assert_bit_equal(config, noise(height, width, seed))


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 2), (2, 1), (3, 3), (224, 224), (256, 256), (257, 255), (64, 72), (72, 72), (10, 100), (1000, 100)],
)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.image_px}-{c.crop_fraction}")
def test_chosen_sizes(height, width, config):
    for each in every_mode(config):
        assert_bit_equal(each, noise(height, width))


@pytest.mark.parametrize(("height", "width"), [(2000, 3000), (3000, 2000), (2, 3000), (600, 3), (1, 300)])
def test_large_and_elongated(height, width):
    """In border mode timm itself cannot resize the long ones; test_border_to_nothing looks at that."""
    modes = CROP_MODES if min(height, width) > 3 else ("center", "squash")
    for crop_mode in modes:
        assert_bit_equal(replace(CONFIGS[1], crop_mode=crop_mode), noise(height, width))


@pytest.mark.parametrize(("height", "width"), [(3, 193), (386, 6)])
def test_long_side_is_multiplied_first(height, width):
    """252 * 193 / 3 is 16212, 252 * (193 / 3) a hair less."""
    assert_bit_equal(replace(CONFIG, image_px=252, crop_fraction=1.0), noise(height, width))


@pytest.mark.parametrize(("height", "width"), [(1, 1000), (1000, 1)])
def test_one_to_a_thousand(height, width):
    """256x256000 pixels are 262 MB once, in timm and here: one config is enough."""
    assert_bit_equal(CONFIG, noise(height, width))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 500),
    width=st.integers(1, 500),
    side=st.integers(1, 70),
    fraction=st.floats(0.3, 1.0),
    crop_mode=st.sampled_from(CROP_MODES),
    interpolation=st.sampled_from(INTERPOLATIONS),
)
@example(height=3, width=500, side=64, fraction=0.9, crop_mode="border", interpolation="bicubic")
@example(height=1, width=500, side=64, fraction=0.9, crop_mode="border", interpolation="bicubic")
def test_any_size(height, width, side, fraction, crop_mode, interpolation):
    config = DataConfig(
        image_px=side,
        crop_fraction=fraction,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        crop_mode=crop_mode,
        interpolation=interpolation,
    )
    pixels_HWC = noise(height, width)
    try:
        timm_says(config, pixels_HWC)
    except ValueError:
        with pytest.raises(ImageError, match="elongated"):
            Preprocess(config).crop(pixels_HWC)
    else:
        assert_bit_equal(config, pixels_HWC)


def test_border_to_nothing():
    """1:1000 on a long side of 224 leaves round(0.224) = 0 pixels: Pillow raises in timm, a sentence here."""
    config = replace(CONFIGS[2], crop_mode="border")
    with pytest.raises(ValueError, match="height and width must be > 0"):
        timm_says(config, noise(1, 1000))
    with pytest.raises(ImageError, match=r"strip\.png: 1000x1 is so elongated .* 224x0; use crop_mode"):
        Preprocess(config).from_pixels(noise(1, 1000), name="strip.png")


def test_border_fill_is_the_mean():
    """Fills outside 0…255 are cut, as Pillow cuts them."""
    config = replace(CONFIG, mean=(0.485, 1.2, -0.1), crop_mode="border")
    assert_bit_equal(config, noise(40, 20))
    assert Preprocess(config).crop(noise(40, 20))[0, 0].tolist() == [124, 255, 0]


@pytest.mark.parametrize(("height", "width"), [(1, 65535), (65535, 1), (2, 100_000), (1, 1359), (2**21, 1)])
def test_of_the_most_elongated_only_the_window_is_computed(height, width):
    """timm would fill 17 GB for 1:65535. See test_window.py for the bits."""
    pixels_HWC = noise(height, width)
    tracemalloc.start()
    pixels = Preprocess(CONFIG).crop(pixels_HWC)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
    # A line is enlarged 256 times: one pixel of it and parts of its neighbours are all that the window shows.
    middle_HWC = pixels_HWC[height // 2 - 2 : height // 2 + 3, width // 2 - 2 : width // 2 + 3]
    assert pixels.shape == (224, 224, 3)
    assert np.abs(pixels[112, 112].astype(int) - middle_HWC.reshape(-1, 3)).min() < 40
    if height < 100_000:
        assert_bit_equal(replace(CONFIG, crop_mode="squash"), pixels_HWC)


@pytest.mark.parametrize(("height", "width"), [(1, 300_000), (300_000, 1)])
def test_a_line_is_squashed_too(height, width):
    assert_bit_equal(replace(CONFIGS[1], crop_mode="squash"), noise(height, width))


def test_the_limits_are_where_they_say(monkeypatch):
    """Of what lies between the passes only where Pillow is older than 13 and has them in the other order."""
    run = Preprocess(replace(CONFIGS[1], crop_mode="squash"))
    monkeypatch.setattr(preprocess, "MAX_SHRUNK_SIDE_PX", 144)
    for shape in [(144, 20), (20, 144), (144, 144)]:
        assert run.crop(noise(*shape)).shape == (64, 64, 3)
    for shape in [(145, 20), (20, 145)]:
        with pytest.raises(ImageError, match="shrinks a side of 145 pixels, at most 144"):
            run.crop(noise(*shape))
    assert Preprocess(CONFIGS[1]).crop(noise(1, 145)).shape == (64, 64, 3)  # enlarged

    monkeypatch.setattr(preprocess, "MAX_SHRUNK_SIDE_PX", 1000)
    monkeypatch.setattr(preprocess, "MAX_RESIZED_PIXELS", 64 * 144)
    monkeypatch.setattr(preprocess, "vertical_first", lambda *_: False)
    assert run.crop(noise(144, 20)).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="takes 9,280 pixels, at most 9,216") as caught:
        run.crop(noise(145, 20), name="line.png")
    assert (caught.value.kind, caught.value.source) == ("too_large", "line.png")
    monkeypatch.setattr(preprocess, "vertical_first", lambda *_: True)
    assert run.crop(noise(145, 20)).shape == (64, 64, 3)


def test_channels_are_not_mixed_up():
    """Pure red through mean and std that differ by channel."""
    red = np.zeros((300, 300, 3), np.uint8)
    red[:, :, 0] = 255
    x_CHW = Preprocess(CONFIG).from_pixels(red)
    want = [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(x_CHW.mean(axis=(1, 2)), want, rtol=1e-5)


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::2], np.s_[:, :, ::-1], np.s_[100:400, 50:300]])
def test_views_are_read_as_they_look(view):
    pixels_HWC = real("astronaut.png")[view]
    assert_bit_equal(CONFIG, np.ascontiguousarray(pixels_HWC))
    want = Preprocess(CONFIG).from_pixels(np.ascontiguousarray(pixels_HWC))
    np.testing.assert_array_equal(Preprocess(CONFIG).from_pixels(pixels_HWC), want)


def test_the_input_is_left_alone():
    """Also where there is nothing to resize or to crop, and the result is a copy."""
    pixels_HWC = noise(224, 224).copy()
    before = pixels_HWC.copy()
    Preprocess(replace(CONFIG, crop_fraction=1.0)).crop(pixels_HWC)[:] = 0
    np.testing.assert_array_equal(pixels_HWC, before)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        "cat.jpg",
    ],
    ids=str,
)
def test_what_is_not_pixels(wrong):
    with pytest.raises(InputError, match=r"wanted (a )?uint8"):
        Preprocess(CONFIG).from_pixels(wrong)


# --- other channels than R, G, B ------------------------------------------------------------------------------------

GREY = DataConfig(image_px=64, crop_fraction=0.888, mean=(0.45,), std=(0.23,), in_chans=1)
STATS = st.tuples(st.floats(-0.1, 1.2), st.floats(0.01, 1.0))  # mean and std of one channel


def with_planes(config: DataConfig, stats: list[tuple[float, float]]) -> DataConfig:
    mean, std = zip(*stats, strict=True)
    return replace(config, in_chans=len(stats), mean=mean, std=std)


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@st.composite
def grey_configs(draw: st.DrawFn) -> DataConfig:
    mean, std = draw(STATS)
    return DataConfig(
        image_px=draw(st.integers(1, 70)),
        crop_fraction=draw(st.floats(0.3, 1.0)),
        mean=(mean,),
        std=(std,),
        crop_mode=draw(st.sampled_from(CROP_MODES)),
        interpolation=draw(st.sampled_from(INTERPOLATIONS)),
        in_chans=1,
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(1, 500), st.integers(1, 500), grey_configs(), st.sampled_from(["L", "RGB"]))
@example(3, 500, replace(GREY, crop_mode="border"), "RGB")
@example(1, 500, replace(GREY, crop_mode="border"), "L")
def test_grey_of_any_size(height, width, config, mode):
    """A grey or a colour file, as timm's loader hands it over with `input_img_mode="L"`."""
    pixels_HWC = noise(height, width)
    data = png(Image.fromarray(pixels_HWC if mode == "RGB" else pixels_HWC[:, :, 0]))
    grey = Image.open(BytesIO(data)).convert("L")
    grey_HWC = np.array(grey)[:, :, None]
    try:
        _, want_x = timm_says(config, grey_HWC)
    except ValueError:
        with pytest.raises(ImageError, match="elongated"):
            Preprocess(config)(data)
    else:
        assert_bit_equal(config, grey_HWC)
        assert_same_bits(Preprocess(config)(data), want_x)
        assert_same_bits(our_transform(**config.to_timm())(grey).numpy(), want_x)


@pytest.mark.parametrize("name", REAL)
def test_real_images_in_grey(name):
    path = Path(skimage.__file__).parent / "data" / name
    grey = Image.open(path).convert("L")
    for config in every_mode(GREY):
        _, want_x = timm_says(config, np.array(grey)[:, :, None])
        assert_same_bits(Preprocess(config)(path), want_x)
        assert_same_bits(our_transform(**config.to_timm())(grey).numpy(), want_x)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 300), st.integers(1, 300), grey_configs(), st.lists(STATS, min_size=1, max_size=7))
@example(90, 60, replace(GREY, crop_mode="border"), [(0.2, 0.3), (0.9, 0.1), (0.5, 0.5)])
@example(90, 60, GREY, [(0.2, 0.3), (0.9, 0.1), (0.5, 0.5), (0.1, 0.7)])
def test_every_plane_is_as_it_would_be_alone(height, width, config, stats):
    pixels_HWC = noise(height, width, channels=len(stats))
    run = Preprocess(with_planes(config, stats))
    try:
        Preprocess(config)(pixels_HWC[:, :, 0])
    except ImageError as error:
        with pytest.raises(ImageError, match=re.escape(str(error))):
            run(pixels_HWC)
        return
    pixels, x_CHW = run.crop(pixels_HWC), run(pixels_HWC)
    side = config.image_px
    assert pixels.dtype == np.uint8 and pixels.shape == (side, side, len(stats))
    assert x_CHW.dtype == np.float32 and x_CHW.shape == (len(stats), side, side) and x_CHW.flags.c_contiguous
    for c in range(len(stats)):
        alone = Preprocess(with_planes(config, stats[c : c + 1]))
        np.testing.assert_array_equal(pixels[:, :, c : c + 1], alone.crop(pixels_HWC[:, :, c : c + 1]))
        assert_same_bits(x_CHW[c : c + 1], alone(pixels_HWC[:, :, c]))


def test_four_planes_by_timm():
    """timm takes four channels as CMYK; RGBA it would multiply by its alpha."""
    pixels_HWC = noise(90, 130, channels=4)
    cmyk = Image.frombytes("CMYK", (130, 90), pixels_HWC.tobytes())
    for config in every_mode(with_planes(GREY, [(0.2, 0.3), (0.9, 0.1), (0.5, 0.5), (0.1, 0.7)])):
        assert_same_bits(Preprocess(config)(pixels_HWC), timm_transforms(config)[1](cmyk).numpy())


def test_a_plane_is_padded_with_its_own_mean():
    stats = [(0.485, 1.0), (1.2, 1.0), (-0.1, 1.0), (0.0, 1.0), (1.0, 1.0)]
    config = with_planes(replace(GREY, crop_mode="border"), stats)
    assert Preprocess(config).crop(noise(40, 20, channels=5))[0, 0].tolist() == [124, 255, 0, 0, 255]


@pytest.mark.parametrize("in_chans", [1, 2, 5])
def test_guards_whatever_the_channels(in_chans, monkeypatch):
    config = with_planes(CONFIG, [(0.5, 0.5)] * in_chans)
    monkeypatch.setattr(preprocess, "MAX_SHRUNK_SIDE_PX", 999)
    squash = Preprocess(replace(config, crop_mode="squash"))
    with pytest.raises(ImageError, match="elongated") as caught:
        squash.from_pixels(noise(1000, 1, channels=in_chans), name="line.png")
    assert (caught.value.kind, caught.value.source) == ("too_large", "line.png")
    with pytest.raises(ImageError, match="use crop_mode") as caught:
        Preprocess(replace(config, crop_fraction=1.0, crop_mode="border"))(noise(1, 1000, channels=in_chans))
    assert (caught.value.kind, caught.value.source) == ("unsupported", "<array>")
    for wrong in (in_chans - 1, in_chans + 1):
        with pytest.raises(InputError, match=rf"\(9, 9, {wrong}\); wanted uint8 \(height, width, {in_chans}\)"):
            Preprocess(config).from_pixels(noise(9, 9, channels=wrong))

    def out_of_memory(*_: object) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(preprocess, "resize_window", out_of_memory)
    with pytest.raises(ImageError, match="more memory than is available"):
        Preprocess(config).crop(noise(9, 9, channels=in_chans))


def test_planes_do_not_come_from_files():
    with pytest.raises(InputError, match=r"^cat\.jpg: got a str; an image file has 1 or 3 channels, so for 5 pass"):
        Preprocess(with_planes(GREY, [(0.5, 0.5)] * 5))("cat.jpg")


def test_planes_are_left_alone():
    pixels_HWC = noise(64, 64, channels=2).copy()
    before = pixels_HWC.copy()
    config = with_planes(replace(GREY, crop_fraction=1.0), [(0.5, 0.5)] * 2)
    Preprocess(config).crop(pixels_HWC)[:] = 0
    np.testing.assert_array_equal(pixels_HWC, before)


def test_is_a_value():
    """Frozen, equal by its config, and it travels to worker processes, before and after its first use."""
    run = Preprocess(CONFIG)
    with pytest.raises(FrozenInstanceError):
        run.config = CONFIGS[1]
    assert run == Preprocess(replace(CONFIG)) != Preprocess(CONFIGS[1])
    before = pickle.loads(pickle.dumps(run))
    want = run.from_pixels(noise(50, 60))
    after = pickle.loads(pickle.dumps(run))
    for copy in (before, after):
        np.testing.assert_array_equal(copy.from_pixels(noise(50, 60)), want)


def jpeg_bytes(pixels_HWC: np.ndarray, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Image.fromarray(pixels_HWC).save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_call_takes_every_kind_of_image(tmp_path):
    """One image as bytes, file, PIL image and array: one tensor, timm's."""
    data = jpeg_bytes(real("chelsea.png"))
    (tmp_path / "cat.jpg").write_bytes(data)
    pixels_HWC = np.array(Image.open(BytesIO(data)).convert("RGB"))
    _, want = timm_says(CONFIG, pixels_HWC)
    run = Preprocess(CONFIG)
    for image in (data, tmp_path / "cat.jpg", str(tmp_path / "cat.jpg"), Image.open(BytesIO(data)), pixels_HWC):
        np.testing.assert_array_equal(run(image), want)


def test_orientation():
    """timm reads a turned JPEG as it lies; gmixer turns it unless told not to."""
    data = jpeg_bytes(real("rocket.jpg"), orientation=6)
    lying = np.array(Image.open(BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(
        Preprocess(CONFIG, reading=Reading(orientation="ignore"))(data), timm_says(CONFIG, lying)[1]
    )
    np.testing.assert_array_equal(Preprocess(CONFIG)(data), timm_says(CONFIG, np.rot90(lying, -1))[1])


def test_limits():
    data = jpeg_bytes(noise(20, 20))
    assert Preprocess(CONFIG, reading=Reading(limits=Limits(max_pixels=400)))(data).shape == (3, 224, 224)
    with pytest.raises(ImageError, match="400 pixels"):
        Preprocess(CONFIG, reading=Reading(limits=Limits(max_pixels=399)))(data)


def test_what_errors_call_the_image(tmp_path):
    """The same name from the resize as from the decoder."""
    run = Preprocess(replace(CONFIG, crop_mode="border"))
    line = Image.fromarray(noise(1, 1400))
    path = tmp_path / "line.png"
    line.save(path)
    names = {"<image>": line, "<array>": noise(1, 1400), "<bytes>": path.read_bytes(), str(path): path}
    for name, image in names.items():
        with pytest.raises(ImageError) as caught:
            run(image)
        assert caught.value.source == name
        with pytest.raises(ImageError) as caught:
            run(image, name="mine")
        assert caught.value.source == "mine"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant(name):
    assert_bit_equal(VARIANTS[name].data, real("chelsea.png"))
    for pretrained in VARIANTS[name].pretrained.values():
        assert_bit_equal(pretrained.data, real("chelsea.png"))


def test_import_is_light():
    code = "import gmixer.data, sys; assert not {'torch', 'torchvision', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's way with memory")
def test_memory_is_kept_from_image_to_image() -> None:
    """In a process of its own: here others have freed large pieces already."""
    program = """
        import sys, resource
        from gmixer.config import DataConfig
        from gmixer.data import Preprocess
        run = Preprocess(DataConfig(image_px=224, crop_fraction=0.875, mean=(0.5,) * 3, std=(0.5,) * 3))
        faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        data = sys.stdin.buffer.read()
        for _ in range(5):
            run(data)
        before = faults()
        for _ in range(20):
            run(data)
        print((faults() - before) / 20)
    """
    out = BytesIO()
    Image.fromarray(noise(375, 500)).save(out, "JPEG")
    command = [sys.executable, "-c", textwrap.dedent(program)]
    said = subprocess.run(command, input=out.getvalue(), capture_output=True, check=True).stdout
    assert float(said) < 50  # 250 without
