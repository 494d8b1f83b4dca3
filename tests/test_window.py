"""window.py against Pillow's whole resize: every byte the same."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gmixer.data import Preprocess, preprocess
from gmixer.data.window import resize_window
from test_preprocess import CONFIGS, assert_bit_equal, noise

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
SIDES = st.integers(1, 300)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(sorted(FILTERS)), st.sampled_from([0, 1, 3]), st.data())
def test_any_window_of_any_enlargement(height, width, more_height, width_after, interpolation, channels, data):
    """Higher or as high as it was, and of any width; colour, grey and planes."""
    to_height, to_width = height + more_height - 1, width_after
    pixels = noise(height, width, channels=channels or 1)
    pixels = pixels if channels > 1 else pixels[:, :, 0]
    top, left = data.draw(st.integers(0, to_height - 1)), data.draw(st.integers(0, to_width - 1))
    bottom, right = data.draw(st.integers(top + 1, to_height)), data.draw(st.integers(left + 1, to_width))
    want = np.asarray(Image.fromarray(pixels).resize((to_width, to_height), FILTERS[interpolation]))
    got = resize_window(pixels, (to_height, to_width), slice(top, bottom), slice(left, right), interpolation)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, want[top:bottom, left:right])


@pytest.mark.parametrize("seed", range(30))
def test_preprocess_gives_timms_bits_by_the_window_too(seed, monkeypatch):
    """As if every picture were too elongated to be resized whole."""
    monkeypatch.setattr(preprocess, "MAX_RESIZED_PIXELS", 0)
    rng = np.random.default_rng(seed)
    height, width = (int(np.exp(rng.uniform(0, np.log(1_000)))) for _ in range(2))
    for interpolation in FILTERS:
        config = replace(CONFIGS[seed % len(CONFIGS)], interpolation=interpolation)
        if min(height, width) <= config.resize_px and max(height, width) / min(height, width) < 300:
            assert_bit_equal(config, noise(height, width, seed))


def test_the_longest_lines_take_no_time():
    """0.01 s; of the whole, Pillow would make gigabytes."""
    run = Preprocess(CONFIGS[0])
    for shape in [(1, 65_535), (65_535, 1), (1, 2**22), (20, 30_000)]:
        pixels_HWC = noise(*shape, channels=3)
        began = time.perf_counter()
        assert run(pixels_HWC).shape == (3, 224, 224)
        assert time.perf_counter() - began < 2
