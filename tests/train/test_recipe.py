"""recipe.py and the recipes that ship."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gmixer.errors import InputError
from gmixer.train import Recipe, read_recipe, recipe_names

SHIPPED = recipe_names()
CHANGES = {
    "epochs=3": 3.0,
    "batch=16": 16,
    "crop_area=[0.5, 1]": (0.5, 1.0),
    "lr=1e-4": 1e-4,
    "pretrained=false": False,
    "optimizer=sgd": "sgd",
    "model=gmixer_12_224": "gmixer_12_224",
    "betas=[0.9, 0.95]": (0.9, 0.95),
}


def text_of(name: str) -> str:
    return (resources.files("gmixer.train") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")


def test_the_recipes_of_the_documentation_ship() -> None:
    wanted = {"distill_embedded", "finetune", "probe", "ra3_family_in1k", "scratch", "smoke"}
    assert set(SHIPPED) == wanted


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_reads_back_from_what_a_run_writes(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    written = tmp_path / "recipe.toml"
    written.write_text(recipe.to_toml(), encoding="utf-8")
    assert read_recipe(written) == recipe
    assert set(tomllib.loads(recipe.to_toml())) == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_says_what_to_expect_and_where_each_number_is_from(name: str) -> None:
    text, recipe = text_of(name), read_recipe(name)
    for word in ("Expected result", "Hardware", "Hours"):
        assert re.search(word, recipe.about, re.IGNORECASE), word
    settings = [line for line in text.split('"""')[2].splitlines() if line.strip()]
    assert {line.split(" = ")[0] for line in settings} == set(tomllib.loads(text)) - {"about"}
    for line in settings:
        value, _, comment = line.partition("#")
        if re.search(r"= *[\d\[]", value):
            assert len(comment.strip()) >= 4, f"{line}: where is this number from?"


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(about=TEXT, model=TEXT)
@example(about='\x7f"\\ \n é', model="")
def test_any_text_is_written_so_that_it_reads_back(about: str, model: str) -> None:
    recipe = Recipe(about=about, model=model)
    assert Recipe(**tomllib.loads(recipe.to_toml())) == recipe


@given(number=st.floats(1e-300, 1e300))
def test_any_number_is_written_so_that_it_reads_back(number: float) -> None:
    assert tomllib.loads(Recipe(lr=number).to_toml())["lr"] == number


@pytest.mark.parametrize("change", CHANGES)
def test_a_command_line_sets_any_line_as_text(change: str) -> None:
    name, _, text = change.partition("=")
    changed = Recipe().changed({name: text})
    assert getattr(changed, name) == CHANGES[change] and type(getattr(changed, name)) is type(CHANGES[change])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"epohcs": "3"}, "did you mean epochs?"),
        ({"zzz": "3"}, "known are about, way, model"),
        ({"epochs": "three"}, "epochs is 'three'; wanted a number"),
        ({"epochs": "true"}, "epochs is True; wanted a number"),
        ({"epochs": "inf"}, "wanted a number"),
        ({"batch": "2.5"}, "batch is 2.5; wanted a whole number"),
        ({"pretrained": "no"}, "pretrained is 'no'; wanted true or false"),
        ({"pretrained": 1}, "pretrained is 1; wanted true or false"),
        ({"optimizer": "lamb"}, "optimizer is 'lamb'; wanted one of adamw, sgd, muon, rmsprop_tf"),
        ({"crop_area": "0.5"}, "crop_area is 0.5; wanted [number, number]"),
        ({"crop_area": "[0.5, 0.2]"}, "the smaller one first"),
        ({"crop_ratio": [2, 1]}, "the smaller one first"),
        ({"model": 3}, "model is 3; wanted text"),
        ({"epochs": 0}, "epochs is 0.0; wanted more than 0"),
        ({"lr": -1}, "lr is -1.0; wanted more than 0"),
        ({"seed": -1}, "seed is -1; wanted 0 to"),
        ({"flip": 1.5}, "flip is 1.5; wanted 0 to 1"),
        ({"rand_magnitude": 11}, "rand_magnitude is 11.0; wanted 0 to 10"),
        ({"ema": 1}, "ema is 1; wanted less"),
        ({"drop_path": 1}, "drop_path is 1; wanted less"),
        ({"betas": [0.9, 1]}, "betas is [0.9, 1.0]; wanted two numbers from 0 to below 1"),
        ({"batch": 10, "accumulate": 3}, "cannot be computed in 3 equal parts"),
        ({"batch": 6, "accumulate": 2, "mixup": 0.2}, "leaves a picture without one to be mixed with"),
        ({"optimizer": "muon"}, "muon_lr is 0.0 with optimizer 'muon'"),
        ({"muon_lr": 1e-3}, "muon_lr is 0.001 with optimizer 'adamw'"),
    ],
)
def test_what_no_recipe_can_have_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError) as error:
        Recipe().changed(change)
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("epochs = 3\nbatchs = 2\n", "mine.toml sets 'batchs', which no recipe has; did you mean batch?"),
        ("epochs = \n", "mine.toml is no TOML"),
        ("flip = 2\n", "mine.toml: flip is 2.0; wanted 0 to 1"),
        (None, "mine.toml: cannot be read as a recipe"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(text: str | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as error:
        read_recipe(path)
    assert complaint in str(error.value)


def test_a_recipe_that_does_not_ship_is_told_which_do() -> None:
    with pytest.raises(InputError, match=r"no recipe is called 'finetun'; there are distill_embedded, finetune"):
        read_recipe("finetun")


def test_differences_are_those_that_train_otherwise() -> None:
    recipe = Recipe(model="m", lr=0.1, crop_area=(0.5, 1.0))
    assert recipe.differences(recipe.to_toml()) == []
    assert Recipe(about="other words", model="m", lr=0.1, crop_area=(0.5, 1)).differences(recipe.to_toml()) == []
    assert Recipe(model="m").differences(recipe.to_toml()) == ["crop_area = [0.5, 1.0]", "lr = 0.1"]


def test_what_an_older_recipe_could_not_say_has_its_default() -> None:
    older = "\n".join(line for line in Recipe(model="m").to_toml().splitlines() if not line.startswith("num_classes"))
    assert Recipe(model="m").differences(older) == []
    assert Recipe(model="m", num_classes=7).differences(older) == ["num_classes = 0"]


def test_what_a_newer_recipe_says_is_a_difference() -> None:
    assert Recipe().differences(Recipe().to_toml() + "sharpness = 0.5\n") == ["sharpness = 0.5"]
