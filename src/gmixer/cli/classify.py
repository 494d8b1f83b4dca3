"""gmixer classify"""

from __future__ import annotations

from typing import Annotated

import typer

from gmixer.cli import options


def classify(
    paths: options.Paths,
    k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many classes to show for each picture.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, errors included.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header, one row a picture.")] = False,
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Show only classes with at least this probability.")
    ] = 0.0,
    rollup: Annotated[
        bool,
        typer.Option("--rollup", help="Also show what the classes have in common, such as dog, by their sum."),
    ] = False,
    rollup_at: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="The sum from which --rollup shows it; default 0.5. Said alone, it means --rollup too.",
        ),
    ] = None,
    model: options.Model = options.AUTO,
    name: options.Name = None,
    image_size: options.ImageSize = None,
    threads: options.Threads = None,
    orientation: options.Orient = options.Orientation.apply,
    allow_pickle: options.AllowPickle = False,
    isolate: options.Isolate = False,
    fast_decode: options.FastDecode = False,
    debug: options.Debug = False,
) -> None:
    """Name what pictures show: the most probable classes of each.

    Exit status: 0 all pictures were read, 1 some were not, 2 the command could not run.
    """
    from functools import partial

    from gmixer.cli.report import open_report
    from gmixer.cli.terminal import own_stderr
    from gmixer.sources.inputs import Inputs

    if as_json and as_csv:
        raise typer.BadParameter("take one of --json and --csv")
    predictor = options.open_predictor(
        model,
        name=name,
        image_size=image_size,
        threads=threads,
        orientation=orientation,
        allow_pickle=allow_pickle,
        isolate=isolate,
        fast_decode=fast_decode,
        chatty=not (as_json or as_csv),
        allow_urls=True,
    )
    predictor.require_classes()
    if rollup and rollup_at is None:
        rollup_at = 0.5
    if rollup_at is not None:
        predictor.require_rollup(rollup_at)
    inputs = Inputs(paths, predictor.preprocess.reading)
    classes = min(k, predictor.model.num_classes)
    with (
        own_stderr(),
        open_report(inputs, k=classes, rollup=rollup_at is not None, as_json=as_json, as_csv=as_csv) as report,
    ):
        for path, result in inputs.results(partial(predictor.stream, k=k, rollup_at=rollup_at)):
            report.row(path, result.prediction.above(threshold) if not isinstance(result, Exception) else result)
    raise typer.Exit(1 if inputs.failed else 0)
