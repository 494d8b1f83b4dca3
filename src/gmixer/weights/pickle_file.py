"""A `.pth` file, as torch.save writes it. It is read only if the caller allows pickles, by torch's restricted reader.

`weights_only=True` builds tensors and plain containers, and calls nothing else. It had security holes
(GHSA-63cw-57p8-fm3p, memory corruption, fixed in torch 2.10). So it does not protect against a hostile file;
safetensors does. Sizes are checked before and after reading, because the ZIP archive and the shapes of tensors may lie.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import WeightsError, require_torch
from gmixer.weights.class_names import NAMES_KEYS, UNREAD_KEYS, unread_names
from gmixer.weights.state_dict import tensors_in
from gmixer.weights.weights_file import TensorHeader, WeightsFile
from gmixer.weights.wrappers import model_in

if TYPE_CHECKING:
    import torch

PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar")

_SAFE_TORCH = (2, 10)  # GHSA-63cw-57p8-fm3p
_SAFETENSORS_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


class _Unread:
    """Stands for a value beside the weights, such as the best accuracy as a number of NumPy's. Nothing is computed."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


# What training programs save beside the weights. torch refuses them; here none of their own code runs.
_BESIDE_WEIGHTS = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray", "numpy._core.numeric._frombuffer", "numpy.core.numeric._frombuffer"),
    *("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
    *("datetime.datetime", "datetime.date", "datetime.timedelta"),
)


def is_pickle(path: Path) -> bool:
    """Whether the file is a pickle from torch.save. The first bytes decide, or else the name."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError:
        return path.name.endswith(PICKLE_SUFFIXES)
    if head[8:] == b"{":  # safetensors: its first 8 bytes are a length, and can have any value
        return False
    return head.startswith((b"PK\x03\x04", b"\x80")) or path.name.endswith(PICKLE_SUFFIXES)


class PickleFile(WeightsFile):
    """The model's tensors, in memory. Raises WeightsError, MissingExtraError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = [path]
        loaded = _load(path)
        stored = tensors_in(loaded, source=str(path))
        if named := unread_names(loaded, (*NAMES_KEYS, *UNREAD_KEYS)):
            warnings.warn(  # checkpoints have no common key or form for them
                f"{path}: class names under {named!r} are not read from a checkpoint; gmixer.save_model(model, folder, "
                f"class_names=…) keeps them with the weights",
                stacklevel=5,
            )
        names = model_in(stored, source=str(path))
        self.part = names.part
        self._state = {own: stored[name] for name, own in names.own_names.items()}
        self.headers = {name: _header(path, name, tensor) for name, tensor in self._state.items()}
        claimed = sum(tensor.numel() * tensor.element_size() for tensor in self._state.values())
        if claimed > (held := path.stat().st_size):  # with a stride of 0, four bytes can claim to be a terabyte
            raise WeightsError(
                f"{path}: its tensors claim {claimed:,} bytes, and the whole file holds {held:,}; wanted a checkpoint "
                f"that torch.save wrote"
            )

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for name, tensor in self._state.items():
            yield name, tensor.detach().float().contiguous().numpy()


def _load(path: Path) -> Any:
    import argparse  # imported here, because every start of the command imports this module

    with require_torch(f"{path} is a pickle, and reading it"):
        import torch
    version = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
    if version < _SAFE_TORCH:
        raise WeightsError(
            f"{path}: torch {torch.__version__} reads pickles unsafely; wanted 2.10 or newer: pip install -U torch"
        )
    _check_zip(path)
    allowed: list[Any] = [argparse.Namespace, *((_Unread, name) for name in _BESIDE_WEIGHTS)]  # timm saves a Namespace
    try:
        # Open, because torch takes the path of any `.safetensors` for that format.
        with open(path, "rb") as file, warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise errors of any type
        raise WeightsError(f"{path}: {_reason(path, error)}") from error


def _check_zip(path: Path) -> None:
    """Refuses compression, which torch.save never uses. A compressed entry can unpack to 1,000 times its size."""
    import zipfile  # 2 ms, which a start of the command does not need

    try:
        if not zipfile.is_zipfile(path):
            return  # torch's older format, or a file that torch.load refuses
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path}: is a damaged archive; fetch or copy it again") from error
    unpacked = sum(entry.file_size for entry in entries)
    if any(entry.compress_type for entry in entries) or unpacked > path.stat().st_size:
        raise WeightsError(
            f"{path}: is a compressed archive of {unpacked:,} bytes unpacked; wanted the uncompressed archive that "
            f"torch.save writes"
        )


def _header(path: Path, name: str, tensor: torch.Tensor) -> TensorHeader:
    import torch

    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        kind = "quantized" if tensor.is_quantized else f"{tensor.layout} on {tensor.device.type}".removeprefix("torch.")
        raise WeightsError(f"{path}: {name} is {kind}; wanted plain tensors: save model.float().state_dict()")
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorHeader(tuple(tensor.shape), _SAFETENSORS_DTYPES.get(dtype, dtype))


def _reason(path: Path, error: Exception) -> str:
    """Why torch refused the file, from what the file asks for. torch's own message is not shown."""
    asked = list(_globals_of(path))
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if any(name.startswith("torch.nn.modules.") for name in asked):
        kind = (refused[1] if refused else asked[0]).rpartition(".")[2]
        return (
            f"holds a whole pickled model ({kind}), which is program code too, not its weights alone; in the program "
            f"that wrote it, save the weights: safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
        )
    if refused:
        return (
            f"was refused: it asks for {refused[1]}, which weights do not need, and which may run any code; take the "
            f"weights as .safetensors, from an author you trust"
        )
    return (
        "is no checkpoint that torch can read safely: it is cut short, damaged, or not written by torch.save; fetch or "
        "copy it again, or take a .safetensors file"
    )


def _globals_of(path: Path) -> Iterator[str]:
    """The classes and functions that the pickle asks for, as torch.save writes them. Nothing is executed."""
    import pickletools
    import zipfile

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entry = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                streams = io.BytesIO(archive.read(entry))
        else:
            streams = io.BytesIO(path.read_bytes())  # the older form: several pickles, then the numbers
        strings: list[str] = []
        while True:
            for opcode, argument, _ in pickletools.genops(streams):
                if opcode.name == "GLOBAL":
                    yield str(argument).replace(" ", ".")
                elif opcode.name == "STACK_GLOBAL":  # of plain pickle; its two names stand before it
                    yield ".".join(strings[-2:])
                elif isinstance(argument, str):
                    strings.append(argument)
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile):
        return
