import numpy as np
from numpy.typing import NDArray

def available_isas(precision: str = "fp32") -> list[str]: ...
def available_extensions(isa: str, precision: str) -> list[str]: ...
def quantize(rows: NDArray[np.float32], quantized: NDArray[np.int8], scales: NDArray[np.float32]) -> None: ...
def round_to_bf16(values: NDArray[np.float32], rounded: NDArray[np.uint16]) -> None: ...
def ceiling(
    *, isa: str, threads: int, seconds: float, precision: str = "fp32", extension: str | None = None
) -> float: ...
def linear(
    *,
    x: NDArray[np.float32],
    weight: NDArray[np.float32] | None = None,
    quantized: NDArray[np.int8] | None = None,
    scales: NDArray[np.float32] | None = None,
    c: NDArray[np.float32],
    columns: bool,
    isa: str,
    precision: str,
    extension: str | None = None,
) -> None: ...
def resize_window(
    *,
    pixels: NDArray[np.uint8],
    height: int,
    width: int,
    top: int,
    left: int,
    bicubic: bool,
    vertical_first: bool,
    window: NDArray[np.uint8],
    isa: str,
) -> None: ...
def look_up(*, pixels: NDArray[np.uint8], table: NDArray[np.float32], planes: NDArray[np.float32]) -> None: ...

class Model:
    def __init__(
        self,
        *,
        image_px: int,
        patch_px: int,
        in_chans: int,
        channels: int,
        blocks: int,
        token_hidden: int,
        channel_hidden: int,
        gated: bool,
        num_classes: int,
        threads: int,
        isa: str,
        precision: str = "fp32",
        extension: str | None = None,
    ) -> None: ...
    def set_tensor(self, name: str, values: NDArray[np.float32]) -> bool: ...
    def set_quantized(self, name: str, values: NDArray[np.int8], scales: NDArray[np.float32]) -> bool: ...
    def forward(
        self,
        images: NDArray[np.float32],
        features: NDArray[np.float32],
        logits: NDArray[np.float32] | None,
        tokens: NDArray[np.float32] | None,
        stages: NDArray[np.float32] | None,
        seconds: NDArray[np.float64] | None = None,
    ) -> None: ...
    @property
    def isa(self) -> str: ...
    @property
    def extension(self) -> str: ...
    @property
    def threads(self) -> int: ...
