"""Measure which cosine tells near duplicates from distinct images, for the default of `gmixer duplicates`.

    python tools/duplicate_threshold.py --photos examples/photos more-photos --distinct val.parquet

--photos: images of which copies are made: encoded again, resized, cropped. --distinct: labelled images, no two of them
the same, as for gmixer validate. Recall is the share of copies that a threshold finds. A false pair is two distinct
images above the threshold. For another model than the embedded one: --model, and its number into THRESHOLDS of
src/gmixer/search/duplicates.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import gmixer
from gmixer.datasets import open_images
from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.options import DEFAULT_LIMITS
from gmixer.sources.entry import may_be_image, read
from gmixer.sources.listing import list_files

THRESHOLDS = (0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
BLOCK = 2_048
LEAST_PX = 160  # of a photo's short side: a copy at a quarter of it must still be a picture


def saved(image: Image.Image, image_format: str, quality: int) -> bytes:
    out = BytesIO()
    image.save(out, image_format, quality=quality)
    return out.getvalue()


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def cropped(image: Image.Image, fraction: float) -> Image.Image:
    """Without that fraction of the width and the height, all of it at the left and the top."""
    return image.crop((round(image.width * fraction), round(image.height * fraction), image.width, image.height))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG, quality 90": lambda image: saved(image, "JPEG", 90),
    "JPEG, quality 50": lambda image: saved(image, "JPEG", 50),
    "JPEG, quality 20": lambda image: saved(image, "JPEG", 20),
    "WebP, quality 75": lambda image: saved(image, "WEBP", 75),
    "a half of the size": lambda image: saved(resized(image, 0.5), "JPEG", 85),
    "a quarter of the size": lambda image: saved(resized(image, 0.25), "JPEG", 85),
    "twice the size": lambda image: saved(resized(image, 2), "JPEG", 85),
    "cropped by 2 %": lambda image: saved(cropped(image, 0.02), "JPEG", 85),
    "cropped by 5 %": lambda image: saved(cropped(image, 0.05), "JPEG", 85),
    "cropped by 10 %": lambda image: saved(cropped(image, 0.10), "JPEG", 85),
    "cropped by 20 %": lambda image: saved(cropped(image, 0.20), "JPEG", 85),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", nargs="+", required=True, help="image files, folders and archives")
    parser.add_argument("--distinct", required=True, help="labelled images, as for gmixer validate")
    parser.add_argument("--model", default="gmixer_8_64.distill_in1k", help="a name, a folder or a .safetensors file")
    arguments = parser.parse_args()
    predictor = gmixer.load(arguments.model)
    found = dict(copies_of(predictor, arguments.photos))
    distinct = open_images(arguments.distinct)
    images = [distinct.read(i) for i in range(len(distinct))]
    pairs, same_class = distinct_pairs(unit(predictor.embed(images).vectors), distinct.labels)
    print(table(predictor.name, found, pairs, same_class))


def photos(sources: Sequence[str]) -> Iterator[Image.Image]:
    """Those that can be read and are not too small."""
    for entry in list_files(sources):
        if isinstance(entry, ImageError) or not may_be_image(entry):
            continue
        try:
            image = Image.fromarray(decode(read(entry, DEFAULT_LIMITS)))
        except ImageError:
            continue
        if min(image.size) >= LEAST_PX:
            yield image


def copies_of(predictor: gmixer.Predictor, sources: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """For each kind of copy, the cosine of each photo with its copy."""
    originals = list(photos(sources))
    x_NC = unit(predictor.embed(originals).vectors)
    for kind, make in COPIES.items():
        copies_NC = unit(predictor.embed([make(image) for image in originals]).vectors)
        yield kind, (x_NC * copies_NC).sum(1)


def unit(x_NC: NDArray[np.float32]) -> NDArray[np.float32]:
    return x_NC / np.linalg.norm(x_NC, axis=1, keepdims=True)


def distinct_pairs(x_NC: NDArray[np.float32], labels_N: NDArray[np.int64]) -> tuple[Pairs, Pairs]:
    """All pairs, and the pairs of one class: how many there are, and how many reach each threshold."""
    every, same = Pairs(), Pairs()
    for start in range(0, len(x_NC), BLOCK):
        cosine_BN = x_NC[start : start + BLOCK] @ x_NC[start:].T
        later_BN = np.triu(np.ones(cosine_BN.shape, bool), 1)
        same_BN = later_BN & (labels_N[start : start + BLOCK, None] == labels_N[None, start:])
        every.add(cosine_BN[later_BN])
        same.add(cosine_BN[same_BN])
    return every, same


class Pairs:
    def __init__(self) -> None:
        self.count = 0
        self.above = np.zeros(len(THRESHOLDS), np.int64)

    def add(self, cosines: NDArray[np.float32]) -> None:
        self.count += len(cosines)
        self.above += [(cosines >= threshold).sum() for threshold in THRESHOLDS]


def table(model: str, found: dict[str, NDArray[np.float32]], pairs: Pairs, same_class: Pairs) -> str:
    n = len(next(iter(found.values())))
    every = np.concatenate(list(found.values()))
    head = ["threshold", *found, "all copies", "false pairs", "of one class", "precision"]
    about = f"{model}: {n} photos, {len(every)} copies; {pairs.count:,} pairs of distinct images, "
    about += f"{same_class.count:,} of them of one class"
    lines = [about, "| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for i, threshold in enumerate(THRESHOLDS):
        hits, false = int((every >= threshold).sum()), int(pairs.above[i])
        cells = [f"{threshold}", *(f"{(c >= threshold).mean():.1%}" for c in found.values())]
        cells += [f"{(every >= threshold).mean():.1%}", f"{false:,}", f"{int(same_class.above[i]):,}"]
        cells += [f"{hits / max(hits + false, 1):.1%}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
