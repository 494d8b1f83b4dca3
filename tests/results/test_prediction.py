"""Logits → probabilities and names; the small frozen results."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gmixer.labels import labels_for
from gmixer.results import Ancestor, Class, Embedding, Prediction, Result, softmax, top_k


@given(arrays.arrays(np.float32, (3, 7), elements=st.floats(-1e4, 1e4, width=32)))
def test_softmax_equals_torch(logits_BK: np.ndarray) -> None:
    exact = torch.softmax(torch.from_numpy(logits_BK).double(), dim=1).numpy()
    np.testing.assert_allclose(softmax(logits_BK, np.float64), exact, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(softmax(logits_BK, np.float64).sum(axis=1), 1, rtol=1e-12)


def test_top_k_is_sorted_named_and_stable() -> None:
    logits_BK = np.array([[0, 2, 1, 2], [5, 0, 0, 0]], np.float32)
    first, second = top_k(logits_BK, 3, labels_for(4, ["a", "b", "c", "d"]), "mine")
    assert [c.label for c in first] == ["b", "d", "c"], "of equal classes the lower index comes first"
    assert [c.index for c in second] == [0, 1, 2]
    assert first[0].probability == first[1].probability > first[2].probability
    assert first.model == "mine"
    assert len(top_k(logits_BK, 99, labels_for(4, ["a", "b", "c", "d"]), "mine")[0]) == 4


def test_prediction_is_a_sequence_that_prints_and_travels() -> None:
    prediction = Prediction((Class(3, "n1", "cat", 0.75), Class(5, "n2", "dog", 0.125)), "mine")
    assert prediction[0].label == "cat" and len(prediction) == 2 and [c.index for c in prediction] == [3, 5]
    assert prediction[:1] == (prediction[0],)
    assert prediction.above(0.5).classes == prediction.classes[:1]
    assert prediction.above(0.125) == prediction
    assert "75.0%  cat" in repr(prediction) and "mine" in repr(prediction)
    assert "no class" in repr(prediction.above(0.9))
    assert json.loads(json.dumps(prediction.to_dict())) == {
        "model": "mine",
        "precision": "fp32",
        "predictions": [
            {"index": 3, "synset": "n1", "label": "cat", "probability": 0.75},
            {"index": 5, "synset": "n2", "label": "dog", "probability": 0.125},
        ],
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.model = "other"  # type: ignore[misc]


def test_prediction_says_its_rollup_where_it_has_one() -> None:
    rollup = (Ancestor("n02084071", "dog", 0.93), Ancestor("n00001740", "entity", 1.0))
    prediction = Prediction((Class(3, "n1", "pug", 0.25),), "mine", rollup)
    assert prediction.above(0.5) == Prediction((), "mine", rollup)
    assert "in all: dog 93.0%, entity 100.0%" in repr(prediction)
    assert prediction.to_dict()["rollup"] == [
        {"label": "dog", "probability": 0.93},
        {"label": "entity", "probability": 1.0},
    ]
    assert list(Prediction((), "mine").to_dict()) == ["model", "precision", "predictions"]


def test_a_note_is_shown_and_stands_in_the_dictionary() -> None:
    noted = Prediction((), "mine", note="is grey")
    assert noted.to_dict()["note"] == "is grey" and "note: is grey" in repr(noted)
    assert noted.above(0.5).note == "is grey"
    assert Result(noted, Embedding(np.ones(2, np.float32), "mine", "is grey")).to_dict()["note"] == "is grey"
    assert Embedding(np.ones(2, np.float32), "mine", "is grey").to_dict()["note"] == "is grey"


def test_embedding_is_an_array_for_numpy() -> None:
    embedding = Embedding(np.arange(6, dtype=np.float32).reshape(2, 3), "mine")
    np.testing.assert_array_equal(np.asarray(embedding), embedding.vectors)
    assert np.asarray(embedding) is not None and np.asarray(embedding, dtype=np.float64).dtype == np.float64
    assert np.linalg.norm(embedding, axis=1).shape == (2,)
    assert len(embedding) == 2 and "float32 (2, 3)" in repr(embedding)
    assert embedding.to_dict() == {"model": "mine", "precision": "fp32", "vectors": [[0, 1, 2], [3, 4, 5]]}


def test_result_joins_both() -> None:
    result = Result(Prediction((Class(0, "", "a", 1.0),), "mine"), Embedding(np.ones(2, np.float32), "mine"))
    assert result.to_dict()["embedding"] == [1, 1]
    assert result.to_dict()["predictions"][0]["label"] == "a"
