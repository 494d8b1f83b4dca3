"""What a run starts from: the network of a recipe with the classes of the data, its weights, and how it is fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gmixer.catalogue import VARIANTS, find_model
from gmixer.config import DataConfig, ModelConfig
from gmixer.datasets import LabeledImages, counts_by_place, same_classes
from gmixer.errors import InputError
from gmixer.labels.imagenet import imagenet_1k
from gmixer.models.load_into import load_into
from gmixer.models.mixer import Mixer
from gmixer.options import WeightsSource
from gmixer.train.recipe import Recipe
from gmixer.weights import find_checkpoint
from gmixer.weights.architecture import variants_of

MAX_UNSAID = 100_000  # classes; a greater number is rather a mistake than a class: ImageNet-21k has 21,843


@dataclass(frozen=True)
class InitialModel:
    """name: what the model is called that it starts from.

    class_names: of the head; None where its classes are known by their number alone (labels.labels_for).
    new_head: the head is drawn anew, since the data has other classes than the model had. drawn: so is all the rest.
    """

    model: Mixer
    data: DataConfig
    name: str
    class_names: Sequence[str] | None
    new_head: bool
    drawn: bool = False

    @property
    def said(self) -> str:
        """For whoever watches: which classes it begins with, a mistake that would not show before the end."""
        K = self.model.num_classes
        if self.drawn:
            return f"starts from freshly drawn weights: {self.name} with {K:,} classes"
        return f"starts from {self.name}, {f'a new head for {K:,} classes' if self.new_head else f'its {K:,} classes'}"


def start(recipe: Recipe, train: LabeledImages, val: LabeledImages) -> InitialModel:
    """Raises UnknownModelError, WeightsError; InputError where data and model cannot go together."""
    torch.manual_seed(recipe.seed)
    if recipe.method == "weights" and recipe.teacher_share and not recipe.teacher and train.soft is None:
        raise InputError(
            f"teacher_share is {recipe.teacher_share:g}, but there is no teacher; wanted one in the recipe, or its "
            f"answers in {train.source} (teacher_index, teacher_probability), or a share of 0"
        )
    K = _num_classes(recipe, train, val)
    if not recipe.pretrained:
        full_name, variant, _ = find_model(recipe.model)
        model = Mixer(replace(variant.model, num_classes=K))
        name = full_name.partition(".")[0]  # the tag is of weights that are not taken
        return InitialModel(model, variant.data, name, _own_names(K, train.classes), new_head=True, drawn=True)
    checkpoint = find_checkpoint(recipe.model, WeightsSource(fetch=True))
    _check_variant(checkpoint.model, checkpoint.name)
    had = known_classes(checkpoint.model.num_classes, checkpoint.class_names)
    if train.classes is None:  # numbers are not taken for names, unless the recipe says that they are theirs
        named = checkpoint.class_names
        fits = named is None or (recipe.num_classes == K and counts_by_place(named))
    else:
        fits = had is not None and same_classes(train.classes, had)
    new_head = checkpoint.model.num_classes != K or not fits
    model = Mixer(replace(checkpoint.model, num_classes=K))
    load_into(model, checkpoint.tensors(), new_head=new_head, source=str(checkpoint.path))
    class_names = _own_names(K, train.classes) if new_head else checkpoint.class_names
    return InitialModel(model, checkpoint.data, checkpoint.name, class_names, new_head)


def known_classes(num_classes: int, class_names: Sequence[str] | None) -> Sequence[str] | None:
    """A model's classes: its names, else ImageNet-1k's synsets where it has a thousand; None where nobody knows."""
    if class_names:
        return class_names
    return tuple(label.synset for label in imagenet_1k()) if num_classes == len(imagenet_1k()) else None


def _own_names(num_classes: int, classes: Sequence[str] | None) -> Sequence[str] | None:
    """None for ImageNet-1k's classes, which are better known by their number than by a folder's name."""
    imagenet = known_classes(num_classes, None)
    return None if classes and imagenet and same_classes(classes, imagenet) else classes


def _num_classes(recipe: Recipe, train: LabeledImages, val: LabeledImages) -> int:
    """As many as the data names; else as the recipe says, else as the greatest number among the labels."""
    greatest = max(int(part.labels.max(initial=-1)) for part in (train, val))
    if train.soft is not None and recipe.method == "weights" and recipe.teacher_share:  # else nobody learns from it
        greatest = max(greatest, int(train.soft.index.max(initial=-1)))
    if train.classes is None:
        if greatest >= MAX_UNSAID and not recipe.num_classes:
            raise InputError(
                f"{train.source} has the label {greatest:,} and no names; wanted the classes numbered 0, 1, 2 …, or, "
                f"where they are so many, num_classes={greatest + 1} in the recipe"
            )
        K, message = recipe.num_classes or greatest + 1, f"num_classes is {recipe.num_classes}"
    else:
        K, message = len(train.classes), f"the data names {len(train.classes):,} classes"
        if recipe.num_classes not in (0, K):
            raise InputError(f"{message} and num_classes is {recipe.num_classes:,}; wanted the same, or 0")
    if greatest >= K:
        raise InputError(
            f"{train.source} has a label or a teacher_index {greatest}, but {message}; wanted at most {K - 1}"
        )
    return K


def _check_variant(model: ModelConfig, name: str) -> None:
    """Before hours of training, not when the model is saved."""
    if not variants_of(model):
        raise InputError(
            f"{name} has {model.blocks} blocks of {model.channels} channels, which timm could not be told of; wanted a "
            f"model of {', '.join(VARIANTS)}"
        )
