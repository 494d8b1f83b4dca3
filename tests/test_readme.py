"""README's Python blocks run, one after the other in one namespace, as a reader would type them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import gmixer

ROOT = Path(__file__).parents[1]


def test_the_python_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They run beside a link to examples/, so that what they write does not stay in the checkout."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)

    assert capsys.readouterr().out.startswith("espresso 0.56")
    assert names["vectors"].shape == (2, 256) and names["vectors"].dtype == "float32"
    flowers = gmixer.load("flowers")
    assert [label.name for label in flowers.labels] == ["daisy", "rose", "tulip"]
    x_BCHW = flowers.transform(["examples/photos/coffee.png"])
    with torch.inference_mode():
        logits_BK = names["model"].eval()(torch.from_numpy(x_BCHW)).numpy()
    for engine in (names["engine"], flowers.runtime):
        assert engine.forward(x_BCHW).logits == pytest.approx(logits_BK, abs=1e-4)
