"""feed.py: batches, the same however they are made."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from io import BytesIO

import pytest
import torch
from PIL import Image
from torch import Tensor

from gmixer.options import Limits, Orientation, Reading
from gmixer.train import TrainRecipe
from gmixer.train.distributed import World
from gmixer.train.feed import Batch
from training import THOROUGH, Drawn, small_feed

ROWS = ("x_BCSS", "target_BK", "weight_B", "depth_BL2")


def joined(batches: list[Batch]) -> dict[str, Tensor]:
    return {name: torch.cat([getattr(batch, name) for batch in batches]) for name in ROWS}


def differing(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, list[int]]:
    """The rows that are not equal to the bit, by column."""
    return {
        name: [i for i, (a, b) in enumerate(zip(ours[name], theirs[name], strict=True)) if not torch.equal(a, b)]
        for name in ROWS
        if not torch.equal(ours[name], theirs[name])
    }


def steps(recipe=THOROUGH, *, first=0, last=10, workers=0, **options) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
    return joined(list(small_feed(recipe, **options).batches(first_step=first, last_step=last, workers=workers)))


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    return steps()


def test_what_is_fed(whole: dict[str, Tensor]) -> None:
    assert whole["x_BCSS"].shape == (80, 3, 64, 64) and whole["x_BCSS"].dtype == torch.float32
    assert whole["weight_B"].tolist() == [1.0] * 80
    torch.testing.assert_close(whole["target_BK"].sum(dim=1), torch.ones(80))
    assert whole["depth_BL2"].shape == (80, 2, 2) and whole["depth_BL2"].min() >= 0 and whole["depth_BL2"].max() < 1
    assert len(whole["depth_BL2"].unique()) == whole["depth_BL2"].numel()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(whole: dict[str, Tensor], workers: int) -> None:
    assert differing(steps(workers=workers), whole) == {}


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_parts_of_a_batch_change_nothing(whole: dict[str, Tensor], accumulate: int) -> None:
    assert differing(steps(THOROUGH.changed({"compute.accumulate": accumulate})), whole) == {}


def test_processes_share_what_one_would_have(whole: dict[str, Tensor]) -> None:
    worlds = [World(rank, 2, torch.device("cpu")) for rank in (0, 1)]
    shares = [list(small_feed(world=world).batches(first_step=0, last_step=10, workers=0)) for world in worlds]
    in_order = [batch for both in zip(*shares, strict=True) for batch in both]
    assert differing(joined(in_order), whole) == {}


def test_a_run_that_goes_on_is_fed_the_rest(whole: dict[str, Tensor]) -> None:
    rest = {name: rows[4 * 8 :] for name, rows in whole.items()}
    torch.manual_seed(1234)  # other random numbers in between have no effect
    assert differing(steps(first=4), rest) == {}


def test_making_batches_leaves_the_random_numbers_of_the_process_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    small_feed()[0]
    assert torch.equal(torch.rand(3), expected)


def test_only_pairs_are_mixed(whole: dict[str, Tensor]) -> None:
    """With one-hot targets, the weights of a mixed target are those of its neighbour, exchanged."""
    recipe = THOROUGH.changed({"loss.label_smoothing": 0.0, "augment.rand_ops": 0, "augment.erase": 0.0})
    targets = steps(recipe)["target_BK"]
    feed = small_feed()
    labels = torch.tensor([feed.images.labels[feed.order.image(place)] for place in range(80)])
    pairs, mixed = targets.view(40, 2, 3), 0
    for (first, second), (a, b) in zip(pairs, labels.view(40, 2).tolist(), strict=True):
        allowed = torch.zeros(3)
        allowed[[a, b]] = 1
        assert float((first * (1 - allowed)).sum()) == float((second * (1 - allowed)).sum()) == 0
        if a != b:
            torch.testing.assert_close(first[a], second[b])
            mixed += bool(0 < first[a] < 1)
    assert mixed > 10


def test_the_late_part_begins_where_the_recipe_says() -> None:
    recipe = THOROUGH.changed(
        {"loss.label_smoothing": 0.0, "augment.mixup": 5.0, "augment.cutmix": 0.0, "late.start": 0.5}
    )
    targets = steps(recipe)["target_BK"].view(10, 8, 3)
    is_plain = [set(of_step.flatten().tolist()) == {0.0, 1.0} for of_step in targets]
    assert is_plain == [False] * 5 + [True] * 5


def test_an_image_that_cannot_be_read_weighs_nothing_and_changes_no_other_row(whole: dict[str, Tensor]) -> None:
    broken = 13
    feed = small_feed(train=Drawn(20, unreadable=[broken]))
    batches = list(feed.batches(first_step=0, last_step=10, workers=1))
    rows = joined(batches)
    places = [place for place in range(80) if feed.order.image(place) == broken]
    assert len(places) == 4
    assert [place for place in range(80) if rows["weight_B"][place] == 0] == places
    partners = {place ^ 1 for place in places}  # stay unmixed
    changed = differing(rows, whole)
    assert all(set(of_column) <= {*places, *partners} for of_column in changed.values())
    assert {error.source for batch in batches for error in batch.unreadable} == {"image 13"}
    plain = steps(THOROUGH.changed({"augment.mixup": 0.0, "augment.cutmix": 0.0}))
    for partner in partners:  # with its own label, for itself
        assert torch.equal(rows["x_BCSS"][partner], plain["x_BCSS"][partner])
        assert torch.equal(rows["target_BK"][partner], plain["target_BK"][partner])
    torch.testing.assert_close(rows["target_BK"].sum(dim=1), torch.ones(80))


def test_a_feed_goes_to_another_process_whole() -> None:
    feed = small_feed()
    feed[0]
    copy = pickle.loads(pickle.dumps(feed))
    assert all(torch.equal(getattr(copy[3], name), getattr(feed[3], name)) for name in ROWS)


def turned() -> bytes:
    """A PNG of 64×64, black above and white below. Its EXIF orientation is a rotation by 180 degrees."""
    exif = Image.Exif()
    exif[274] = 3
    image = Image.new("RGB", (64, 64))
    image.paste((255, 255, 255), (0, 32, 64, 64))
    out = BytesIO()
    image.save(out, "PNG", exif=exif)
    return out.getvalue()


@dataclass(frozen=True)
class Turned(Drawn):
    def read(self, i: int) -> bytes:
        return turned()


PLAIN = TrainRecipe().changed({"schedule.batch_size": 8, "augment.crop_ratio": (1, 1)})


@pytest.mark.parametrize(("orientation", "white_above"), [("apply", True), ("ignore", False)])
def test_images_are_oriented_as_the_reading_says(orientation: Orientation, white_above: bool) -> None:
    x_CSS = small_feed(PLAIN, train=Turned(8), reading=Reading(orientation=orientation))[0].x_BCSS[0]
    assert bool(x_CSS[:, :16].mean() > x_CSS[:, -16:].mean()) == white_above


def test_a_file_beyond_the_limits_of_the_reading_is_left_out() -> None:
    batch = small_feed(PLAIN, train=Drawn(8), reading=Reading(limits=Limits(max_pixels=64 * 64 - 1)))[0]
    assert not batch.weight_B.any() and {error.kind for error in batch.unreadable} == {"too_large"}


@pytest.mark.parametrize("workers", [0, 1])
def test_isolated_decoding_changes_nothing(whole: dict[str, Tensor], workers: int) -> None:
    isolated = steps(last=2, reading=Reading(isolate=True), workers=workers)
    assert differing(isolated, {name: rows[:16] for name, rows in whole.items()}) == {}
