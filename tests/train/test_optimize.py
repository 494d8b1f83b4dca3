"""optimize.py: which parameter learns how fast, and when."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.optim import param_groups_layer_decay
from torch.optim import Optimizer

from gmixer.errors import InputError
from gmixer.models.mixer import Mixer
from gmixer.train import TrainRecipe
from gmixer.train.optimize import freeze, lr_share, optimizers, schedulers
from gmixer.train.sections import OptimizerSection, ScheduleSection
from training import small_mixer

OPTIMIZERS = {
    "adamw": ["AdamW"],
    "sgd": ["SGD"],
    "muon": ["Muon", "AdamW"],
    "rmsprop_tf": ["RMSpropTF"],
}


def recipe_of(optimizer: str, **more: Any) -> TrainRecipe:
    section = OptimizerSection(name=optimizer, muon_lr=1e-2 if optimizer == "muon" else 0.0, **more)  # type: ignore[arg-type]
    return TrainRecipe(optimizer=section)


def groups_of(model: Mixer, made: list[Optimizer]) -> dict[str, dict[str, Any]]:
    """For each parameter's name its group; fails where one is in two."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = [
        (names[p], {**group, "of": type(o).__name__}) for o in made for group in o.param_groups for p in group["params"]
    ]
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_parameter_is_in_one_group_and_only_matrices_decay(optimizer: str) -> None:
    model = small_mixer()
    made = optimizers(model, recipe_of(optimizer, weight_decay=0.3))
    assert [type(o).__name__ for o in made] == OPTIMIZERS[optimizer]
    groups = groups_of(model, made)
    assert groups.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert groups[name]["weight_decay"] == (0.3 if parameter.ndim > 1 else 0.0), name


def test_muon_takes_the_matrices_of_the_blocks_at_its_own_rate() -> None:
    model = small_mixer()
    groups = groups_of(model, optimizers(model, recipe_of("muon", lr=1e-3, momentum=0.95)))
    by_muon = {name for name, group in groups.items() if group["of"] == "Muon"}
    assert by_muon == {
        f"blocks.{i}.mlp_{kind}.{fc}.weight" for i in (0, 1) for kind in ("tokens", "channels") for fc in ("fc1", "fc2")
    }
    assert {groups[name]["lr"] for name in by_muon} == {1e-2}
    assert {groups[name]["momentum"] for name in by_muon} == {0.95}
    assert {group["lr"] for name, group in groups.items() if name not in by_muon} == {1e-3}


@pytest.mark.parametrize("blocks", [2, 5])
def test_layer_decay_counts_layers_as_timm_does(blocks: int) -> None:
    model = small_mixer(blocks=blocks)
    groups = groups_of(model, optimizers(model, recipe_of("adamw", lr=1.0, layer_decay=0.5)))
    names = {parameter: name for name, parameter in model.named_parameters()}
    theirs = {
        names[parameter]: group["lr_scale"]
        for group in param_groups_layer_decay(model, layer_decay=0.5)
        for parameter in group["params"]
    }
    assert {name: group["lr"] for name, group in groups.items()} == theirs


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("blocks", [1, 2])
def test_frozen_blocks_and_the_stem_do_not_move(optimizer: str, blocks: int) -> None:
    model = small_mixer()
    freeze(model, blocks)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = optimizers(model, recipe_of(optimizer, weight_decay=0.1))
    for _ in range(2):
        model(torch.randn(2, 3, 64, 64)).square().sum().backward()
        for each in made:
            each.step()
    stay = ("stem.", *(f"blocks.{i}." for i in range(blocks)))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith(stay), name


def test_no_more_blocks_are_frozen_than_there_are() -> None:
    with pytest.raises(InputError, match=r"model\.frozen_blocks is 3; this model has only 2"):
        freeze(small_mixer(), 3)


@pytest.mark.parametrize(
    ("schedule", "step", "share"),
    [
        # 100 steps of 10 an epoch, 2 epochs of warm-up
        ("cosine", 0, 1 / 21),
        ("cosine", 19, 20 / 21),
        ("cosine", 20, 1.0),
        ("cosine", 60, 0.55),  # half way: the mean of 1 and final_lr
        ("cosine", 100, 0.1),
        ("step", 10, 11 / 21),
        ("step", 20, 0.8),
        ("step", 24, 0.8),
        ("step", 25, 0.64),
        ("step", 49, 0.8**3),
        ("constant", 19, 20 / 21),
        ("constant", 99, 1.0),
    ],
)
def test_the_share_of_the_learning_rate(schedule: str, step: int, share: float) -> None:
    section = ScheduleSection(
        name=schedule,  # type: ignore[arg-type]
        warmup_epochs=2,
        final_lr=0.1,
        decay_epochs=1.25,
        decay_rate=0.8,
    )
    recipe = TrainRecipe(schedule=section)
    assert lr_share(recipe, step, steps=100, steps_per_epoch=10) == pytest.approx(share)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 5.0), (3, 0.1), (7, 1.0)])
@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_short_runs_have_learning_rates_too(schedule: str, steps: int, warmup: float) -> None:
    recipe = TrainRecipe(schedule=ScheduleSection(name=schedule, warmup_epochs=warmup))  # type: ignore[arg-type]
    shares = [lr_share(recipe, step, steps=steps, steps_per_epoch=2.5) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)


def test_schedulers_set_every_group_by_its_own_rate() -> None:
    model = small_mixer()
    recipe = recipe_of("muon", lr=1e-3, layer_decay=0.5).changed({"schedule.warmup_epochs": 2.0})
    made = optimizers(model, recipe)
    wanted = [[group["lr"] for group in optimizer.param_groups] for optimizer in made]
    running = schedulers(made, recipe, steps=100, steps_per_epoch=10)
    for step in range(3):
        share = lr_share(recipe, step, steps=100, steps_per_epoch=10)
        for optimizer, rates, scheduler in zip(made, wanted, running, strict=True):
            assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate * share for rate in rates])
            optimizer.step()
            scheduler.step()
