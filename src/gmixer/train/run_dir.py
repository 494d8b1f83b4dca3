"""The folder of a run: its files, and the check that it belongs to this run.

recipe.toml         the resolved recipe
data.json           what identifies the data: images, classes, a checksum, hashes of names; and the reading options
train.csv, val.csv  the progress; tensorboard/ holds the same
checkpoint/last.pt  the state from which the run continues
model/              config.json, model.safetensors, README.md: for all gmixer commands, and for timm
report.html         accuracy, curves, confusion, the worst mistakes; curves.png
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gmixer.datasets import LabeledImages
from gmixer.datasets.run_data import DATA, FORMAT, MODEL, RECIPE, identity, sketch
from gmixer.errors import InputError, words_of
from gmixer.files import atomic_write
from gmixer.options import Reading
from gmixer.train.recipe import Recipe
from gmixer.train.recipe_file import differences, is_flat, to_toml

TRAIN_TABLE = "train.csv"
VAL_TABLE = "val.csv"
TENSORBOARD = "tensorboard"
CHECKPOINT = "checkpoint/last.pt"
REPORT = "report.html"
CURVES = "curves.png"


def bind_run_dir(
    folder: Path, recipe: Recipe, *, train: LabeledImages, val: LabeledImages, reading: Reading = Reading()
) -> None:
    """Makes it the folder of this run, or checks that it is: the same recipe, images, labels, classes and reading.

    Raises InputError where it holds another run, and changes nothing then.
    """
    recipe_file, data_file = folder / RECIPE, folder / DATA
    ours = {"train": identity(train), "val": identity(val), "reading": _not_default(reading)}
    if (folder / MODEL).exists() or (folder / CHECKPOINT).exists():
        try:
            differing = _differing(folder, recipe, ours)
        except InputError:
            raise
        except (OSError, ValueError, LookupError, TypeError) as error:  # a file is missing, or has other content
            raise InputError(
                f"{folder} holds a model or a checkpoint, but its {RECIPE} and {DATA} cannot be read "
                f"({words_of(error, 'they hold something else')}); "
                "restore these files, or choose another folder (-o)"
            ) from error
        if differing:
            raise InputError(f"{folder} holds {differing}; give the same to continue it, or choose another folder (-o)")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(recipe_file) as unfinished:
        unfinished.write_text(to_toml(recipe), encoding="utf-8")
    known = {"format": FORMAT, "names": {"train": sketch(train), "val": sketch(val)}}
    with atomic_write(data_file) as unfinished:
        unfinished.write_text(json.dumps(known | ours, indent=1) + "\n", encoding="utf-8")


def _differing(folder: Path, recipe: Recipe, ours: dict[str, Any]) -> str:
    """What the folder holds, where that is another run's; "" where it is this run's.

    Raises InputError for a run that another version of gmixer began.
    """
    toml = (folder / RECIPE).read_text(encoding="utf-8")
    theirs = json.loads((folder / DATA).read_text(encoding="utf-8"))
    if is_flat(toml) or theirs["format"] != FORMAT:
        raise InputError(
            f"{folder} holds a run of another version of gmixer ({RECIPE}, {DATA}); finish it with the gmixer that "
            "began it, or choose another folder (-o)"
        )
    if lines := differences(recipe, toml):
        return f"a run with another recipe ({'; '.join(lines)})"
    if theirs["reading"] != ours["reading"]:
        return f"a run that reads its images with other options ({_options(theirs['reading'])})"
    parts = [_difference(part, theirs[part], ours[part]) for part in ("train", "val") if theirs[part] != ours[part]]
    return f"a run on other data ({'; '.join(parts)})" if parts else ""


def _not_default(reading: Reading) -> dict[str, Any]:
    """The options with another value than the default: {"orientation": "ignore", "limits": {"max_pixels": 1000}}."""
    ours, default = asdict(reading), asdict(Reading())
    limits = {name: value for name, value in ours.pop("limits").items() if value != default["limits"][name]}
    changed = {name: value for name, value in ours.items() if value != default[name]}
    return changed | ({"limits": limits} if limits else {})


def _options(reading: dict[str, Any]) -> str:
    """ "orientation=ignore, max_pixels=1000" """
    options = {name: value for name, value in reading.items() if name != "limits"} | reading.get("limits", {})
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "the defaults"


def _difference(part: str, theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    if theirs["images"] != ours["images"]:
        return f"{part}: {theirs['images']:,} images, not {ours['images']:,}"
    if theirs["classes"] != ours["classes"]:
        return f"{part}: other classes"
    return f"{part}: other images or labels"
