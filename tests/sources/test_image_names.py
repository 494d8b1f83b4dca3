"""image_names.py: which names promise an image."""

from __future__ import annotations

import pytest

from gmixer.sources.image_names import is_called_image


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "deep/er/A.JPEG", "a.b.PnG", "IMG_1.HEIC", "a.jxl", "a.avif", "a.tif", "a.dng", "photos.tar::x/cat.webp"],
)
def test_names_of_images(name: str) -> None:
    assert is_called_image(name)


@pytest.mark.parametrize(
    "name", ["", "jpg", ".jpg", "a/.png", "a.jpg/notes", "a.jpg.txt", "a.svg", "a.pdf", "a.mp4", "Thumbs.db", "a."]
)
def test_other_names(name: str) -> None:
    assert not is_called_image(name)
