"""The model card beside the weights: its content, and that a missing statement is never invented."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from gmixer.catalogue import VARIANTS
from gmixer.models.model_card import About, model_card

GMIXER = VARIANTS["gmixer_24_224"]
OWN = VARIANTS["gmixer_8_64"]


def card_of(variant=GMIXER, name: str = "gmixer_24_224", about: About | None = None, **changes) -> str:
    model = replace(variant.model, **changes)
    names = [f"c{i}" for i in range(model.num_classes)] if model.num_classes in (3, 30) else None
    return model_card(
        "me/mine", architecture=name, model=model, data=variant.data, class_names=names, license="mit",
        about=about or About(),
    )  # fmt: skip


def test_the_figures_are_the_models() -> None:
    card = card_of()
    assert "24 blocks of 384 channels, 196 patches of 16 px" in card
    assert "24.72 M parameters, 5.28 GMACs" in card
    assert "3 × 224 × 224, bicubic to 256 px, center crop; mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225" in card
    assert "- 1,000 classes\n" in card


def test_what_was_not_said_is_not_guessed() -> None:
    card = card_of()
    for heading in ("Data", "Accuracy", "Limits"):
        assert f"## {heading}\n\nThe author of the model did not say.\n" in card
    assert "model-index" not in card


def test_what_was_said_is_there_and_the_head_is_read_by_the_library() -> None:
    about = About(
        summary="Tells: insects # apart.", trained_on="My photos.", accuracy={"top-1: mine": 93.1, "top-5": 99.0}
    )
    card = card_of(about=about, num_classes=3)
    head = ModelCard(card).data
    assert (head.license, head.library_name, head.pipeline_tag) == ("mit", "timm", "image-classification")
    assert [(r.metric_name, r.metric_value) for r in head.eval_results] == [("top-1: mine", 93.1), ("top-5", 99.0)]
    assert "Tells: insects # apart." in card and "## Data\n\nMy photos.\n" in card
    assert "| top-1: mine | 93.1 % |\n| top-5 | 99 % |" in card
    assert "3 classes: c0, c1, c2\n" in card


def test_many_classes_are_not_all_listed() -> None:
    assert "30 classes: c0, c1" in card_of(num_classes=30) and "c19, …" in card_of(num_classes=30)


def test_a_name_of_a_class_stays_a_name() -> None:
    card = model_card(
        "me/mine", architecture="gmixer_8_64", model=replace(OWN.model, num_classes=3), data=OWN.data,
        class_names=["<b>*a*", "black_cat", "two\nlines"], license=None, about=About(),
    )  # fmt: skip
    assert "3 classes: \\<b\\>\\*a\\*, black\\_cat, two\\\\nlines\n" in card


def test_of_a_folder_it_says_the_paths_that_load_it_and_the_intervals() -> None:
    card = model_card(
        "my run", folder="my run/model", architecture="gmixer_8_64", model=OWN.model, data=OWN.data, class_names=None,
        license=None, about=About(accuracy={"top-1": 75.0, "top-5": 90}, intervals={"top-1": (59.8, 85.81)}),
    )  # fmt: skip
    assert "hf-hub" not in card and "\n# my run\n" in card
    assert "gmixer classify photo.jpg --model 'my run/model'" in card and 'gmixer.load("my run/model")' in card
    assert 'timm.create_model("local-dir:my run/model", pretrained=True)' in card
    assert "| top-1 | 75 % (95 % interval 59.8 … 85.81) |\n| top-5 | 90 % |" in card
    assert ModelCard(card).data.eval_results[0].metric_value == 75.0


def test_the_way_to_use_it_follows_the_model() -> None:
    assert "gmixer classify photo.jpg --model hf-hub:me/mine" in card_of()
    assert "classify" not in card_of(num_classes=0) and 'predictor.embed("photo.jpg")' in card_of(num_classes=0)
    assert "register_with_timm" not in card_of()
    own = card_of(OWN, "gmixer_8_64")
    assert "import timm\nimport gmixer\n\ngmixer.register_with_timm()\n" in own
    assert ModelCard(own).data.library_name == "gmixer"


@pytest.mark.parametrize(("name", "cites_swiglu"), [("gmixer_12_224", True), ("mixer_b16_224", False)])
def test_it_cites_the_papers_of_its_parts(name: str, cites_swiglu: bool) -> None:
    card = card_of(VARIANTS[name], name)
    assert "2105.01601" in card and ("2002.05202" in card) is cites_swiglu
