"""What a run starts from: the network of a recipe with the classes of the data, its weights, and how it is fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gmixer.config import DataConfig, find_model
from gmixer.data.labels import imagenet_1k
from gmixer.datasets.pictures import Pictures
from gmixer.errors import InputError, WeightsError
from gmixer.models.mixer import Mixer
from gmixer.train.recipe import Recipe
from gmixer.weights import find_checkpoint


@dataclass(frozen=True)
class Start:
    """name: what the model is called that it starts from.

    class_names: of the head; None where the data has only numbers.
    new_head: the head is drawn anew, since the data has other classes than the model had.
    """

    model: Mixer
    data: DataConfig
    name: str
    class_names: Sequence[str] | None
    new_head: bool


def start(recipe: Recipe, pictures: Pictures) -> Start:
    """Raises UnknownModelError, WeightsError; InputError where data and model cannot go together."""
    torch.manual_seed(recipe.seed)
    if not recipe.pretrained:
        name, variant, _ = find_model(recipe.model)
        K = _num_classes(pictures, variant.model.num_classes)
        model = Mixer(replace(variant.model, num_classes=K))
        return Start(model, variant.data, name, pictures.classes, new_head=True)
    checkpoint = find_checkpoint(recipe.model, from_hub=True)
    K = _num_classes(pictures, checkpoint.model.num_classes)
    had = checkpoint.class_names or (tuple(label.synset for label in imagenet_1k()) if K == 1000 else None)
    new_head = checkpoint.model.num_classes != K or (pictures.classes is not None and had != tuple(pictures.classes))
    model = Mixer(replace(checkpoint.model, num_classes=K))
    weights = {name: torch.from_numpy(array.copy()) for name, array in checkpoint.tensors()}
    if new_head:
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("head.")}
    missing = model.load_state_dict(weights, strict=False).missing_keys
    if unknown := [name for name in missing if not (new_head and name.startswith("head."))]:
        raise WeightsError(f"{checkpoint.path} lacks {', '.join(unknown)}")
    class_names = pictures.classes if new_head else checkpoint.class_names
    return Start(model, checkpoint.data, checkpoint.name, class_names, new_head)


def _num_classes(pictures: Pictures, of_model: int) -> int:
    """As many as the data names; where it has only numbers, as many as the model has."""
    if pictures.classes is not None:
        return len(pictures.classes)
    greatest = int(pictures.labels.max(initial=-1))
    if greatest >= of_model:
        raise InputError(
            f"{pictures.source} has labels up to {greatest}, the model {of_model} classes, and the data names none; "
            "add the classes' names to it, or start from a model with as many classes"
        )
    return of_model
