"""gmixer models"""

from __future__ import annotations

import fnmatch
from typing import Annotated

import typer

from gmixer.cli import options


def models(
    pattern: Annotated[str, typer.Argument(help="Show only names that match, such as 'mixer_b16*'.")] = "*",
    debug: options.Debug = False,
) -> None:
    """List the models gmixer knows, with their size, input and accuracy."""
    from rich.console import Console
    from rich.table import Table

    from gmixer.config import EMBEDDED_MODEL, find_model, model_names
    from gmixer.errors import UnknownModelError

    names = [name for name in model_names() if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name, f"{pattern}.*")]
    if not names:
        raise UnknownModelError(f"no model matches {pattern!r}; `gmixer models` lists all")
    console = Console()
    if not console.is_terminal:
        for name in names:
            typer.echo(name)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    roomy = console.width >= 100
    table.add_column("model", no_wrap=True, overflow="ellipsis", min_width=32 if roomy else 20)
    for heading, columns in (("params", 7), ("GMACs", 5), ("input", 6), ("classes", 7), ("top-1", 7)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=columns)
    if roomy:
        table.add_column("trained by", no_wrap=True, overflow="ellipsis", style="dim")
    remarks = []
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
            remarks.append(f"{name} is in this package; give the others' folder or file to --model")
        row = [
            name,
            f"{model.parameters / 1e6:.1f} M",
            f"{model.macs_with_norms / 1e9:.2f}",
            f"{model.image_px} px",
            f"{model.num_classes:,}",
            top1,
        ]
        table.add_row(*row, *([pretrained.trained if pretrained else "nobody yet"] if roomy else []))
    console.print(table)
    for remark in remarks:
        console.print(remark, style="dim", highlight=False)
