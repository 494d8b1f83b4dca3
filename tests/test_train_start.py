"""start.py: weights that fit are taken as they are, a head of other classes is drawn anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import gmixer
from gmixer.data.labels import imagenet_1k
from gmixer.errors import InputError, UnknownModelError
from gmixer.train.recipe import Recipe
from gmixer.train.start import start

EMBEDDED = Recipe(model="gmixer_8_64.distill_in1k")


@dataclass
class Labelled:
    """`Pictures`, as far as a start looks at them."""

    classes: tuple[str, ...] | None
    labels: NDArray[np.int64] = field(default_factory=lambda: np.array([0, 1]))
    source: str = "pictures"


def test_other_classes_get_a_head_of_their_own() -> None:
    begun = start(EMBEDDED, Labelled(("cat", "dog")))  # type: ignore[arg-type]
    embedded = gmixer.create_model(EMBEDDED.model, pretrained=True)
    assert (begun.new_head, begun.class_names, begun.model.num_classes) == (True, ("cat", "dog"), 2)
    theirs = embedded.state_dict()
    for name, tensor in begun.model.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(tensor, theirs[name]), name
    assert not begun.model.head.weight.any()
    assert begun.data == gmixer.load(EMBEDDED.model).data


@pytest.mark.parametrize("classes", [None, tuple(label.synset for label in imagenet_1k())], ids=["numbers", "synsets"])
def test_the_same_classes_keep_their_head(classes: tuple[str, ...] | None) -> None:
    begun = start(EMBEDDED, Labelled(classes))  # type: ignore[arg-type]
    embedded = gmixer.create_model(EMBEDDED.model, pretrained=True)
    assert not begun.new_head
    assert torch.equal(begun.model.head.weight, embedded.head.weight)


def test_as_many_classes_of_other_names_are_other_classes() -> None:
    begun = start(EMBEDDED, Labelled(tuple(f"thing {i}" for i in range(1000))))  # type: ignore[arg-type]
    assert begun.new_head and not begun.model.head.weight.any()


def test_a_folder_of_ours_goes_on_with_its_classes(tmp_path: Path) -> None:
    model = gmixer.create_model("gmixer_8_64", num_classes=2)
    torch.nn.init.normal_(model.head.weight)
    folder = gmixer.save_model(model, tmp_path / "pets", class_names=["cat", "dog"])
    begun = start(replace(EMBEDDED, model=str(folder)), Labelled(("cat", "dog")))  # type: ignore[arg-type]
    assert not begun.new_head and torch.equal(begun.model.head.weight, model.head.weight)
    assert begun.class_names == ("cat", "dog")
    swapped = start(replace(EMBEDDED, model=str(folder)), Labelled(("dog", "cat")))  # type: ignore[arg-type]
    assert swapped.new_head


def test_from_scratch_the_seed_decides() -> None:
    drawn = [
        start(Recipe(model="gmixer_8_64", pretrained=False, seed=seed), Labelled(("a", "b"))).model  # type: ignore[arg-type]
        for seed in (1, 1, 2)
    ]
    first, again, other = (model.stem.proj.weight for model in drawn)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(InputError, match=r"pictures has labels up to 1000, the model 1000 classes, and the data names"):
        start(EMBEDDED, Labelled(None, np.array([0, 1000])))  # type: ignore[arg-type]
    with pytest.raises(UnknownModelError):
        start(replace(EMBEDDED, model="gmixer_9_99", pretrained=False), Labelled(("a", "b")))  # type: ignore[arg-type]
