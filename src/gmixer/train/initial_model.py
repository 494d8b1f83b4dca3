"""The model that a run starts from: the recipe's network with the classes of the data, and its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gmixer.catalogue import VARIANTS, find_model
from gmixer.config import DataConfig, ModelConfig
from gmixer.datasets import LabeledImages, counts_by_place, same_classes
from gmixer.datasets.class_index import MAX_UNNAMED
from gmixer.errors import InputError
from gmixer.labels.imagenet import imagenet_1k
from gmixer.models.load_into import load_mixer
from gmixer.models.mixer import Mixer
from gmixer.options import WeightsSource
from gmixer.train.recipe import Recipe, TrainRecipe
from gmixer.weights import find_checkpoint
from gmixer.weights.architecture import variants_of
from gmixer.weights.find import Checkpoint, refuse_name


@dataclass(frozen=True)
class InitialModel:
    """name: of the pretrained model or the variant.

    class_names: of the head; None where its classes have only numbers (labels.labels_for).
    new_head: the head has new weights, since the data has other classes than the model had.
    is_random: all weights are random.
    """

    model: Mixer
    data: DataConfig
    name: str
    class_names: Sequence[str] | None
    new_head: bool
    is_random: bool = False

    @property
    def description(self) -> str:
        """One line for the listener: with wrong classes here, the mistake would not show before the end of the run."""
        K = self.model.num_classes
        if self.is_random:
            return f"starts from random weights: {self.name} with {K:,} classes"
        return f"starts from {self.name}, {f'a new head for {K:,} classes' if self.new_head else f'its {K:,} classes'}"


def make_initial_model(
    recipe: Recipe,
    train: LabeledImages,
    val: LabeledImages,
    weights: WeightsSource = WeightsSource(fetch=True),
    checkpoint: Checkpoint | None = None,
) -> InitialModel:
    """weights: where the pretrained weights may come from. checkpoint: these weights; None: as the recipe names them.

    Raises UnknownModelError, WeightsError; InputError where data and model do not fit together.
    """
    torch.manual_seed(recipe.seed)
    _check_teacher(recipe, train)
    K = _num_classes(recipe, train, val)
    if not recipe.model.pretrained:
        refuse_name(weights, "the run starts from random weights")
        full_name, variant, _ = find_model(recipe.model.name)
        model = Mixer(replace(variant.model, num_classes=K))
        name = full_name.partition(".")[0]  # without the tag, which names weights
        return InitialModel(model, variant.data, name, _own_names(K, train.classes), new_head=True, is_random=True)
    checkpoint = checkpoint or find_checkpoint(recipe.model.name, weights)
    _check_variant(checkpoint.model, checkpoint.name)
    new_head = checkpoint.model.num_classes != K or not _classes_fit(checkpoint, recipe, K, train.classes)
    config = replace(checkpoint.model, num_classes=K)
    model = load_mixer(config, checkpoint.tensors(), new_head=new_head, source=str(checkpoint.path))
    class_names = _own_names(K, train.classes) if new_head else checkpoint.class_names
    return InitialModel(model, checkpoint.data, checkpoint.name, class_names, new_head)


def known_classes(num_classes: int, class_names: Sequence[str] | None) -> Sequence[str] | None:
    """A model's classes: its names, else ImageNet-1k's synsets where it has a thousand; None where they are unknown."""
    if class_names:
        return class_names
    return tuple(label.synset for label in imagenet_1k()) if num_classes == len(imagenet_1k()) else None


def _classes_fit(checkpoint: Checkpoint, recipe: Recipe, K: int, classes: Sequence[str] | None) -> bool:
    """Whether the K classes of the data are the classes that the checkpoint's head knows."""
    if classes is None:  # numbers are taken as the model's own only where the recipe says so
        names = checkpoint.class_names
        return names is None or (recipe.model.num_classes == K and counts_by_place(names))
    known = known_classes(checkpoint.model.num_classes, checkpoint.class_names)
    return known is not None and same_classes(classes, known)


def _own_names(num_classes: int, classes: Sequence[str] | None) -> Sequence[str] | None:
    """None for ImageNet-1k's classes: their numbers lead to better names than a folder has."""
    imagenet = known_classes(num_classes, None)
    return None if classes and imagenet and same_classes(classes, imagenet) else classes


def _teacher_share(recipe: Recipe) -> float:
    return recipe.loss.teacher_share if isinstance(recipe, TrainRecipe) else 0.0


def _check_teacher(recipe: Recipe, train: LabeledImages) -> None:
    if isinstance(recipe, TrainRecipe) and _teacher_share(recipe) and not recipe.loss.teacher and train.soft is None:
        raise InputError(
            f"loss.teacher_share is {recipe.loss.teacher_share:g}, but there is no teacher; wanted loss.teacher, or "
            f"answers stored in {train.source} (teacher_index, teacher_probability), or a share of 0"
        )


def _num_classes(recipe: Recipe, train: LabeledImages, val: LabeledImages) -> int:
    """The number of class names in the data; else the recipe's number; else the highest label + 1."""
    in_recipe = recipe.model.num_classes
    highest = max(int(part.labels.max(initial=-1)) for part in (train, val))
    if train.soft is not None and _teacher_share(recipe):  # without a share, no answer is used
        highest = max(highest, int(train.soft.index.max(initial=-1)))
    if train.classes is None:
        if highest >= MAX_UNNAMED and not in_recipe:
            raise InputError(
                f"{train.source} has the label {highest:,} and no names; wanted classes numbered 0, 1, 2 …, or "
                f"model.num_classes={highest + 1} in the recipe, where the data has so many classes"
            )
        K, reason = in_recipe or highest + 1, f"model.num_classes is {in_recipe}"
    else:
        K, reason = len(train.classes), f"the data names {len(train.classes):,} classes"
        if in_recipe not in (0, K):
            raise InputError(f"{reason} and model.num_classes is {in_recipe:,}; wanted the same, or 0")
    if highest >= K:
        raise InputError(
            f"{train.source} has a label or a teacher_index {highest}, but {reason}; wanted at most {K - 1}"
        )
    return K


def _check_variant(model: ModelConfig, name: str) -> None:
    """Before hours of training, instead of when the model is saved."""
    if not variants_of(model):
        raise InputError(
            f"{name} has {model.blocks} blocks of {model.channels} channels, and timm has no such variant; wanted a "
            f"model of {', '.join(VARIANTS)}"
        )
