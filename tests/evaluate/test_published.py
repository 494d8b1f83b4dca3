"""published.py: figures of others."""

from __future__ import annotations

from typing import get_args

import pytest

from gmixer.catalogue import find_model
from gmixer.evaluate.published import _PUBLISHED, SetName, published


def test_the_cards_figures() -> None:
    tag = "gmixer_24_224.ra3_in1k"
    figures = {of: published(tag, of) for of in get_args(SetName)}
    assert {of: figure and figure.top1 for of, figure in figures.items()} == {
        "imagenet-1k": 78.048,
        "real": 83.972,
        "v2": 66.140,
        "sketch": 27.031,
        "a": 11.627,
        "r": 37.983,
    }
    of_val = figures["imagenet-1k"]
    assert of_val is not None and of_val.top5 == 93.654


@pytest.mark.parametrize("key", _PUBLISHED, ids=" ".join)
def test_rows_are_of_models_there_are_and_agree_with_the_table(key: tuple[str, str]) -> None:
    name, of = key
    full_name, _, pretrained = find_model(name)
    figure = _PUBLISHED[key]  # type: ignore[index]
    assert full_name == name and pretrained is not None and of in get_args(SetName)
    assert figure.top5 is None or figure.top1 < figure.top5 < 100
    if of == "imagenet-1k" and pretrained.top1 is not None:  # timm measured some of them anew between its releases
        assert figure.top1 == pytest.approx(pretrained.top1, abs=0.05)


def test_every_model_of_imagenet_has_a_figure_on_every_set() -> None:
    tags = [name for name, of in _PUBLISHED if of == "imagenet-1k"]
    assert len(tags) == 4 and {*_PUBLISHED} == {(name, of) for name in tags for of in get_args(SetName)}


def test_a_figure_that_was_not_published() -> None:
    assert published("gmixer_8_64.distill_in1k", "imagenet-1k") is None
    assert published("flowers", "v2") is None
