"""The forward pass on the native core.

B images, N patches, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gmixer import _native
from gmixer.config import ModelConfig
from gmixer.errors import EngineError, InputError, WeightsError
from gmixer.isa import check_isa
from gmixer.options import FP32, Native, NativePrecision
from gmixer.runtimes.protocol import (
    Float32,
    Output,
    checked_images,
    checked_output,
    checked_tensors,
)
from gmixer.runtimes.threads import check_threads
from gmixer.weights.state_dict import read_state_dict, unwrapped
from gmixer.weights.weights_file import Quantized, not_finite

if TYPE_CHECKING:
    from torch import nn


class Engine:
    """A model packed for this machine. Several Python threads may call one engine; they take turns on its threads.

    tensors: every tensor of config.tensor_shapes(), float32, in any order; copied. With precision "int8" a weight of
        an MLP may be Quantized.
    threads: None takes what affinity and the control group allow.
    isa: "avx512", "avx2", "neon" or "scalar"; None takes $GMIXER_ISA, else the best that this CPU supports.
    source: the name of the tensors in an error.
    precision: of the blocks' products: "fp32", "bf16" or "int8"; this CPU must have kernels for it. All else is
        float32 in each.

    After os.fork() the child may use the engine too: its first call there starts its own threads.
    Results are the same bit for bit for any batch size, order of the images and number of threads.
    Raises EngineError for an isa, threads or a precision that this CPU does not offer, and for an architecture that the
    core cannot run. Raises WeightsError for NaN and for a missing tensor. Raises InputError for an unknown precision.
    """

    batch_hint = 16  # the time per image is the same from 4 up (native/README.md)

    def __init__(
        self,
        config: ModelConfig,
        tensors: Iterable[tuple[str, Float32 | Quantized]],
        *,
        threads: int | None = None,
        isa: str | None = None,
        source: str = "the weights given",
        precision: NativePrecision = FP32,
    ) -> None:
        if precision is None:  # weights in memory are stored for none
            raise InputError("precision is None; wanted fp32, bf16 or int8")
        Native(precision=precision)  # refuses a precision that the core does not offer
        if config.channels % 16:
            raise EngineError(f"the native core needs channels in multiples of 16; this model has {config.channels}")
        threads, isa = check_threads(threads), check_isa(isa, precision)
        try:
            self._model = _native.Model(
                image_px=config.image_px,
                patch_px=config.patch_px,
                in_chans=config.in_chans,
                channels=config.channels,
                blocks=config.blocks,
                token_hidden=config.token_hidden,
                channel_hidden=config.channel_hidden,
                gated=config.mlp == "swiglu",
                num_classes=config.num_classes,
                threads=threads,
                isa=isa,
                precision=precision,
            )
        except RuntimeError as error:
            raise _no_threads(threads, error) from error
        self.config = config
        self.precision: NativePrecision = precision
        for name, values in checked_tensors(tensors, config, source=source):
            if isinstance(values, Quantized):
                if not self._model.set_quantized(name, np.ascontiguousarray(values.values), values.scales):
                    raise _no_int8(name, source)
            elif not self._model.set_tensor(name, np.ascontiguousarray(values, np.float32)):
                raise not_finite(name, source=source)

    @classmethod
    def from_torch(
        cls,
        model: nn.Module,
        *,
        check: bool = True,
        threads: int | None = None,
        isa: str | None = None,
        precision: NativePrecision = FP32,
    ) -> Engine:
        """The engine of a torch Mixer: gmixer's own or timm's MlpMixer, fine-tuned, pruned, compiled or wrapped.

        The model does not change, and its weights are copied. For a model without pooling (global_pool ''),
        forward(x, tokens=True) gives its tokens; features are their mean, as for every model.
        check: run both on two random images and compare tokens and logits (parity.py). It makes a float32 copy of the
            model, and for another precision than fp32 a second engine.

        Raises WeightsError if the core cannot run the model, EngineError if the two disagree.
        """
        model, state = unwrapped(model)
        source = f"this {type(model).__name__}"
        config, tensors = read_state_dict(state, source=source)
        engine = cls(config, tensors, threads=threads, isa=isa, source=source, precision=precision)
        if check:
            from gmixer.runtimes.parity import check_parity

            exact = engine
            if precision != FP32:
                exact = cls(*read_state_dict(state, source=source), threads=threads, source=source)
            check_parity(engine, exact, model, source=source)
        return engine

    def __repr__(self) -> str:
        extension = f" with {self._model.extension}" if self._model.extension else ""
        return f"<Engine: native on cpu, {self.precision}, {self.isa}{extension}, {self.threads} threads>"

    @property
    def isa(self) -> str:
        return self._model.isa

    @property
    def extension(self) -> str:
        """What the blocks' products use beyond the ISA: "vnni", "vnni-evex", "bf16", "dotprod", or ""."""
        return self._model.extension

    @property
    def threads(self) -> int:
        return self._model.threads

    def forward(self, x_BCHW: Float32, *, tokens: bool = False) -> Output:
        """Normalised images, float32 (B, in_chans, image_px, image_px) → Output.

        Raises InputError for other arrays; EngineError if the output is not finite.
        """
        output, _ = self._run(checked_images(x_BCHW, self.config), tokens=tokens, stages=False)
        return checked_output(output, x_BCHW, self)

    def stages(self, x_BCHW: Float32) -> dict[str, Float32]:
        """Every stage by name: stem, block_0 …, tokens (each (B, N, C)), features (B, C), logits (B, K)."""
        output, residual = self._run(checked_images(x_BCHW, self.config), tokens=True, stages=True)
        assert residual is not None and output.tokens is not None
        names = ["stem", *(f"block_{i}" for i in range(self.config.blocks))]
        last = {"tokens": output.tokens, "features": output.features, "logits": output.logits}
        return dict(zip(names, residual, strict=True)) | last

    def stage_seconds(self, x_BCHW: Float32) -> dict[str, float]:
        """Runs one forward pass, and returns the seconds of each stage of ModelConfig.stage_macs.

        A block's first norm is computed at the end of the stage before it, and counts for that stage.
        """
        seconds = np.zeros(len(self.config.stage_macs))
        self._run(checked_images(x_BCHW, self.config), tokens=False, stages=False, seconds=seconds)
        return dict(zip(self.config.stage_macs, map(float, seconds), strict=True))

    def _run(
        self, x_BCHW: Float32, *, tokens: bool, stages: bool, seconds: NDArray[np.float64] | None = None
    ) -> tuple[Output, Float32 | None]:
        c, B = self.config, len(x_BCHW)
        features = np.empty((B, c.channels), np.float32)
        logits = np.empty((B, c.num_classes), np.float32)
        tokens_BNC = np.empty((B, c.patches, c.channels), np.float32) if tokens else None
        residual = np.empty((1 + c.blocks, B, c.patches, c.channels), np.float32) if stages else None
        try:
            self._model.forward(x_BCHW, features, logits if c.num_classes else None, tokens_BNC, residual, seconds)
        except RuntimeError as error:  # the first call after a fork starts new threads
            raise _no_threads(self.threads, error) from error
        return Output(features, logits, tokens_BNC), residual


def _no_int8(name: str, source: str) -> WeightsError:
    return WeightsError(
        f"{source}: {name} holds -128, or a scale that is negative, NaN or infinity; wanted int8 weights as gmixer "
        f"convert writes them: convert the original again"
    )


def _no_threads(threads: int, error: RuntimeError) -> EngineError:
    return EngineError(f"{threads} threads cannot be started ({error}); ask for fewer with threads= (--threads)")
