"""curves.py: the tables of a run as a plot that shows their values."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from gmixer.train.curves import DARK, PRINT, curves, write_curves

N = 200  # rows: many enough to be a line without points


def tables(folder: Path, loss: NDArray[np.float64], val: bool = True) -> Path:
    rows = [f"{i},{i / 10},{1e-3},{loss[i]},{i / N},50" for i in range(N)]
    (folder / "train.csv").write_text("\n".join(["step,epoch,lr,loss,top1,images_per_s", *rows, ""]))
    if val:
        (folder / "val.csv").write_text("step,epoch,loss,top1,top5,n\n100,10,1.0,0.5,0.9,40\n199,19.9,0.8,0.6,0.9,40\n")
    return folder


def places(png: bytes | Path, colour: str) -> NDArray[np.int64]:
    """Rows and columns of the pixels of that colour, (n, 2)."""
    pixels = np.asarray(Image.open(BytesIO(png) if isinstance(png, bytes) else png).convert("RGB"), np.int64)
    return np.argwhere(np.abs(pixels - np.round(255 * np.array(to_rgb(colour)))).sum(axis=2) < 12)


def test_a_loss_that_falls_is_a_line_that_falls_and_top1_one_that_rises(tmp_path: Path) -> None:
    path = write_curves(tables(tmp_path, np.linspace(2, 0.5, N), val=False))
    assert path == tmp_path / "curves.png"
    third = Image.open(path).width // 3
    for panel, falls in ((0, True), (1, False)):
        of_panel = places(path, PRINT.train)
        of_panel = of_panel[of_panel[:, 1] // third == panel]
        left, right = np.array_split(of_panel[np.argsort(of_panel[:, 1])], 2)
        lower = right[:, 0].mean() - left[:, 0].mean()  # rows count downwards
        assert lower > 20 if falls else lower < -20


def test_the_held_out_part_has_a_colour_of_its_own(tmp_path: Path) -> None:
    tables(tmp_path, np.ones(N))
    assert len(places(curves(tmp_path, PRINT) or b"", PRINT.val)) > 100
    (tmp_path / "train.csv").unlink()
    only_val = curves(tmp_path, PRINT) or b""
    assert len(places(only_val, PRINT.val)) > 100 and not len(places(only_val, PRINT.train))


def test_one_panel_below_the_other_for_a_narrow_screen(tmp_path: Path) -> None:
    tables(tmp_path, np.ones(N))
    wide, narrow = (Image.open(BytesIO(curves(tmp_path, DARK, columns=n) or b"")) for n in (3, 1))
    assert abs(wide.width - 3 * narrow.width) < 3 and abs(narrow.height - 3 * wide.height) < 3
    assert wide.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index] # the page's own paper


@pytest.mark.parametrize("header", [None, "step,epoch,lr,loss,top1,images_per_s\n"])
def test_nothing_is_drawn_of_no_rows(header: str | None, tmp_path: Path) -> None:
    if header:
        (tmp_path / "train.csv").write_text(header)
    assert write_curves(tmp_path) is None and not (tmp_path / "curves.png").exists()
