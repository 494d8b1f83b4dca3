"""outcomes.py: the answers, one for each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gmixer.config import DataConfig, ModelConfig
from gmixer.data import Preprocess
from gmixer.datasets import open_images
from gmixer.evaluate import Outcomes, score_images
from gmixer.evaluate.outcomes import score_batch
from gmixer.labels import imagenet_1k
from gmixer.options import Precision
from gmixer.results import top_k
from gmixer.runtimes import Output
from labelled import folders

CONFIG = DataConfig(image_px=4, crop_fraction=1.0, mean=(0.0,) * 3, std=(1.0,) * 3)


class Red:
    """A runtime of ten logits: the higher, the closer the class is to the image's first byte, modulo 10."""

    config = ModelConfig(
        image_px=4, patch_px=4, in_chans=3, channels=16, blocks=1, token_hidden=1, channel_hidden=1, mlp="gelu",
        num_classes=10,
    )  # fmt: skip
    precision: Precision = "fp32"
    batch_hint = 8

    def forward(self, x_BCHW: NDArray[np.float32], *, tokens: bool = False) -> Output:
        first_B = np.rint(x_BCHW[:, 0, 0, 0] * 255).astype(np.int64)
        logits_BK = -np.abs(first_B[:, None] % 10 - np.arange(10)[None, :]).astype(np.float32)
        return Output(np.zeros((len(x_BCHW), 16), np.float32), logits_BK)


RED, BATCH = Red(), Red.batch_hint


def test_equal_logits_rank_as_predictions_do() -> None:
    rng = np.random.default_rng(0)
    logits = rng.integers(-2, 3, (200, 1000)).astype(np.float32)
    found = score_batch(range(200), logits, [[int(label)] for label in rng.integers(0, 1000, 200)])
    predictions = top_k(logits, 5, imagenet_1k(), "m")
    assert found.best.tolist() == [[c.index for c in prediction] for prediction in predictions]
    in_five = [label in best for label, best in zip(found.label, found.best, strict=True)]
    assert in_five == (found.rank < 5).tolist()
    expected = [prediction[0].probability for prediction in predictions]
    assert found.probability == pytest.approx(expected, rel=1e-5)


def test_ranks_and_loss_are_torchs() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.standard_normal((100, 30), np.float32) * 4, rng.integers(0, 30, 100)
    found = score_batch(range(100), logits, [[int(label)] for label in labels])
    x, y = torch.from_numpy(logits), torch.from_numpy(labels)
    assert found.loss == pytest.approx(float(torch.nn.functional.cross_entropy(x, y)), rel=1e-5)
    best = x.topk(5).indices
    assert found.best.tolist() == best.tolist()
    assert int((found.rank < 5).sum()) == int((best == y[:, None]).any(dim=1).sum())


def test_of_several_correct_classes_the_most_probable_counts() -> None:
    logits = np.array([[0, 1, 2, 3]] * 3, np.float32)
    found = score_batch(range(3), logits, [[0, 2], [3, 0], [0]])
    assert found.label.tolist() == [2, 3, 0] and found.rank.tolist() == [1, 0, 3]


def test_images_that_cannot_be_read_are_listed_and_change_no_other(tmp_path: Path) -> None:
    root = folders(tmp_path / "data", {"a": BATCH, "b": BATCH})
    whole = open_images(root)
    numbers = np.arange(len(whole))
    done: list[int] = []
    ((sound, none, _),) = score_images([RED], whole, numbers, Preprocess(CONFIG), on_progress=done.append)
    assert not none and done == [BATCH, 2 * BATCH]
    for name in ("a/3.png", "b/0.png"):
        (root / name).write_bytes((root / name).read_bytes()[:40])
    ((found, unreadable, _),) = score_images([RED], whole, numbers, Preprocess(CONFIG))
    assert [Path(error.source).relative_to(root).as_posix() for error in unreadable] == ["a/3.png", "b/0.png"]
    lost = {whole.name(i): i for i in range(len(whole))}
    kept = np.setdiff1d(numbers, [lost[error.source] for error in unreadable])
    assert found.image.tolist() == kept.tolist()
    assert np.array_equal(found.best, sound.best[kept]) and np.array_equal(found.rank, sound.rank[kept])


def test_several_runtimes_get_the_same_tensors_and_each_has_its_outcomes(tmp_path: Path) -> None:
    class Green(Red):
        def forward(self, x_BCHW: NDArray[np.float32], *, tokens: bool = False) -> Output:
            return super().forward(x_BCHW[:, ::-1])

    root = folders(tmp_path, {"a": BATCH, "b": BATCH})
    (root / "a" / "3.png").write_bytes(b"")
    whole, numbers = open_images(root), np.arange(2 * BATCH)
    both = score_images([RED, Green()], whole, numbers, Preprocess(CONFIG))
    for runtime, found in zip((RED, Green()), both, strict=True):
        (alone,) = score_images([runtime], whole, numbers, Preprocess(CONFIG))
        assert found.outcomes.best.tolist() == alone.outcomes.best.tolist()
        assert len(found.unreadable) == len(alone.unreadable) == 1
    assert both[0].outcomes.best.tolist() != both[1].outcomes.best.tolist()


def test_only_some_classes_may_be_answers(tmp_path: Path) -> None:
    whole = open_images(folders(tmp_path, {"a": 20, "b": 20}))
    among = np.array([1, 4, 8])
    ((found, *_),) = score_images([RED], whole, np.arange(40), Preprocess(CONFIG), correct=[[4]] * 40, allowed=among)
    logits = RED.forward(np.stack([Preprocess(CONFIG)(whole.read(i)) for i in range(40)])).logits[:, among]
    assert found.best[:, :3].tolist() == among[np.argsort(-logits, axis=1, kind="stable")].tolist()
    probabilities = torch.from_numpy(logits).softmax(1).numpy()
    assert found.probability == pytest.approx(probabilities.max(1), rel=1e-5)
    assert found.label_probability == pytest.approx(probabilities[:, 1], rel=1e-5)


def test_a_part_without_images_joins_parts_of_few_classes() -> None:
    some = score_batch([1, 0], np.array([[1, 2], [2, 1]], np.float32), [[0], [0]])
    empty = score_batch([], np.empty((0, 5), np.float32), [])
    joined = Outcomes.joined([empty, some])
    assert joined.image.tolist() == [0, 1] and joined.best.tolist() == [[0, 1], [1, 0]]
    assert len(Outcomes.joined([empty, empty]).rank) == 0


def test_no_image_to_score(tmp_path: Path) -> None:
    whole = open_images(folders(tmp_path, {"a": 1, "b": 1}))
    ((found, unreadable, _),) = score_images([RED], whole, np.empty(0, np.int64), Preprocess(CONFIG))
    assert len(found.rank) == 0 and found.loss == 0 and not unreadable
