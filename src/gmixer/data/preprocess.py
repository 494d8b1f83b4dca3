"""An image → the tensor that a model takes: resize, crop, scale to 0…1, normalise.

Bit-equal to timm's evaluation transform (`timm.data.create_transform(**config, is_training=False)` on a PIL image), in
the uint8 pixels and in the float32 tensor, without torch.

H height, W width of the decoded image; S the model's side, image_px; C the model's channels, in_chans: 3 is RGB, 1 is
grey, any other number means planes, passed as an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmixer import _native
from gmixer.config import DataConfig
from gmixer.data.window import resize_window, vertical_first
from gmixer.errors import ImageError, InputError
from gmixer.images.decode import ImageLike, decode, default_name
from gmixer.isa import check_isa
from gmixer.options import DEFAULT_READING, Reading

if TYPE_CHECKING:
    from gmixer.isolation.workers import Workers

# Only the window that the crop keeps is computed, so a 1x65535 line costs no more than a square. Two buffers still grow
# with the image. First, the pixels between the two passes: never more than the image in Pillow 13's order, but all rows
# of the image in earlier versions. Second, weights and lanes for a side that shrinks: 16 + 16 C bytes a pixel.
MAX_RESIZED_PIXELS = 89_000_000  # between the passes
MAX_SHRUNK_SIDE_PX = 8_388_608

FAST_MARGIN = 2  # measured, see docs/images.md: with 1 the results change more, with 4 little time is saved

_CHANNEL_NAMES = {1: ", grey", 3: ", RGB"}


class ModelInput(NamedTuple):
    """x_CSS: float32, as the model takes it. note: what a user may not expect of the decoded image, or None.

    size_px: (width, height) of the upright image. With fast_decode also, where fewer pixels were decoded.
    """

    x_CSS: NDArray[np.float32]
    note: str | None
    size_px: tuple[int, int]


@dataclass(frozen=True)
class Preprocess:
    """The evaluation transform of one DataConfig; call it with an image.

    reading: how images are read and decoded. With isolate, the decoding processes end with this object. With
        fast_decode, a JPEG is decoded at a half, a quarter or an eighth of its size. Its short side stays at least
        FAST_MARGIN times as long as after the resize. This is faster, but the pixels differ from timm's:
        docs/images.md.
    isa: the instruction set of the resize; None takes $GMIXER_ISA, else the best this CPU supports. All give the same
        bytes. Raises EngineError for one that this CPU does not support.
    """

    config: DataConfig
    reading: Reading = DEFAULT_READING
    isa: str | None = None

    def __post_init__(self) -> None:
        self._isa  # noqa: B018 - an unknown one is refused here, not at the first image
        _keep_freed_memory()
        if self.reading.isolate:
            self._workers  # noqa: B018 - made here: two threads at once would make two

    def __call__(self, image: ImageLike, *, name: str | None = None) -> NDArray[np.float32]:
        """A path, a file's bytes, a PIL image or a uint8 array → float32 (C, S, S), C-contiguous.

        name: the image's name in errors; None: the path as given, "<bytes>", "<image>" or "<array>".
        Raises as `decode` and `crop` do: ImageError of any kind, InputError.
        """
        return self.with_note(image, name=name).x_CSS

    def with_note(self, image: ImageLike, *, name: str | None = None) -> ModelInput:
        """The same tensor, the note of `decode`, and the size of the image."""
        pixels_HWC = decode(
            image,
            name=name,
            reading=self.reading,
            channels=self.config.in_chans,
            workers=self._workers if self.reading.isolate else None,
            reduce_to_px=FAST_MARGIN * self.config.resize_px if self.reading.fast_decode else 0,
        )
        height, width = pixels_HWC.shape[:2]
        x_CSS = self.from_pixels(pixels_HWC, name=name or default_name(image))
        return ModelInput(x_CSS, pixels_HWC.note, pixels_HWC.whole_px or (width, height))

    def from_pixels(self, pixels_HWC: NDArray[np.uint8], *, name: str = "<array>") -> NDArray[np.float32]:
        """Decoded pixels, uint8 (H, W, C) → float32 (C, S, S), C-contiguous.

        name: the image's name in errors. Raises as `crop` does.
        """
        pixels_SSC = self.crop(pixels_HWC, name=name)
        x_CSS = np.empty((self.config.in_chans, *pixels_SSC.shape[:2]), np.float32)
        _native.look_up(pixels=pixels_SSC, table=self._normalised, planes=x_CSS)
        return x_CSS

    def crop(self, pixels_HWC: NDArray[np.uint8], *, name: str = "<array>") -> NDArray[np.uint8]:
        """Decoded pixels, uint8 (H, W, C) → the pixels that the model sees, resized and cropped: uint8 (S, S, C).

        Raises InputError for an array of another type or shape. Raises ImageError for an elongated image:
        "unsupported", if crop mode "border" would shrink its short side to nothing; "too_large", if the resize needs
        more memory than MAX_RESIZED_PIXELS and MAX_SHRUNK_SIDE_PX allow, or than is available.
        """
        _check_pixels(pixels_HWC, self.config.in_chans)
        resized = self._resized_size(*pixels_HWC.shape[:2], name=name)
        rows, columns = (_centre(length, self.config.image_px) for length in resized)
        _check_memory(pixels_HWC.shape[:2], resized, columns.stop - columns.start, name=name)
        try:
            return self._pad(resize_window(pixels_HWC, resized, rows, columns, self.config.interpolation, self._isa))
        except MemoryError as error:
            size = f"{resized[1]}x{resized[0]}"
            reason = f"resizing it to {size} takes more memory than is available; cut it to a squarer shape"
            raise ImageError("too_large", reason, name) from error

    def _resized_size(self, height: int, width: int, *, name: str) -> tuple[int, int]:
        """(height, width) after the resize. Source: torchvision _compute_resized_output_size, timm ResizeKeepRatio."""
        target = self.config.resize_px
        match self.config.crop_mode:
            case "squash":
                return target, target
            case "border":
                ratio = max(height / target, width / target)
                resized = round(height / ratio), round(width / ratio)
                if 0 in resized:
                    raise ImageError(
                        "unsupported",
                        f"{width}x{height} is so elongated that crop mode 'border' would shrink it to "
                        f"{resized[1]}x{resized[0]}; use crop_mode 'center' or 'squash'",
                        name,
                    )
                return resized
            case "center":
                long = int(target * max(height, width) / min(height, width))
                return (target, long) if height <= width else (long, target)

    def _pad(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """At most S on each side → (S, S, C), the mean's colour around it. Only crop mode "border" needs this."""
        side = self.config.image_px
        height, width, channels = pixels_HWC.shape
        if (height, width) == (side, side):
            return pixels_HWC
        fill = np.clip([round(255 * m) for m in self.config.mean], 0, 255)
        pixels_SSC = np.full((side, side, channels), fill, np.uint8)
        top, left = (side - height) // 2, (side - width) // 2
        pixels_SSC[top : top + height, left : left + width] = pixels_HWC
        return pixels_SSC

    @cached_property
    def _isa(self) -> str:
        return check_isa(self.isa)

    @cached_property
    def _workers(self) -> Workers:
        from gmixer.isolation.workers import Workers

        return Workers()

    @cached_property
    def _normalised(self) -> NDArray[np.float32]:
        """(C, 256): the normalised value of each byte in each channel, in float32, computed in torchvision's order."""
        scaled = np.arange(256, dtype=np.float32) / np.float32(255)
        mean = np.array(self.config.mean, np.float32)[:, None]
        std = np.array(self.config.std, np.float32)[:, None]
        return (scaled - mean) / std


def _keep_freed_memory() -> None:
    """Makes glibc keep the memory of an image for the next one: it keeps twice the largest block that was freed.

    Otherwise it returns the memory, and the kernel clears it again: 250 page faults, a quarter of the time of a 500x375
    JPEG. The block here is never written to, so it takes no time. Other allocators ignore this.
    """
    np.empty(2**24, np.uint8)


def _check_pixels(pixels_HWC: NDArray[np.uint8], channels: int) -> None:
    wanted = f"(height, width, {channels}){_CHANNEL_NAMES.get(channels, '')}"
    if not isinstance(pixels_HWC, np.ndarray):
        raise InputError(f"pixels are a {type(pixels_HWC).__name__}; wanted a uint8 array {wanted}")
    if pixels_HWC.dtype != np.uint8 or pixels_HWC.ndim != 3 or pixels_HWC.shape[2] != channels or 0 in pixels_HWC.shape:
        raise InputError(f"pixels are {pixels_HWC.dtype} {pixels_HWC.shape}; wanted uint8 {wanted}")


def _check_memory(before: tuple[int, ...], after: tuple[int, int], window_px: int, *, name: str) -> None:
    """before, after: (height, width) around the resize; window_px: how wide the window is."""
    (height, width), (to_height, to_width) = before, after
    shrunk_px = max(height if height > to_height else 0, width if width > to_width else 0)
    between = height * window_px if height > to_height and not vertical_first(before, after) else 0
    if shrunk_px > MAX_SHRUNK_SIDE_PX:
        takes = f"shrinks a side of {shrunk_px:,} pixels, at most {MAX_SHRUNK_SIDE_PX:,} are allowed"
    elif between > MAX_RESIZED_PIXELS:
        takes = f"takes {between:,} pixels, at most {MAX_RESIZED_PIXELS:,} are allowed"
    else:
        return
    raise ImageError(
        "too_large",
        f"{width}x{height} is too elongated: resizing it to {to_width}x{to_height} {takes}; cut it to a squarer shape",
        name,
    )


def _centre(length: int, side: int) -> slice:
    """A centred window of `side`. round() takes halves to the even number, as torchvision."""
    offset = max(round((length - side) / 2), 0)
    return slice(offset, offset + min(length, side))
