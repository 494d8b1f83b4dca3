"""recipe.py, sections.py, recipe_file.py, and the shipped recipes."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gmixer.errors import InputError
from gmixer.train import ProbeRecipe, Recipe, TrainRecipe, read_recipe, recipe_names
from gmixer.train.recipe import RENAMED, setting_keys
from gmixer.train.recipe_file import differences, is_flat, to_toml

SHIPPED = recipe_names()
CHANGES = {
    "schedule.epochs=3": 3.0,
    "schedule.batch_size=16": 16,
    "augment.crop_area=[0.5, 1]": (0.5, 1.0),
    "optimizer.lr=1e-4": 1e-4,
    "model.pretrained=false": False,
    "optimizer.name=sgd": "sgd",
    "model.name=gmixer_12_224": "gmixer_12_224",
    "optimizer.betas=[0.9, 0.95]": (0.9, 0.95),
    "seed=7": 7,
}


def text_of(name: str) -> str:
    return (resources.files("gmixer.train") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")


def flat(tables: dict[str, object]) -> dict[str, object]:
    """{"seed": 3, "model": {"name": "m"}} → {"seed": 3, "model.name": "m"}"""
    found: dict[str, object] = {}
    for key, value in tables.items():
        found |= {f"{key}.{name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value}
    return found


def test_the_recipes_of_the_documentation_ship() -> None:
    wanted = {"distill_embedded", "finetune", "probe", "ra3_family_in1k", "scratch", "smoke"}
    assert set(SHIPPED) == wanted


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_reads_back_from_what_a_run_writes(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    written = tmp_path / "recipe.toml"
    written.write_text(to_toml(recipe), encoding="utf-8")
    assert read_recipe(written) == recipe
    assert set(flat(tomllib.loads(to_toml(recipe)))) == {"method", *setting_keys(type(recipe))}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_says_what_to_expect_and_where_each_number_is_from(name: str) -> None:
    text, recipe = text_of(name), read_recipe(name)
    for word in ("Expected result", "Hardware", "Hours"):
        assert re.search(word, recipe.about, re.IGNORECASE), word
    lines = [line for line in text.split('"""')[2].splitlines() if line.strip() and not line.startswith("[")]
    settings = [key.rpartition(".")[2] for key in flat(tomllib.loads(text)) if key != "about"]
    assert [line.split(" = ")[0] for line in lines] == settings
    for line in lines:
        value, _, comment = line.partition("#")
        if re.search(r"= *[\d\[]", value):
            assert len(comment.strip()) >= 4, f"{line}: where is this number from?"


def test_a_probe_has_only_what_a_probe_uses() -> None:
    assert isinstance(read_recipe("probe"), ProbeRecipe)
    assert setting_keys(ProbeRecipe) == [
        "about", "seed", "model.name", "model.pretrained", "model.num_classes", "data.val_fraction", "data.val_folder"
    ]  # fmt: skip
    assert set(setting_keys(ProbeRecipe)) < set(setting_keys(TrainRecipe))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(about=TEXT, model=TEXT)
@example(about='\x7f"\\ \n é', model="")
def test_any_text_is_written_so_that_it_reads_back(about: str, model: str) -> None:
    recipe = TrainRecipe().changed({"about": about, "model.name": model})
    values = flat(tomllib.loads(to_toml(recipe)))
    assert values.pop("method") == "weights" and TrainRecipe().changed(values) == recipe


@given(number=st.floats(1e-300, 1e300))
def test_any_number_is_written_so_that_it_reads_back(number: float) -> None:
    recipe = TrainRecipe().changed({"optimizer.lr": number})
    assert tomllib.loads(to_toml(recipe))["optimizer"]["lr"] == number


@pytest.mark.parametrize("change", CHANGES)
def test_a_command_line_sets_any_line_as_text(change: str) -> None:
    key, _, text = change.partition("=")
    value = TrainRecipe().changed({key: text}).settings()[key]
    assert value == CHANGES[change] and type(value) is type(CHANGES[change])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schedule.epohcs": "3"}, "did you mean schedule.epochs?"),
        ({"drop_pth": "3"}, "did you mean model.drop_path?"),
        ({"crop_are": "3"}, "did you mean augment.crop_area or late.crop_area?"),
        ({"zzz": "3"}, "known are about, seed, model.name"),
        ({"method": "probe"}, "choose a recipe with that method instead (--config)"),
        ({"schedule.epochs": "three"}, "schedule.epochs is 'three'; wanted a number"),
        ({"schedule.epochs": "true"}, "schedule.epochs is True; wanted a number"),
        ({"schedule.epochs": "inf"}, "wanted a number"),
        ({"schedule.batch_size": "2.5"}, "schedule.batch_size is 2.5; wanted a whole number"),
        ({"model.pretrained": "no"}, "model.pretrained is 'no'; wanted true or false"),
        ({"model.pretrained": 1}, "model.pretrained is 1; wanted true or false"),
        ({"optimizer.name": "lamb"}, "optimizer.name is 'lamb'; wanted one of adamw, sgd, muon, rmsprop_tf"),
        ({"augment.crop_area": "0.5"}, "augment.crop_area is 0.5; wanted [number, number]"),
        ({"augment.crop_area": "[0.5, 0.2]"}, "the smaller one first"),
        ({"augment.crop_area": "[0.5, 1.2]"}, "at most 1, the smaller one first"),
        ({"augment.crop_ratio": [2, 1]}, "the smaller one first"),
        ({"model.name": 3}, "model.name is 3; wanted text"),
        ({"schedule.epochs": 0}, "schedule.epochs is 0; wanted a number above 0"),
        ({"optimizer.lr": -1}, "optimizer.lr is -1; wanted a number above 0"),
        ({"seed": -1}, "seed is -1; wanted a whole number from 0 to"),
        ({"augment.flip": 1.5}, "augment.flip is 1.5; wanted a number from 0 to 1"),
        ({"augment.rand_magnitude": 11}, "augment.rand_magnitude is 11; wanted a number from 0 to 10"),
        ({"optimizer.ema_decay": 1}, "optimizer.ema_decay is 1; wanted less"),
        ({"model.drop_path": 1}, "model.drop_path is 1; wanted less"),
        ({"optimizer.betas": [0.9, 1]}, "optimizer.betas is [0.9, 1.0]; wanted two numbers from 0 to below 1"),
        ({"schedule.batch_size": 10, "compute.accumulate": 3}, "cannot be computed in 3 equal parts"),
        (
            {"schedule.batch_size": 6, "compute.accumulate": 2, "augment.mixup": 0.2},
            "leaves an image without a partner to be mixed with",
        ),
        ({"optimizer.name": "muon"}, "optimizer.muon_lr is 0.0 with optimizer.name 'muon'"),
        ({"optimizer.muon_lr": 1e-3}, "optimizer.muon_lr is 0.001 with optimizer.name 'adamw'"),
    ],
)
def test_what_no_recipe_can_have_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError) as error:
        TrainRecipe().changed(change)
    assert complaint in str(error.value)


@pytest.mark.parametrize(("old", "new"), [*RENAMED.items(), ("lr", "optimizer.lr"), ("erase", "augment.erase")])
def test_a_key_of_a_flat_recipe_is_refused_with_its_new_place(old: str, new: str) -> None:
    with pytest.raises(InputError, match=f"{old} is now {new}$"):
        TrainRecipe().changed({old: 1})
    assert new == "method" or new in setting_keys(TrainRecipe)


def test_what_a_probe_does_not_use_is_refused() -> None:
    with pytest.raises(InputError, match=r"sets schedule\.epochs, augment\.flip; a probe takes no training steps"):
        ProbeRecipe().changed({"schedule.epochs": 3, "seed": 1, "augment.flip": 0.5})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[schedule]\nepochs = 3\nbatchs = 2\n", "mine.toml sets 'schedule.batchs', which no recipe has; did you mean"),
        ("epochs = 3\n", "mine.toml sets 'epochs', which no recipe has; epochs is now schedule.epochs"),
        ('model = "m"\n', "mine.toml sets 'model', which no recipe has; model is now model.name"),
        ('method = "both"\n', "mine.toml: method is 'both'; wanted one of weights, probe"),
        ('method = "probe"\n[late]\nstart = 0.5\n', "mine.toml sets late.start; a probe takes no training steps"),
        ("epochs = \n", "mine.toml is not valid TOML"),
        ("[augment]\nflip = 2\n", "mine.toml: augment.flip is 2; wanted a number from 0 to 1"),
        (None, "mine.toml: no such file"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(text: str | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as error:
        read_recipe(path)
    assert complaint in str(error.value)


def test_a_recipe_that_does_not_ship_is_refused_with_the_names_of_those_that_do() -> None:
    with pytest.raises(InputError, match=r"no recipe is called 'finetun'; there are distill_embedded, finetune"):
        read_recipe("finetun")


def recipe_of(**changes: object) -> TrainRecipe:
    """A double underscore stands for the dot in a key."""
    return TrainRecipe().changed({"model.name": "m", **{k.replace("__", "."): value for k, value in changes.items()}})


def test_differences_are_those_that_train_otherwise() -> None:
    recipe = recipe_of(optimizer__lr=0.1, augment__crop_area=(0.5, 1.0))
    other_words = recipe_of(about="other words", optimizer__lr=0.1, augment__crop_area=(0.5, 1))
    assert differences(recipe, to_toml(recipe)) == differences(other_words, to_toml(recipe)) == []
    assert differences(recipe_of(), to_toml(recipe)) == ["augment.crop_area = [0.5, 1.0]", "optimizer.lr = 0.1"]


@pytest.mark.parametrize(("ours", "theirs"), [(TrainRecipe(), ProbeRecipe()), (ProbeRecipe(), TrainRecipe())])
def test_another_method_is_the_one_difference(ours: Recipe, theirs: Recipe) -> None:
    assert differences(ours, to_toml(theirs)) == [f'method = "{theirs.method}"']


def test_what_an_older_recipe_could_not_say_has_its_default() -> None:
    older = "\n".join(line for line in to_toml(recipe_of()).splitlines() if not line.startswith("num_classes"))
    assert differences(recipe_of(), older) == []
    assert differences(recipe_of(model__num_classes=7), older) == ["model.num_classes = 0"]


def test_what_a_newer_recipe_says_is_a_difference() -> None:
    newer = to_toml(recipe_of()).replace("[augment]", "[augment]\nsharpness = 0.5")
    assert differences(recipe_of(), newer) == ["augment.sharpness = 0.5"]


def test_a_recipe_without_tables_is_an_older_one() -> None:
    assert is_flat('about = ""\nway = "weights"\nmodel = "m"\nlr = 0.1\n')
    assert not any(is_flat(to_toml(recipe)) for recipe in (TrainRecipe(), ProbeRecipe()))
