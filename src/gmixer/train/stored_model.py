"""The model that computed stored embeddings, and how it read the images. The stamp of the embeddings knows both."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from gmixer.errors import InputError
from gmixer.options import FP32, Limits, Reading, WeightsSource
from gmixer.weights import Checkpoint, find_checkpoint
from gmixer.weights.find import TableName, names_a_model
from gmixer.weights.hub import Repo

if TYPE_CHECKING:
    from gmixer.bulk.stamp import Stamp


def reading_of(stamp: Stamp, given: Reading) -> Reading:
    """How the images were read. given: the options of this run, which can only be the same.

    Raises InputError for others.
    """
    try:
        stored = Reading(**{**stamp.reading, "limits": Limits(**stamp.reading["limits"])})
    except (TypeError, KeyError):
        raise InputError(
            f"gmixer {stamp.gmixer} stored these embeddings, with other options of reading than this version has "
            f"({json.dumps(stamp.reading)}); embed the images again"
        ) from None
    theirs, default = asdict(given), asdict(Reading())
    changed = [name for name in stamp.reading if theirs[name] not in (default[name], asdict(stored)[name])]
    if changed:
        names = ", ".join(changed)
        raise InputError(
            f"{names} cannot be chosen here: the images were read when they were embedded, and none is read again; "
            f"leave {names} out, or embed the images again with it"
        )
    return stored


def checkpoint_of(stamp: Stamp, name: str, weights: WeightsSource) -> Checkpoint:
    """The weights that computed the embeddings, for the same image size.

    name: of the model, or where its weights are; "": as the stamp names it.

    Raises InputError: other weights, another transform, vectors that fit no head. WeightsError, UnknownModelError.
    """
    if stamp.rows["normalize"]:
        raise InputError(
            "the stored vectors are normalized to length 1, and the model's own embeddings are not: a linear head on "
            "them does not fit the model; embed the images again without that, or measure the nearest neighbours: "
            "--knn 20"
        )
    if not name and not names_a_model(stamp.model) and not Repo.parse(stamp.model):
        raise InputError(
            f"the embeddings are of the model {stamp.model} (SHA-256 {stamp.weights_sha256[:12]}), and its name does "
            "not say where its weights are; pass its folder or file by --model (model.name in the recipe)"
        )
    found = find_checkpoint(name or TableName(stamp.model), weights)
    if (sha256 := found.file.sha256()) != stamp.weights_sha256:
        raise InputError(
            f"the embeddings are of {stamp.model} with the weights {stamp.weights_sha256[:12]}… (SHA-256), but "
            f"{found.path} has {sha256[:12]}…; pass the folder or file with those weights by --model (model.name in "
            "the recipe)"
        )
    wanted = stamp.preprocessing
    checkpoint = found.adapted(image_px=wanted.get("image_px"), in_chans=wanted.get("in_chans"))
    ours = json.loads(json.dumps(asdict(checkpoint.data)))
    differing = [f"{key} {wanted.get(key)}, not {value}" for key, value in ours.items() if wanted.get(key) != value]
    if differing:
        raise InputError(
            f"the embeddings are of images that were prepared in another way than {found.path} says "
            f"({'; '.join(differing)}); pass the folder, or --name"
        )
    return checkpoint


def notes_on(stamp: Stamp) -> list[str]:
    """What a user should know of these embeddings before a head is fitted on them, one sentence each."""
    notes = []
    if stamp.precision != FP32:
        notes.append(
            f"the embeddings were computed in {stamp.precision}, and the saved model computes in {FP32}: its answers "
            "may differ a little from the measured ones"
        )
    if stamp.rows["dtype"] == "float16":
        notes.append("the embeddings are stored as float16, which rounds them to 3 digits")
    return notes
