"""A model and labelled images → the model's accuracy, beside the published figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from gmixer.datasets import LabeledImages, run_of
from gmixer.errors import ImageError, InputError
from gmixer.evaluate.metrics import Bin, Share, calibration, per_class, top
from gmixer.evaluate.outcomes import Outcomes, score_images
from gmixer.evaluate.published import Published, SetName, published
from gmixer.evaluate.sets import open_set
from gmixer.labels.imagenet import Label
from gmixer.options import Precision
from gmixer.predictor import Predictor

NAMED = 3  # images in the error where none can be read


@dataclass(frozen=True)
class Validated:
    """pipeline: how the images were read and the network was run, in words. uncounted: images without a label.

    notes: of single images, name → note. calibration_error: 0…1, see metrics.calibration.
    """

    model: str
    precision: Precision
    source: str
    set_name: SetName | None
    pipeline: str
    images: LabeledImages
    labels: Sequence[Label]
    outcomes: Outcomes
    unreadable: Sequence[ImageError]
    notes: Mapping[str, str]
    uncounted: int
    top1: Share
    top5: Share
    calibration_error: float
    bins: Sequence[Bin]
    classes: Sequence[Share]  # top-1 of each class
    published: Published | None

    def compared(self) -> list[Compared]:
        """The measured share beside each published figure."""
        if self.published is None:
            return []
        pairs = (("top-1", self.top1, self.published.top1), ("top-5", self.top5, self.published.top5))
        return [Compared(what, share, expected / 100) for what, share, expected in pairs if expected is not None]

    def to_dict(self) -> dict[str, Any]:
        """What `gmixer validate --json` prints; shares are 0…1."""
        return {
            "model": self.model,
            "precision": self.precision,
            "data": self.source,
            "set": self.set_name,
            "pipeline": self.pipeline,
            "n": self.top1.n,
            "top1": self.top1.value,
            "top1_interval": self.top1.interval,
            "top5": self.top5.value,
            "top5_interval": self.top5.interval,
            "calibration_error": self.calibration_error,
            "unlabelled": self.uncounted,
            "notes": list(self.images.notes),
            "unreadable": [{"path": e.source, "kind": e.kind, "message": e.reason} for e in self.unreadable],
            "image_notes": [{"path": name, "note": note} for name, note in self.notes.items()],
            "published": [
                {"what": c.what, "expected": c.expected, "difference": c.difference, "inside_interval": c.inside}
                for c in self.compared()
            ],
            "classes": [
                {"index": label.index, "label": label.name, "n": share.n, "top1": share.value}
                for label, share in zip(self.labels, self.classes, strict=True)
                if share.n
            ],
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured share beside the published one, both 0…1."""

    what: str
    measured: Share
    expected: float

    @property
    def difference(self) -> float:
        return self.measured.value - self.expected

    @property
    def inside(self) -> bool:
        """Whether the published figure lies within the interval of the measured share."""
        low, high = self.measured.interval
        return low <= self.expected <= high


def validate(
    predictor: Predictor,
    source: str | os.PathLike[str],
    of: SetName | None = None,
    *,
    real_labels: str | os.PathLike[str] | None = None,
    val_folder: str | None = None,
    all_images: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Validated:
    """Measures the predictor on the data (open_set). Load it with orientation="ignore" to have timm's pipeline.

    val_folder: see open_images.
    all_images: measure the very data that the model was trained on as any other data: without splits, all images, not
        only the held-out ones.
    on_progress: called with how many images are done, and with their total number.
    Raises InputError if data and model do not fit, the model learned from all of the images, or no image can be read.
    Images that cannot be read are listed, and do not count.
    """
    predictor.require_classes()
    test = open_set(
        source,
        predictor.labels,
        of,
        real_labels=real_labels,
        reading=predictor.preprocess.reading,
        val_folder=val_folder,
        run=None if all_images else run_of(predictor.checkpoint.path),
    )
    outcomes, unreadable, notes = score_images(
        predictor.runtime,
        test.images,
        test.numbers,
        predictor.preprocess,
        correct=test.correct,
        allowed=test.allowed,
        on_progress=lambda done: on_progress(done, len(test.numbers)),
    )
    if not len(outcomes.image):
        raise _nothing_measured(os.fspath(source), unreadable)
    error, bins = calibration(outcomes)
    return Validated(
        model=predictor.name,
        precision=predictor.precision,
        source=os.fspath(source),
        set_name=of,
        pipeline=_pipeline(predictor),
        images=test.images,
        labels=predictor.labels,
        outcomes=outcomes,
        unreadable=unreadable,
        notes=notes,
        uncounted=len(test.images) - len(test.numbers),
        top1=top(outcomes, 1),
        top5=top(outcomes, 5),
        calibration_error=error,
        bins=bins,
        classes=per_class(outcomes, predictor.model.num_classes),
        # A folder may have the name of a published model; only the catalogue's own weights have its figures.
        published=published(predictor.name, of) if of and predictor.checkpoint.pretrained else None,
    )


def _nothing_measured(source: str, unreadable: Sequence[ImageError]) -> InputError:
    if not unreadable:
        return InputError(
            f"{source} has no image that counts in this set; wanted one or more to measure the answers by"
        )
    more = f"; … and {len(unreadable) - NAMED:,} more" if len(unreadable) > NAMED else ""
    named = "; ".join(map(str, unreadable[:NAMED])) + more
    return InputError(f"{source} has no image that can be read ({named}); wanted one or more to measure the answers by")


def _pipeline(predictor: Predictor) -> str:
    data, reading = predictor.data, predictor.preprocess.reading
    turned = "EXIF orientation ignored" if reading.orientation == "ignore" else "turned as EXIF says"
    values = "" if reading.range == "full" else "; values over the range that they use"
    sides = f"{data.interpolation} to {data.resize_px} px, {data.crop_mode} crop of {data.image_px}"
    normalised = f"mean {_listed(data.mean)}, std {_listed(data.std)}"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("gmixer", "pillow", "simplejpeg"))
    return f"{turned}; alpha over white{values}; {sides}; {normalised}; {predictor.runtime!r}; {versions}"


def _listed(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)
