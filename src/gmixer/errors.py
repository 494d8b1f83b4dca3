"""Every error gmixer raises on purpose.

    GmixerError
    ├── ImageError        a picture cannot be had: .kind, .reason, .source
    ├── WeightsError      a weights file does not fit: names the file, says got, wanted and the way out
    ├── UnknownModelError no such model or tag; names what exists (also a RuntimeError, as timm's)
    ├── InputError        an argument has the wrong type, shape or value (also a ValueError)
    ├── EngineError       a runtime cannot run as asked: instruction set, threads, a device
    ├── MissingExtraError a package of one of gmixer's extras is not installed (also an ImportError)
    └── Interrupted       a training run was asked to stop, and can go on

A message says what came in, what was wanted, and the way out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

ImageErrorKind = Literal[
    "missing",  # no such file
    "unreadable",  # the operating system refused: permissions, a folder, an I/O error
    "empty",  # zero bytes
    "not_image",  # the first bytes are of no image format
    "unsupported",  # an image, but in a form that gmixer does not read
    "too_large",  # more bytes, pixels, frames or pieces than the limits allow; known before decoding
    "corrupt",  # the decoder gave up: truncated or damaged
    "refused",  # gmixer will not read from there: a private address, a link inside an archive
    "timeout",  # fetching or decoding took longer than the limit
    "crashed",  # the decoder's process died (isolate)
]
IMAGE_ERROR_KINDS: tuple[str, ...] = get_args(ImageErrorKind)


class GmixerError(Exception):
    """The root: `except gmixer.GmixerError` catches everything gmixer raises on purpose."""


class ImageError(GmixerError):
    """A picture cannot be had.

    kind: one of IMAGE_ERROR_KINDS.
    reason: one sentence without the file's name.
    source: the path as given, or "<bytes>", "<stdin>", ….
    """

    def __init__(self, kind: ImageErrorKind, reason: str, source: str) -> None:
        super().__init__(kind, reason, source)  # the arguments themselves, so that it pickles
        self.kind: ImageErrorKind = kind
        self.reason = reason
        self.source = source

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class WeightsError(GmixerError):
    """A weights file is missing, damaged, or not of the architecture asked for."""


class UnknownModelError(GmixerError, RuntimeError):
    """No model or tag of that name."""


class InputError(GmixerError, ValueError):
    """An argument has the wrong type, shape or value."""


class EngineError(GmixerError):
    """A runtime, native or torch, cannot run as asked; or no process to decode in can be started (isolate)."""


class MissingExtraError(GmixerError, ImportError):
    """A package is not installed that comes with one of gmixer's extras; the message has the pip command."""


class Interrupted(GmixerError):
    """A training run was asked to stop; its checkpoint is written."""


def missing_extra(what: str, package: str, extra: str) -> MissingExtraError:
    return MissingExtraError(f"{what} needs {package}: pip install 'gmixer[{extra}]'")


@contextmanager
def require_torch(what: str) -> Iterator[None]:
    """Around an import: a missing torch or torchvision becomes the MissingExtraError that says `what` needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision"):
            raise
        raise missing_extra(what, error.name, "torch") from error
