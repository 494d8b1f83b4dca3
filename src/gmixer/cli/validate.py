"""gmixer validate"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import options

if TYPE_CHECKING:
    from gmixer.evaluate.validate import Validated

EXTREMES = 5  # classes shown at either end
LISTED = 20  # unreadable pictures that are listed


class RuntimeChoice(StrEnum):
    native = "native"
    torch = "torch"


class SetChoice(StrEnum):
    imagenet_1k = "imagenet-1k"
    real = "real"
    v2 = "v2"
    sketch = "sketch"
    a = "a"
    r = "r"


def validate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A name, hf-hub:organization/model, a folder or a .safetensors file.",
            autocompletion=options.complete_model,
        ),
    ],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Pictures with labels; of data in parts the val part is measured (docs/datasets.md)."
        ),
    ],
    of: Annotated[
        SetChoice | None,
        typer.Option(
            "--set", help="Which test set it is: a and r count only their own classes, and published figures are shown."
        ),
    ] = None,
    real_labels: Annotated[Path | None, typer.Option(help="With --set real: the file real.json.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Every picture's answer: a .csv, .jsonl or .parquet file.")
    ] = None,
    per_class: Annotated[bool, typer.Option("--per-class", help="Show all classes, not just the ends.")] = False,
    runtime: Annotated[RuntimeChoice, typer.Option(help="The native engine, or PyTorch.")] = RuntimeChoice.native,
    device: Annotated[str | None, typer.Option(help="Of PyTorch: cpu, cuda.")] = None,
    precision: Annotated[str, typer.Option(help="Of PyTorch: fp32, bf16, fp16.")] = "fp32",
    name: options.Name = None,
    threads: options.Threads = None,
    orientation: Annotated[
        options.Orientation,
        typer.Option("--orientation", help="EXIF orientation, which timm ignores."),
    ] = options.Orientation.ignore,
    allow_pickle: options.AllowPickle = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: options.Debug = False,
) -> None:
    """Measure a model on pictures whose classes are known: top-1, top-5, per class, calibration, with intervals.

    Exit status: 0 all pictures were read, 1 some were not and count for nothing, 2 the command could not run.
    """
    from gmixer.cli.progress import counting
    from gmixer.cli.terminal import own_stderr
    from gmixer.evaluate.predictions import check_output, write_predictions
    from gmixer.evaluate.validate import validate as validate_on
    from gmixer.loading import load

    if output:
        check_output(output)
    predictor = load(
        model,
        name=name,
        runtime=runtime.value,
        device=device,
        precision=precision,  # type: ignore[arg-type] # load checks it
        threads=threads,
        orientation=orientation.value,
        allow_pickle=allow_pickle,
    )
    with own_stderr(), counting("pictures") as advance:
        set_name = of.value if of else None
        validated = validate_on(predictor, data, set_name, real_labels=real_labels, on_progress=advance)  # type: ignore[arg-type] # the same names
    if as_json:
        typer.echo(json.dumps(validated.to_dict()))
    else:
        _show(validated, per_class=per_class)
    if output:  # last: where the disk is full, what was measured has been said
        write_predictions(validated, output)
    raise typer.Exit(1 if validated.unreadable else 0)


def _show(validated: Validated, *, per_class: bool) -> None:
    from gmixer.cli.report import printable
    from gmixer.evaluate.outcomes import SHOWN

    print(f"{validated.model} on {printable(validated.source)}")
    print(f"  {validated.pipeline}")
    print(f"top-1  {validated.top1}")
    if len(validated.labels) > SHOWN:  # else all of them are among the five
        print(f"top-5  {validated.top5}")
    print(f"calibration error  {validated.calibration_error:.2%}")
    for compared in validated.compared():
        place = "inside the interval" if compared.inside else "outside the interval"
        print(f"published {compared.what}  {compared.expected:.2%}, measured {compared.difference:+.2%}, {place}")
    for note in validated.images.notes:
        print(printable(note))
    if validated.uncounted:
        print(f"{validated.uncounted:,} pictures without a label are not counted")
    _show_classes(validated, all_of_them=per_class)
    for error in validated.unreadable[:LISTED]:
        print(f"not counted, cannot be read: {printable(str(error))}")
    if len(validated.unreadable) > LISTED:
        print(f"… and {len(validated.unreadable) - LISTED:,} more; -o lists all")


def _show_classes(validated: Validated, *, all_of_them: bool) -> None:
    from gmixer.cli.report import printable

    rows = [(share, label) for share, label in zip(validated.classes, validated.labels, strict=True) if share.n]
    if not all_of_them:
        rows.sort(key=lambda row: (-row[0].value, row[1].index))
    shown = rows if all_of_them or len(rows) <= 2 * EXTREMES else [*rows[:EXTREMES], None, *rows[-EXTREMES:]]
    for row in shown:
        if row is None:
            print("  …")
            continue
        share, label = row
        print(f"  {share.value:7.1%}  {share.correct:>4} of {share.n:<4}  {printable(label.name)}")
