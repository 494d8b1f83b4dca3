"""compare.py: figures of two outputs, against other ways to compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import distance
from scipy.special import rel_entr, softmax

import gmixer
from drawn_pixels import noise
from gmixer.agreement import Compared, compare, summarise
from gmixer.agreement.compare import cosine
from gmixer.data import Preprocess
from gmixer.errors import ImageError, InputError
from gmixer.options import Precision
from gmixer.runtimes import Output
from mixers import write_outlier

C = 256  # channels of the embedded model
N = 40


class Told:
    """A runtime that gives the outputs that it was told, image by image, and keeps the tensors."""

    precision: Precision = "fp32"
    batch_hint = 16

    def __init__(self, config: gmixer.ModelConfig, features_NC: NDArray[Any], logits_NK: NDArray[Any]) -> None:
        self.config, self._features, self._logits = config, features_NC, logits_NK
        self.tensors: list[NDArray[np.float32]] = []

    def forward(self, x_BCHW: NDArray[np.float32], *, tokens: bool = False) -> Output:
        rows = slice(len(self.tensors), len(self.tensors) + len(x_BCHW))
        self.tensors.extend(x_BCHW)
        return Output(self._features[rows].astype(np.float32), self._logits[rows].astype(np.float32))


def told(embedded: gmixer.Predictor, features_NC: NDArray[Any], logits_NK: NDArray[Any]) -> gmixer.Predictor:
    """A predictor of these outputs, with the transform of the embedded model and as many classes as logits."""
    return of_checkpoint(features_NC, logits_NK, embedded, replace(embedded.model, num_classes=logits_NK.shape[1]))


def of_checkpoint(
    features_NC: NDArray[Any], logits_NK: NDArray[Any], like: gmixer.Predictor, model: gmixer.ModelConfig, **other: Any
) -> gmixer.Predictor:
    """other: what differs in the checkpoint of `like`. A real checkpoint has weights of its architecture."""
    known = {"name": "told", "model": model, "data": like.data, "class_names": None, **other}
    return gmixer.Predictor(SimpleNamespace(**known), Told(model, features_NC, logits_NK))  # type: ignore[arg-type]


def images(n: int) -> list[NDArray[np.uint8]]:
    return [noise(64, 64, seed=i) for i in range(n)]


def compared(first: gmixer.Predictor, second: gmixer.Predictor, n: int) -> Sequence[Compared]:
    found = list(compare(first, second, images(n)))
    assert all(isinstance(one, Compared) for one in found)
    return found  # type: ignore[return-value] # checked above


@pytest.mark.parametrize("K", [2, 3, 1000])
def test_figures_equal_scipys_and_torchs(K: int, predictor: gmixer.Predictor) -> None:
    rng = np.random.default_rng(K)
    features = rng.standard_normal((2, N, C)).astype(np.float32)
    logits = rng.integers(-3, 4, (2, N, K)).astype(np.float32)  # many ties
    logits[:, ::2] += rng.standard_normal((2, N // 2, K)).astype(np.float32)
    found = compared(told(predictor, features[0], logits[0]), told(predictor, features[1], logits[1]), N)
    given_NK, expected_NK = softmax(logits.astype(np.float64), axis=2)
    tops = [torch.sort(torch.from_numpy(of), stable=True, descending=True).indices[:, :5].tolist() for of in logits]
    for i, (of_embedding, answers, note) in enumerate(found):
        assert note is None and answers is not None
        assert of_embedding == pytest.approx(1 - distance.cosine(features[0, i], features[1, i]), abs=1e-6)
        given, expected = answers.given, answers.expected
        assert (given.index, expected.index) == (tops[0][i][0], tops[1][i][0])
        assert given.probability == pytest.approx(given_NK[i].max())
        assert expected.probability == pytest.approx(expected_NK[i].max())
        second, first = np.sort(expected_NK[i])[-2:]
        assert answers.margin == pytest.approx(first - second, abs=1e-12)
        assert answers.shared == len(set(tops[0][i]) & set(tops[1][i])) / min(K, 5)
        assert answers.divergence == pytest.approx(rel_entr(expected_NK[i], given_NK[i]).sum(), abs=1e-9)
        assert answers.change == pytest.approx(given_NK[i, expected.index] - expected.probability, abs=1e-12)
    assert len({one.answers.given.index == one.answers.expected.index for one in found if one.answers}) == 2


def test_a_predictor_agrees_with_itself(predictor: gmixer.Predictor) -> None:
    for one in compared(predictor, predictor, 5):
        assert one.answers is not None and one.cosine == pytest.approx(1, abs=1e-12)
        assert one.answers.given == one.answers.expected
        assert (one.answers.shared, one.answers.divergence, one.answers.change) == (1, 0, 0)


def test_labels_are_the_models(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    for one, prediction in zip(compare(predictor, predictor, photos), predictor.classify(photos), strict=True):
        assert isinstance(one, Compared) and one.answers is not None
        given = one.answers.given
        assert replace(given, probability=prediction[0].probability) == prediction[0]
        assert given.probability == pytest.approx(prediction[0].probability, rel=1e-12)  # of logarithms here
        assert one.answers.margin == pytest.approx(prediction[0].probability - prediction[1].probability)


def test_each_image_is_decoded_once_and_both_get_its_tensor(
    predictor: gmixer.Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    decode = Preprocess.with_note
    monkeypatch.setattr(Preprocess, "with_note", lambda *args, **named: calls.append(1) or decode(*args, **named))
    first, second = (told(predictor, np.ones((N, C)), np.zeros((N, 3))) for _ in range(2))
    assert len(compared(first, second, N)) == N == len(calls)
    ours, theirs = first.runtime, second.runtime
    assert isinstance(ours, Told) and isinstance(theirs, Told)
    np.testing.assert_array_equal(np.stack(ours.tensors), np.stack(theirs.tensors))
    np.testing.assert_array_equal(np.stack(ours.tensors), predictor.transform(images(N)))


def test_a_bad_image_fails_alone_in_its_place(predictor: gmixer.Predictor, int8: gmixer.Predictor) -> None:
    sound = list(compare(int8, predictor, images(20)))
    bad: list[Any] = images(20)
    for place in (3, 17):
        bad.insert(place, b"no image")
    found = list(compare(int8, predictor, bad))
    assert [i for i, one in enumerate(found) if isinstance(one, ImageError)] == [3, 17]
    assert [one for one in found if not isinstance(one, ImageError)] == sound
    only_bad = list(compare(int8, predictor, [b"no image"]))
    assert len(only_bad) == 1 and isinstance(only_bad[0], ImageError)


def test_vectors_of_zeros_have_a_cosine() -> None:
    zero, one = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert [float(cosine(a, b)[0]) for a, b in ((zero, zero), (zero, one), (one, zero), (one, -one))] == [1, 0, 0, -1]
    for size in (1e-45, 1e-30, 3e38):
        assert float(cosine(one * np.float32(size), one)[0]) == pytest.approx(1)


def test_logits_of_any_size_give_finite_figures(predictor: gmixer.Predictor) -> None:
    large = np.array([[3e38, -3e38], [-3e38, 3e38]])
    for one in compared(told(predictor, np.ones((2, C)), large), told(predictor, np.ones((2, C)), large[::-1]), 2):
        assert one.answers is not None and np.isfinite(one.answers.divergence)
        assert (one.answers.margin, one.answers.change) == (1, -1)


def test_a_model_with_one_class_is_always_sure(predictor: gmixer.Predictor) -> None:
    one_class = told(predictor, np.ones((1, C)), np.ones((1, 1)))
    (one,) = compared(one_class, told(predictor, np.ones((1, C)), np.zeros((1, 1))), 1)
    assert one.answers is not None
    assert (one.answers.margin, one.answers.shared, one.answers.divergence) == (1, 1, 0)


def test_a_model_without_classes_has_only_embeddings(predictor: gmixer.Predictor) -> None:
    rng = np.random.default_rng(0)
    a, b = (told(predictor, rng.standard_normal((N, C)), np.empty((N, 0))) for _ in range(2))
    found = compared(a, b, N)
    assert all(one.answers is None for one in found) and len({one.cosine for one in found}) == N


@pytest.mark.parametrize("what", ["networks", "transforms", "classes"])
def test_models_that_no_tensor_fits_both_are_refused(what: str, predictor: gmixer.Predictor) -> None:
    model, differing = predictor.model, dict[str, Any]()
    if what == "networks":
        model = replace(model, blocks=model.blocks + 1)
    elif what == "transforms":
        differing["data"] = replace(predictor.data, crop_fraction=0.5)
    else:
        differing["class_names"] = tuple(f"class {i}" for i in range(1000))
    other = of_checkpoint(np.ones((1, C)), np.ones((1, 1000)), predictor, model, **differing)
    with pytest.raises(InputError, match=f"different {what}"):
        list(compare(predictor, other, images(1)))


def test_a_single_image_is_refused(predictor: gmixer.Predictor) -> None:
    with pytest.raises(InputError, match="wanted several images"):
        list(compare(predictor, predictor, "a.jpg"))


def test_an_outlier_channel_is_shown(predictor: gmixer.Predictor, photos: list[Path], tmp_path: Path) -> None:
    path = write_outlier(predictor.checkpoint, tmp_path / "outlier.safetensors")
    fp32, int8 = gmixer.load(path, precision="fp32"), gmixer.load(path, precision="int8")
    rng = np.random.default_rng(0)
    pieces = []
    for i in range(64):
        photo = np.asarray(Image.open(photos[i % len(photos)]).convert("RGB"))
        y, x = (int(rng.integers(0, length - 100)) for length in photo.shape[:2])
        pieces.append(photo[y : y + 100, x : x + 100])

    def of(first: gmixer.Predictor, second: gmixer.Predictor) -> tuple[float, float]:
        found = summarise((str(i), one) for i, one in enumerate(compare(first, second, pieces)))
        assert found.answers is not None
        return found.answers.same.value, found.cosines[1]

    assert of(fp32, predictor) == (1, pytest.approx(1, abs=1e-5)), "the same network"
    same, lowest = of(gmixer.load(predictor.name, precision="int8"), predictor)
    assert same > 0.9 and lowest > 0.999
    same, lowest = of(int8, fp32)
    assert same < 0.8 and 0 < lowest < 0.99
