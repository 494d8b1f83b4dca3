"""loop.py: a run that is cut off ends with the weights of one that was not, to the bit."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gmixer.errors import InputError, Interrupted
from gmixer.evaluate import top
from gmixer.train import TrainRecipe, monitor
from gmixer.train.feed import Batch
from gmixer.train.log import read_table
from gmixer.train.loop import Trainer
from gmixer.train.step import Stepper, StepResult
from training import THOROUGH, Drawn, Watching, assert_near, assert_same_weights, one_step, small_trainer, weights_of

SCRIPT = Path(__file__).parents[1] / "training.py"
PLAIN = TrainRecipe(seed=1).changed({"model.name": "drawn", "schedule.epochs": 2, "schedule.batch_size": 8})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    trainer = small_trainer(tmp_path_factory.mktemp("uninterrupted"))
    trainer.run()
    return weights_of(trainer)


class Stopping(Watching):
    """Sends a signal after the row of this step."""

    def __init__(self, at: int, number: int) -> None:
        super().__init__()
        self.at, self.number = at, number

    def progress(self, row: object) -> None:
        super().progress(row)  # type: ignore[arg-type]
        if self.rows[-1].step == self.at:
            os.kill(os.getpid(), self.number)


def script(folder: Path, *settings: str) -> subprocess.Popen[str]:
    """A run in a process of its own, and in a group of its own, as a shell starts one."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def lines_until(process: subprocess.Popen[str], beginning: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith(beginning):
            return lines
    raise AssertionError("\n".join(lines))


@pytest.mark.parametrize(("at", "number"), [(1, signal.SIGTERM), (3, signal.SIGINT)])
def test_a_signal_saves_and_the_same_run_goes_on_to_the_same_weights(
    at: int,
    number: signal.Signals,
    uninterrupted: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "PROGRESS_EVERY_S", 0)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=rf"stopped after step {at + 1} of 5; the same command continues the run"):
        small_trainer(tmp_path, listener=Stopping(at, number)).run()
    assert signal.getsignal(number) == before
    listener = Watching()
    trainer = small_trainer(tmp_path, listener=listener)
    trainer.run()
    assert listener.began == [at + 1] and [row.step for row in listener.rows] == list(range(at + 2, 6))
    assert_same_weights(weights_of(trainer), uninterrupted)


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_weights(
    uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    """It saves after every step, and is killed in a later step or while it saves; three times, if it lasts."""
    for next_line in ("step 2", "step", "step"):  # step 2 comes after the checkpoint of step 1
        process = script(tmp_path, "options.checkpoint_every_s=0")
        if lines_until(process, "begins")[-1] != "begins 5":
            lines_until(process, next_line)
            time.sleep(random.uniform(0, 0.1))
        process.kill()
        process.wait()
    trainer = small_trainer(tmp_path, workers=1)
    assert trainer.state.step
    trainer.run()
    assert_same_weights(weights_of(trainer), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_stops_the_run_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C and `timeout` signal the worker processes too, which the step that is under way still needs."""
    process = script(tmp_path, "schedule.epochs=100", "options.checkpoint_every_s=1e9")
    lines_until(process, "step 2")
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "interrupted: stopped after step" in output and (tmp_path / "checkpoint" / "last.pt").exists()


def test_gradient_checkpointing_gives_the_same_weights(uninterrupted: dict[str, Tensor], tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path, THOROUGH.changed({"compute.grad_checkpointing": True}))
    trainer.run()
    assert_same_weights(weights_of(trainer), uninterrupted)


def test_a_batch_computed_in_parts_gives_the_weights_of_a_whole_one(tmp_path: Path) -> None:
    """But for float32's rounding. With SGD: Muon and AdamW give a gradient that is all but 0 a step of full size."""
    recipe = THOROUGH.changed({"optimizer.name": "sgd", "optimizer.muon_lr": 0.0, "optimizer.lr": 0.02})
    whole = small_trainer(tmp_path / "1", recipe.changed({"compute.accumulate": 1}))
    parts = small_trainer(tmp_path / "2", recipe)
    start = weights_of(small_trainer(tmp_path / "3"))
    for trainer in (whole, parts):
        trainer.run()
    assert_near(weights_of(parts), weights_of(whole), start=start)


def test_no_step_is_left_out_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a validation or an end comes sooner than the next line would, the line comes first."""
    monkeypatch.setattr(monitor, "PROGRESS_EVERY_S", 1e9)
    listener = Watching()
    small_trainer(tmp_path, PLAIN.changed({"schedule.epochs": 3}), listener=listener, validate_every=1.0).run()
    assert [row.step for row in listener.rows] == [3, 5, 8] == [row.step for row in listener.validations]


def test_an_end_that_comes_sooner_than_a_line_is_in_the_log_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "PROGRESS_EVERY_S", 1e9)
    trainer, step = small_trainer(tmp_path), Stepper.step

    def third_is_the_last(self: Stepper, batches: Iterator[Batch], signals: list[int]) -> StepResult:
        if self.state.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batches, signals)

    monkeypatch.setattr(Stepper, "step", third_is_the_last)
    with pytest.raises(Interrupted):
        trainer.run()
    small_trainer(tmp_path).run()
    assert [row["step"] for row in read_table(tmp_path / "train.csv")] == [3, 5]


def test_an_interrupted_validation_loses_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = small_trainer(tmp_path, validate_every=0)

    def impatient(log: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "_validate", impatient)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    again = small_trainer(tmp_path)
    assert again.state.step == again.length.steps


def test_gradients_are_clipped_together(tmp_path: Path) -> None:
    """A step of plain SGD is as long as the gradient: with lr 1 as long as clip_norm, where that is small."""
    recipe = PLAIN.changed(
        {"optimizer.name": "sgd", "optimizer.momentum": 0.0, "optimizer.lr": 1.0, "schedule.name": "constant"}
    )
    moves = []
    for number, clip_norm in enumerate((0.0, 1e-3)):
        trainer = small_trainer(tmp_path / str(number), recipe.changed({"optimizer.clip_norm": clip_norm}))
        before = [p.detach().clone() for p in trainer.state.model.parameters()]
        one_step(trainer)
        moved = [p.detach() - b for p, b in zip(trainer.state.model.parameters(), before, strict=True)]
        moves.append(float(torch.stack([m.square().sum() for m in moved]).sum().sqrt()))
    whole, clipped = moves
    assert whole > 0.01 and clipped == pytest.approx(1e-3, rel=1e-3)


def test_compiled_it_comes_to_the_same_weights(
    uninterrupted: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Dynamo, without Inductor's C++: the graph is what the trainer is asked about, stochastic depth in it."""
    compiled = []

    def compile_eagerly(model: nn.Module) -> nn.Module:
        compiled.append(model)
        return _compile(model, backend="eager")  # type: ignore[return-value]

    _compile = torch.compile
    monkeypatch.setattr(torch, "compile", compile_eagerly)
    trainer = small_trainer(tmp_path, THOROUGH.changed({"compute.compile": True}))
    trainer.run()
    assert compiled == [trainer.state.model]
    assert_same_weights(weights_of(trainer), uninterrupted)


def test_a_finished_run_is_scored_again_and_does_not_change(uninterrupted: dict[str, Tensor], tmp_path: Path) -> None:
    first = small_trainer(tmp_path).run()
    again = small_trainer(tmp_path)
    assert again.state.step == again.length.steps
    assert again.run().probability.tolist() == first.probability.tolist()
    assert_same_weights(weights_of(again), uninterrupted)


def test_a_run_learns(tmp_path: Path) -> None:
    listener = Watching()
    outcomes = small_trainer(
        tmp_path, PLAIN.changed({"schedule.epochs": 6}), listener=listener, val=Drawn(30, name_of="val")
    ).run()
    assert top(outcomes, 1).value > 0.9 and outcomes.image.tolist() == list(range(30))
    assert [v.n for v in listener.validations] == [30] * 6
    assert listener.validations[0].loss > listener.validations[-1].loss


def save(trainer: Trainer) -> None:
    trainer._save()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning:")  # TensorBoard's own thread
def test_a_full_disk_costs_a_checkpoint_and_rows_of_the_log_but_not_the_run(
    uninterrupted: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "PROGRESS_EVERY_S", 0)
    listener = FullDisk(from_step=3)
    trainer = small_trainer(tmp_path, listener=listener, checkpoint_every_s=0)
    try:
        trainer.run()
    finally:
        listener.room()
    assert [text for text in listener.messages if "checkpoint could not be written, the one before it stays" in text]
    assert [text for text in listener.messages if "row of the log could not be written" in text]
    assert_same_weights(weights_of(trainer), uninterrupted)
    again = small_trainer(tmp_path)
    assert again.state.step == 2
    again.run()
    assert_same_weights(weights_of(again), uninterrupted)


class FullDisk(Watching):
    """From the row of this step on no file grows."""

    def __init__(self, from_step: int) -> None:
        super().__init__()
        self.from_step = from_step
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def progress(self, row: object) -> None:
        super().progress(row)  # type: ignore[arg-type]
        if self.rows[-1].step == self.from_step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, self.before[1]))

    def room(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path)
    save(trainer)
    before = trainer.checkpoint.read_bytes()
    with torch.no_grad():
        trainer.state.model.get_submodule("head").weight.fill_(float("nan"))
    with pytest.raises(InputError, match="the loss is nan at step 1: the run diverged; start again in another folder"):
        trainer.run()
    assert trainer.checkpoint.read_bytes() == before


def test_weights_that_only_the_last_step_broke_are_no_result(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path)
    trainer.length = replace(trainer.length, steps=1)
    weight = trainer.state.model.get_submodule("head").weight
    trainer.state.optimizers[-1].register_step_post_hook(lambda *_: weight.data.fill_(float("nan")))
    with pytest.raises(InputError, match="some weights are not finite at step 1: the run diverged"):
        trainer.run()
    assert not trainer.checkpoint.exists()


def test_finite_weights_that_are_too_large_are_no_result(tmp_path: Path) -> None:
    """The validation finds them: the answers overflow."""
    trainer = small_trainer(tmp_path)
    trainer.length = replace(trainer.length, steps=1)
    weight = trainer.state.model.get_submodule("norm").weight
    trainer.state.optimizers[-1].register_step_post_hook(lambda *_: weight.data.fill_(3e38))
    with pytest.raises(InputError, match="answers of the network are not finite at step 1: the run diverged; start ag"):
        trainer.run()


def test_a_stopped_run_writes_no_weights_that_are_not_finite(tmp_path: Path) -> None:
    """Ctrl-C after a step that broke the weights: the checkpoint of the steps before it stays."""
    trainer = small_trainer(tmp_path)
    save(trainer)
    before = trainer.checkpoint.read_bytes()
    weight = trainer.state.model.get_submodule("head").weight

    def break_and_stop(*_: object) -> None:
        weight.data.fill_(float("inf"))
        os.kill(os.getpid(), signal.SIGINT)

    trainer.state.optimizers[-1].register_step_post_hook(break_and_stop)
    with pytest.raises(InputError, match="some weights are not finite at step 1: the run diverged"):
        trainer.run()
    assert trainer.checkpoint.read_bytes() == before


def test_nan_in_a_compiled_runs_first_step_names_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model: nn.Sequential(model, Broken()))
    trainer = small_trainer(tmp_path, THOROUGH.changed({"compute.compile": True}))
    with pytest.raises(InputError, match=r"the loss is nan at step 1: torch may compile .* with compute.compile=false"):
        trainer.run()


class Broken(nn.Module):
    def forward(self, logits_BK: torch.Tensor) -> torch.Tensor:
        return logits_BK * float("nan")


@pytest.mark.slow
def test_a_run_that_fails_ends_its_process_and_its_workers(tmp_path: Path) -> None:
    process = script(tmp_path, "optimizer.lr=1e30", "optimizer.muon_lr=1e30", "optimizer.clip_norm=0")
    output, _ = process.communicate(timeout=60)  # not before the workers let go of the pipe
    assert process.returncode == 1 and "the run diverged" in output, output


def test_images_that_cannot_be_read_are_named_once_and_not_learned_from(tmp_path: Path) -> None:
    listener = Watching()
    trainer = small_trainer(tmp_path, train=Drawn(20, unreadable=[4]), listener=listener)
    trainer.run()
    assert [text for text in listener.messages if "image 4" in text] == listener.messages
    assert len(listener.messages) == 1 and listener.messages[0].startswith("left out, since it cannot be read: image 4")
    again = Watching()
    small_trainer(tmp_path, train=Drawn(20, unreadable=[4]), listener=again).run()
    assert again.messages == []


def test_without_an_average_the_result_is_the_model(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path, PLAIN)
    assert trainer.state.result is trainer.state.model


def a_teacher(x_BCSS: Tensor) -> Tensor:
    return torch.tensor([[4.0, 0.0, 0.0]]).expand(len(x_BCSS), 3)


@pytest.mark.parametrize("kind", ["cross_entropy", "bce"])
def test_a_teacher_alone_teaches_what_has_no_label(kind: str, tmp_path: Path) -> None:
    """An image without a label takes the teacher's whole answer, be its share small; and no label is made up."""
    recipe = PLAIN.changed({"loss.teacher_share": 0.1, "loss.name": kind})
    labelled = small_trainer(tmp_path / "a", recipe.changed({"loss.teacher_share": 1.0}), teacher=a_teacher)
    unlabelled = small_trainer(tmp_path / "b", recipe, train=Drawn(20, unlabelled=range(20)), teacher=a_teacher)
    for trainer in (labelled, unlabelled):
        one_step(trainer)
    assert_same_weights(weights_of(unlabelled), weights_of(labelled))


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="drawn has no image with a label or a teacher's answer"):
        small_trainer(tmp_path, train=Drawn(3, unlabelled=[0, 1, 2]))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_takes_nearly_the_same_step(precision: str, tmp_path: Path) -> None:
    """Autocast rounds what goes into the products to 8 or 11 bits; SGD, so that the step is the gradient."""
    recipe = PLAIN.changed({"optimizer.name": "sgd", "optimizer.momentum": 0.0, "optimizer.lr": 0.1})
    start = weights_of(small_trainer(tmp_path / "0"))
    ours = small_trainer(tmp_path / "1", recipe.changed({"compute.precision": precision}))
    full = small_trainer(tmp_path / "2", recipe)
    for trainer in (ours, full):
        one_step(trainer)
    steps = [
        torch.cat([w.flatten() - start[name].flatten() for name, w in weights_of(t).items()]) for t in (ours, full)
    ]
    assert float((steps[0] - steps[1]).norm()) < 0.05 * float(steps[1].norm())


def test_a_gradient_that_overflows_in_fp16_costs_all_optimizers_their_step(tmp_path: Path) -> None:
    """Only Muon's has it; clipping would hand it on to AdamW's by the common norm."""
    trainer = small_trainer(tmp_path, THOROUGH.changed({"compute.precision": "fp16", "optimizer.ema_decay": 0.0}))
    start = weights_of(trainer)
    trainer.state.model.get_submodule("blocks.0.mlp_channels.fc1").weight.register_hook(lambda g: g * float("nan"))
    one_step(trainer)
    assert_same_weights(weights_of(trainer), start)


def test_the_log_tells_of_every_epoch(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path, PLAIN)
    trainer.run()
    assert (tmp_path / "val.csv").read_text().splitlines()[0] == "step,epoch,loss,top1,top5,n"
    assert [line.split(",")[0] for line in (tmp_path / "val.csv").read_text().splitlines()[1:]] == ["3", "5"]
