"""tools/family_accuracy.py: each of ImageNet's classes counts in one family."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmixer.labels import Label, imagenet_1k
from training import Drawn

TOOL = Path(__file__).parents[2] / "tools" / "family_accuracy.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("family_accuracy", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_class_has_the_family_that_a_reader_expects(tool: ModuleType) -> None:
    expected = {
        "Chihuahua": "dogs",
        "tabby, tabby cat": "other animals",
        "bald eagle, American eagle, Haliaeetus leucocephalus": "birds",
        "school bus": "vehicles",
        "violin, fiddle": "musical instruments",
        "running shoe": "clothing",
        "espresso": "food",
        "daisy": "plants and fungi",
        "soccer ball": "people and sports",
        "castle": "buildings and places",
        "frying pan, frypan, skillet": "household objects",
        "computer keyboard, keypad": "tools and devices",
        "umbrella": "other things",
    }
    family = {label.name: tool.family_of(label) for label in imagenet_1k()}
    assert {name: family[name] for name in expected} == expected
    count = Counter(map(tool.family_of, imagenet_1k()))
    assert count.keys() == {*tool.FAMILIES, tool.OTHER} and count[tool.OTHER] < 50
    assert count["dogs"] == 118 and count["birds"] == 59, "ImageNet-1k's"


def test_a_table_has_a_row_for_each_family_and_one_for_all(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, labels = Drawn(6), [151, 151, 207, 281, 967, -1]  # two Chihuahuas, a retriever, a tabby, an espresso
    pq.write_table(pa.table({"image": [drawn.read(i) for i in range(6)], "label": labels}), tmp_path / "a.parquet")
    monkeypatch.setattr("sys.argv", ["tool", "--model", "gmixer_8_64", "gmixer_8_64", "--data", str(tmp_path)])
    tool.main()
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [[cell.strip("| ") for cell in line[:3]] for line in lines[2:]] == [
        ["dogs", "2", "3"],
        ["other animals", "1", "1"],
        ["food", "1", "1"],
        ["all", "4", "5"],
    ]
    for line in lines[2:]:
        assert line[3:5] == [cell.rstrip(" |") for cell in line[5:7]], "the same model twice"


def test_classes_that_are_not_imagenets_are_refused(tool: ModuleType) -> None:
    with pytest.raises(SystemExit, match="'daisies' is not one of ImageNet's classes"):
        tool.family_of(Label(0, "", "daisies", ""))
