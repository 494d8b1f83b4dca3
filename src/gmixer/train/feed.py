"""Image files → batches for a training step, made in worker processes ahead of time.

B images of a batch, C channels, S side in pixels, K classes, L blocks.
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
from gmixer.options import Reading
from gmixer.train.augment import PairMix, augmentation
from gmixer.train.decoder import Decoder
from gmixer.train.distributed import World
from gmixer.train.order import Order
from gmixer.train.recipe import TrainRecipe
from gmixer.train.targets import Targets

# A JPEG is decoded at a fraction of its size only while a crop of 1/16 of its area keeps all the pixels it needs.
MAX_CROPPED = 4.0


@dataclass(frozen=True)
class Batch:
    """What one process computes of a step, or of a part of it."""

    x_BCSS: Tensor  # float32
    target_BK: Tensor  # float32, sums to 1 for each image
    weight_B: Tensor  # float32: 1, or 0 for an image that cannot be read
    depth_BL2: Tensor  # float32, uniform in 0…1: decides which of the blocks' two branches each image skips
    unreadable: list[ImageError]
    notes: dict[str, str]  # name of an image → its note

    def to(self, device: torch.device) -> Batch:
        return replace(
            self,
            x_BCSS=self.x_BCSS.to(device),
            target_BK=self.target_BK.to(device),
            weight_B=self.weight_B.to(device),
            depth_BL2=self.depth_BL2.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class Feed(Dataset[Batch]):
    """Item i is part i % accumulate of step i // accumulate: this process's share of it."""

    images: LabeledImages
    recipe: TrainRecipe
    config: DataConfig
    targets: Targets
    order: Order
    steps: int  # of the whole run
    blocks: int
    world: World
    reading: Reading = Reading()

    def __getitem__(self, item: int) -> Batch:
        accumulate, world = self.recipe.compute.accumulate, self.world
        step, part = divmod(item, accumulate)
        late = step >= self.recipe.late.start * self.steps
        places = self.order.places(step, part=part * world.size + world.rank, parts=accumulate * world.size)
        unreadable: list[ImageError] = []
        notes: dict[str, str] = {}
        rows = []
        for place in places:
            try:
                rows.append(self._row(int(place), notes, late=late))
            except ImageError as error:
                unreadable.append(error)
                rows.append(self._empty_row())
        x, target, weight, depth = (torch.stack(column) for column in zip(*rows, strict=True))
        if self.recipe.augment.mixes and not late:
            self._mix(places, x, target, weight)
        return Batch(x, target, weight, depth, unreadable, notes)

    def batches(self, *, first_step: int, last_step: int, workers: int) -> Iterator[Batch]:
        """The batches of steps first_step … last_step - 1, in order. workers: processes that make them; 0: none."""
        accumulate = self.recipe.compute.accumulate
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first_step * accumulate, last_step * accumulate),
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            worker_init_fn=_own_process_group,
        )
        return iter(loader)

    def _row(self, place: int, notes: dict[str, str], *, late: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """notes: gets the image's note."""
        i = self.order.image(place)
        pixels_HWC = self._decode(self.images.read(i), name=self.images.name(i), reduce_to_px=self._least_side_px)
        if pixels_HWC.note:
            notes[self.images.name(i)] = pixels_HWC.note
        owned_HWC = np.array(pixels_HWC)  # a copy, since torch may write to it
        image_CHW = torch.from_numpy(owned_HWC).permute(2, 0, 1)
        with _seeded(self.order.draw_seed(place)):
            depth_L2 = torch.rand(self.blocks, 2)
            x_CSS: Tensor = self._augmentations[late](image_CHW)
        return x_CSS, torch.from_numpy(self.targets.of(self.images, i)), torch.ones(()), depth_L2

    def _empty_row(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For an image that cannot be read: its weight is 0."""
        side, K = self.config.image_px, self.targets.num_classes
        x_CSS = torch.zeros(self.config.in_chans, side, side)
        return x_CSS, torch.full((K,), 1 / K), torch.zeros(()), torch.ones(self.blocks, 2)

    def _mix(self, places: np.ndarray, x: Tensor, target: Tensor, weight: Tensor) -> None:
        """In place. A pair with an unreadable image is not mixed."""
        for first in range(0, len(places), 2):
            pair = slice(first, first + 2)
            if weight[pair].all():
                with _seeded(self.order.draw_seed(int(places[first]), of="pair")):
                    x[pair], target[pair] = self._pair_mix(x[pair], target[pair])

    @cached_property
    def _decode(self) -> Decoder:
        return Decoder(self.reading, self.config.in_chans)

    @cached_property
    def _pair_mix(self) -> PairMix:
        augment = self.recipe.augment
        return PairMix(mixup=augment.mixup, cutmix=augment.cutmix, probability=augment.mix_probability)

    @cached_property
    def _augmentations(self) -> dict[bool, torch.nn.Module]:
        return {late: augmentation(self.recipe, self.config, late=late) for late in (False, True)}

    @cached_property
    def _least_side_px(self) -> int:
        """At this length of the short side, the smallest crop has about as many pixels as the model sees."""
        least_area = min(self.recipe.augment.crop_area[0], self.recipe.late.crop_area[0])
        return math.ceil(self.config.image_px * min(1 / math.sqrt(least_area), MAX_CROPPED))


def _own_process_group(worker: int) -> None:
    """A terminal sends Ctrl-C to its whole process group, but the run needs batches until its checkpoint is written.

    Workers do not ignore signals instead: a run that fails ends them by SIGTERM, and waits for them.
    """
    os.setpgid(0, 0)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's generator starts from this seed, and afterwards has the state that it had before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
