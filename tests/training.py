"""Small runs for the tests of training: drawn images, a network of two narrow blocks, a listener that remembers.

As a script it is such a run in a process of its own, or in several processes under torchrun:

    python tests/training.py FOLDER [KEY=VALUE …]

It trains by the recipe THOROUGH with these changes (options.NAME: of RunOptions) to the end, on the CPU with one
thread. It writes FOLDER/outcomes-RANK.json and FOLDER/weights.pt, and prints a line at the start and one a step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gmixer.catalogue import VARIANTS
from gmixer.datasets import LabeledImages, SoftLabels
from gmixer.errors import Interrupted
from gmixer.models.mixer import Mixer
from gmixer.options import Reading
from gmixer.train import RunOptions, TrainRecipe, monitor
from gmixer.train.distributed import World, world
from gmixer.train.feed import Feed
from gmixer.train.log import Progress, Validation
from gmixer.train.loop import Trainer
from gmixer.train.order import Order
from gmixer.train.run_context import RunContext, TrainData
from gmixer.train.step import StepResult
from gmixer.train.targets import Targets

DATA = VARIANTS["gmixer_8_64"].data
ALONE = World(0, 1, torch.device("cpu"))

# Everything that draws random numbers or keeps a state from step to step.
THOROUGH = TrainRecipe(seed=3).changed(
    {
        "model.name": "drawn",
        "model.drop_path": 0.3,
        "schedule.epochs": 2,
        "schedule.batch_size": 8,
        "schedule.warmup_epochs": 0.5,
        "optimizer.name": "muon",
        "optimizer.muon_lr": 2e-3,
        "optimizer.lr": 1e-3,
        "optimizer.weight_decay": 0.02,
        "optimizer.clip_norm": 1.0,
        "optimizer.ema_decay": 0.9,
        "loss.label_smoothing": 0.1,
        "augment.crop_area": (0.35, 1.0),
        "augment.flip": 0.5,
        "augment.color_jitter": 0.2,
        "augment.rand_ops": 2,
        "augment.rand_magnitude": 9,
        "augment.rand_noise": 0.5,
        "augment.rand_probability": 0.5,
        "augment.erase": 0.2,
        "augment.mixup": 0.2,
        "augment.cutmix": 1.0,
        "late.start": 0.75,
        "compute.accumulate": 2,
    }
)


@dataclass(frozen=True)
class Drawn:
    """`LabeledImages`: n PNGs of 64 px, each of its class's colour under noise. unreadable: no image files."""

    n: int
    num_classes: int = 3
    unreadable: Collection[int] = ()
    unlabelled: Collection[int] = ()
    soft: SoftLabels | None = None
    source: str = "drawn"
    notes: tuple[str, ...] = ()
    name_of: str = "image"

    @property
    def classes(self) -> list[str]:
        return [f"class {k}" for k in range(self.num_classes)]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        labels = np.arange(self.n) % self.num_classes
        labels[list(self.unlabelled)] = -1
        return labels

    def __len__(self) -> int:
        return self.n

    def key(self, i: int) -> str:
        return str(i)

    def name(self, i: int) -> str:
        return f"{self.name_of} {i}"

    def read(self, i: int) -> bytes:
        if i in self.unreadable:
            return b"no image"
        rng = np.random.default_rng(i)
        colour = np.random.default_rng(i % self.num_classes + 1_000).integers(60, 190, 3)
        pixels = np.clip(colour + rng.normal(0, 40, (64, 64, 3)), 0, 255).astype(np.uint8)
        out = BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
        return out.getvalue()


@dataclass
class Watching:
    """A Listener that remembers. loud: prints a line a step, for a parent process to read."""

    messages: list[str] = field(default_factory=list)
    rows: list[Progress] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    began: list[int] = field(default_factory=list)  # at which step
    loud: bool = False

    def begins(self, *, step: int, steps: int) -> None:
        self.began.append(step)
        self._print("begins", step)

    def progress(self, row: Progress) -> None:
        self.rows.append(row)
        self._print("step", row.step)

    def validated(self, row: Validation) -> None:
        self.validations.append(row)

    def embedded(self, images: int) -> None: ...

    def message(self, text: str) -> None:
        self.messages.append(text)
        self._print(text)

    def _print(self, *words: object) -> None:
        if self.loud:
            print(*words, flush=True)


def small_mixer(num_classes: int = 3, seed: int = 0, blocks: int = 2) -> Mixer:
    """gmixer_8_64, small. Its head is drawn: one of zeros gives the blocks no gradient at the first step."""
    torch.manual_seed(seed)
    narrow = {"channels": 64, "token_hidden": 32, "channel_hidden": 128}
    model = Mixer(replace(VARIANTS["gmixer_8_64"].model, num_classes=num_classes, blocks=blocks, **narrow))
    torch.nn.init.normal_(model.get_submodule("head").weight, std=0.05)
    return model


def small_trainer(
    folder: Path,
    recipe: TrainRecipe = THOROUGH,
    *,
    train: LabeledImages | None = None,
    val: LabeledImages | None = None,
    listener: Watching | None = None,
    here: World = ALONE,
    teacher: Any = None,
    **options: Any,
) -> Trainer:
    """Resumed from the folder's checkpoint, where there is one. options: of RunOptions."""
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        small_mixer(),
        recipe,
        TrainData(train=train or Drawn(20), val=val or Drawn(7, name_of="val"), config=DATA),
        RunContext(
            folder=folder,
            world=here,
            listener=listener or Watching(),
            options=RunOptions(**{"workers": 0, **options}),
        ),
        teacher=teacher,
    )
    trainer.resume()
    return trainer


def one_step(trainer: Trainer) -> StepResult:
    """The first step of the run."""
    return trainer.stepper.step(trainer.feed.batches(first_step=0, last_step=1, workers=0))


def small_feed(
    recipe: TrainRecipe = THOROUGH,
    *,
    train: LabeledImages | None = None,
    world: World = ALONE,
    reading: Reading = Reading(),
) -> Feed:
    images = train or Drawn(20)
    return Feed(
        images=images,
        recipe=recipe,
        config=DATA,
        targets=Targets(3, smoothing=recipe.loss.label_smoothing, teacher_share=recipe.loss.teacher_share),
        order=Order(len(images), recipe.schedule.batch_size, recipe.seed),
        steps=10,
        blocks=2,
        world=world,
        reading=reading,
    )


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.state.result.state_dict().items()}


def assert_same_weights(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """To the bit."""
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def assert_near(
    ours: dict[str, torch.Tensor],
    theirs: dict[str, torch.Tensor],
    *,
    start: dict[str, torch.Tensor],
    share: float = 1e-3,
) -> None:
    """Their moves from the start differ by at most this share of the move.

    A tensor's move counts as at least a thousandth of the longest move. The LayerNorm after a token MLP removes the
    bias of its fc2, so the gradient of that bias is only rounding.
    """
    moves = {name: float((theirs[name] - first).norm()) for name, first in start.items()}
    least = max(moves.values()) / 1_000
    assert least > 0
    for name, move in moves.items():
        off = float((ours[name] - theirs[name]).norm())
        assert off <= share * max(move, least), f"{name}: {off} of {move}"


def main(folder: Path, *settings: str) -> None:
    torch.set_num_threads(1)
    monitor.PROGRESS_EVERY_S = 0  # a row a step
    values = {key: value for key, _, value in (setting.partition("=") for setting in settings)}
    options = {key[8:]: json.loads(value) for key, value in values.items() if key.startswith("options.")}
    changes = {key: value for key, value in values.items() if not key.startswith("options.")}
    with world("cpu") as here:
        listener = Watching(loud=here.first)
        trainer = small_trainer(
            folder, THOROUGH.changed(changes), listener=listener, here=here, **{"workers": 1, **options}
        )
        try:
            outcomes = trainer.run()
        except Interrupted as interruption:
            print("interrupted:", interruption, flush=True)
            raise SystemExit(130) from None
        columns = {column.name: getattr(outcomes, column.name).tolist() for column in fields(outcomes)}
        (folder / f"outcomes-{here.rank}.json").write_text(json.dumps(columns))
        if here.first:
            torch.save(weights_of(trainer), folder / "weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
