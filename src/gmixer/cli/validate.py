"""gmixer validate"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags
from gmixer.cli.against import AgainstModel
from gmixer.cli.class_table import show_classes

if TYPE_CHECKING:
    from gmixer.evaluate.validate import Validated
    from gmixer.options import Native, Reading, Torch, WeightsSource

LISTED = 20  # unreadable images that are listed


class SetChoice(StrEnum):
    imagenet_1k = "imagenet-1k"
    real = "real"
    v2 = "v2"
    sketch = "sketch"
    a = "a"
    r = "r"


@flags.shared_flags(orientation=flags.Orientation.ignore)
def validate(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model name, hf-hub:organization/model, a folder or a .safetensors file.",
            autocompletion=flags.complete_model,
        ),
    ],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Labelled images (docs/datasets.md). If DATA has splits, the val split is measured."
        ),
    ],
    of: Annotated[
        SetChoice | None,
        typer.Option(
            "--set",
            help="Name of DATA's test set. Adds published accuracies. For a and r, only their 200 classes are possible "
            "answers.",
        ),
    ] = None,
    real_labels: Annotated[Path | None, typer.Option(help="The file real.json. Needed for --set real.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the answer for each image to a .csv, .jsonl or .parquet file."),
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Show all classes, not only the best and the worst classes.")
    ] = False,
    val_folder: flags.ValFolder = None,
    all_images: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Measure the data of the model's own training run as any other data: its val split or --val-folder, "
            "or all images of data without splits. Default: only the images that the run held out.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="PRECISION",
            help="Also run the same images in this precision, such as fp32, and print the difference of top-1.",
        ),
    ] = None,
    against_model: AgainstModel = None,
    image_size: flags.ImageSize = None,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    debug: flags.Debug = False,
) -> None:
    """Measure accuracy and calibration of a model on labelled images.

    It prints top-1 and top-5 with 95 % intervals, the calibration error, and the accuracy of classes.

    With --against or --against-model it also prints the difference of top-1, with its 95 % interval. The difference is
    paired: both run the same images.

    By default it ignores the EXIF orientation, like timm. classify, embed and train apply it.

    Exit status: 0 all images were read, 1 some images were not read and not counted, 2 the command could not run or no
    image was read.
    """
    from gmixer.cli.against import open_against
    from gmixer.cli.opening import open_model
    from gmixer.cli.terminal import own_stderr
    from gmixer.evaluate.predictions import write_predictions
    from gmixer.evaluate.validate import validate as validate_on
    from gmixer.rows.progress import progress_bar
    from gmixer.rows.writer import check_output

    if output:
        check_output(output)
    predictor = open_model(model, weights, reading, runtime, image_size)
    other = None
    if against is not None or against_model is not None:
        other = open_against(predictor, against_model, weights, runtime, against, image_size)
    set_name = of.value if of else None
    with own_stderr(), progress_bar("images") as bar:
        validated = validate_on(
            predictor,
            data,
            set_name,  # type: ignore[arg-type] # the same names
            real_labels=real_labels,
            val_folder=val_folder,
            all_images=all_images,
            against=other,
            on_progress=bar.update,
        )
    if as_json:
        typer.echo(json.dumps(validated.to_dict()))
    else:
        _show(validated, per_class=per_class)
    if output:  # last, so that the results are shown even if the disk is full
        write_predictions(validated, output)
    raise typer.Exit(1 if validated.unreadable else 0)


def _show(validated: Validated, *, per_class: bool) -> None:
    from gmixer.evaluate.noted_images import in_words
    from gmixer.evaluate.outcomes import SHOWN
    from gmixer.rows.text import printable

    print(f"{validated.model} on {printable(validated.source)}")
    print(f"  {validated.pipeline}")
    print(f"top-1  {validated.top1}")
    if len(validated.labels) > SHOWN:  # with fewer classes, top-5 is always 100 %
        print(f"top-5  {validated.top5}")
    print(f"calibration error  {validated.calibration_error:.2%}")
    for compared in validated.compared():
        place = "inside the interval" if compared.inside else "outside the interval"
        print(f"published {compared.what}  {compared.expected:.2%}, measured {compared.difference:+.2%}, {place}")
    for note in (*validated.images.notes, *in_words(validated.notes)):
        print(printable(note))
    if validated.uncounted:
        print(f"{validated.uncounted:,} images without a label are not counted")
    show_classes(validated.classes, [label.name for label in validated.labels], all_of_them=per_class)
    if paired := validated.against:
        print(f"against {printable(paired.model)} {paired.runtime}")
        print(f"  top-1  {paired.top1}")
        print(f"  difference  {paired}")
        print(f"  images that are right only here: {paired.only_first:,}; only there: {paired.only_against:,}")
    for error in validated.unreadable[:LISTED]:
        print(f"not counted, cannot be read: {printable(str(error))}")
    if len(validated.unreadable) > LISTED:
        print(f"… and {len(validated.unreadable) - LISTED:,} more; -o lists all")
