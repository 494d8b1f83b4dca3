"""head_phase.py: after a run, the head alone learns on embeddings of plain images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gmixer.datasets import SoftLabels
from gmixer.train import TrainRecipe
from gmixer.train.head_phase import train_head
from gmixer.train.run_context import TrainData
from training import DATA, Drawn, Watching, small_mixer

RECIPE = TrainRecipe().changed({"model.name": "drawn", "head.epochs": 30, "head.batch_size": 8, "head.lr": 0.01})


def data_of(images: Drawn) -> TrainData:
    return TrainData(train=images, val=images, config=DATA)


def answers(model: torch.nn.Module, images: Drawn) -> list[int]:
    preprocess = data_of(images).preprocess()
    x = torch.from_numpy(np.stack([preprocess(images.read(i)) for i in range(len(images))]))
    with torch.inference_mode():
        logits: torch.Tensor = model(x)
    return logits.argmax(dim=1).tolist()


def test_the_head_learns_and_nothing_else_changes() -> None:
    model, images = small_mixer().eval(), Drawn(30)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert answers(model, images) != images.labels.tolist()
    assert train_head(model, RECIPE, data_of(images), Watching()) == []
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) != name.startswith("head."), name
    assert answers(model, images) == images.labels.tolist()


def test_the_same_seed_gives_the_same_bits() -> None:
    heads = []
    for seed in (0, 0, 1):
        model = small_mixer()
        train_head(model, replace(RECIPE, seed=seed), data_of(Drawn(12)), Watching())
        heads.append(model.state_dict()["head.weight"])
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_an_unreadable_image_is_named_and_costs_no_other() -> None:
    model = small_mixer().eval()
    (error,) = train_head(model, RECIPE, data_of(Drawn(30, unreadable=[4])), Watching())
    assert error.source == "image 4"
    assert answers(model, Drawn(30)) == Drawn(30).labels.tolist()


def test_a_teachers_answers_count_by_the_heads_own_share() -> None:
    """The teacher names the next class of each image. At share 1 the head learns that; loss.teacher_share stays 0."""
    n = 30
    labels = np.arange(n) % 3
    soft = SoftLabels(((labels + 1) % 3).astype(np.int32)[:, None], np.ones((n, 1), np.float32))
    images = Drawn(n, soft=soft)
    for share, wanted in ((0.0, labels), (1.0, (labels + 1) % 3)):
        model = small_mixer().eval()
        train_head(model, RECIPE.changed({"head.teacher_share": share}), data_of(images), Watching())
        assert answers(model, images) == wanted.tolist()
