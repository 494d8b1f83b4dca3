"""The native engine in bf16 and int8: the promises of fp32 hold in both. How exact they are: tests/native."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gmixer import _native
from gmixer.catalogue import VARIANTS
from gmixer.errors import EngineError, InputError
from gmixer.isa import available_isas
from gmixer.options import NativePrecision
from gmixer.runtimes import Engine
from mixers import drawn_images, drawn_mixer, engine_of

SMALL = replace(VARIANTS["gmixer_8_64"].model, blocks=2)
PRECISIONS: tuple[NativePrecision, ...] = ("fp32", "bf16", "int8")
REDUCED = PRECISIONS[1:]

each_isa = pytest.mark.parametrize(
    ("precision", "isa"), [(precision, isa) for precision in PRECISIONS for isa in available_isas(precision)]
)


def small_engine(precision: NativePrecision, isa: str) -> Engine:
    return engine_of(drawn_mixer(SMALL), SMALL, isa=isa, precision=precision)


@each_isa
def test_each_isa_can_be_forced_in_each_precision(
    precision: NativePrecision, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GMIXER_ISA", isa)
    engine = engine_of(drawn_mixer(SMALL), SMALL, precision=precision)
    assert (engine.precision, engine.isa) == (precision, isa)
    assert engine._model.extension == _native.available_extensions(isa, precision)[0]


@pytest.mark.parametrize("precision", REDUCED)
def test_bits_do_not_depend_on_batch_order_or_threads(precision: NativePrecision) -> None:
    config, isa = replace(SMALL, channels=80, channel_hidden=200, token_hidden=37), available_isas(precision)[0]
    model, x = drawn_mixer(config), drawn_images(config, 16)
    alone = [engine_of(model, config, threads=1, isa=isa, precision=precision).stages(x[i : i + 1]) for i in range(16)]
    order = np.random.default_rng(2).permutation(16)
    for threads in (1, 2, 4):
        engine = engine_of(model, config, threads=threads, isa=isa, precision=precision)
        for chosen in (order[:1], order[:7], order):
            for name, together in engine.stages(x[chosen]).items():
                for row, image in enumerate(chosen):
                    np.testing.assert_array_equal(together[row], alone[image][name][0], err_msg=name)


@pytest.mark.parametrize("precision", REDUCED)
def test_a_batch_larger_than_one_pass_is_cut_without_a_trace(precision: NativePrecision) -> None:
    """gmixer_24_224 keeps 13 images in one pass; 15 take two."""
    config = replace(VARIANTS["gmixer_24_224"].model, blocks=1, token_hidden=16, channel_hidden=16)
    engine = engine_of(drawn_mixer(config), config, isa=available_isas(precision)[0], precision=precision)
    x = drawn_images(config, 15)
    together = engine.stages(x)
    for i in (0, 6, 7, 14):
        for name, alone in engine.stages(x[i : i + 1]).items():
            np.testing.assert_array_equal(together[name][i], alone[0], err_msg=f"image {i}, {name}")


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf], ids=str)
@each_isa
def test_a_bad_image_is_an_error_and_costs_no_other_image_a_bit(
    precision: NativePrecision, isa: str, poison: float
) -> None:
    engine, x = small_engine(precision, isa), drawn_images(SMALL, 3)
    clean = engine.stages(x)
    x[1, 2, 63, 63] = poison
    with pytest.raises(InputError, match=r"image 1 of 3 in the batch holds NaN or infinity; wanted finite"):
        engine.forward(x)
    for name, stage in engine.stages(x).items():
        np.testing.assert_array_equal(stage[[0, 2]], clean[name][[0, 2]], err_msg=name)
        bad = stage[1] if name != "stem" else stage[1, -1]  # of the stem, the patch with the bad pixel
        assert not np.isfinite(bad).any(), f"{name} is finite"


@pytest.mark.parametrize("size", [1e25, 3e38])
@each_isa
def test_images_too_large_for_float32_sums_are_an_error(precision: NativePrecision, isa: str, size: float) -> None:
    """The pixels are finite. Their squares overflow in LayerNorm, or their sums in the stem."""
    engine, x = small_engine(precision, isa), drawn_images(SMALL, 3)
    x[2] = np.float32(size) * np.sign(x[2])
    with pytest.raises(EngineError, match=r"computed NaN or infinity for 1 of 3 images, from finite images and"):
        engine.forward(x)


@each_isa
def test_images_of_any_size_that_fp32_takes_are_taken(precision: NativePrecision, isa: str) -> None:
    """Up to squares that nearly overflow, and down to zeros; the residual stream stays float32."""
    engine, x = small_engine(precision, isa), drawn_images(SMALL, 1)
    exact = engine_of(drawn_mixer(SMALL), SMALL)
    for size in (0, 1e-38, 1e-20, 1e10, 1e17):
        logits, wanted = (of.forward(x * np.float32(size)).logits for of in (engine, exact))
        assert np.linalg.norm(logits - wanted) < 0.1 * np.linalg.norm(wanted), size


def test_none_is_no_precision_of_an_engine() -> None:
    with pytest.raises(InputError, match="precision is None; wanted fp32, bf16 or int8"):
        Engine(SMALL, [], precision=None)  # type: ignore[arg-type]
