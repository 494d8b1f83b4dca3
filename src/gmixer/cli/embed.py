"""gmixer embed"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gmixer.cli import options


def embed(
    paths: options.Paths,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The .npz file to write: vectors, paths, failed_paths, failed_kinds, …"),
    ],
    model: options.Model = options.AUTO,
    threads: options.Threads = None,
    orientation: options.Orient = options.Orientation.apply,
    debug: options.Debug = False,
) -> None:
    """Turn pictures into vectors: an .npz file for numpy.load.

    vectors (pictures, channels) float32 and paths belong together row by row; pictures that could not be read stand in
    failed_paths, failed_kinds and failed_messages; model says who made the vectors.

    Exit status: 0 all pictures were read, 1 some were not, 2 the command could not run.
    """
    import numpy as np

    from gmixer.cli.inputs import Inputs
    from gmixer.cli.report import open_progress
    from gmixer.errors import ImageError

    if output.suffix != ".npz":
        raise typer.BadParameter(f"{output} does not end in .npz, the one format written", param_hint="--output")
    unfinished = output.with_name(f".{output.name}.unfinished")  # renamed at the end: never half a file
    try:
        unfinished.touch()
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}", param_hint="--output") from error

    try:
        predictor = options.open_predictor(model, threads=threads, orientation=orientation, say_which=True)
        inputs = Inputs(paths, max_bytes=predictor.preprocess.limits.max_bytes)
        good_paths: list[str] = []
        vectors: list[np.ndarray] = []
        failures: list[tuple[str, ImageError]] = []
        with open_progress(inputs):
            for path, result in inputs.results(predictor, k=1):
                if isinstance(result, ImageError):
                    failures.append((path, result))
                    continue
                good_paths.append(path)
                vectors.append(result.embedding.vectors)
        with open(unfinished, "wb") as file:
            np.savez(
                file,
                vectors=np.array(vectors, np.float32).reshape(len(vectors), predictor.model.channels),
                paths=np.array(good_paths, np.str_),
                failed_paths=np.array([path for path, _ in failures], np.str_),
                failed_kinds=np.array([failure.kind for _, failure in failures], np.str_),
                failed_messages=np.array([failure.reason for _, failure in failures], np.str_),
                model=np.array(predictor.name),
            )
        os.replace(unfinished, output)
    finally:
        unfinished.unlink(missing_ok=True)
    for path, failure in failures:
        typer.echo(f"{path}: {failure.reason}", err=True)
    typer.echo(f"{output}: {len(vectors)} × {predictor.model.channels} float32", err=True)
    raise typer.Exit(1 if failures else 0)
