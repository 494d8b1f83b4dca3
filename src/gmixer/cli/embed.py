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
    name: options.Name = None,
    image_size: options.ImageSize = None,
    threads: options.Threads = None,
    orientation: options.Orient = options.Orientation.apply,
    allow_pickle: options.AllowPickle = False,
    isolate: options.Isolate = False,
    fast_decode: options.FastDecode = False,
    debug: options.Debug = False,
) -> None:
    """Turn pictures into vectors: an .npz file for numpy.load.

    vectors (pictures, channels) float32 and paths belong together row by row; pictures that could not be read stand in
    failed_paths, failed_kinds and failed_messages; model and image_px say who made the vectors, at which
    image size.

    Exit status: 0 all pictures were read, 1 some were not, 2 the command could not run.
    """
    import tempfile
    from functools import partial

    import numpy as np

    from gmixer.cli.report import HANDFUL, open_progress, printable
    from gmixer.cli.terminal import own_stderr
    from gmixer.errors import ImageError
    from gmixer.sources.inputs import Inputs

    if output.suffix != ".npz":
        raise typer.BadParameter(f"{output} does not end in .npz, the one format written", param_hint="--output")
    if output.is_dir():
        raise typer.BadParameter(f"{output} is a folder; wanted the name of a file", param_hint="--output")
    try:  # before the work, not after it; renamed at the end: never half a file
        unfinished = tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False)  # noqa: SIM115
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}", param_hint="--output") from error

    good_paths: list[str] = []
    vectors: list[np.ndarray] = []
    failures: list[tuple[str, ImageError]] = []
    try:
        predictor = options.open_predictor(
            model,
            name=name,
            image_size=image_size,
            threads=threads,
            orientation=orientation,
            allow_pickle=allow_pickle,
            isolate=isolate,
            fast_decode=fast_decode,
            chatty=True,
            allow_urls=True,
        )
        inputs = Inputs(paths, predictor.preprocess.reading)
        with own_stderr(), open_progress(inputs):
            for path, result in inputs.results(partial(predictor.stream, k=1)):
                if isinstance(result, ImageError):
                    failures.append((path, result))
                else:
                    good_paths.append(path)
                    vectors.append(result.embedding.vectors)
        with unfinished as file:
            np.savez(
                file,
                vectors=np.array(vectors, np.float32).reshape(len(vectors), predictor.model.channels),
                paths=np.array(good_paths, np.str_),
                failed_paths=np.array([path for path, _ in failures], np.str_),
                failed_kinds=np.array([failure.kind for _, failure in failures], np.str_),
                failed_messages=np.array([failure.reason for _, failure in failures], np.str_),
                model=np.array(predictor.name),
                image_px=np.array(predictor.model.image_px),
            )
        os.chmod(unfinished.name, 0o666 & ~_umask())
        os.replace(unfinished.name, output)
    finally:
        Path(unfinished.name).unlink(missing_ok=True)
    for path, failure in failures if len(failures) <= HANDFUL else ():  # the file names them all
        typer.echo(f"{printable(path)}: {failure.reason}", err=True)
    written = f"{output}: {len(vectors)} × {predictor.model.channels} float32"
    typer.echo("; ".join(filter(None, [written, inputs.summary()])), err=True)
    raise typer.Exit(1 if failures else 0)


def _umask() -> int:
    """What new files get; a temporary file is for its owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
