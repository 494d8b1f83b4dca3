"""Every image file becomes the recorded pixels and tensors, or fails with the recorded kind of error.

Where a decoder has another version than at the recording, Pillow and timm say at run time what is right.
"""

from __future__ import annotations

import warnings
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import net_probes
from gmixer import ImageError
from net_inputs import image_files, shipped_photos
from net_probes import decoder_versions, digest, longest_side, outcome, predictor, transforms_of, unfolded
from record import recorded

GROUPS = ("good", "hostile", "handmade", "photo", "skimage")
RECORD = recorded("pixels")


@cache
def every_file() -> list[tuple[int, str, bytes]]:
    return [(number, name, data) for number, (name, data) in enumerate(image_files())]


def changes(group: str, *, same_versions: bool) -> tuple[list[str], int]:
    """What differs from the record, and how many outcomes were compared."""
    different, compared = [], 0
    for number, name, data in every_file():
        if name.partition(" ")[0] != group or name not in RECORD["files"]:
            continue
        entry = unfolded(RECORD["files"][name])
        same_file = entry.pop("file") == digest(data)
        ways = transforms_of(number, name, data)
        wanted = entry if same_versions and same_file else by_reference(entry, data, same_file=same_file)
        for way, want in wanted.items():
            if way in ways:
                got = outcome(ways[way], data)
                compared += 1
                if got != want:
                    different.append(f"{name}, {way}: {want} is now {got}")
    return different, compared


def by_reference(entry: dict[str, str], data: bytes, *, same_file: bool) -> dict[str, str]:
    """What the installed Pillow and timm make of it; of files that fail, the recorded kind of error."""
    if same_file and entry["apply"].startswith("error"):
        return entry
    try:
        with warnings.catch_warnings(action="ignore"):
            image: Image.Image = Image.open(BytesIO(data))
            plain = image.mode in ("RGB", "L") and "transparency" not in image.info
            plain = plain and image.format in ("JPEG", "PNG", "BMP", "WEBP", "AVIF", "PPM")
            image.load()
            turned, image = ImageOps.exif_transpose(image).convert("RGB"), image.convert("RGB")
    except Exception:
        return {}
    if not plain or max(image.size) > 4_000:
        return {}
    wanted = {"ignore": by_timm(image), "isolated, ignore": by_timm(image)}
    wanted |= dict.fromkeys(("apply", "isolated"), by_timm(turned))
    if (side := longest_side(data)) is not None:
        wanted["whole"] = padded(turned, side)
    return {way: line for way, line in wanted.items() if way in entry}


def by_timm(image: Image.Image) -> str:
    import timm.data

    transform: Any = timm.data.create_transform(  # type: ignore[attr-defined]
        **predictor().data.to_timm(), is_training=False
    )
    return net_probes.of_array(transform(image).numpy())


def padded(image: Image.Image, side: int) -> str:
    pixels = np.zeros((side, side, 3), np.uint8)
    top, left = (side - image.height) // 2, (side - image.width) // 2
    pixels[top : top + image.height, left : left + image.width] = np.asarray(image)
    scaled = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return net_probes.of_array(scaled)


@pytest.mark.parametrize("group", GROUPS)
def test_every_file_has_the_recorded_outcome(group: str) -> None:
    different, compared = changes(group, same_versions=decoder_versions() == RECORD["versions"])
    assert not different, "\n".join(different)
    assert compared >= (50 if group in ("good", "hostile", "handmade") else 3), "the record compares next to nothing"


@pytest.mark.parametrize("group", ["good", "photo"])
def test_with_other_decoders_pillow_and_timm_agree(group: str) -> None:
    """The way that the test above takes where versions differ works here too."""
    different, compared = changes(group, same_versions=False)
    assert not different, "\n".join(different)
    assert compared >= (100 if group == "good" else 6)


def test_no_file_was_lost() -> None:
    """Names are compared, not bytes: encoders may differ. scikit-image's photos come with its version."""
    names = {name for _, name, _ in every_file()}
    lost = [name for name in RECORD["files"] if name not in names and not name.startswith("skimage")]
    assert not lost
    assert shipped_photos(), "scikit-image is not installed"


def test_an_array_becomes_the_tensor_of_its_file() -> None:
    for _, name, data in every_file():
        if name in ("photo chelsea.png", "photo coffee.png"):
            pixels = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
            assert np.array_equal(predictor().transform(pixels), predictor().transform(data))


def test_several_images_at_once_have_the_outcome_of_one() -> None:
    """Through the threads that decode ahead: a bad file gives its error in its place."""
    files = [(name, data) for _, name, data in every_file() if name.startswith("good")][:40]
    files[3:3] = [(name, data) for _, name, data in every_file() if name.startswith("hostile")][:10]
    together: Any = predictor().predict([data for _, data in files], k=1, on_error="return")
    for (name, data), result in zip(files, together, strict=True):
        try:
            alone = predictor().predict(data, k=1)
        except ImageError as error:
            assert isinstance(result, ImageError) and result.kind == error.kind, name
        else:
            assert not isinstance(result, ImageError), name
            assert np.array_equal(result.embedding.vectors, alone.embedding.vectors), name
