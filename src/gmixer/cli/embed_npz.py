"""The .npz file of gmixer embed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from gmixer.errors import ImageError
    from gmixer.predictor import ImageOutput, Predictor


def embed_npz(paths: Sequence[str], output: Path, predictor: Predictor) -> bool:
    """Writes the file, and a summary on stderr. Returns whether some could not be read."""
    from gmixer.cli.opening import HANDFUL, file_progress, show_note
    from gmixer.cli.terminal import own_stderr
    from gmixer.errors import ImageError
    from gmixer.rows.npz import open_npz
    from gmixer.rows.text import printable
    from gmixer.sources.inputs import Inputs

    inputs = Inputs(paths, predictor.preprocess.reading)
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
    return bool(failures)


def _row(path: str, result: ImageOutput | ImageError) -> dict[str, Any]:
    if isinstance(result, Exception):
        return {"path": path, "error_kind": result.kind, "error_message": result.reason}
    return {"path": path, "vector": result.features_C, "note": result.note}
