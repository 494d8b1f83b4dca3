"""state.py: a state that was saved and loaded takes the same next step."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from gmixer.train import TrainRecipe
from gmixer.train.loop import Trainer
from gmixer.train.state import RunLength
from training import THOROUGH, assert_same_weights, one_step, small_trainer, weights_of

KEYS = {"step", "model", "averaged", "optimizers", "schedulers", "scaler", "unreadable"}


@pytest.fixture(params=["muon", "rmsprop_tf"])
def recipe(request: pytest.FixtureRequest) -> TrainRecipe:
    """With an average and without."""
    if request.param == "muon":
        return THOROUGH
    return THOROUGH.changed(
        {"optimizer.name": "rmsprop_tf", "optimizer.muon_lr": 0.0, "optimizer.ema_decay": 0.0, "compute.accumulate": 1}
    )


def steps(trainer: Trainer, first: int, last: int) -> None:
    batches = trainer.feed.batches(first_step=first, last_step=last, workers=0)
    for _ in range(first, last):
        trainer.stepper.step(batches)


def test_a_loaded_state_takes_the_same_next_steps(recipe: TrainRecipe, tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path / "a", recipe)
    steps(trainer, 0, 2)
    trainer.state.unreadable["a.jpg"] = "is empty"
    saved = copy.deepcopy(trainer.state.state_dict())
    assert saved.keys() == KEYS and saved["step"] == 2
    steps(trainer, 2, 4)

    again = small_trainer(tmp_path / "b", recipe)
    again.state.load_state_dict(saved)
    assert again.state.step == 2 and again.state.unreadable == {"a.jpg": "is empty"}
    assert again.state.lr == saved["schedulers"][0]["_last_lr"][-1]
    steps(again, 2, 4)
    assert_same_weights(weights_of(again), weights_of(trainer))
    assert_same_weights(dict(again.state.model.state_dict()), dict(trainer.state.model.state_dict()))


def test_a_trainer_begins_at_step_0_until_it_is_told_to_resume(tmp_path: Path) -> None:
    first = small_trainer(tmp_path)
    one_step(first)
    first._save()
    again = Trainer(small_trainer(tmp_path / "other").state.model, first.recipe, first.data, first.context)
    assert again.state.step == 0
    again.resume()
    assert again.state.step == 1
    assert_same_weights(weights_of(again), weights_of(first))


def test_the_result_is_the_average_where_there_is_one(recipe: TrainRecipe, tmp_path: Path) -> None:
    state = small_trainer(tmp_path, recipe).state
    assert (state.result is state.model) == (state.averaged is None)


@pytest.mark.parametrize(("epochs", "steps_expected"), [(2, 5), (0.01, 1), (0.81, 3)])
def test_a_run_is_as_long_as_its_epochs_and_at_least_a_step(epochs: float, steps_expected: int) -> None:
    length = RunLength.of(THOROUGH.changed({"schedule.epochs": epochs}), 20)
    assert (length.steps, length.steps_per_epoch) == (steps_expected, 2.5)
