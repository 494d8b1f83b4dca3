"""train.csv and val.csv as a plot, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmixer.files import atomic_write
from gmixer.train.log import read_table
from gmixer.train.run_dir import CURVES, TRAIN_TABLE, VAL_TABLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, float]

FEW = 40  # a line of at most this many points shows the points
PANEL_INCHES = (3.7, 2.7)


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours. paper: the background; None is transparent."""

    paper: str | None
    ink: str
    train: str
    val: str


PRINT = Theme(paper="white", ink="#333333", train="#2f6fde", val="#d9730d")
LIGHT = Theme(paper=None, ink="#3d4450", train="#2f6fde", val="#d9730d")
DARK = Theme(paper=None, ink="#c3c9d4", train="#7aa7ff", val="#ffab5e")


def write_curves(folder: Path) -> Path | None:
    """Writes curves.png beside the tables of a run; None where they have no rows."""
    png = curves(folder, PRINT)
    if png is None:
        return None
    path = folder / CURVES
    with atomic_write(path, shared=True) as unfinished:
        unfinished.write_bytes(png)
    return path


def curves(folder: Path, theme: Theme, *, columns: int = 3) -> bytes | None:
    """Loss, top-1 and learning rate over the epochs, as a PNG; None without rows. columns: panels in a row, 3 or 1."""
    train, val = read_table(folder / TRAIN_TABLE), read_table(folder / VAL_TABLE)
    if not train and not val:
        return None
    # Without pyplot, which would look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-3 // columns)
    inches = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows)
    figure = Figure(figsize=inches, layout="constrained", facecolor=theme.paper or "none")
    FigureCanvasAgg(figure)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    loss, top1, lr = grid.flat
    for axes, name, title, scale, corner in (
        (loss, "loss", "loss", 1.0, "best"),
        (top1, "top1", "top-1, %", 100.0, "lower right"),
    ):
        _line(axes, train, name, scale, label="training", colour=theme.train)
        _line(axes, val, name, scale, label="held out", colour=theme.val)
        axes.set_title(title)
        axes.legend(loc=corner, frameon=False, labelcolor=theme.ink)
    top1.set_ylim(0, 100)
    _line(lr, train, "lr", 1.0, label="learning rate", colour=theme.train)
    lr.set_title("learning rate")
    lr.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    for axes in (loss, lr):
        axes.set_ylim(bottom=0)
    for axes in (loss, top1, lr):
        _dress(axes, theme)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=144)
    return out.getvalue()


def _line(axes: Axes, rows: Sequence[Row], name: str, scale: float, *, label: str, colour: str) -> None:
    if not rows:
        return
    epochs, values = [row["epoch"] for row in rows], [row[name] * scale for row in rows]
    axes.plot(epochs, values, color=colour, label=label, linewidth=1.5, marker="o" if len(rows) <= FEW else "", ms=3)


def _dress(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor("none")
    axes.set_xlabel("epoch", color=theme.ink)
    axes.title.set_color(theme.ink)
    axes.tick_params(colors=theme.ink, labelsize=9)
    axes.yaxis.get_offset_text().set_color(theme.ink)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(theme.ink)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25, color=theme.ink)
    axes.set_axisbelow(True)
