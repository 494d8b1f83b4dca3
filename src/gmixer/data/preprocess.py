"""A picture → the tensor that a model takes: resize, crop, scale to 0…1, normalise.

Bit-equal to timm's evaluation transform (`timm.data.create_transform(**config, is_training=False)` on a PIL picture),
in the uint8 pixels and in the float32 tensor, without torch.

H height, W width of the picture as it came; S the model's side, image_px; C the model's channels, in_chans: 3 are RGB,
1 is grey, any other number are planes, which come as an array.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmixer.config import DataConfig
from gmixer.data.window import resize_window
from gmixer.errors import ImageError, InputError
from gmixer.images import ImageLike, Limits, Orientation, decode
from gmixer.images.decode import name_of

if TYPE_CHECKING:
    from gmixer.images.isolate import Workers

# A centre crop brings the short side to 256, so a 1x65535 line would become 256x16.7 million: 17 GB, to keep a 224x224
# window of it. Beyond as many as Limits lets be decoded (1:1358, 356 MB), only the window is computed.
MAX_RESIZED_PIXELS = 89_000_000

_COLOURS = {1: ", grey", 3: ", RGB"}
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocess:
    """The evaluation transform of one DataConfig; call it with a picture.

    limits, orientation, allow_urls: how pictures are read and decoded, see gmixer.images.decode.
    isolate: files are decoded in processes of their own, see gmixer.images.isolate; they end with this object.
    """

    config: DataConfig
    _: KW_ONLY
    limits: Limits = field(default_factory=Limits)
    orientation: Orientation = "apply"
    allow_urls: bool = False
    isolate: bool = False

    def __call__(self, image: ImageLike, *, name: str | None = None) -> NDArray[np.float32]:
        """A path, a file's bytes, a PIL image or a uint8 array → float32 (C, S, S), C-contiguous.

        name: what errors call the picture; else the path as given, "<bytes>", "<image>" or "<array>".
        Raises as `decode` and `crop` do: ImageError of any kind, InputError.
        """
        pixels_HWC = decode(
            image,
            name=name,
            limits=self.limits,
            orientation=self.orientation,
            channels=self.config.in_chans,
            allow_urls=self.allow_urls,
            workers=self._workers if self.isolate else None,
        )
        return self.from_pixels(pixels_HWC, name=name or name_of(image))

    def from_pixels(self, pixels_HWC: NDArray[np.uint8], *, name: str = "<array>") -> NDArray[np.float32]:
        """Decoded pixels, uint8 (H, W, C) → float32 (C, S, S), C-contiguous.

        name: what an error calls the picture. Raises as `crop` does.
        """
        pixels_SSC = self.crop(pixels_HWC, name=name)
        x_CSS = np.empty((self.config.in_chans, *pixels_SSC.shape[:2]), np.float32)
        for c in range(self.config.in_chans):
            # A byte cannot be out of range; "clip" only spares numpy the buffer that its check needs.
            np.take(self._normalised[c], pixels_SSC[:, :, c], out=x_CSS[c], mode="clip")
        return x_CSS

    def crop(self, pixels_HWC: NDArray[np.uint8], *, name: str = "<array>") -> NDArray[np.uint8]:
        """Decoded pixels, uint8 (H, W, C) → what the model sees of them, resized and cropped: uint8 (S, S, C).

        Raises InputError for an array of another type or shape; ImageError for a picture so elongated that crop mode
        "border" would shrink its short side to nothing ("unsupported"), or that squashing it or shrinking a long one
        would take more than MAX_RESIZED_PIXELS ("too_large").
        """
        channels = self.config.in_chans
        _check_pixels(pixels_HWC, channels)
        resized = self._resized_size(*pixels_HWC.shape[:2], name=name)
        # Pillow holds 3 channels or 1, and resizes each on its own: planes go one by one, and RGB could, but slower.
        pictures = [pixels_HWC] if channels == 3 else [pixels_HWC[:, :, c] for c in range(channels)]
        return self._pad(np.dstack([self._resize_and_crop(pixels, resized, name=name) for pixels in pictures]))

    def _resize_and_crop(self, pixels: NDArray[np.uint8], resized: tuple[int, int], *, name: str) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) or (H, W) → the same, at most S a side. resized: (height, width) before the crop."""
        height, width = resized
        (top, bottom), (left, right) = (_centre(length, self.config.image_px) for length in resized)
        if pixels.shape[:2] == resized:
            return pixels[top:bottom, left:right]
        taken = width * max(height, len(pixels))  # Pillow resizes the width first, at the height it came with
        if taken > MAX_RESIZED_PIXELS:
            if self.config.crop_mode == "center" and height >= len(pixels):
                return resize_window(pixels, resized, slice(top, bottom), slice(left, right), self.config.interpolation)
            raise ImageError(
                "too_large",
                f"{pixels.shape[1]}x{len(pixels)} is too elongated: resizing it to {width}x{height} takes "
                f"{taken:,} pixels, at most {MAX_RESIZED_PIXELS:,} are allowed; cut it to a squarer shape",
                name,
            )
        try:
            picture = Image.fromarray(pixels).resize((width, height), _FILTERS[self.config.interpolation])
        except MemoryError as error:
            reason = f"resizing it to {width}x{height} takes more memory than there is; cut it to a squarer shape"
            raise ImageError("too_large", reason, name) from error
        return np.asarray(picture.crop((left, top, right, bottom)))

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
        """At most S on each side → (S, S, C), the mean's colour around it. Only crop mode "border" has need of it."""
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
    def _workers(self) -> Workers:
        from gmixer.images.isolate import Workers

        return Workers()

    @cached_property
    def _normalised(self) -> NDArray[np.float32]:
        """(C, 256): what each byte of each channel becomes; in float32 and in torchvision's order of operations."""
        scaled = np.arange(256, dtype=np.float32) / np.float32(255)
        mean = np.array(self.config.mean, np.float32)[:, None]
        std = np.array(self.config.std, np.float32)[:, None]
        return (scaled - mean) / std


def _check_pixels(pixels_HWC: NDArray[np.uint8], channels: int) -> None:
    wanted = f"(height, width, {channels}){_COLOURS.get(channels, '')}"
    if not isinstance(pixels_HWC, np.ndarray):
        raise InputError(f"pixels are a {type(pixels_HWC).__name__}; wanted a uint8 array {wanted}")
    if pixels_HWC.dtype != np.uint8 or pixels_HWC.ndim != 3 or pixels_HWC.shape[2] != channels or 0 in pixels_HWC.shape:
        raise InputError(f"pixels are {pixels_HWC.dtype} {pixels_HWC.shape}; wanted uint8 {wanted}")


def _centre(length: int, side: int) -> tuple[int, int]:
    """From where to where a centred window of `side` goes. round() takes halves to the even number, as torchvision."""
    offset = max(round((length - side) / 2), 0)
    return offset, offset + min(length, side)
