"""Every program in examples/ runs, and prints what its first line promises."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

import gmixer
from conftest import PHOTOS

EXAMPLES = Path(__file__).parents[1] / "examples"


def folder_lines(predictor: gmixer.Predictor) -> list[str]:
    best = {path.name: predictor.classify(path)[0] for path in sorted(PHOTOS.iterdir())}
    return [f"{name}: {answer.probability:.0%} {answer.label}" for name, answer in best.items()]


def finetune_lines(_: gmixer.Predictor) -> list[str]:
    return [f"{path.name}: {path.stem}" for path in sorted(PHOTOS.iterdir())]


def isolate_lines(predictor: gmixer.Predictor) -> list[str]:
    answer = predictor.classify(PHOTOS / "rocket.jpg")[0].label
    return [f"good: {answer}", "truncated: corrupt: ", "empty: empty: ", "text: not_image: "]


def nearest_lines(_: gmixer.Predictor) -> list[str]:
    name = min(PHOTOS.iterdir()).name
    return [f"nearest to {name} rotated by 10 degrees: {name} (0."]


def timm_lines(predictor: gmixer.Predictor) -> list[str]:
    return [f"{c.probability:.1%} {c.label}" for c in predictor.classify(PHOTOS / "coffee.png")]


# What each line begins with, from the embedded model's own answers: other weights need no change here.
BEGINNINGS: dict[str, Callable[[gmixer.Predictor], list[str]]] = {
    "classify_folder": folder_lines,
    "finetune": finetune_lines,
    "isolate": isolate_lines,
    "nearest_image": nearest_lines,
    "timm_drop_in": timm_lines,
}


def test_no_example_is_missing_here() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(BEGINNINGS)


@pytest.mark.parametrize("name", BEGINNINGS)
def test_an_example_prints_its_result(
    name: str,
    predictor: gmixer.Predictor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """In another folder than the checkout, so that an example which writes there would be found."""
    program = EXAMPLES / f"{name}.py"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(program)])
    runpy.run_path(str(program), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    beginnings = BEGINNINGS[name](predictor)
    assert len(lines) == len(beginnings)
    for line, beginning in zip(lines, beginnings, strict=True):
        assert begins(line, beginning), lines
    assert list(tmp_path.iterdir()) == []


def begins(line: str, beginning: str) -> bool:
    """A percentage may differ by one in its last digit: PyTorch and the native engine round differently."""
    percent = r"[\d.]+(?=%)"
    got, wanted = (re.search(percent, text) for text in (line, beginning))
    if got and wanted:
        unit = 10 ** -len(wanted[0].partition(".")[2])
        if abs(float(got[0]) - float(wanted[0])) > 1.01 * unit:
            return False
    return re.sub(percent, "", line).startswith(re.sub(percent, "", beginning))


def test_a_wrong_line_is_found() -> None:
    assert begins("a.jpg: 21% cat, tabby", "a.jpg: 22% cat")
    assert not begins("a.jpg: 21% cat", "a.jpg: 23% cat") and not begins("a.jpg: 21% cat", "a.jpg: 21% dog")
