"""Small runs for the tests of training: drawn pictures, a network of two narrow blocks, somebody who watches.

As a script it is such a run in a process of its own, or in several under torchrun:

    python tests/training.py FOLDER [NAME=VALUE …]

trains by the recipe THOROUGH with these changes (pace.NAME: of the Pace) to the end, on the CPU with one thread, and
leaves FOLDER/outcomes-RANK.json and FOLDER/weights.pt. It prints a line once it is set up, and one a step.
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
from gmixer.config import DataConfig
from gmixer.datasets import LabeledImages, SoftLabels
from gmixer.errors import Interrupted
from gmixer.models.mixer import Mixer
from gmixer.train import Recipe, RunOptions, loop
from gmixer.train.distributed import World, world
from gmixer.train.feed import Feed
from gmixer.train.log import Progress, Validation
from gmixer.train.loop import Trainer
from gmixer.train.order import Order
from gmixer.train.targets import Targets

DATA = VARIANTS["gmixer_8_64"].data
ALONE = World(0, 1, torch.device("cpu"))

# Everything that draws random numbers or keeps a state from step to step.
THOROUGH = Recipe(
    model="drawn",
    epochs=2,
    batch=8,
    accumulate=2,
    seed=3,
    optimizer="muon",
    muon_lr=2e-3,
    lr=1e-3,
    weight_decay=0.02,
    warmup_epochs=0.5,
    clip_norm=1.0,
    ema=0.9,
    smoothing=0.1,
    drop_path=0.3,
    crop_area=(0.35, 1.0),
    flip=0.5,
    colour_jitter=0.2,
    rand_ops=2,
    rand_magnitude=9,
    rand_noise=0.5,
    rand_probability=0.5,
    erase=0.2,
    mixup=0.2,
    cutmix=1.0,
    late_from=0.75,
)


@dataclass(frozen=True)
class Drawn:
    """`LabeledImages`: n PNGs of 64 px, each of its class's colour under noise. unreadable: their bytes are none."""

    n: int
    num_classes: int = 3
    unreadable: Collection[int] = ()
    unlabelled: Collection[int] = ()
    soft: SoftLabels | None = None
    source: str = "drawn"
    notes: tuple[str, ...] = ()
    name_of: str = field(default="picture")

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
            return b"no picture"
        rng = np.random.default_rng(i)
        colour = np.random.default_rng(i % self.num_classes + 1_000).integers(60, 190, 3)
        pixels = np.clip(colour + rng.normal(0, 40, (64, 64, 3)), 0, 255).astype(np.uint8)
        out = BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
        return out.getvalue()


@dataclass
class Watching:
    """A Listener that remembers. loud: prints a line a step, for a parent process to read."""

    said: list[str] = field(default_factory=list)
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

    def embedded(self, pictures: int) -> None: ...

    def message(self, text: str) -> None:
        self.said.append(text)
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
    recipe: Recipe = THOROUGH,
    *,
    train: LabeledImages | None = None,
    val: LabeledImages | None = None,
    listener: Watching | None = None,
    here: World = ALONE,
    data: DataConfig = DATA,
    **options: Any,
) -> Trainer:
    """options: of Pace, and `teacher`."""
    teacher = options.pop("teacher", None)
    folder.mkdir(parents=True, exist_ok=True)
    return Trainer(
        small_mixer(),
        recipe,
        data,
        train=train or Drawn(20),
        val=val or Drawn(7, name_of="val"),
        folder=folder,
        world=here,
        listener=listener or Watching(),
        run_options=RunOptions(**{"workers": 0, **options}),
        teacher=teacher,
    )


def small_feed(recipe: Recipe = THOROUGH, *, train: LabeledImages | None = None, rank: int = 0, world: int = 1) -> Feed:
    pictures = train or Drawn(20)
    return Feed(
        pictures=pictures,
        recipe=recipe,
        data=DATA,
        targets=Targets(3, smoothing=recipe.smoothing, teacher_share=recipe.teacher_share),
        order=Order(len(pictures), recipe.batch, recipe.seed),
        steps=10,
        blocks=2,
        rank=rank,
        world=world,
    )


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.result.state_dict().items()}


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
    """They moved by the same, give or take this share of the way.

    A tensor's way counts as a thousandth of the longest at least: the LayerNorm behind it takes the bias of a token
    MLP's fc2 out again, so that its gradient is rounding alone.
    """
    ways = {name: float((theirs[name] - first).norm()) for name, first in start.items()}
    least = max(ways.values()) / 1_000
    assert least > 0
    for name, method in ways.items():
        off = float((ours[name] - theirs[name]).norm())
        assert off <= share * max(method, least), f"{name}: {off} of {method}"


def main(folder: Path, *settings: str) -> None:
    torch.set_num_threads(1)
    loop.PROGRESS_EVERY_S = 0  # a row a step
    of_pace = {
        name: json.loads(value) for name, _, value in (s[5:].partition("=") for s in settings if s[:5] == "pace.")
    }
    changes = {name: value for name, _, value in (s.partition("=") for s in settings if s[:5] != "pace.")}
    with world("cpu") as here:
        listener = Watching(loud=here.first)
        trainer = small_trainer(
            folder, THOROUGH.changed(changes), listener=listener, here=here, **{"workers": 1, **of_pace}
        )
        try:
            outcomes = trainer.run()
        except Interrupted as interruption:
            print("interrupted:", interruption, flush=True)
            raise SystemExit(130) from None
        columns = {column.name: getattr(outcomes, column.name).tolist() for column in fields(outcomes)}
        (folder / f"judged-{here.rank}.json").write_text(json.dumps(columns))
        if here.first:
            torch.save(weights_of(trainer), folder / "weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
