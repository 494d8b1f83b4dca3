"""gmixer classify"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.options import Native, Reading, Torch, WeightsSource

ROLLUP_AT = 0.5


@flags.shared_flags()
def classify(
    *,
    paths: flags.Paths,
    k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many classes to show per image.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per image, also for errors.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header and one row per image.")] = False,
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Show only classes with at least this probability.")
    ] = 0.0,
    rollup: Annotated[
        bool,
        typer.Option("--rollup", help="Also list WordNet parent categories, such as dog, with their probabilities."),
    ] = False,
    rollup_at: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="List parent categories that reach this probability. Implies --rollup. Default: 0.5.",
        ),
    ] = None,
    model: flags.Model = flags.AUTO,
    image_size: flags.ImageSize = None,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    debug: flags.Debug = False,
) -> None:
    """Classify images: print the most probable classes of each image.

    Exit status: 0 all images were read, 1 some images could not be read, 2 the command could not run.
    """
    from dataclasses import replace
    from functools import partial

    from gmixer.cli.opening import best_model, file_progress, open_model, show_note
    from gmixer.cli.terminal import own_stderr
    from gmixer.rows.answers import Answer, open_answers
    from gmixer.sources.inputs import Inputs

    if as_json and as_csv:
        raise typer.BadParameter("take one of --json and --csv")
    chatty = not (as_json or as_csv)
    source, reading = best_model(model, chatty=chatty), replace(reading, allow_urls=True)
    predictor = open_model(source, weights, reading, runtime, image_size, chatty=chatty)
    predictor.require_classes()
    if rollup and rollup_at is None:
        rollup_at = ROLLUP_AT
    if rollup_at is not None:
        predictor.require_rollup(rollup_at)
    inputs = Inputs(paths, reading)
    view = open_answers(
        as_json=as_json, as_csv=as_csv, k=min(k, predictor.model.num_classes), rollup=rollup_at is not None
    )
    with own_stderr(), file_progress(inputs, view.console):
        for path, result in inputs.results(partial(predictor.stream, k=k, rollup_at=rollup_at)):
            view.row(Answer(path, result if isinstance(result, Exception) else result.prediction.above(threshold)))
            if not isinstance(result, Exception) and result.prediction.note:
                show_note(path, result.prediction.note)
    if summary := inputs.summary():
        print(summary, file=sys.stderr)
    raise typer.Exit(1 if inputs.failed else 0)
