"""augment.py: images varied at random."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gmixer.train import TrainRecipe
from gmixer.train.augment import NoisyRandAugment, PairMix, augmentation
from training import DATA

IMAGE = torch.randint(0, 256, (3, 80, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Counted(nn.Module):
    """In the place of an operation of one magnitude."""

    def __init__(self, magnitude: int, seen: list[int]) -> None:
        super().__init__()
        self.magnitude, self.seen = magnitude, seen

    def forward(self, image_CHW: Tensor) -> Tensor:
        self.seen.append(self.magnitude)
        return image_CHW


def magnitudes(n: int, **options: float) -> Tensor:
    """Those drawn for n images with two operations each, 0…10."""
    augment = NoisyRandAugment(ops=2, **options)
    seen: list[int] = []
    augment.by_bin = [Counted(bin_, seen) for bin_ in range(len(augment.by_bin))]
    torch.manual_seed(0)
    for _ in range(n):
        augment(IMAGE)
    return torch.tensor(seen) / 10


def test_magnitudes_are_normal_about_the_given_one_and_each_operation_is_left_out_by_chance() -> None:
    drawn = magnitudes(4_000, magnitude=7, noise=0.5, probability=0.5)
    n = len(drawn)
    assert abs(n - 4_000) < 4 * (8_000 * 0.25) ** 0.5  # four standard deviations
    assert abs(float(drawn.mean()) - 7) < 4 * 0.5 / n**0.5
    assert float(drawn.std()) == pytest.approx(0.5, rel=4 / (2 * n) ** 0.5)


def test_magnitudes_are_cut_at_0_and_10() -> None:
    drawn = magnitudes(1_000, magnitude=10, noise=0.5, probability=1)
    assert drawn.max() == 10 and 0.4 < float((drawn == 10).double().mean()) < 0.6
    assert magnitudes(1_000, magnitude=0, noise=0.5, probability=1).min() == 0


def test_without_noise_there_is_one_magnitude() -> None:
    assert set(magnitudes(50, magnitude=9, noise=0, probability=1).tolist()) == {9.0}


def test_a_magnitude_means_the_same_share_of_an_operations_range_in_each_bin() -> None:
    """The finest operation to see it by: of RandAugment's ranges, Rotate's ends at 30 degrees."""
    augment = NoisyRandAugment(ops=1, magnitude=0, noise=0, probability=1)
    for level, bin_ in ((0, 0), (5, 50), (10, 100)):
        of_bin = augment.by_bin[bin_]
        ranges, _ = of_bin._AUGMENTATION_SPACE["Rotate"]
        assert float(ranges(of_bin.num_magnitude_bins, 80, 96)[of_bin.magnitude]) == pytest.approx(3 * level)


@pytest.mark.parametrize("late", [False, True])
def test_a_recipe_without_augmentation_leaves_the_image_as_it_is(late: bool) -> None:
    square = IMAGE[:, :64, :64]
    x_CSS = augmentation(TrainRecipe().changed({"augment.crop_ratio": (1, 1)}), DATA, late=late)(square)
    mean, std = torch.tensor(DATA.mean)[:, None, None], torch.tensor(DATA.std)[:, None, None]
    torch.testing.assert_close(x_CSS, (square / 255 - mean) / std)


def test_the_late_part_has_its_own_crops_and_colors() -> None:
    recipe = TrainRecipe().changed(
        {"augment.crop_area": (0.1, 0.1), "augment.crop_ratio": (1, 1), "augment.color_jitter": 0.9}
    )
    early, late = (augmentation(recipe, DATA, late=is_late).transforms for is_late in (False, True))
    assert [type(step).__name__ for step in early] == ["RandomResizedCrop", "ColorJitter", "ToDtype", "Normalize"]
    assert [type(step).__name__ for step in late] == ["RandomResizedCrop", "ToDtype", "Normalize"]
    assert early[0].scale == (0.1, 0.1) and late[0].scale == (1.0, 1.0)


def test_all_of_it_comes_from_the_seed() -> None:
    recipe = TrainRecipe().changed(
        {
            "augment.crop_area": (0.2, 1),
            "augment.flip": 0.5,
            "augment.color_jitter": 0.4,
            "augment.rand_ops": 2,
            "augment.rand_magnitude": 9,
            "augment.rand_noise": 0.5,
            "augment.erase": 1,
        }
    )
    varied = augmentation(recipe, DATA, late=False)
    torch.manual_seed(5)
    first, other = varied(IMAGE), varied(IMAGE)
    torch.manual_seed(5)
    assert torch.equal(varied(IMAGE), first) and not torch.equal(first, other)
    assert first.shape == (3, 64, 64) and first.dtype == torch.float32


@pytest.mark.parametrize("alphas", [{"mixup": 0.3, "cutmix": 0.0}, {"mixup": 0.0, "cutmix": 1.0}])
def test_a_pair_is_mixed_with_each_other_by_one_weight_for_images_and_targets(alphas: dict[str, float]) -> None:
    x = torch.stack([torch.zeros(3, 64, 64), torch.ones(3, 64, 64)])
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    mix = PairMix(probability=1, **alphas)
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, mixed_target = mix(x, target)
        torch.testing.assert_close(mixed_target.sum(dim=1), torch.ones(2))
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), mixed_target[:, 1], atol=1e-5, rtol=0)
        torch.testing.assert_close(mixed_target[0], mixed_target[1].flip(0))


def test_a_pair_is_mixed_as_often_as_asked_and_in_either_way() -> None:
    x = torch.stack([torch.zeros(3, 64, 64), torch.ones(3, 64, 64)])
    target = torch.eye(2)
    mix = PairMix(mixup=1.0, cutmix=1.0, probability=0.6)
    torch.manual_seed(0)
    seen: Counter[str] = Counter()
    for _ in range(400):
        mixed, _ = mix(x, target)
        grey = bool(((mixed[0] > 0) & (mixed[0] < 1)).any())
        seen["mixup" if grey else "cutmix" if bool(mixed[0].any()) else "as it was"] += 1
    assert abs(seen["as it was"] - 160) < 45 and abs(seen["mixup"] - 120) < 45 and abs(seen["cutmix"] - 120) < 45


def test_one_channel_is_varied_too() -> None:
    grey = replace(DATA, in_chans=1, mean=(0.5,), std=(0.5,))
    recipe = TrainRecipe().changed(
        {
            "augment.crop_area": (0.2, 1),
            "augment.flip": 0.5,
            "augment.rand_ops": 2,
            "augment.rand_magnitude": 9,
            "augment.erase": 1,
        }
    )
    assert augmentation(recipe, grey, late=False)(IMAGE[:1]).shape == (1, 64, 64)
