"""Every program in examples/ runs, and prints what its first line promises."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

PRINTED = {
    "classify_folder": [
        "chelsea.png: 21% pretzel",
        "coffee.png: 56% espresso",
        "rocket.jpg: 54% church, church building",
    ],
    "finetune": ["chelsea.png: chelsea", "coffee.png: coffee", "rocket.jpg: rocket"],
    "isolate": ["good: church, church building", "truncated: corrupt: ", "empty: empty: ", "text: not_image: "],
    "nearest_image": ["nearest to chelsea.png rotated by 10 degrees: chelsea.png (0.93)"],
    "timm_drop_in": ["56.2% espresso", "2.7% cassette player", "1.7% ", "1.7% ", "1.7% "],
}


def test_no_example_is_missing_here() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_its_result(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In another folder than the checkout, so that an example which writes there would be found."""
    program = EXAMPLES / f"{name}.py"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(program)])
    runpy.run_path(str(program), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PRINTED[name])
    for line, beginning in zip(lines, PRINTED[name], strict=True):
        assert line.startswith(beginning), lines
    assert list(tmp_path.iterdir()) == []
