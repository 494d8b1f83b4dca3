"""The folder of a run: what lies where in it, and whose run it is.

recipe.toml         the resolved recipe
data.json           what the run learns from: how many pictures, their classes, a checksum
train.csv, val.csv  the progress; tensorboard/ the same
checkpoint/last.pt  where the run goes on
model/              config.json, model.safetensors, README.md: what every command of gmixer, and timm, takes
report.html         accuracy, curves, confusion, the worst mistakes; curves.png
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from gmixer.datasets import LabeledImages
from gmixer.errors import ImageError, InputError
from gmixer.files import atomic_write
from gmixer.train.recipe import Recipe

RECIPE = "recipe.toml"
DATA = "data.json"
TRAIN_TABLE = "train.csv"
VAL_TABLE = "val.csv"
TENSORBOARD = "tensorboard"
CHECKPOINT = "checkpoint/last.pt"
MODEL = "model"
REPORT = "report.html"
CURVES = "curves.png"

FORMAT = 1  # of data.json: how its checksums are made
LOOKED_AT = 64  # pictures whose bytes are part of the checksum


def bind_run_dir(folder: Path, recipe: Recipe, *, train: LabeledImages, val: LabeledImages) -> None:
    """Makes it the folder of this run, or finds that it is: the same recipe, pictures, labels and classes.

    Raises InputError where it holds another run, and changes nothing then.
    """
    recipe_file, data_file = folder / RECIPE, folder / DATA
    ours = {"train": _part(train), "val": _part(val)}
    if (folder / MODEL).exists() or (folder / CHECKPOINT).exists():
        try:
            differing = _differing(folder, recipe, ours)
        except (OSError, ValueError, LookupError, TypeError) as error:  # a file is missing, or says something else
            raise InputError(
                f"{folder} holds a model or a checkpoint, but what tells whose it is cannot be read ({error}); wanted "
                f"its {RECIPE} and {DATA}, or another folder (-o) to start anew"
            ) from error
        if differing:
            raise InputError(
                f"{folder} holds {differing}; give the same to go on, or another folder (-o) to start anew"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(recipe_file) as unfinished:
        unfinished.write_text(recipe.to_toml(), encoding="utf-8")
    with atomic_write(data_file) as unfinished:
        unfinished.write_text(json.dumps({"format": FORMAT} | ours, indent=1) + "\n", encoding="utf-8")


def _differing(folder: Path, recipe: Recipe, ours: dict[str, Any]) -> str:
    """What the folder holds, where that is another run's; "" where it is this one's."""
    if lines := recipe.differences((folder / RECIPE).read_text(encoding="utf-8")):
        return f"a run with another recipe ({'; '.join(lines)})"
    theirs = json.loads((folder / DATA).read_text(encoding="utf-8"))
    if theirs["format"] != FORMAT:
        raise ValueError(f"{DATA} was written by another version of gmixer")
    parts = [_difference(part, theirs[part], ours[part]) for part in ours if theirs[part] != ours[part]]
    return f"a run on other data ({'; '.join(parts)})" if parts else ""


def _part(pictures: LabeledImages) -> dict[str, Any]:
    """By what the source calls its pictures, and by some of them: the data may be moved, but not be another."""
    digest = hashlib.sha256()
    for i, label in enumerate(pictures.labels.tolist()):
        digest.update(f"{pictures.key(i)}\0{label}\n".encode(errors="surrogateescape"))
    for i in np.unique(np.linspace(0, len(pictures) - 1, LOOKED_AT).astype(int)).tolist() if len(pictures) else ():
        try:
            digest.update(pictures.read(i))
        except ImageError as error:
            digest.update(error.kind.encode())
    if pictures.soft is not None:
        digest.update(pictures.soft.index.tobytes())
        digest.update(pictures.soft.probability.tobytes())
    classes = None if pictures.classes is None else list(pictures.classes)
    return {"pictures": len(pictures), "sha256": digest.hexdigest(), "classes": classes}


def _difference(part: str, theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    if theirs["pictures"] != ours["pictures"]:
        return f"{part}: {theirs['pictures']:,} pictures, not {ours['pictures']:,}"
    if theirs["classes"] != ours["classes"]:
        return f"{part}: other classes"
    return f"{part}: other pictures or labels"
