"""start.py: weights that fit are taken as they are, a head of other classes is drawn anew."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.datasets import SoftLabels
from gmixer.errors import InputError, UnknownModelError
from gmixer.labels.imagenet import imagenet_1k
from gmixer.models.mixer import Mixer
from gmixer.train.initial_model import InitialModel, start
from gmixer.train.recipe import Recipe

EMBEDDED = Recipe(model="gmixer_8_64.distill_in1k")
SYNSETS = tuple(label.synset for label in imagenet_1k())
NAMES = tuple(label.name for label in imagenet_1k())


@dataclass
class Labelled:
    """`LabeledImages`, as far as a start looks at them."""

    classes: tuple[str, ...] | None
    labels: NDArray[np.int64] = field(default_factory=lambda: np.array([0, 1]))
    soft: SoftLabels | None = None
    source: str = "pictures"


def numbers(*labels: int, taught: int | None = None) -> Labelled:
    soft = None if taught is None else SoftLabels(np.array([[taught]], np.int32), np.ones((1, 1), np.float32))
    return Labelled(None, np.array(labels), soft)


def started(recipe: Recipe, train: Labelled, val: Labelled | None = None) -> InitialModel:
    return start(recipe, train, val or train)  # type: ignore[arg-type]


def test_other_classes_get_a_head_of_their_own() -> None:
    begun = started(EMBEDDED, Labelled(("cat", "dog")))
    embedded = gmixer.create_model(EMBEDDED.model, pretrained=True)
    assert (begun.new_head, begun.class_names, begun.model.num_classes) == (True, ("cat", "dog"), 2)
    assert begun.said == "starts from gmixer_8_64.distill_in1k, a new head for 2 classes"
    theirs = embedded.state_dict()
    for name, tensor in begun.model.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(tensor, theirs[name]), name
    assert not begun.model.head.weight.any()
    assert begun.data == gmixer.load(EMBEDDED.model).data


@pytest.mark.parametrize(
    ("recipe", "data"),
    [
        (replace(EMBEDDED, num_classes=1000), numbers(0, 1)),
        (EMBEDDED, numbers(0, 999)),
        (EMBEDDED, Labelled(SYNSETS)),
        (EMBEDDED, Labelled(NAMES)),
    ],
    ids=["said", "greatest", "synsets", "names"],
)
def test_the_same_classes_keep_their_head(recipe: Recipe, data: Labelled) -> None:
    begun = started(recipe, data)
    embedded = gmixer.create_model(EMBEDDED.model, pretrained=True)
    assert not begun.new_head and begun.class_names is None
    assert begun.said.endswith("its 1,000 classes")
    assert torch.equal(begun.model.head.weight, embedded.head.weight)


def test_numbers_alone_are_as_many_classes_as_the_greatest_says() -> None:
    """Not the model's thousand, of which they would be the first: a tench, a goldfish …"""
    begun = started(EMBEDDED, numbers(0, 4, 2))
    assert (begun.new_head, begun.class_names, begun.model.num_classes) == (True, None, 5)
    assert started(EMBEDDED, numbers(0, 4), numbers(6)).model.num_classes == 7
    taught = replace(EMBEDDED, teacher_share=0.1)
    assert started(taught, numbers(0, 4, taught=9)).model.num_classes == 10
    assert started(taught, numbers(0, 4, taught=2), numbers(0, taught=9)).model.num_classes == 5  # val teaches nobody
    assert started(EMBEDDED, numbers(0, 4, taught=9)).model.num_classes == 5  # nor from answers that do not count
    assert started(replace(taught, method="probe"), numbers(0, 4, taught=9)).model.num_classes == 5
    assert started(replace(EMBEDDED, num_classes=12), numbers(0, 4)).model.num_classes == 12
    assert started(replace(EMBEDDED, pretrained=False, model="gmixer_8_64"), numbers(0, 4)).model.num_classes == 5


def test_as_many_classes_of_other_names_are_other_classes() -> None:
    begun = started(EMBEDDED, Labelled(tuple(f"thing {i}" for i in range(1000))))
    assert begun.new_head and not begun.model.head.weight.any()
    swapped = started(EMBEDDED, Labelled((SYNSETS[1], SYNSETS[0], *SYNSETS[2:])))
    assert swapped.new_head and swapped.class_names is not None


def test_a_folder_of_ours_goes_on_with_its_classes(tmp_path: Path) -> None:
    model = gmixer.create_model("gmixer_8_64", num_classes=2)
    torch.nn.init.normal_(model.head.weight)
    folder = gmixer.save_model(model, tmp_path / "pets", class_names=["cat", "dog"])
    begun = started(replace(EMBEDDED, model=str(folder)), Labelled(("cat", "dog")))
    assert not begun.new_head and torch.equal(begun.model.head.weight, model.head.weight)
    assert begun.class_names == ("cat", "dog")
    swapped = started(replace(EMBEDDED, model=str(folder)), Labelled(("dog", "cat")))
    assert swapped.new_head
    numbered = started(replace(EMBEDDED, model=str(folder)), numbers(0, 1))
    assert numbered.new_head and numbered.class_names is None
    said = started(replace(EMBEDDED, model=str(folder), num_classes=2), numbers(0, 1))
    assert not said.new_head and said.class_names == ("cat", "dog")


def test_classes_called_by_numbers_are_not_counted_by_their_place(tmp_path: Path) -> None:
    names = sorted(map(str, range(11)))
    folder = gmixer.save_model(gmixer.create_model("gmixer_8_64", num_classes=11), tmp_path / "m", class_names=names)
    assert started(replace(EMBEDDED, model=str(folder), num_classes=11), numbers(0, 10)).new_head
    assert not started(replace(EMBEDDED, model=str(folder)), Labelled(tuple(names))).new_head


def test_from_scratch_the_seed_decides() -> None:
    drawn = [
        started(Recipe(model="gmixer_8_64", pretrained=False, seed=seed), Labelled(("a", "b"))).model
        for seed in (1, 1, 2)
    ]
    first, again, other = (model.stem.proj.weight for model in drawn)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_from_scratch_it_says_so() -> None:
    begun = started(Recipe(model="gmixer_8_64", pretrained=False), Labelled(("a", "b")))
    assert begun.said == "starts from freshly drawn weights: gmixer_8_64 with 2 classes"


def test_a_model_of_imagenet_from_scratch_names_its_classes_as_people_do() -> None:
    begun = started(Recipe(model="gmixer_8_64", pretrained=False), Labelled(SYNSETS))
    assert begun.class_names is None and begun.model.num_classes == 1000


@pytest.mark.parametrize(
    ("recipe", "data", "said"),
    [
        (
            EMBEDDED,
            numbers(0, 1_000_000),
            "has the label 1,000,000 and no names; wanted the classes numbered 0, 1, 2 …",
        ),
        (replace(EMBEDDED, num_classes=2), numbers(0, 2), "a teacher_index 2, but num_classes is 2; wanted at most 1"),
        (
            replace(EMBEDDED, num_classes=3, teacher_share=0.1),
            numbers(0, taught=5),
            "teacher_index 5, but num_classes is 3",
        ),
        (
            replace(EMBEDDED, teacher_share=0.1),
            replace(numbers(0, taught=5), classes=("a", "b")),
            "teacher_index 5, but the data names 2 classes; wanted at most 1",
        ),
        (
            replace(EMBEDDED, teacher_share=0.5),
            numbers(0, 1),
            "teacher_share is 0.5, but there is no teacher; wanted one",
        ),
        (
            replace(EMBEDDED, num_classes=3),
            Labelled(("a", "b")),
            "the data names 2 classes and num_classes is 3; wanted the same, or 0",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(recipe: Recipe, data: Labelled, said: str) -> None:
    with pytest.raises(InputError) as error:
        started(recipe, data)
    assert said in str(error.value)


def test_what_is_no_model_to_start_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError):
        started(replace(EMBEDDED, model="gmixer_9_99", pretrained=False), Labelled(("a", "b")))
    folder = gmixer.save_model(gmixer.create_model("gmixer_8_64"), tmp_path / "shallow")
    shallow = Mixer(replace(VARIANTS["gmixer_8_64"].model, blocks=1))
    save_file(shallow.state_dict(), folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["num_blocks"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="has 1 blocks of 256 channels, which timm could not be told of; wanted a mod"):
        started(replace(EMBEDDED, model=str(folder)), Labelled(("a", "b")))
