"""gmixer embed"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.errors import ImageError
    from gmixer.options import Native, Reading, Torch, WeightsSource
    from gmixer.predictor import ImageOutput


@flags.shared_flags()
def embed(
    *,
    paths: flags.Paths,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The .npz file to write. Its arrays are vectors, paths, notes, failed_paths, failed_kinds, "
            "failed_messages, model, image_px and precision.",
        ),
    ],
    model: flags.Model = flags.AUTO,
    image_size: flags.ImageSize = None,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    debug: flags.Debug = False,
) -> None:
    """Turn images into vectors: an .npz file for numpy.load.

    vectors has the shape (images, channels) and the type float32. Row i of vectors belongs to entry i of paths.

    notes says for each of these images what you may not expect of it, or "".

    failed_paths, failed_kinds and failed_messages list the images that could not be read.

    model, image_px and precision name the model, its input size and the precision that it ran in.

    Exit status: 0 all images were read, 1 some images could not be read or a folder or an archive holds none, 2 the
    command could not run.
    """
    from dataclasses import replace

    from gmixer.cli.opening import HANDFUL, best_model, file_progress, open_model, show_note
    from gmixer.cli.terminal import own_stderr
    from gmixer.errors import ImageError
    from gmixer.rows.npz import FORMAT, open_npz
    from gmixer.rows.text import printable
    from gmixer.rows.writer import check_output
    from gmixer.sources.inputs import Inputs

    check_output(output, (FORMAT,))
    source, reading = best_model(model, chatty=True), replace(reading, allow_urls=True)
    predictor = open_model(source, weights, reading, runtime, image_size)
    inputs = Inputs(paths, reading)
    failures: list[tuple[str, ImageError]] = []
    about: dict[str, str | int] = {
        "model": predictor.name,
        "image_px": predictor.model.image_px,
        "precision": predictor.precision,
    }
    writing = open_npz(output, channels=predictor.model.channels, about=about)
    with own_stderr(), writing as writer, file_progress(inputs):
        for path, result in inputs.results(predictor.outputs):
            writer.write([_row(path, result)])
            if isinstance(result, ImageError):
                failures.append((path, result))
            elif result.note:
                show_note(path, result.note)
    for path, failure in failures if len(failures) <= HANDFUL else ():  # the file names all of them
        typer.echo(f"{printable(path)}: {failure.reason}", err=True)
    written = f"{output}: {inputs.answered - inputs.failed} × {predictor.model.channels} float32"
    typer.echo(printable("; ".join(filter(None, [written, inputs.summary()]))), err=True)
    raise typer.Exit(1 if failures else 0)


def _row(path: str, result: ImageOutput | ImageError) -> dict[str, Any]:
    if isinstance(result, Exception):
        return {"path": path, "error_kind": result.kind, "error_message": result.reason}
    return {"path": path, "vector": result.features_C, "note": result.note}
