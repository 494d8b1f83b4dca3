"""README's Python blocks run, and its blocks of `gmixer classify` show what the command prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import gmixer
from command import run_in_terminal

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_blocks_run(
    predictor: gmixer.Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other in one namespace, as a reader would type them.

    They run beside a link to examples/, so that what they write does not stay in the checkout.
    """
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)

    best = predictor.classify("examples/photos/coffee.png")[0]
    assert capsys.readouterr().out == f"{best.label} {best.probability}\n"
    assert names["vectors"].shape == (2, 256) and names["vectors"].dtype == "float32"
    flowers = gmixer.load("flowers")
    assert [label.name for label in flowers.labels] == ["daisy", "rose", "tulip"]
    x_BCHW = flowers.transform(["examples/photos/coffee.png"])
    with torch.inference_mode():
        logits_BK = names["model"].eval()(torch.from_numpy(x_BCHW)).numpy()
    for engine in (names["engine"], flowers.runtime):
        assert engine.forward(x_BCHW).logits == pytest.approx(logits_BK, abs=1e-4)


@pytest.mark.parametrize(("command", "shown"), re.findall(r"^```\n\$ gmixer (.*)\n((?s:.*?))^```$", README, re.M))
def test_a_shown_command_prints_what_is_shown(
    command: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the embedded model and on the scalar kernels, so that the last digits are every machine's."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("GMIXER_ISA", "scalar")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    printed, status = run_in_terminal(*command.split())
    advice = "The small built-in "
    lines = [line.rstrip() for line in printed.splitlines() if line.strip() and not line.startswith(("━", advice))]
    assert status == 0
    assert lines == shown.splitlines()


def test_the_first_thing_shown_is_the_answer_for_the_photos() -> None:
    assert README.index("$ gmixer classify examples/photos -k 3") < README.index("## Install")
