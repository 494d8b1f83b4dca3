"""The native core: whether it loads, and whether every instruction set of this CPU computes the network correctly."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import get_args

import numpy as np

from gmixer.catalogue import VARIANTS
from gmixer.config import ModelConfig
from gmixer.doctor.child_process import ChildDied, in_child
from gmixer.doctor.finding import Outcome, failed, ok, warning
from gmixer.doctor.install import REINSTALL
from gmixer.doctor.reference import Floats, reference_stages
from gmixer.options import FP32, NativePrecision
from gmixer.weights.drawn import drawn_tensors

# The rows of native/kernels.inc, best first. A test compares them.
BUILT = {"x86_64": ("avx512", "avx2", "scalar"), "aarch64": ("neon", "scalar")}

# The bounds of tests/runtimes/test_native.py, with numpy's float32 instead of PyTorch's. Against float64, the rms error
# of a stage is at most twice that of plain float32 arithmetic. The error of the worst element is at most four times
# that of plain float32, because a single element varies more. Each instruction set sums the same products, in another
# order. Measured on 20 draws with AVX2 and scalar: rms 0.8 to 1.2 times, worst element at most 2.3 times. Products in
# bfloat16 are off by hundreds of times.
MAX_RMS, MAX_WORST = 2.0, 4.0

# In bf16 and int8, the rms difference of a stage from plain arithmetic of that precision, in the rms error of that
# arithmetic against float64. Both round the same numbers. They differ only where float32's last bits, or the core's
# shorter exp, move a number to another rounded value. Two independent roundings differ by 1.41 of their
# error, and so does a scale for each tensor instead of each row. Measured on 4 draws, on all instruction sets of a CPU
# with AVX512-VNNI and -BF16: 0 to 0.47.
MAX_APART = 0.7

# Two blocks of widths that fill no panel or tile evenly: 25 patches, 80 channels. Both kinds of MLP.
_ODD = replace(
    VARIANTS["gmixer_8_64"].model,
    blocks=2,
    image_px=40,
    channels=80,
    token_hidden=37,
    channel_hidden=136,
    num_classes=100,
)
MODELS: tuple[ModelConfig, ...] = (_ODD, replace(_ODD, mlp="gelu"))
IMAGES = 3
SEED = 0

Stages = Mapping[str, Floats]


def native_core() -> Outcome:
    """Whether the compiled module loads, which instruction sets this CPU has, and what GMIXER_ISA chooses."""
    try:
        from gmixer.isa import available_isas, check_isa
    except ImportError as error:
        return failed(f"cannot be loaded: {error}", f"{REINSTALL}; it must be built for this Python and this CPU")
    from gmixer.errors import EngineError

    isas = available_isas()
    try:
        taken = check_isa()
    except EngineError as error:
        return failed(str(error), f"unset GMIXER_ISA, or set it to {' or '.join(isas)}")
    machine = "aarch64" if platform.machine() == "arm64" else platform.machine()
    lacking = [isa for isa in BUILT.get(machine, ()) if isa not in isas]
    fact = f"uses {taken}; this {machine} CPU has {', '.join(isas)}"
    fact += f", not {', '.join(lacking)}" if lacking else ""
    if taken != isas[0]:
        return warning(f"{fact}; GMIXER_ISA={taken} disables {isas[0]}, which is faster", "unset GMIXER_ISA")
    if taken == "scalar":
        return warning(
            fact, "it works, but slowly: use a CPU, or a CPU model of the virtual machine, with AVX2 or NEON"
        )
    return ok(fact)


@dataclass(frozen=True, slots=True)
class Error:
    """The error against float64, divided by the error of plain float32, at the stage where it is largest."""

    stage: str
    rms: float
    worst: float

    @property
    def times(self) -> float:
        """At most 1 is allowed. NaN counts as infinite."""
        times = max(self.rms / MAX_RMS, self.worst / MAX_WORST)
        return float("inf") if np.isnan(times) else times


def instruction_sets() -> Outcome:
    """A drawn model on every instruction set, stage by stage, against float64 and against scalar."""
    from gmixer.isa import available_isas

    isas = available_isas()
    computed: dict[str, list[Stages]] = {}
    wrong: dict[str, str] = {}
    for isa in isas:
        try:
            computed[isa] = in_child(partial(_all_stages, isa))
        except ChildDied as death:
            wrong[isa] = str(death)
    errors = {isa: _largest_error(stages) for isa, stages in computed.items()}
    for isa, error in errors.items():
        if error.times > 1:
            wrong[isa] = (
                f"is {error.rms:.3g} times as far from float64 as plain float32 is, its worst element "
                f"{error.worst:.3g} times ({error.stage}; at most {MAX_RMS:g} and {MAX_WORST:g} are allowed)"
            )
    if wrong:
        right = [isa for isa in isas if isa not in wrong]
        way_out = f"set GMIXER_ISA={right[0]}, which computes correctly" if right else REINSTALL
        fact = "; ".join(f"{isa} {why}" for isa, why in wrong.items())
        return failed(fact, f"{way_out}; and report it, with the CPU name from `gmixer info`")
    shown = ", ".join(f"{isa} {error.rms:.2f}" for isa, error in errors.items())
    fact = f"error against float64, in errors of plain float32 (at most {MAX_RMS:g}): {shown}"
    if "scalar" in computed and len(computed) > 1:
        apart = max(_apart(stages, computed["scalar"]) for isa, stages in computed.items() if isa != "scalar")
        fact += f"; from scalar at most {apart:.1e} of the largest value"
    return ok(fact)


def low_precisions() -> Outcome:
    """The drawn model in bf16 and int8 on every instruction set that has them, against plain arithmetic in numpy."""
    off: dict[str, float] = {}
    wrong: dict[str, str] = {}
    for precision, isa in _kernels():
        name = f"{precision} on {isa}"
        if precision == FP32:
            continue
        try:
            stage, off[name] = _largest_apart(in_child(partial(_all_stages, isa, precision)), precision)
        except ChildDied as death:
            wrong[name] = str(death)
            continue
        if not off[name] <= MAX_APART:
            wrong[name] = (
                f"differs from plain {precision} arithmetic by {off[name]:.3g} times that precision's own error "
                f"({stage}; at most {MAX_APART:g} is allowed)"
            )
    if wrong:
        broken = " and ".join(dict.fromkeys(name.partition(" ")[0] for name in wrong))
        fact = "; ".join(f"{name} {why}" for name, why in wrong.items())
        return failed(fact, f"do not use {broken}: leave out --precision; and report it, with `gmixer info`")
    shown = ", ".join(f"{name} {apart:.2f}" for name, apart in off.items())
    return ok(f"difference from plain arithmetic, in the precision's own error (at most {MAX_APART:g}): {shown}")


def same_bits() -> Outcome:
    """Whether all kernels give the same bits with one thread or several, and for one image or a batch."""
    from gmixer.runtimes import default_threads

    kernels, threads = _kernels(), max(2, default_threads())
    wrong = {}
    for precision, isa in kernels:
        name = isa if precision == FP32 else f"{precision} on {isa}"
        try:
            if differing := in_child(partial(_differing_bits, isa, threads, precision)):
                wrong[name] = differing
        except ChildDied as death:
            wrong[name] = str(death)
    if wrong:
        fact = "; ".join(f"{name}: {why}" for name, why in wrong.items())
        return failed(fact, "use --threads 1 (in Python threads=1), and report it, with `gmixer info`")
    shown = ", ".join(isa if precision == FP32 else f"{precision} on {isa}" for precision, isa in kernels)
    return ok(f"{shown}: 1 and {threads} threads, single images and batches give the same bits")


def _kernels() -> list[tuple[NativePrecision, str]]:
    """(precision, ISA), fp32 first, then the best ISA first."""
    from gmixer.isa import available_isas

    return [(precision, isa) for precision in get_args(NativePrecision) for isa in available_isas(precision)]


def _all_stages(isa: str, precision: NativePrecision = FP32) -> list[Stages]:
    from gmixer.runtimes import Engine

    return [Engine(m, drawn_tensors(m, SEED).items(), isa=isa, precision=precision).stages(_images(m)) for m in MODELS]


def _images(config: ModelConfig) -> np.ndarray:
    shape = (IMAGES, config.in_chans, config.image_px, config.image_px)
    return np.random.default_rng(SEED).standard_normal(shape, np.float32)


@cache
def _reference(config: ModelConfig, precision: NativePrecision = FP32) -> tuple[Stages, Stages]:
    """The stages of the reference in float64, and in float32 with products in this precision."""
    tensors, x_BCHW = drawn_tensors(config, SEED), _images(config)
    exact = reference_stages(config, tensors, x_BCHW, np.float64)
    return exact, reference_stages(config, tensors, x_BCHW, np.float32, precision)


def _largest_error(computed: list[Stages]) -> Error:
    errors = []
    for config, stages in zip(MODELS, computed, strict=True):
        exact, plain = _reference(config)
        for stage in exact:
            ours, theirs = np.abs(stages[stage] - exact[stage]), np.abs(plain[stage] - exact[stage])
            rms = float(np.linalg.norm(ours) / np.linalg.norm(theirs))
            errors.append(Error(stage, rms, float(ours.max() / theirs.max())))
    return max(errors, key=lambda error: error.times)


def _largest_apart(computed: list[Stages], precision: NativePrecision) -> tuple[str, float]:
    """The stage that is furthest from plain arithmetic, and how far, in that arithmetic's own error. NaN is infinite.

    The stem is float32 in every precision, and is checked there.
    """
    apart = {}
    for config, stages in zip(MODELS, computed, strict=True):
        exact, plain = _reference(config, precision)
        for stage in (stage for stage in exact if stage != "stem"):
            own_error = np.linalg.norm(plain[stage] - exact[stage])
            times = float(np.linalg.norm(stages[stage] - plain[stage]) / own_error)
            apart[f"{stage} of {config.mlp}"] = float("inf") if np.isnan(times) else times
    return max(apart.items(), key=lambda item: item[1])


def _apart(stages: list[Stages], scalar: list[Stages]) -> float:
    pairs = [(a[stage], b[stage]) for a, b in zip(stages, scalar, strict=True) for stage in b]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def _differing_bits(isa: str, threads: int, precision: NativePrecision) -> str:
    """The difference in words, or ""."""
    from gmixer.runtimes import Engine

    for config in MODELS:
        x_BCHW, tensors = _images(config), drawn_tensors(config, SEED)
        made = partial(Engine, config, isa=isa, precision=precision)
        one, several = (made(tensors.items(), threads=n).forward for n in (1, threads))
        logits_BK = one(x_BCHW).logits
        if several(x_BCHW).logits.tobytes() != logits_BK.tobytes():
            return f"{threads} threads give other bits than 1 ({config.mlp})"
        if any(one(x_BCHW[i : i + 1]).logits.tobytes() != logits_BK[i].tobytes() for i in range(IMAGES)):
            return f"an image alone gives other bits than in a batch ({config.mlp})"
    return ""
