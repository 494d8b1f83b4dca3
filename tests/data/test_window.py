"""window.py and native/pixels against Pillow's whole resize: every byte the same."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import gmixer
from drawn_pixels import CONFIGS, noise
from gmixer import _native
from gmixer.data import Preprocess, preprocess
from gmixer.data.window import resize_window, vertical_first
from gmixer.errors import EngineError
from gmixer.isa import available_isas

ISAS = available_isas()
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
INTERPOLATIONS = st.sampled_from(sorted(FILTERS))
# As many small and large ones: many short lines, where the edges are, and many ratios of up to 1:600.
SIDES = st.one_of(st.integers(1, 20), st.integers(1, 600))


def pillow(pixels_HWC: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """size: (height, width). 3 channels as RGB, others plane by plane."""
    height, width = size
    planes = [pixels_HWC] if pixels_HWC.shape[2] == 3 else list(np.moveaxis(pixels_HWC, 2, 0))
    resized = [np.asarray(Image.fromarray(p).resize((width, height), FILTERS[interpolation])) for p in planes]
    return np.dstack(resized)


def hard(height: int, width: int, channels: int) -> np.ndarray:
    """Noise, half of it black and white: bicubic weights overshoot there, and both ends are cut off."""
    pixels_HWC = noise(height, width, channels=channels).copy()
    pixels_HWC[: height // 2] = np.where(pixels_HWC[: height // 2] < 128, 0, 255)
    return pixels_HWC


@st.composite
def windows(draw: st.DrawFn, length: int) -> slice:
    first = draw(st.integers(0, length - 1))
    return slice(first, draw(st.integers(first + 1, length)))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(SIDES, SIDES, SIDES, SIDES, INTERPOLATIONS, st.sampled_from([1, 2, 3, 5]), st.data())
def test_any_window_of_any_resize(height, width, to_height, to_width, interpolation, channels, data):
    pixels_HWC = hard(height, width, channels)
    rows, columns = data.draw(windows(to_height)), data.draw(windows(to_width))
    want = pillow(pixels_HWC, (to_height, to_width), interpolation)[rows, columns]
    for isa in ISAS:
        got = resize_window(pixels_HWC, (to_height, to_width), rows, columns, interpolation, isa)
        assert got.dtype == np.uint8 and got.flags.c_contiguous
        np.testing.assert_array_equal(got, want, err_msg=isa)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(-40, 60), st.integers(-2, 2), INTERPOLATIONS)
@example(height=200, to_width=30, fewer=0, around=0, interpolation="bicubic")
@example(height=200, to_width=30, fewer=0, around=1, interpolation="bicubic")
def test_the_order_turns_where_pillows_does(height, to_width, fewer, around, interpolation):
    """Sizes around Pillow 13's turning point: a height shrunk by twice as many pixels as the width."""
    width, to_height = max(to_width + fewer, 1), max(height - 2 * fewer - around, 1)
    pixels_HWC = hard(height, width, 3)
    whole = slice(0, to_height), slice(0, to_width)
    got = resize_window(pixels_HWC, (to_height, to_width), *whole, interpolation, ISAS[0])
    np.testing.assert_array_equal(got, pillow(pixels_HWC, (to_height, to_width), interpolation))


@pytest.mark.parametrize("ratio", [99, 100, 101, 150])
def test_columns_are_resized_as_the_installed_pillow_does(ratio):
    """Pillow 12.2 had a rule of its own for those of 1:100."""
    for width, to_width in [(3, 2), (3, 3), (3, 90), (3, 400)]:
        pixels_HWC = hard(3 * ratio, width, 3)
        got = resize_window(pixels_HWC, (70, to_width), slice(0, 70), slice(0, to_width), "bicubic", ISAS[0])
        np.testing.assert_array_equal(got, pillow(pixels_HWC, (70, to_width), "bicubic"))


@pytest.mark.parametrize(
    ("version", "before", "after", "want"),
    [
        ((11, 3), (5000, 3), (64, 64), False),
        ((12, 1), (5000, 3), (64, 64), False),
        ((12, 2), (300, 3), (64, 64), False),
        ((12, 3), (301, 3), (64, 64), True),
        ((12, 3), (301, 3), (301, 64), False),
        ((12, 3), (301, 3), (302, 64), False),
        ((13, 0), (120, 60), (60, 30), False),
        ((13, 0), (121, 60), (60, 30), True),
        ((13, 0), (121, 60), (121, 70), False),
        ((13, 0), (121, 60), (122, 70), False),
        ((13, 0), (121, 60), (120, 61), True),
        ((14, 1), (121, 60), (60, 30), True),
    ],
)
def test_the_order_of_every_pillow(version, before, after, want):
    assert vertical_first(before, after, version) is want


@settings(max_examples=100, deadline=None, derandomize=True)
@given(SIDES, SIDES, SIDES, SIDES, INTERPOLATIONS, st.booleans())
def test_either_order_is_one_axis_after_the_other(height, width, to_height, to_width, interpolation, vertical):
    """So that those of other versions than the installed one are right too: along one axis there is no order."""
    pixels_HWC = hard(height, width, 3)
    got = np.empty((to_height, to_width, 3), np.uint8)
    _native.resize_window(
        pixels=pixels_HWC, height=to_height, width=to_width, top=0, left=0, bicubic=interpolation == "bicubic",
        vertical_first=vertical, window=got, isa=ISAS[0],
    )  # fmt: skip
    between = pillow(pixels_HWC, (to_height, width) if vertical else (height, to_width), interpolation)
    np.testing.assert_array_equal(got, pillow(between, (to_height, to_width), interpolation))


def test_whole_photographs():
    """Large ones, of many taps."""
    pixels_HWC = noise(1500, 2000)
    for size in [(256, 341), (64, 64), (1499, 2001)]:
        for interpolation in FILTERS:
            got = resize_window(pixels_HWC, size, slice(9, 60), slice(5, 61), interpolation, ISAS[0])
            np.testing.assert_array_equal(got, pillow(pixels_HWC, size, interpolation)[9:60, 5:61])


@pytest.mark.parametrize(
    "wrong", [{"height": 19}, {"width": 29}, {"top": 1}, {"left": 1}, {"top": 2**64 - 10}, {"window": (20, 30, 1)},
              {"window": (0, 30, 3)}, {"pixels": (0, 5, 3)}, {"pixels": (5, 5, 0), "window": (20, 30, 0)}], ids=str,
)  # fmt: skip
def test_nothing_is_read_or_written_outside(wrong):
    sizes = {"height": 20, "width": 30, "top": 0, "left": 0, "window": (20, 30, 3), "pixels": (5, 5, 3)} | wrong
    arrays = {key: np.zeros(sizes[key], np.uint8) for key in ("window", "pixels")}
    with pytest.raises(ValueError, match="do not fit"):
        _native.resize_window(**(sizes | arrays), bicubic=True, vertical_first=False, isa=ISAS[0])


@pytest.mark.parametrize("wanted", ["", "mmx"])
def test_an_unknown_isa_is_refused(wanted):
    pixels_HWC = noise(5, 5, channels=3)
    with pytest.raises(ValueError, match=f"isa='{wanted}' is not available on this CPU; it supports {', '.join(ISAS)}"):
        resize_window(pixels_HWC, (9, 9), slice(0, 9), slice(0, 9), "bicubic", wanted)
    with pytest.raises(EngineError, match=f"isa='{wanted}' is not available on this CPU"):
        Preprocess(CONFIGS[0], isa=wanted)


def test_the_isa_reaches_the_resize(monkeypatch):
    used = []
    honest = preprocess.resize_window
    monkeypatch.setattr(preprocess, "resize_window", lambda *args: used.append(args[-1]) or honest(*args))
    monkeypatch.delenv("GMIXER_ISA", raising=False)
    pixels_HWC = noise(40, 50, channels=3)
    for isa in (None, *ISAS):
        gmixer.load("gmixer_8_64", isa=isa).transform(pixels_HWC)
    monkeypatch.setenv("GMIXER_ISA", "scalar")
    gmixer.load("gmixer_8_64").transform(pixels_HWC)
    Preprocess(CONFIGS[0])(pixels_HWC)
    assert used == [ISAS[0], *ISAS, "scalar", "scalar"]


def test_the_longest_lines_take_no_time():
    """0.01 s; of the whole, Pillow would make gigabytes."""
    run = Preprocess(CONFIGS[0])
    for shape in [(1, 65_535), (65_535, 1), (1, 2**22), (20, 30_000)]:
        pixels_HWC = noise(*shape, channels=3)
        began = time.process_time()
        assert run(pixels_HWC).shape == (3, 224, 224)
        assert time.process_time() - began < 2
