"""gmixer embed"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.bulk.part_options import PartOptions
    from gmixer.bulk.row_options import RowOptions
    from gmixer.options import Native, Reading, Storage, Torch, WeightsSource

NPZ, PARQUET, FOLDER = ".npz", ".parquet", "folder"
_FLAGS = {"part_size": "--part-size", "share": "--part"}
_OF_ANY_PARQUET = {"--list", "--dtype", "--normalize", "--classes", "--hash"}


@flags.shared_flags()
def embed(
    *,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, folders (searched with their subfolders), tar or zip archives, members of an archive "
            "(photos.tar::cat.jpg), shards (train-{000..099}.tar), Parquet files, http and https URLs, or places on "
            "object storage (s3://, gs://, az://, hf://). - reads one image from standard input."
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            help="A folder of Parquet parts, here or on object storage (out/, s3://bucket/out). Or one file: "
            "NAME.parquet or NAME.npz.",
        ),
    ],
    list_file: Annotated[
        str | None,
        typer.Option("--list", metavar="FILE", help="A list of images: .txt, .csv or .parquet (docs/bulk.md)."),
    ] = None,
    model: flags.Model = flags.AUTO,
    image_size: flags.ImageSize = None,
    rows: RowOptions,
    parts: PartOptions,
    storage: Storage,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    debug: flags.Debug = False,
) -> None:
    """Turn images into vectors, with a row for each image: Parquet, or an .npz file for numpy.load.

    A folder holds one Parquet file for each part of the images. If the command is interrupted, run it again: finished
    parts stay, and the result is the same to the byte (docs/bulk.md).

    A row holds path, bytes, version, sha256, width, height, vector, label, top_label, top_probability, predictions,
    note, error_kind and error_message. An image that could not be read has a row with its error.

    An .npz file holds vectors, paths, notes, failed_paths, failed_kinds, failed_messages, model, image_px and
    precision. Row i of vectors belongs to entry i of paths.

    Exit status: 0 all images were read, 1 some images could not be read or a folder or an archive holds none, 2 the
    command could not run, 130 interrupted.
    """
    from dataclasses import replace

    from gmixer.cli.opening import best_model, open_model
    from gmixer.errors import InputError
    from gmixer.sources.remote import is_remote

    form = _form(output)
    _check_fit(form, rows, parts, list_file)
    if form == NPZ and (remote := next(filter(is_remote, paths or ()), None)):
        raise InputError(
            f"{remote} is on object storage, which goes into Parquet; wanted -o NAME{PARQUET}, or a folder"
        )
    if not paths and list_file is None:
        raise InputError("no images are given; wanted files, folders or other places, or --list FILE")
    if parts.on is not None:
        parts = replace(parts, on=replace(parts.on, threads=getattr(runtime, "threads", None) or 1))
    source, reading = best_model(model, chatty=True), replace(reading, allow_urls=True)
    predictor = open_model(source, weights, reading, runtime, image_size)
    if form == NPZ:
        from gmixer.cli.embed_npz import embed_npz

        failed = embed_npz(paths or [], Path(output), predictor)
    else:
        from gmixer.cli.embed_parquet import Sources, embed_parquet

        sources = Sources(paths or [], list_file, storage)
        failed = embed_parquet(sources, output, predictor, rows, None if form == PARQUET else parts)
    raise typer.Exit(1 if failed else 0)


def _form(output: str) -> str:
    """NPZ, PARQUET, or FOLDER. Raises InputError for a name that is no file which can be written here."""
    from gmixer.errors import InputError
    from gmixer.rows.writer import check_output
    from gmixer.sources.address import is_local

    form = Path(output).suffix
    if output.endswith("/") or (form not in (NPZ, PARQUET) and not is_local(output)):
        return FOLDER
    if not is_local(output):
        raise InputError(f"{output} is one file on object storage; wanted a folder of parts there: take off {form}")
    if form in (NPZ, PARQUET):
        check_output(Path(output), (NPZ, PARQUET))
        return form
    if form and not Path(output).is_dir():  # out.csv is hardly meant to be a folder
        raise InputError(
            f"{output} ends in {form}; wanted {NPZ}, {PARQUET}, or a folder, which may have any name with / at its end"
        )
    return FOLDER


def _check_fit(form: str, rows: RowOptions, parts: PartOptions, list_file: str | None) -> None:
    """Raises InputError for an option that this form of output does not have."""
    from gmixer.bulk.part_options import PartOptions
    from gmixer.bulk.row_options import RowOptions
    from gmixer.errors import InputError

    flags_of: dict[str, object] = {}
    if form == NPZ:
        flags_of |= {"--list": list_file is not None} | _given(rows, RowOptions())
    if form != FOLDER:
        flags_of |= _given(parts, PartOptions())
    for flag, is_given in flags_of.items():
        if is_given:
            wanted = f"NAME{PARQUET} or a folder" if flag in _OF_ANY_PARQUET else "a folder"
            raise InputError(f"{flag} is given, and the output is one {form} file; wanted {wanted}, or no {flag}")


def _given(options: object, defaults: object) -> dict[str, bool]:
    """Whether each flag has another value than its default."""
    from dataclasses import asdict

    values = asdict(defaults)  # type: ignore[call-overload]
    return {_FLAGS.get(name, f"--{name}"): getattr(options, name) != value for name, value in values.items()}
