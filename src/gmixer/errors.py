"""Every error gmixer raises on purpose.

    GmixerError
    ├── ImageError        an image cannot be read: .kind, .reason, .source
    ├── WeightsError      a weights file is missing, damaged, or does not fit the model
    ├── UnknownModelError no such model or tag; lists the closest names (also a RuntimeError, as in timm)
    ├── InputError        an argument has the wrong type, shape or value (also a ValueError)
    ├── EngineError       a runtime cannot use the instruction set, the threads or the device
    ├── MissingExtraError a package of one of gmixer's extras is not installed (also an ImportError)
    └── Interrupted       a training run was stopped, and can be resumed

A message has three parts: what gmixer got, what it wanted, and the way out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, get_args

ImageErrorKind = Literal[
    "missing",  # the file does not exist
    "unreadable",  # the file or URL could not be read: permissions, a folder, an I/O error, a 404
    "empty",  # the file has zero bytes
    "not_image",  # the first bytes belong to no image format
    "unsupported",  # an image in a form that gmixer does not read
    "too_large",  # more bytes, pixels, frames or structure than the limits allow; found before decoding
    "corrupt",  # the decoder failed: the file is truncated or damaged
    "refused",  # gmixer does not read from that place: a private address, a link inside an archive
    "timeout",  # fetching or decoding took longer than the limit
    "crashed",  # the decoding process died (isolate)
]
IMAGE_ERROR_KINDS: tuple[str, ...] = get_args(ImageErrorKind)


class GmixerError(Exception):
    """The base class: `except gmixer.GmixerError` catches every error that gmixer raises on purpose."""


class ImageError(GmixerError):
    """An image cannot be read.

    kind: one of IMAGE_ERROR_KINDS.
    reason: one sentence without the name of the file.
    source: the path as the caller gave it, or "<bytes>", "<stdin>", ….
    """

    def __init__(self, kind: ImageErrorKind, reason: str, source: str) -> None:
        super().__init__(kind, reason, source)  # these three arguments, so that the error can be pickled
        self.kind: ImageErrorKind = kind
        self.reason = reason
        self.source = source

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class WeightsError(GmixerError):
    """A weights file is missing, damaged, or has another architecture than the model."""


class UnknownModelError(GmixerError, RuntimeError):
    """No model and no tag has that name."""


class InputError(GmixerError, ValueError):
    """An argument has the wrong type, shape or value."""


class EngineError(GmixerError):
    """A runtime, native or torch, cannot run as requested; or no decoding process can be started (isolate)."""


class MissingExtraError(GmixerError, ImportError):
    """A package of one of gmixer's extras is not installed. The message has the pip command."""


class Interrupted(GmixerError):
    """A training run was stopped. Its checkpoint is written."""


# Python's own exceptions, which say nothing about a file. A library writes its sentences into its own exceptions, or
# into OSError, RuntimeError, EOFError or NotImplementedError.
_OF_PYTHON = (
    ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, MemoryError, NameError, RecursionError,
    StopIteration, TypeError, UnicodeError,
)  # fmt: skip
_MOST_LETTERS = 300


def words_of(error: BaseException, otherwise: str) -> str:
    """What the operating system or a library says in an error, on one line; `otherwise` where only Python speaks.

    Python's own text, such as "list index out of range", tells a user nothing and is never part of a message.
    """
    if isinstance(error, GmixerError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return str(error.strerror)  # without number and path
    if type(error).__name__ == "JSONDecodeError":  # by name, since most starts need no json
        return f"line {getattr(error, 'lineno', 1)} is no valid JSON"
    if isinstance(error, _OF_PYTHON) or type(error) is ValueError or type(error).__module__ == "struct":
        return otherwise
    return " ".join(str(error).split())[:_MOST_LETTERS].rstrip(". ") or otherwise


def missing_extra(what: str, package: str, extra: str | None) -> MissingExtraError:
    """The error for a missing package. what: the function or option that needs it; extra: None for no extra."""
    install = f"'gmixer[{extra}]'" if extra else package
    return MissingExtraError(f"{what} needs {package}: pip install {install}")


@contextmanager
def require(what: str, extra: str | None, packages: Collection[str]) -> Iterator[None]:
    """Wraps an import. Where one of `packages` is not installed, the block raises MissingExtraError.

    what: the function or option that needs the import. extra: gmixer's extra with the package; None: no extra has it.
    A missing module of another package stays a ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in packages:
            raise
        raise missing_extra(what, package, extra) from error


def require_torch(what: str) -> AbstractContextManager[None]:
    """`require` for the extra gmixer[torch]."""
    return require(what, "torch", ("torch", "torchvision"))
