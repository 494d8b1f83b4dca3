"""bench/jpegs.py: JPEGs like those of a camera; the same seed draws the same bytes."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, JpegImagePlugin

from gmixer.bench.jpegs import TYPICAL, drawn_jpeg


@pytest.mark.parametrize("size", [TYPICAL, (375, 500), (1500, 1000)])
def test_size_and_subsampling(size: tuple[int, int]) -> None:
    data = drawn_jpeg(*size, seed=1)
    with Image.open(BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
        assert JpegImagePlugin.get_sampling(image) == 2  # 4:2:0
    assert 0.15 < len(data) / (size[0] * size[1]) < 0.6, "bytes a pixel, as photographs have"


def test_a_seed_draws_the_same_image() -> None:
    assert drawn_jpeg(80, 60, 1) == drawn_jpeg(80, 60, 1) != drawn_jpeg(80, 60, 2)
