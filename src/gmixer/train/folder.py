"""The folder of a run: what lies where in it, and whose run it is.

recipe.toml         the resolved recipe
data.json           what the run learns from: how many pictures, their classes, a checksum of names and labels
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

from gmixer.datasets import Pictures
from gmixer.errors import InputError
from gmixer.train.recipe import Recipe
from gmixer.writing import replacing

RECIPE = "recipe.toml"
DATA = "data.json"
TRAIN_TABLE = "train.csv"
VAL_TABLE = "val.csv"
TENSORBOARD = "tensorboard"
CHECKPOINT = "checkpoint/last.pt"
MODEL = "model"
REPORT = "report.html"
CURVES = "curves.png"


def claim(folder: Path, recipe: Recipe, *, train: Pictures, val: Pictures) -> None:
    """Makes it the folder of this run, or finds that it is: the same recipe, pictures, labels and classes.

    Raises InputError where it holds another run, and changes nothing then.
    """
    recipe_file, data_file = folder / RECIPE, folder / DATA
    ours = {"train": _part(train), "val": _part(val)}
    if (folder / MODEL).exists() or (folder / CHECKPOINT).exists():
        if not (recipe_file.exists() and data_file.exists()):
            raise _not_ours(folder, f"something without {RECIPE} and {DATA}")
        if lines := recipe.differences(recipe_file.read_text(encoding="utf-8")):
            raise _not_ours(folder, f"a run with another recipe ({'; '.join(lines)})")
        theirs = json.loads(data_file.read_text(encoding="utf-8"))
        if differing := [_difference(part, theirs[part], ours[part]) for part in ours if theirs[part] != ours[part]]:
            raise _not_ours(folder, f"a run on other data ({'; '.join(differing)})")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(recipe_file) as unfinished:
        unfinished.write_text(recipe.to_toml(), encoding="utf-8")
    with replacing(data_file) as unfinished:
        unfinished.write_text(json.dumps(ours, indent=1) + "\n", encoding="utf-8")


def _not_ours(folder: Path, what: str) -> InputError:
    return InputError(f"{folder} holds {what}; give the same to go on, or another folder (-o) to start anew")


def _part(pictures: Pictures) -> dict[str, Any]:
    """By what the source calls its pictures: the data may be moved, but not be other pictures or labels."""
    digest = hashlib.sha256()
    for i, label in enumerate(pictures.labels.tolist()):
        digest.update(f"{pictures.key(i)}\0{label}\n".encode(errors="surrogateescape"))
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
