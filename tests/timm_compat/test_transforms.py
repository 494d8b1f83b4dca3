"""create_transform against the installed timm's: the same tensor, bit by bit, from the same seeds."""

from __future__ import annotations

import inspect
import pickle
import random
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import skimage
import timm.data
import torch
from PIL import Image

from gmixer.catalogue import VARIANTS
from gmixer.config import DataConfig
from gmixer.data import Preprocess, create_transform, resolve_model_data_config
from gmixer.errors import ImageError, InputError
from gmixer.timm_compat import transforms as ours

timms = timm.data.create_transform
CARD = resolve_model_data_config("gmixer_24_224.ra3_in1k")
SMALL = CARD | {"input_size": (3, 64, 64)}
INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "box", "hamming", "lanczos")
SIZES = ((64, 64), (65, 97), (300, 41), (31, 33), (1, 90), (224, 224))  # H, W


def noise(height: int, width: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    draw = np.random.default_rng(seed)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = draw.integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode)


IMAGES = [noise(*size, seed=seed) for seed, size in enumerate(SIZES)]
REAL = [
    Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
    for name in ("chelsea.png", "rocket.jpg", "coins.png")
]


def seeded(transform, image, seed: int) -> torch.Tensor:
    random.seed(seed)
    torch.manual_seed(seed)
    return transform(image)


def assert_same(got: torch.Tensor, want: torch.Tensor) -> None:
    assert got.dtype == want.dtype and got.shape == want.shape
    as_bits = torch.int32 if got.dtype == torch.float32 else got.dtype
    assert torch.equal(got.view(as_bits), want.view(as_bits))


def assert_as_timm(kwargs: dict, images: list[Image.Image], seeds: range = range(1)) -> None:
    mine, theirs = create_transform(**kwargs), timms(**kwargs)
    for image, seed in product(images, seeds):
        got, draws_after = seeded(mine, image, seed), (random.random(), torch.rand(1))
        assert_same(got, seeded(theirs, image, seed))
        assert draws_after == (random.random(), torch.rand(1))  # so the next image is the same too


# ---- evaluation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border", None])
def test_eval(crop_mode, interpolation):
    kwargs = SMALL | {"crop_mode": crop_mode, "interpolation": interpolation}
    images = IMAGES if crop_mode != "border" else [p for p in IMAGES if p.height > 1]
    for change in (
        {},
        {"input_size": (3, 48, 80), "crop_pct": None},
        {"crop_pct": 1.0},
        {"crop_pct": 1.2},
        {"normalize": False},
    ):
        assert_as_timm(kwargs | change, images + REAL[:1])


@pytest.mark.parametrize("name", ["gmixer_24_224.ra3_in1k", "mixer_b16_224.miil_in21k", "gmixer_8_64.distill_in1k"])
def test_eval_of_the_models_on_real_photos(name):
    config = resolve_model_data_config(name)
    assert_as_timm(config | {"is_training": False}, REAL)
    for image in REAL:
        x_CHW = Preprocess(DataConfig.from_timm(config))(image)
        assert_same(create_transform(**config)(image), torch.from_numpy(x_CHW))


@pytest.mark.parametrize("input_size", [64, (64, 64), [64, 48], (3, 64, 48), [3, 64, 64]], ids=str)
@pytest.mark.parametrize("training", [{}, {"is_training": True}, {"is_training": True, "no_aug": True}], ids=str)
def test_forms_of_input_size(input_size, training):
    assert_as_timm({"input_size": input_size} | training, IMAGES[:4])


def test_the_defaults_are_timms():
    mine, theirs = (inspect.signature(f).parameters for f in (create_transform, timms))
    for name, parameter in mine.items():
        if name != "others":
            assert parameter.default == theirs[name].default, name
    assert set(mine) - {"others"} == set(ours._OFFERED)
    assert set(ours._OFFERED) | set(ours._NOT_OFFERED) == set(theirs)
    for name, (harmless, _) in ours._NOT_OFFERED.items():
        assert theirs[name].default in harmless, name
    create_transform(**{name: parameter.default for name, parameter in theirs.items()})


# ---- training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"interpolation": "random"},
        {"interpolation": "random", "no_aug": True},
        {"no_aug": True},
        {"scale": (0.3, 0.9), "ratio": (0.5, 2.0)},
        {"scale": [0.9, 1.0], "ratio": [3.0, 4.0]},  # seldom fits: the central fallback
        {"scale": [0.9, 1.0], "ratio": [0.2, 0.3]},  # the same, for images that are too wide
        {"hflip": 0.0, "vflip": 0.7},
        {"hflip": 0.3, "vflip": 0.7},
        {"hflip": 1.0, "vflip": 1.0, "color_jitter": None},
        {"color_jitter": 0.0},
        {"color_jitter": (0.1, 0.2, 0.3)},
        {"color_jitter": [0.1, 0.2, 0.3, 0.2]},
        {"re_prob": 0.5},
        {"re_prob": 1.0, "re_mode": "rand", "re_count": 3},
        {"re_prob": 1.0, "re_mode": "pixel", "re_count": 2},
        {"normalize": False},
        {"input_size": (3, 40, 56)},
        {"input_size": (3, 4, 4), "re_prob": 1.0, "re_mode": "pixel"},
    ],
    ids=str,
)
def test_training(change):
    assert_as_timm(SMALL | {"is_training": True} | change, [*IMAGES[:4], REAL[0]], range(6))


def test_training_of_the_card():
    assert_as_timm(CARD | {"is_training": True}, REAL, range(4))


def test_tiny_images_train_where_timm_fails():
    transform = create_transform(16, is_training=True)
    for seed in range(30):
        assert seeded(transform, noise(1, 2), seed).shape == (3, 16, 16)


# ---- what comes in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr"])
def test_any_mode_is_read_as_timms_dataset_reads_it(mode):
    image = noise(50, 40, "RGBA").convert(mode) if mode != "LA" else noise(50, 40, "LA")
    for training in (False, True):
        kwargs = SMALL | {"is_training": training}
        want = seeded(timms(**kwargs), image.convert("RGB"), 1)
        assert_same(seeded(create_transform(**kwargs), image, 1), want)


def test_alpha_is_dropped_and_exif_ignored(tmp_path):
    image = noise(50, 40)
    transparent = image.copy()
    transparent.putalpha(noise(50, 40, "L", 1))
    transform = create_transform(**SMALL)
    assert_same(transform(transparent), transform(image))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90°
    image.save(tmp_path / "turned.png", exif=exif)
    assert_same(transform(Image.open(tmp_path / "turned.png")), transform(image))


@pytest.mark.parametrize("crop_mode", ["center", "border", "squash"])
@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGBA", 4), ("CMYK", 4)])
def test_other_channels(mode, channels, crop_mode):
    numbers = (0.2, 0.4, 0.6, 0.8)[:channels]
    kwargs = {"input_size": (channels, 32, 32), "mean": numbers, "std": numbers, "crop_mode": crop_mode}
    assert_as_timm(kwargs, [noise(50, 40, mode)])


def test_one_channel_reads_colour_as_grey():
    kwargs = {"input_size": (1, 32, 32), "mean": (0.4,), "std": (0.3,)}
    image = noise(50, 40)
    assert_same(create_transform(**kwargs)(image), timms(**kwargs)(image.convert("L")))
    assert timms(**kwargs)(image).shape[0] == 3  # which a model of one channel then refuses


def test_one_number_serves_all_channels():
    assert_as_timm(SMALL | {"mean": (0.5,), "std": [0.2], "crop_mode": "border"}, IMAGES[:4])


@pytest.mark.parametrize("training", [False, True])
def test_a_tensor_passes_as_in_timm(training):
    x_CHW = torch.rand(5, 50, 40, generator=torch.Generator().manual_seed(0))
    kwargs = {
        "input_size": (5, 32, 32), "mean": (0.5,) * 5, "std": (0.2,) * 5, "is_training": training, "color_jitter": None,
    }  # fmt: skip
    mine, theirs = create_transform(**kwargs), timms(**kwargs)
    assert_same(seeded(mine, x_CHW.clone(), 3), seeded(theirs, x_CHW.clone(), 3))


@pytest.mark.parametrize("thing", ["cat.jpg", np.zeros((4, 4, 3), np.uint8), None])
def test_what_is_not_an_image(thing):
    with pytest.raises(InputError, match="wanted a PIL image"):
        create_transform(64)(thing)


def test_too_few_channels():
    transform = create_transform((4, 32, 32), mean=(0.5,), std=(0.5,))
    with pytest.raises(InputError, match="the image is RGB, 3 channels; the transform was made for 4"):
        transform(noise(40, 40))


def test_too_elongated_for_a_border():
    transform = create_transform(**(SMALL | {"crop_mode": "border"}))
    with pytest.raises(ImageError, match="1000x1 is so elongated"):
        transform(noise(1, 1000))


# ---- the object --------------------------------------------------------------------------------------------------


def test_steps_are_in_timms_places():
    """So that the idiom of `transform.transforms[0] = …` (DeiT, for 32-pixel images) works."""
    for kwargs in ({}, {"crop_mode": "border"}, {"is_training": True, "re_prob": 0.5}, {"input_size": (3, 8, 16)}):
        mine, theirs = create_transform(**kwargs), timms(**kwargs)
        names = [[type(step).__name__.removeprefix("Maybe") for step in t.transforms] for t in (mine, theirs)]
        assert names[0] == names[1]
    mine, theirs = create_transform(**CARD, is_training=True), timms(**CARD, is_training=True)
    mine.transforms[0] = theirs.transforms[0]
    assert_same(seeded(mine, REAL[0], 0), seeded(theirs, REAL[0], 0))


def test_repr():
    assert repr(create_transform(**CARD, is_training=True, re_prob=0.25)) == (
        "ImageTransform(channels=3,\n"
        "    RandomResizedCropAndInterpolation(size=(224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.3333333333333333), "
        "interpolation='bicubic')\n"
        "    RandomHorizontalFlip(p=0.5)\n"
        "    ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=None)\n"
        "    ToTensor(scaled=True)\n"
        "    Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))\n"
        "    RandomErasing(probability=0.25, mode='const', count=1)\n"
        ")"
    )


def test_pickles_for_the_workers_of_a_data_loader():
    for kwargs in (SMALL, SMALL | {"is_training": True, "re_prob": 1.0}, SMALL | {"crop_mode": "border"}):
        transform = create_transform(**kwargs)
        again = pickle.loads(pickle.dumps(transform))
        assert_same(seeded(again, REAL[0], 2), seeded(transform, REAL[0], 2))


# ---- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typo", "closest"), [("crop_pc", "crop_pct"), ("interpolate", "interpolation"), ("is_train", "is_training")]
)
def test_unknown_keyword(typo, closest):
    with pytest.raises(InputError, match=f"no keyword '{typo}'; the closest is '{closest}'"):
        create_transform(**{typo: 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auto_augment", "rand-m9-mstd0.5"), ("use_prefetcher", True), ("separate", True), ("naflex", True),
        ("patchify", True), ("train_crop_mode", "rkrc"), ("grayscale_prob", 0.2), ("gaussian_blur_prob", 0.1),
        ("color_jitter_prob", 0.0), ("crop_border_pixels", 4), ("tf_preprocessing", True), ("re_num_splits", 2),
        ("patch_size", 8), ("max_seq_len", 64), ("patchify_channels_last", False), ("patchify_flatten", False),
    ],
)  # fmt: skip
def test_not_offered(key, value):
    with pytest.raises(InputError, match=f"{key}={value!r} is timm's and not offered: "):
        create_transform(**{key: value})


def test_every_refusal_is_tested():
    marks = test_not_offered.pytestmark[0].args[1]
    assert {key for key, _ in marks} == set(ours._NOT_OFFERED)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"input_size": 0}, {"input_size": "224"}, {"input_size": (3, 224, 224, 1)}, {"input_size": (3, 22.4, 224)},
        {"input_size": True}, {"mean": 0.5}, {"mean": (0.5, 0.5)}, {"std": (0.5, 0.0, 0.5)}, {"std": (float("nan"),)},
        {"input_size": (1, 64, 64)}, {"crop_pct": 0}, {"crop_pct": "0.9"}, {"crop_pct": 87500.0},
        {"crop_mode": "middle"}, {"interpolation": "cubic"}, {"interpolation": "random"},
        {"is_training": True, "scale": (1.0, 0.08)}, {"is_training": True, "scale": 0.5},
        {"is_training": True, "ratio": (0.0, 1.0)}, {"is_training": True, "hflip": 1.5},
        {"is_training": True, "vflip": -0.1}, {"is_training": True, "color_jitter": -0.4},
        {"is_training": True, "color_jitter": (0.4, 0.4)}, {"is_training": True, "color_jitter": (0, 0, 0, 0.6)},
        {"is_training": True, "re_prob": 2}, {"is_training": True, "re_prob": 0.5, "re_mode": "noise"},
        {"is_training": True, "re_prob": 0.5, "re_count": 0},
    ],
    ids=str,
)  # fmt: skip
def test_values_that_make_no_sense(kwargs):
    with pytest.raises(InputError, match="wanted"):
        create_transform(**kwargs)


def test_erasing_needs_a_normalised_tensor():
    with pytest.raises(InputError, match="re_prob erases from normalised tensors"):
        create_transform(is_training=True, re_prob=0.5, normalize=False)


# ---- torch only when called --------------------------------------------------------------------------------------


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_loads_no_torch():
    run(
        "import sys, gmixer.data; gmixer.data.create_transform, gmixer.data.ImageNetInfo().num_classes();"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )


@pytest.mark.parametrize("missing", ["torch", "torchvision"])
def test_without_torch(missing):
    said = run(
        f"import sys; sys.modules[{missing!r}] = None; import gmixer\n"
        "try: gmixer.data.create_transform()\nexcept gmixer.MissingExtraError as error: print(error)"
    )
    assert said == f"create_transform needs {missing}: pip install 'gmixer[torch]'\n"


def test_every_variants_config_is_taken():
    for variant in VARIANTS.values():
        create_transform(**variant.data.to_timm(), is_training=False)
