"""gmixer models"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gmixer.rows.table import Column

HEADINGS = ("model", "params", "top-1", "GMACs", "input", "classes", "trained by")
LEFT = ("model", "trained by")  # columns of words
IMAGENET_VAL = "ImageNet-1k val"  # the set that top-1 is of, unless a remark names another


def models(
    pattern: Annotated[
        str, typer.Argument(help="Show only the names that match this pattern, such as 'mixer_b16*'.")
    ] = "*",
    debug: flags.Debug = False,
) -> None:
    """List the models that gmixer knows, with their size, input and accuracy."""
    from gmixer.catalogue import model_names
    from gmixer.errors import UnknownModelError
    from gmixer.rows.table import fitted
    from gmixer.rows.view import open_view

    names = [name for name in model_names() if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name, f"{pattern}.*")]
    if not names:
        raise UnknownModelError(f"no model matches {pattern!r}; `gmixer models` lists all")
    view = open_view()
    columns = _columns(map(_cells, names))
    if view.console:
        view.remark(fitted(columns, HEADINGS, view.console.width), "bold")
    for name in names:
        view.row(ModelRow(name, columns))
    for remark in _remarks(names):
        view.remark(remark, "dim")


class ModelRow(NamedTuple):
    name: str
    columns: Sequence[Column]

    def to_dict(self) -> dict[str, Any]:
        return dict(zip(HEADINGS, _cells(self.name), strict=True))

    def cells(self) -> Sequence[str]:
        return [self.name]

    def draw(self, columns: int) -> Iterable[RenderableType]:
        from rich.text import Text

        from gmixer.rows.table import fitted

        yield Text(fitted(self.columns, _cells(self.name), columns), no_wrap=True, overflow="ellipsis")


def _cells(name: str) -> list[str]:
    """By HEADINGS."""
    from gmixer.catalogue import find_model

    _, variant, pretrained = find_model(name)
    model = variant.of(pretrained)
    top1 = "–"
    if pretrained and pretrained.top1 is not None:
        top1 = f"{pretrained.top1:.1f} %" + "*" * (pretrained.top1_on != IMAGENET_VAL)
    return [
        name,
        f"{model.parameters / 1e6:.1f} M",
        top1,
        f"{model.macs_with_norms / 1e9:.2f}",
        f"{model.image_px} px",
        f"{model.num_classes:,}",
        pretrained.trained if pretrained else "–",
    ]


def _columns(rows: Iterable[Sequence[str]]) -> list[Column]:
    """As wide as their longest cell."""
    from gmixer.rows.table import Column

    widths = (max(map(len, cells)) for cells in zip(HEADINGS, *rows, strict=True))
    return [Column(heading, width, heading in LEFT) for heading, width in zip(HEADINGS, widths, strict=True)]


def _remarks(names: Sequence[str]) -> Iterator[str]:
    from gmixer.catalogue import EMBEDDED_MODEL, find_model

    for name in names:
        pretrained = find_model(name)[2]
        if pretrained and pretrained.top1 is not None and pretrained.top1_on != IMAGENET_VAL:
            yield f"* on {pretrained.top1_on}"
        if name == EMBEDDED_MODEL:
            yield f"{name} is in this package; the others are fetched at their first use, or by gmixer pull"
