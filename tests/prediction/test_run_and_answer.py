"""run.py and answer.py: tensors → Output → Result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gmixer
from gmixer.errors import InputError
from gmixer.labels import imagenet_1k, labels_for
from gmixer.options import Ask
from gmixer.prediction import Answerer, run, stack
from gmixer.results import top_k


def test_run_is_one_forward_pass_over_the_tensors(predictor: gmixer.Predictor) -> None:
    x_BCHW = np.random.default_rng(0).standard_normal((3, 3, 64, 64), np.float32)
    output = run(predictor.runtime, list(x_BCHW))
    np.testing.assert_array_equal(output.logits, predictor.forward(x_BCHW).logits)
    np.testing.assert_array_equal(output.features, predictor.forward(x_BCHW).features)
    assert stack([], predictor.model).shape == (0, 3, 64, 64)
    assert run(predictor.runtime, []).features.shape == (0, 256)


def test_an_answer_of_one_image_has_the_bits_of_a_batch() -> None:
    rng = np.random.default_rng(1)
    logits_BK, features_BC = rng.standard_normal((9, 1000), np.float32) * 4, rng.standard_normal((9, 8), np.float32)
    labels = imagenet_1k()
    answer = Answerer("mine", labels)
    answer.check(Ask(k=3, rollup_at=0.5))
    together = top_k(logits_BK, 3, labels, "mine")
    for features_C, logits_K, prediction in zip(features_BC, logits_BK, together, strict=True):
        result = answer(features_C, logits_K, Ask(k=3))
        assert result.prediction == prediction and result.embedding.model == "mine"
        np.testing.assert_array_equal(result.embedding.vectors, features_C)
        rolled = answer(features_C, logits_K, Ask(k=3, rollup_at=0.5)).prediction
        assert replace(rolled, rollup=()) == prediction and rolled.rollup[-1].label == "entity"


def test_what_cannot_be_answered_is_refused_before_any_image() -> None:
    bare, own = Answerer("bare", ()), Answerer("own", labels_for(2, ["a", "b"]))
    for check in (bare.require_classes, lambda: bare.check(Ask(rollup_at=0.5))):
        with pytest.raises(InputError, match=r"bare has no classes \(num_classes 0\); it can only embed"):
            check()
    with pytest.raises(InputError, match="is not one of ImageNet's"):
        own.check(Ask(rollup_at=0.5))
    own.check(Ask())
    result = bare(np.zeros(8, np.float32), np.zeros(0, np.float32), Ask())
    assert len(result.prediction) == 0 and result.embedding.vectors.shape == (8,)


def test_embedding_ranks_no_class(predictor: gmixer.Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmixer.prediction.answer.top_k", lambda *_: pytest.fail("ranked classes"))
    images = [np.full((70, 90, 3), value, np.uint8) for value in range(20)]
    assert predictor.embed(images).vectors.shape == (20, 256)
