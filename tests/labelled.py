"""Small labelled images, as files and as bytes, for the tests of the data sets' formats."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image


def image(number: int) -> bytes:
    """A sound PNG of 4×4, another one for every number below 65,536."""
    out = BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 7)).save(out, "PNG")
    return out.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def folders(root: Path, counts: dict[str, int]) -> Path:
    """`root/cat/0.png` …: so many images in each folder, no two alike."""
    numbers = iter(range(65_536))
    return write(root, {f"{name}/{i}.png": image(next(numbers)) for name, n in counts.items() for i in range(n)})
