"""Class names at every place and in every form that timm and transformers write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
from timm.models import save_for_hf
from timm.models._hub import load_model_config_from_path

import gmixer
from gmixer.errors import InputError, WeightsError
from gmixer.weights import find_checkpoint
from gmixer.weights.class_names import class_names_in, names_of_classes

NAMES = ["ant", "bee", "cat"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of timm's own save_for_hf, without names."""
    folder = tmp_path_factory.mktemp("written")
    save_for_hf(timm.create_model("gmixer_12_224", num_classes=3), folder, safe_serialization=True)
    return folder


@pytest.fixture
def edited(written: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the folder with other keys at the top, inside pretrained_cfg, and in the text."""

    def edit(top: Any = (), inside: Any = (), flat: bool = False, text: str = "") -> Path:
        config = json.loads((written / "config.json").read_text())
        config["pretrained_cfg"] |= dict(inside)
        if flat:
            config = {"architecture": config["architecture"], "num_features": 384} | config["pretrained_cfg"]
        content = json.dumps(config | dict(top))
        (tmp_path / "config.json").write_text(content[:-1] + text + "}")
        if not (tmp_path / "model.safetensors").exists():
            (tmp_path / "model.safetensors").symlink_to(written / "model.safetensors")
        return tmp_path

    return edit


def test_names_survive_a_second_save_by_timm(written: Path, tmp_path: Path) -> None:
    """timm's save_for_hf of a model that it loaded from a folder writes them inside pretrained_cfg."""
    first, second = tmp_path / "first", tmp_path / "second"
    model = timm.create_model("gmixer_12_224", num_classes=3)
    config = {"label_names": NAMES, "label_descriptions": {"ant": "a small insect"}}
    save_for_hf(model, first, model_config=config, safe_serialization=True)
    save_for_hf(timm.create_model(f"local-dir:{first}", pretrained=True), second, safe_serialization=True)
    assert "label_names" not in json.loads((second / "config.json").read_text())
    assert [label.name for label in gmixer.load(second).labels] == ["a small insect", "bee", "cat"]
    made = gmixer.create_model(f"local-dir:{second}", pretrained=True)
    assert made.pretrained_cfg["label_names"] == ("a small insect", "bee", "cat")
    gmixer.save_model(made, tmp_path / "third")
    assert find_checkpoint(tmp_path / "third").class_names == ("a small insect", "bee", "cat")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (NAMES, ("ant", "bee", "cat")),
        ({"0": "ant", "1": "bee", "2": "cat"}, ("ant", "bee", "cat")),
        ({"2": "cat", "0": "ant"}, ("ant", "class 1", "cat")),
        ([90210, 10001, 60601], ("90210", "10001", "60601")),
        ({"0": 7, "1": None, "2": "cat"}, ("7", "class 1", "cat")),
        (["ant", None, "cat"], ("ant", "class 1", "cat")),
        ([], None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("place", ["top", "inside", "flat"])
def test_every_form_at_every_place(names: Any, wanted: Any, place: str, edited: Callable[..., Path]) -> None:
    keys = {"label_names": names}
    if place == "flat":
        keys = {"labels": names}  # timm's older key
    folder = edited(top=keys if place == "top" else {}, inside={} if place == "top" else keys, flat=place == "flat")
    assert find_checkpoint(folder).class_names == wanted
    theirs = load_model_config_from_path(folder)[0].get("label_names")
    assert theirs == (names or theirs), "timm reads them too"


def test_transformers_names(edited: Callable[..., Path]) -> None:
    assert find_checkpoint(edited(top={"id2label": {"0": "ant", "1": "bee", "2": "cat"}})).class_names == tuple(NAMES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ant"], "label_names holds 1 names for 3 classes; wanted one per class"),
        ({"3": "dog"}, "label_names names class 3; wanted an index from 0 to 2"),
        ({"-1": "dog"}, "label_names has the key '-1'"),
        ({"ant": 0}, "label_names has the key 'ant'; wanted a list of names, or a dict from index to name"),
        ({"1": "ant", "01": "bee"}, "label_names names one class twice"),
        (["ant", True, "cat"], "it holds True; wanted a name for each class"),
        (["ant", None], "label_names holds 2 names for 3 classes"),
        ({"0": 0.5}, "it holds 0.5"),
        ([["ant", "n01"], ["bee", "n02"], ["cat", "n03"]], r"it holds \['ant', 'n01'\]"),
        ("abc", "label_names is of type str"),
        (3, "label_names is of type int"),
    ],
)
@pytest.mark.parametrize("place", ["top", "inside"])
def test_names_that_do_not_fit_are_refused(names: Any, message: str, place: str, edited: Callable[..., Path]) -> None:
    with pytest.raises(WeightsError, match=f"config.json: .*{message}"):
        find_checkpoint(edited(**{place: {"label_names": names}}))


def test_a_key_that_json_holds_twice_is_refused(edited: Callable[..., Path]) -> None:
    with pytest.raises(WeightsError, match="holds the key '1' twice"):
        find_checkpoint(edited(text=', "label_names": {"0": "ant", "1": "bee", "1": "cat"}'))


@pytest.mark.parametrize(
    ("keys", "message", "wanted"),
    [
        ({"inside": {"label_names": ["ant", "ant", "cat"]}}, "several classes 'ant'", ("ant", "ant", "cat")),
        (
            {"top": {"label_names": NAMES}, "inside": {"label_names": ["x", "y", "z"]}},
            "has label_names .* at two places, and they differ; those at the top were taken",
            ("ant", "bee", "cat"),
        ),
        (
            {"inside": {"label_names": NAMES, "label_descriptions": {"bee": "b", "dog": "d"}}},
            "label_descriptions describes dog, but no class has such a name",
            ("ant", "b", "cat"),
        ),
        ({"inside": {"label_descriptions": {"n01": "a dog"}}}, "there are no label_names; left out", None),
        # timm before 1.0.31 kept the names of the head that a model was loaded with.
        ({"inside": {"num_classes": 4, "label_names": [*NAMES, "dog"]}}, "an earlier head of 4 classes", None),
        ({"inside": {"num_classes": 4, "label_names": {"3": "dog"}}}, "an earlier head of 4 classes", None),
    ],
)
def test_what_is_left_out_is_said(keys: Any, message: str, wanted: Any, edited: Callable[..., Path]) -> None:
    with pytest.warns(UserWarning, match=message):
        assert find_checkpoint(edited(**keys)).class_names == wanted


@pytest.mark.parametrize("place", ["top", "inside"])
@pytest.mark.parametrize("label2id", [{"bee": 1, "ant": 0, "cat": 2}, {"bee": "1", "ant": "0", "cat": "2"}])
def test_names_that_only_label2id_holds(label2id: Any, place: str, edited: Callable[..., Path]) -> None:
    assert find_checkpoint(edited(**{place: {"label2id": label2id}})).class_names == tuple(NAMES)


@pytest.mark.parametrize(
    "keys",
    [
        {"top": {"class_names": NAMES}},
        {"top": {"classes": NAMES}},
        {"inside": {"class_to_idx": {"ant": 0, "bee": 1, "cat": 2}}},
        {"inside": {"names": {"0": "ant", "1": "bee", "2": "cat"}}},
        {"top": {"label2id": {"ant": 0, "bee": 0, "cat": 1}}},
        {"top": {"dataset": {"meta": {"classes": NAMES}}}},
    ],
)
def test_names_under_other_keys_are_said(keys: Any, edited: Callable[..., Path]) -> None:
    with pytest.warns(UserWarning, match="class names under '.*' are not read, .*; rename the key to 'label_names'"):
        assert find_checkpoint(edited(**keys)).class_names is None


@pytest.mark.parametrize(
    "keys",
    [
        {"top": {"label_names": NAMES}, "inside": {"label_names": {"0": "ant", "1": "bee", "2": "cat"}}},
        {"top": {"label_names": NAMES, "classes": NAMES, "label2id": {"ant": 0, "bee": 1, "cat": 2}}},
        {"inside": {"classes": 3, "names": "a.csv", "vocab": []}},
    ],
)
def test_the_same_names_twice_and_other_things_are_quiet(
    keys: Any, edited: Callable[..., Path], recwarn: pytest.WarningsRecorder
) -> None:
    find_checkpoint(edited(**keys))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("described", "wanted"),
    [({"0": "a small insect"}, "a small insect"), (["x", "y", "z"], "x"), ({"ant": "an insect"}, "an insect")],
)
def test_descriptions_by_name_by_index_and_in_order(described: Any, wanted: str, edited: Callable[..., Path]) -> None:
    names = find_checkpoint(edited(inside={"label_names": NAMES, "label_descriptions": described})).class_names
    assert names is not None and names[0] == wanted


def test_other_keys_at_both_places(edited: Callable[..., Path]) -> None:
    folder = edited(top={"mean": [0.1, 0.2, 0.3], "num_classes": None, "model_args": {}}, inside={"mean": None})
    checkpoint = find_checkpoint(folder)
    assert (checkpoint.data.mean, checkpoint.model.num_classes) == ((0.1, 0.2, 0.3), 3)
    with pytest.warns(
        UserWarning, match=r"crop_pct at the top differs from the one in pretrained_cfg, which was taken"
    ):
        assert find_checkpoint(edited(top={"crop_pct": 0.5})).data.crop_fraction == 0.875


@pytest.mark.parametrize(
    "top",
    [
        {"architecture": "gmixer_12_224.my_own_tag"},
        {"model_args": {"nlhb": True, "drop_rate": 0.1, "stem_norm": False, "img_size": None, "num_classes": 3}},
        {"model_args": None},
    ],
)
def test_keys_that_change_nothing_are_no_reason_to_refuse(top: Any, edited: Callable[..., Path]) -> None:
    assert find_checkpoint(edited(top=top)).model.num_classes == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [("null", "holds a NoneType, not a dict"), ("{", "is no JSON in UTF-8"), ("[1]", "holds a list, not a dict")],
)
def test_python_never_speaks(content: str, message: str, edited: Callable[..., Path]) -> None:
    folder = edited()
    (folder / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=f"config.json: {message}; wanted timm's config.json of a Mixer"):
        find_checkpoint(folder)


def test_the_advice_for_another_number_of_classes_works(edited: Callable[..., Path]) -> None:
    folder = edited()
    text = (folder / "config.json").read_text()
    assert text.count('"num_classes": 3') > 1
    (folder / "config.json").write_text(text.replace('"num_classes": 3', '"num_classes": 4'))
    with pytest.raises(WeightsError, match="set num_classes to 3 everywhere in"):
        find_checkpoint(folder)


def test_names_in_the_model_that_is_saved(tmp_path: Path) -> None:
    model = gmixer.create_model("gmixer_8_64", num_classes=3)
    model.pretrained_cfg["label_names"] = {0: "ant", 2: "cat"}
    gmixer.save_model(model, tmp_path)
    assert find_checkpoint(tmp_path).class_names == ("ant", "class 1", "cat")
    gmixer.save_model(model, tmp_path, class_names={1: "bee"})
    assert find_checkpoint(tmp_path).class_names == ("class 0", "bee", "class 2")
    for names in ("abc", ["ant"], {"ant": 0}, [1, 2, 3]):
        with pytest.raises(InputError, match="class_names"):
            gmixer.save_model(model, tmp_path, class_names=names)  # type: ignore[arg-type]


def test_a_tuple_and_whole_numbers_as_keys() -> None:
    assert names_of_classes(("a", "b"), 2, what="names") == ("a", "b")
    assert class_names_in({"label_names": {1: "b"}}, 2, source="it") == ("class 0", "b")


def test_a_file_beside_a_config_says_what_it_leaves(edited: Callable[..., Path]) -> None:
    folder = edited(top={"label_names": NAMES})
    with pytest.warns(UserWarning, match="read without the config.json beside it; .* pass the folder"):
        assert find_checkpoint(folder / "model.safetensors").class_names is None
