"""What a user may choose, as small frozen objects: how images are read, where weights come from, what runs the network,
and what is asked of it.

`gmixer.load` and the commands fold their flat keywords and flags into these once; every room after that takes the
objects whole. A wrong value is refused here, where it is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args

from gmixer.checks import number, one_of, probability, whole
from gmixer.errors import InputError

Orientation: TypeAlias = Literal["apply", "ignore"]
ValueRange: TypeAlias = Literal["full", "used"]
RuntimeName: TypeAlias = Literal["native", "torch"]
NativePrecision: TypeAlias = Literal["fp32", "bf16", "int8"]  # of the blocks' products; all else is float32 in each
TorchPrecision: TypeAlias = Literal["fp32", "bf16", "fp16"]
Precision: TypeAlias = Literal[NativePrecision, TorchPrecision]  # of any runtime
FP32: Literal["fp32"] = "fp32"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a file may hold at most, and what decoding may take. More is refused as "too_large", before decoding.

    max_bytes: of the file as stored.
    max_pixels: width × height; 89,000,000 decode to 267 MB of RGB.
    max_frames: of an animation or a TIFF of many pages, although only the first one is decoded.

    With Reading.isolate, and for JPEG XL:
    max_seconds: from a file's bytes to its pixels; more is a "timeout".
    max_memory_bytes: of a decoding process; more is "too_large". Enforced on Linux.

    Raises InputError unless max_seconds is a number above 0, at most 86,400, and the others whole numbers above 0.
    """

    max_bytes: int = 64 * 2**20  # guessed: four times the JPEG of a 100-megapixel camera
    max_pixels: int = 89_000_000  # just below the size at which Pillow begins to warn (89,478,485)
    max_frames: int = 1_000  # guessed: 40 s of animation at 25 frames per second
    max_seconds: float = 30  # the slowest images of 89 megapixels took 8 s, on two cores that six programs shared
    max_memory_bytes: int = 2 * 2**30  # 89 megapixels of WebP with alpha fit 1.5 GiB, all else that was tried 1.25

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if limit.name == "max_seconds":
                number("Limits.max_seconds", value, above=0, most=86_400)
            else:
                whole(f"Limits.{limit.name}", value, least=1)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How images are read and decoded.

    limits: a file that holds more is refused.
    orientation: "apply" turns an image as its EXIF data says; "ignore" leaves it, which is timm's behaviour.
    range: of values with more than 8 bits, where the file does not state it. "full" is that of their type, 0…65535 for
        16 bits. "used" is the lowest to the highest value of each image.
    allow_urls: whether an image may be an http or https URL. Only public addresses are asked.
    isolate: decode files in processes of their own, to the same pixels. A file that hangs the decoder, crashes it or
        fills the memory then costs only its own result; limits has the time and the memory. JPEG XL is always decoded
        in this way.
    fast_decode: decode large JPEGs at a half, a quarter or an eighth of their size: faster, and not timm's pixels
        (docs/images.md).

    Raises InputError for an orientation or a range that does not exist, and for limits that are no Limits.
    """

    limits: Limits = DEFAULT_LIMITS
    orientation: Orientation = "apply"
    range: ValueRange = "full"
    allow_urls: bool = False
    isolate: bool = False
    fast_decode: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.limits, Limits):
            raise InputError(f"limits is {self.limits!r}; wanted a gmixer.Limits, such as Limits(max_pixels=10**6)")
        one_of("orientation", self.orientation, get_args(Orientation))
        one_of("range", self.range, get_args(ValueRange))


DEFAULT_READING = Reading()


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsSource:
    """Where weights may come from, and what they may be.

    name: which pretrained model a bare file is, where its shape fits several.
    allow_pickle: read a `.pth` file too (extra `gmixer[torch]`), with weights_only=True.
    cache_dir: the Hub's cache; None: the user's own.
    fetch: fetch from the Hub what its cache lacks; otherwise the network is never touched.

    Raises InputError for a name that is no string.
    """

    name: str | None = None
    allow_pickle: bool = False
    cache_dir: str | os.PathLike[str] | None = None
    fetch: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str | None):
            raise InputError(f"name is {self.name!r}; wanted the name of a pretrained model, or None")


@dataclass(frozen=True, kw_only=True, slots=True)
class Native:
    """The native core runs the network.

    precision: "fp32", "bf16" or "int8", of the products; None takes what the weights are stored for. open_runtime
        raises EngineError if this CPU has no kernels for it.
    threads: None takes what affinity and the control group allow.
    isa: "avx512", "avx2", "neon" or "scalar"; None takes $GMIXER_ISA, else the best that this CPU has.

    Raises InputError for a precision that the native core does not offer.
    """

    precision: NativePrecision | None = None
    threads: int | None = None
    isa: str | None = None

    def __post_init__(self) -> None:
        _offered(self.precision, get_args(NativePrecision), "native", get_args(TorchPrecision), "torch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Torch:
    """PyTorch runs the network (extra `gmixer[torch]`).

    device: such as "cpu", "cuda", "cuda:1".
    precision: "fp32", "bf16" or "fp16", of the products; None takes what the weights are stored for. Sums are float32
        in each.
    compile: pass the network to torch.compile.

    Raises InputError for a precision that PyTorch does not offer here.
    """

    device: str = "cpu"
    precision: TorchPrecision | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        _offered(self.precision, get_args(TorchPrecision), "torch", get_args(NativePrecision), "native")


def _offered(precision: object, own: Sequence[str], runtime: str, others: Sequence[str], other: str) -> None:
    """Raises InputError unless `precision` is None or one of `own`. others: what the other runtime offers."""
    if precision is None or precision in own:
        return
    way_out = "leave it out"
    if precision in others:
        way_out += f", or pass runtime={other!r} (--runtime {other}), which computes in {precision}"
    raise InputError(f"precision is {precision!r}; the {runtime} runtime computes in {', '.join(own)}: {way_out}")


_RUNTIMES: dict[str, type[Native] | type[Torch]] = {"native": Native, "torch": Torch}
# The defaults of gmixer.load.
_NOT_GIVEN = {"threads": None, "isa": None, "device": None, "precision": None, "compile": False}


def runtime_options(runtime: RuntimeName, **given: Any) -> Native | Torch:
    """The options of one runtime, from flat keywords. A value of _NOT_GIVEN was not given.

    Raises InputError for a runtime that does not exist, an option that only the other runtime has, or a wrong value.
    """
    if runtime not in list(_RUNTIMES):
        raise InputError(f"runtime is {runtime!r}; wanted {' or '.join(map(repr, _RUNTIMES))}")
    given = {o: value for o, value in given.items() if o not in _NOT_GIVEN or value is not _NOT_GIVEN[o]}
    own = [field.name for field in fields(_RUNTIMES[runtime])]
    for option, value in given.items():
        if option not in own:
            (other,) = (name for name, kind in _RUNTIMES.items() if option in [field.name for field in fields(kind)])
            raise InputError(
                f"{option}={value!r} is for runtime={other!r}, not {runtime!r}: leave it out, or pass "
                f"runtime={other!r} (--runtime {other})"
            )
    return _RUNTIMES[runtime](**given)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """What a result should hold.

    k: how many of the most probable classes.
    rollup_at: also list the WordNet parent categories whose classes together reach this probability; None: none.

    Raises InputError unless k is a whole number above 0, and rollup_at None or a probability above 0, at most 1.
    """

    k: int = 5
    rollup_at: float | None = None

    def __post_init__(self) -> None:
        whole("k", self.k, least=1)
        if self.rollup_at is not None:
            probability("rollup_at", self.rollup_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """How object storage is reached: s3://, gs://, az:// and hf:// (extra `gmixer[cloud]`).

    options: of the package that fsspec uses for the scheme. For MinIO and R2, s3fs takes {"endpoint_url": "https://…"};
        for public buckets {"anon": true}. Keys come from the environment, as each package documents it. The options are
        in no output, and not in the object's repr.

    Raises InputError unless options is a mapping with names.
    """

    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.options, Mapping) or not all(isinstance(name, str) for name in self.options):
            raise InputError('storage options are no JSON object; wanted names and values, such as {"anon": true}')


DEFAULT_STORAGE = Storage()
