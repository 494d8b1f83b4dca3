"""The flags that commands share, and the decorator that hands a command objects instead of flags.

A command with a parameter `weights: WeightsSource`, `reading: Reading` or `runtime: Native | Torch` gets, by
`@shared_flags()`, the flags of that object in place of the parameter. Importing this module imports no library code.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gmixer.bulk.part_options import PartOptions
    from gmixer.bulk.row_options import RowOptions
    from gmixer.options import Native, Reading, Storage, Torch, WeightsSource

AUTO = "auto"
_debug = False


def _remember_debug(wanted: bool) -> bool:
    global _debug
    _debug = _debug or wanted
    return wanted


def debug_wanted() -> bool:
    return _debug


def complete_model(incomplete: str) -> list[str]:
    from gmixer.catalogue import model_names

    return [name for name in model_names() if name.startswith(incomplete)]


def complete_model_or_auto(incomplete: str) -> list[str]:
    return [name for name in (AUTO,) if name.startswith(incomplete)] + complete_model(incomplete)


Paths = Annotated[
    list[str],
    typer.Argument(
        help="Images, folders (searched with their subfolders), tar or zip archives, members of an archive "
        "(photos.tar::cat.jpg), or http and https URLs. - reads one image from standard input."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A model name, hf-hub:organization/model, a folder with config.json and model.safetensors, or a "
        ".safetensors file. gmixer fetches a model from the Hub at its first use. auto takes gmixer_24_224.ra3_in1k if "
        "it is cached, else the embedded model.",
        autocompletion=complete_model_or_auto,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        min=1,
        help="Side of the model's input in pixels, a multiple of the patch size. Default: the size that the model was "
        "trained at. Other sizes change the answers (docs/image-size.md).",
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads for the network. Default: all that this process may use.")
]
ValFolder = Annotated[
    str | None,
    typer.Option(
        "--val-folder",
        metavar="NAME",
        help="The folder in DATA that holds the validation images, if its name does not say so (docs/datasets.md).",
    ),
]
IndexOptions = Annotated[
    str | None,
    typer.Option(
        "--index-options",
        metavar="JSON",
        help='LanceDB\'s options for an INDEX on object storage, such as \'{"aws_endpoint": "http://…"}\'.',
    ),
]
Debug = Annotated[bool, typer.Option("--debug", callback=_remember_debug, help="Show the traceback of an error.")]


def as_object(flag: str, text: str | None) -> dict[str, Any]:
    """The JSON object of a flag; {} for None. Raises InputError for other text."""
    if text is None:
        return {}
    import json

    from gmixer.errors import InputError

    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):  # the text may hold a secret, so the message does not
        raise InputError(f'{flag} is no JSON object; wanted one, such as \'{{"key": "value"}}\'')
    return value


def as_texts(options: dict[str, Any]) -> dict[str, str]:
    """With the values as LanceDB takes them: true is "true"."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()}


READING = "Reading images"
WEIGHTS = "Weights"
RUNTIME = "Runtime"
ROWS = "Rows of Parquet"
PARTS = "Parts of a folder"
STORAGE = "Object storage"


class Orientation(StrEnum):
    apply = "apply"
    ignore = "ignore"


class ValueRange(StrEnum):
    full = "full"
    used = "used"


class VectorType(StrEnum):
    float32 = "float32"
    float16 = "float16"


class RuntimeChoice(StrEnum):
    native = "native"
    torch = "torch"


def fold_reading(
    orientation: Annotated[
        Orientation,
        typer.Option(
            "--orientation",
            help="apply rotates images as their EXIF data says. ignore keeps the stored orientation, like timm.",
            rich_help_panel=READING,
        ),
    ] = Orientation.apply,
    range_: Annotated[
        ValueRange,
        typer.Option(
            "--range",
            help="For images with more than 8 bits that do not state their range. full takes 0 to 65535 for 16 bits. "
            "used takes the lowest to the highest value of each image (docs/images.md).",
            rich_help_panel=READING,
        ),
    ] = ValueRange.full,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate",
            help="Decode files in separate processes, with a limit of 30 s per file. A file that crashes or hangs the "
            "decoder then fails alone.",
            rich_help_panel=READING,
        ),
    ] = False,
    fast_decode: Annotated[
        bool,
        typer.Option(
            "--fast-decode",
            help="Decode large JPEGs at 1/2, 1/4 or 1/8 of their size: faster, with slightly different answers "
            "(docs/images.md).",
            rich_help_panel=READING,
        ),
    ] = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            "--max-pixels",
            min=1,
            help="Refuse images with more pixels. Default: 89,000,000.",
            rich_help_panel=READING,
        ),
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            "--max-bytes",
            min=1,
            help="Refuse files with more bytes. Default: 67,108,864.",
            rich_help_panel=READING,
        ),
    ] = None,
) -> Reading:
    from gmixer.options import Limits, Reading

    if max_pixels is not None:
        from gmixer.images.silence import let_pillow_read

        let_pillow_read(max_pixels)
    given = {"max_pixels": max_pixels, "max_bytes": max_bytes}
    return Reading(
        limits=Limits(**{name: value for name, value in given.items() if value is not None}),
        orientation=orientation.value,
        range=range_.value,
        isolate=isolate,
        fast_decode=fast_decode,
    )


def fold_weights(
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="The pretrained model of a .safetensors file. Needed if several models have the same shapes.",
            rich_help_panel=WEIGHTS,
        ),
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle",
            help="Also read .pth files (needs pip install 'gmixer\\[torch]'). They are pickles: use only files from "
            "people you trust.",
            rich_help_panel=WEIGHTS,
        ),
    ] = False,
) -> WeightsSource:
    from gmixer.options import WeightsSource

    return WeightsSource(name=name, allow_pickle=allow_pickle, fetch=True)


def fold_runtime(
    runtime: Annotated[
        RuntimeChoice,
        typer.Option(
            "--runtime",
            help="What runs the network: native is the native core, torch is PyTorch (needs pip install "
            "'gmixer\\[torch]').",
            rich_help_panel=RUNTIME,
        ),
    ] = RuntimeChoice.native,
    device: Annotated[
        str | None,
        typer.Option("--device", help="Only for torch: cpu, cuda, cuda:1, … Default: cpu.", rich_help_panel=RUNTIME),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="The precision of the products: fp32, bf16 or int8; for torch fp32, bf16 or fp16. Default: the one "
            "that the weights are stored for, fp32 except for folders by gmixer convert (docs/precision.md).",
            rich_help_panel=RUNTIME,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            help="Only for native: threads for the network. Default: all that this process may use.",
            rich_help_panel=RUNTIME,
        ),
    ] = None,
) -> Native | Torch:
    """Raises InputError for an option that the runtime does not use, and for an unknown precision."""
    from gmixer.options import runtime_options

    return runtime_options(runtime.value, device=device, precision=precision, threads=threads)


def fold_rows(
    dtype: Annotated[
        VectorType,
        typer.Option(
            "--dtype", help="The type of the vectors' numbers. float16 takes half the space.", rich_help_panel=ROWS
        ),
    ] = VectorType.float32,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Scale each vector to length 1.", rich_help_panel=ROWS)
    ] = False,
    classes: Annotated[
        int,
        typer.Option(
            "--classes",
            min=0,
            help="How many of the most probable classes a row holds. 0: only the first.",
            rich_help_panel=ROWS,
        ),
    ] = 5,
    hash_: Annotated[
        bool, typer.Option("--hash", help="Store the SHA-256 of each file's bytes.", rich_help_panel=ROWS)
    ] = False,
) -> RowOptions:
    from gmixer.bulk.row_options import RowOptions

    return RowOptions(dtype=dtype.value, normalize=normalize, classes=classes, hash=hash_)


def fold_parts(
    part_size: Annotated[
        int,
        typer.Option(
            "--part-size",
            min=1,
            help="Images in a part. A part is written whole or not at all.",
            rich_help_panel=PARTS,
        ),
    ] = 4_096,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="The sources have changed: make the parts with changed or removed images again, and add new images.",
            rich_help_panel=PARTS,
        ),
    ] = False,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="I/N",
            help="Make only the I-th of N shares of the parts, such as 1/8. Each of N processes makes one share.",
            rich_help_panel=PARTS,
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="ray",
            help="Make the parts on a Ray cluster (needs pip install 'gmixer\\[ray]'): ray takes the cluster of "
            "$RAY_ADDRESS or this machine, ray://HOST:PORT another one.",
            rich_help_panel=PARTS,
        ),
    ] = None,
    actors: Annotated[
        int | None,
        typer.Option(
            "--actors",
            min=1,
            help="Only with --on ray: how many processes, each with --threads processors (1). Default: as many as the "
            "cluster takes.",
            rich_help_panel=PARTS,
        ),
    ] = None,
) -> PartOptions:
    """Raises InputError for a share that is none, and for a cluster that is none."""
    from gmixer.bulk.part_options import PartOptions, Ray
    from gmixer.errors import InputError

    share = (1, 1)
    if part is not None:
        number, mark, count = part.partition("/")
        if not (mark and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise InputError(f"--part is {part!r}; wanted I/N with I from 1 to N, such as 1/8")
        share = (int(number), int(count))
    if on is None:
        if actors is not None:
            raise InputError("--actors is given without --on; wanted --on ray, or no --actors")
        return PartOptions(part_size=part_size, update=update, share=share)
    if on != "ray" and not on.startswith("ray://"):
        raise InputError(f"--on is {on!r}; wanted ray, or ray://HOST:PORT")
    ray = Ray(address=None if on == "ray" else on, actors=actors)
    return PartOptions(part_size=part_size, update=update, share=share, on=ray)


def fold_storage(
    storage_options: Annotated[
        str | None,
        typer.Option(
            "--storage-options",
            metavar="JSON",
            help='How object storage is reached, as fsspec takes it: {"anon": true} for a public bucket, '
            '{"endpoint_url": "https://…"} for MinIO and R2 (docs/bulk.md).',
            rich_help_panel=STORAGE,
        ),
    ] = None,
) -> Storage:
    """Raises InputError for anything but a JSON object. The message has no part of it, because it may hold keys."""
    import json

    from gmixer.errors import InputError
    from gmixer.options import Storage

    try:
        return Storage(options={} if storage_options is None else json.loads(storage_options))
    except json.JSONDecodeError as error:
        raise InputError(
            f"--storage-options is no JSON: {error.msg} at character {error.pos + 1}; wanted an object such as "
            "'{\"anon\": true}'"
        ) from None


FOLDS: dict[str, Callable[..., Any]] = {  # by a parameter's annotation, as it is written
    "Reading": fold_reading,
    "WeightsSource": fold_weights,
    "RowOptions": fold_rows,
    "PartOptions": fold_parts,
    "Storage": fold_storage,
    "Native | Torch": fold_runtime,
}


def shared_flags(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replaces each parameter of a type in FOLDS by the flags of its fold. The command gets the fold's result.

    defaults: of single flags, where this command differs, such as orientation=Orientation.ignore.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        folds = {p.name: FOLDS[p.annotation] for p in signature.parameters.values() if p.annotation in FOLDS}
        flags = {name: [_with_default(flag, defaults) for flag in _parameters(fold)] for name, fold in folds.items()}
        if unknown := defaults.keys() - {flag.name for group in flags.values() for flag in group}:
            raise TypeError(f"{command.__name__} has no flag {', '.join(sorted(unknown))}")

        @functools.wraps(command)
        def with_flags(**values: Any) -> None:
            objects = {
                name: fold(**{flag.name: values.pop(flag.name) for flag in flags[name]}) for name, fold in folds.items()
            }
            command(**values, **objects)

        parameters = [flag for p in _parameters(command) for flag in flags.get(p.name, [p])]
        with_flags.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_flags.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_flags

    return decorate


@functools.cache  # several commands share a fold, and every start pays for its flags
def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Each by keyword, its annotation evaluated, unless it is one of FOLDS."""
    return [
        p.replace(
            kind=inspect.Parameter.KEYWORD_ONLY,
            annotation=p.annotation if p.annotation in FOLDS else eval(p.annotation, function.__globals__),
        )
        for p in inspect.signature(function).parameters.values()
    ]


def _with_default(flag: inspect.Parameter, defaults: dict[str, Any]) -> inspect.Parameter:
    return flag.replace(default=defaults.get(flag.name, flag.default))
