"""gmixer models"""

from __future__ import annotations

import fnmatch
import sys
from typing import Annotated

import typer

from gmixer.cli import options


def models(
    pattern: Annotated[str, typer.Argument(help="Show only names that match, such as 'mixer_b16*'.")] = "*",
    debug: options.Debug = False,
) -> None:
    """List the models gmixer knows, with their size, input and accuracy."""
    from gmixer.catalogue import EMBEDDED_MODEL, find_model, model_names
    from gmixer.errors import UnknownModelError

    names = [name for name in model_names() if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name, f"{pattern}.*")]
    if not names:
        raise UnknownModelError(f"no model matches {pattern!r}; `gmixer models` lists all")
    if not sys.stdout.isatty():
        for name in names:
            print(name)
        return
    from rich.console import Console
    from rich.table import Table

    rows, remarks = [], []
    for name in names:
        _, variant, pretrained = find_model(name)
        model = variant.of(pretrained)
        top1 = "–"
        if pretrained and pretrained.top1 is not None:
            top1 = f"{pretrained.top1:.1f} %"
            if pretrained.top1_on != "ImageNet-1k val":
                top1 += "*"
                remarks.append(f"* on {pretrained.top1_on}")
        if name == EMBEDDED_MODEL:
            remarks.append(f"{name} is in this package; the others are fetched at their first use, or by gmixer pull")
        rows.append(
            {
                "model": name,
                "params": f"{model.parameters / 1e6:.1f} M",
                "top-1": top1,
                "GMACs": f"{model.macs_with_norms / 1e9:.2f}",
                "input": f"{model.image_px} px",
                "classes": f"{model.num_classes:,}",
                "trained by": pretrained.trained if pretrained else "nobody yet",
            }
        )
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    used = 0
    for heading in rows[0]:  # as many columns as fit whole, the first one in any case
        width = max(len(heading), *(len(row[heading]) for row in rows)) + 1
        used += width
        if used > console.width and heading != "model":
            break
        words = heading in ("model", "trained by")
        table.add_column(heading, justify="left" if words else "right", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*list(row.values())[: len(table.columns)])
    console.print(table)
    for remark in remarks:
        console.print(remark, style="dim")
