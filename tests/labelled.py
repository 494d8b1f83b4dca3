"""Small labelled images, as files, as bytes and in tars, for the tests of the data sets' formats."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

from PIL import Image

Members = list[tuple[str, bytes]]


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
    for name in counts:
        (root / name).mkdir(parents=True, exist_ok=True)
    return write(root, {f"{name}/{i}.png": image(next(numbers)) for name, n in counts.items() for i in range(n)})


def shard(path: Path, members: Members, mode: str = "w") -> Path:
    """A tar of these members: (name, bytes)."""
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return path


def samples(numbers: range) -> Members:
    """WebDataset's members for these images, with the label `number % 3`."""
    members: Members = []
    for n in numbers:
        members += [(f"{n:03}.png", image(n)), (f"{n:03}.cls", b"%d" % (n % 3))]
    return members
