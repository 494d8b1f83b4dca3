"""Pictures on disk → batches for a training step, made in worker processes ahead of their turn.

B pictures of a batch, C channels, S side in pixels, K classes, L blocks.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gmixer.config import DataConfig
from gmixer.datasets.labeled_images import LabeledImages
from gmixer.errors import ImageError
from gmixer.images.decode import decode
from gmixer.train.augment import PairMix, augmentation
from gmixer.train.order import Order
from gmixer.train.recipe import Recipe
from gmixer.train.targets import Targets

# A JPEG is decoded at a fraction of its size only where crops of 1/16 of the area still have their pixels.
MAX_CROPPED = 4.0


@dataclass(frozen=True)
class Batch:
    """What one process computes of a step, or of a part of it."""

    x_BCSS: Tensor  # float32
    target_BK: Tensor  # float32, sums to 1 for each picture
    weight_B: Tensor  # float32: 1, or 0 for a picture that cannot be read
    depth_BL2: Tensor  # float32, uniform in 0…1: decides which of the blocks' two branches each picture skips
    unreadable: list[ImageError]

    def to(self, device: torch.device) -> Batch:
        return replace(
            self,
            x_BCSS=self.x_BCSS.to(device),
            target_BK=self.target_BK.to(device),
            weight_B=self.weight_B.to(device),
            depth_BL2=self.depth_BL2.to(device),
        )


@dataclass(frozen=True)
class Feed(Dataset[Batch]):
    """Item i is part i % accumulate of step i // accumulate, or what the process `rank` of `world` computes of it."""

    pictures: LabeledImages
    recipe: Recipe
    data: DataConfig
    targets: Targets
    order: Order
    steps: int  # of the whole run
    blocks: int
    rank: int = 0
    world: int = 1

    def __getitem__(self, item: int) -> Batch:
        step, part = divmod(item, self.recipe.accumulate)
        calm = step >= self.recipe.late_from * self.steps
        places = self.order.places(step, part=part * self.world + self.rank, parts=self.recipe.accumulate * self.world)
        unreadable: list[ImageError] = []
        rows = []
        for place in places:
            try:
                rows.append(self._row(int(place), calm=calm))
            except ImageError as error:
                unreadable.append(error)
                rows.append(self._empty_row())
        x, target, weight, depth = (torch.stack(column) for column in zip(*rows, strict=True))
        if self.recipe.mixes and not calm:
            self._mix(places, x, target, weight)
        return Batch(x, target, weight, depth, unreadable)

    def batches(self, *, first_step: int, last_step: int, workers: int) -> Iterator[Batch]:
        """Those of the steps first_step … last_step - 1, in order. workers: processes that make them; 0: none."""
        items = range(first_step * self.recipe.accumulate, last_step * self.recipe.accumulate)
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=items,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            worker_init_fn=_leave_signals_to_the_run,
        )
        return iter(loader)

    def _row(self, place: int, *, calm: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        i = self.order.picture(place)
        name = self.pictures.name(i)
        pixels_HWC = decode(
            self.pictures.read(i), name=name, channels=self.data.in_chans, reduce_to_px=self._least_side_px
        )
        owned_HWC = np.array(pixels_HWC)  # a copy: torch wants to own what it varies
        picture_CHW = torch.from_numpy(owned_HWC).permute(2, 0, 1)
        with _seeded(self.order.draw_seed(place)):
            depth_L2 = torch.rand(self.blocks, 2)
            x_CSS: Tensor = self._augmentations[calm](picture_CHW)
        return x_CSS, torch.from_numpy(self.targets.of(self.pictures, i)), torch.ones(()), depth_L2

    def _empty_row(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """In the place of a picture that cannot be read: it weighs nothing."""
        side, K = self.data.image_px, self.targets.num_classes
        x_CSS = torch.zeros(self.data.in_chans, side, side)
        return x_CSS, torch.full((K,), 1 / K), torch.zeros(()), torch.ones(self.blocks, 2)

    def _mix(self, places: np.ndarray, x: Tensor, target: Tensor, weight: Tensor) -> None:
        """In place. A pair with a picture that cannot be read stays as it is."""
        for first in range(0, len(places), 2):
            pair = slice(first, first + 2)
            if weight[pair].all():
                with _seeded(self.order.draw_seed(int(places[first]), of="pair")):
                    x[pair], target[pair] = self._pair_mix(x[pair], target[pair])

    @cached_property
    def _pair_mix(self) -> PairMix:
        return PairMix(mixup=self.recipe.mixup, cutmix=self.recipe.cutmix, probability=self.recipe.mix_probability)

    @cached_property
    def _augmentations(self) -> dict[bool, torch.nn.Module]:
        return {calm: augmentation(self.recipe, self.data, calm=calm) for calm in (False, True)}

    @cached_property
    def _least_side_px(self) -> int:
        """The smallest crop keeps about as many pixels as the model sees."""
        least_area = min(self.recipe.crop_area[0], self.recipe.late_crop_area[0])
        return math.ceil(self.data.image_px * min(1 / math.sqrt(least_area), MAX_CROPPED))


def _leave_signals_to_the_run(worker: int) -> None:
    """A terminal sends Ctrl-C to the whole group of processes; the run needs batches until its checkpoint is written.

    Another group, not deaf ears: a run that fails ends its workers by SIGTERM, and waits for them.
    """
    os.setpgid(0, 0)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's generator begins here, and goes on behind it as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
