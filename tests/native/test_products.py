"""Single products on every row that this CPU can run, against numpy; and what an int8 or bf16 model does to weights.

M rows of activations x (or columns, in the form for token mixing), N outputs, K depth: c = x · wᵀ.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gmixer import _native
from gmixer.config import ModelConfig

Float32 = NDArray[np.float32]
FORMS = ("rows", "columns")

# Tiles have 4, 6, 12 or 14 rows, panels 2, 8, 16 or 32 columns. The largest width takes more than one of each.
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 31, 32, 33, 43)
# A group is 1, 2 or 4 elements, a run 16, 32 or 64. Sums of floats are cut at 128.
DEPTHS = (1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 196, 257)


@dataclass(frozen=True)
class Row:
    precision: str
    isa: str
    extension: str

    def __str__(self) -> str:
        return "-".join(filter(None, (self.precision, self.isa, self.extension)))


ROWS = [
    Row(precision, isa, extension)
    for precision in ("fp32", "bf16", "int8")
    for isa in _native.available_isas(precision)
    for extension in _native.available_extensions(isa, precision)
]
FLOAT_ROWS = [row for row in ROWS if row.precision != "int8"]
INT8_ROWS = [row for row in ROWS if row.precision == "int8"]

each_int8_row = pytest.mark.parametrize("row", INT8_ROWS, ids=str)
each_float_row = pytest.mark.parametrize("row", FLOAT_ROWS, ids=str)
each_form = pytest.mark.parametrize("form", FORMS)


def normal(shape: tuple[int, ...], seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def quantize(w_NK: Float32) -> tuple[NDArray[np.int8], Float32]:
    values, scales = np.empty(w_NK.shape, np.int8), np.empty(len(w_NK), np.float32)
    _native.quantize(np.ascontiguousarray(w_NK), values, scales)
    return values, scales


def multiply(x_MK: Float32, w: Float32 | tuple[NDArray[np.int8], Float32], row: Row, form: str) -> Float32:
    """x · wᵀ (M, N). w: (N, K) floats, or integers and their scales. Nothing behind the product may be written."""
    operands = {"weight": w} if isinstance(w, np.ndarray) else {"quantized": w[0], "scales": w[1]}
    M, N = len(x_MK), len(w if isinstance(w, np.ndarray) else w[0])
    memory = np.full(M * N + 64, 7, np.float32)
    columns = form == "columns"
    c = memory[: M * N].reshape((N, M) if columns else (M, N))
    _native.linear(
        x=np.ascontiguousarray(x_MK.T if columns else x_MK),
        **{name: np.ascontiguousarray(values) for name, values in operands.items()},
        c=c,
        columns=columns,
        isa=row.isa,
        precision=row.precision,
        extension=row.extension,
    )
    assert (memory[M * N :] == 7).all(), "written behind the end"
    return c.T if columns else c


def integers_of(x_MK: Float32) -> tuple[NDArray[np.int64], Float32]:
    """Each row as integers in [-127, 127] and their scale, in float32 arithmetic. Rows below 1e-30 count as zeros."""
    largest = np.abs(x_MK).max(axis=1)
    zero = largest < np.float32(1e-30)
    factor = np.float32(127) / np.where(zero, np.float32(1), largest)
    scale = np.where(zero, np.float32(0), largest * (np.float32(1) / np.float32(127)))
    integers = np.rint(x_MK * np.where(zero, np.float32(0), factor)[:, None])
    assert scale.dtype == np.float32 and np.abs(integers).max() <= 127
    return integers.astype(np.int64), scale


def int8_product(x_MK: Float32, w_NK: NDArray[np.int8], w_scale_N: Float32) -> Float32:
    """What an int8 row must give, bit for bit: an exact sum, converted to float32, times the product of the scales."""
    x_integers, x_scale_M = integers_of(x_MK)
    sums = x_integers @ w_NK.astype(np.int64).T
    assert np.abs(sums).max() < 2**31
    return sums.astype(np.int32).astype(np.float32) * (x_scale_M[:, None] * w_scale_N)


# ---- int8: exactly numpy's.


@each_form
@each_int8_row
def test_integer_sums_are_exact_at_every_edge(row: Row, form: str) -> None:
    for K in (15, 66):
        x, w = normal((WIDTHS[-1], K), seed=K), quantize(normal((WIDTHS[-1], K), seed=K + 1))
        wanted = int8_product(x, *w)  # rows and outputs do not affect each other
        for M, N in product(WIDTHS, WIDTHS):
            got = multiply(x[:M], (w[0][:N], w[1][:N]), row, form)
            np.testing.assert_array_equal(got, wanted[:M, :N], err_msg=f"M={M}, N={N}, K={K}")
    for K in DEPTHS:
        x, w = normal((17, K), seed=K), quantize(normal((35, K), seed=K + 1))
        np.testing.assert_array_equal(multiply(x, w, row, form), int8_product(x, *w), err_msg=f"K={K}")


@each_int8_row
@given(data=st.data())
def test_integer_sums_are_exact_for_any_shape_and_magnitude(row: Row, data: st.DataObject) -> None:
    M, N = data.draw(st.integers(1, 50), "M"), data.draw(st.integers(1, 50), "N")
    K, seed = data.draw(st.integers(1, 200), "K"), data.draw(st.integers(0, 2**32 - 1), "seed")
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((M, K), np.float32), rng.standard_normal((N, K), np.float32)
    x *= 10.0 ** rng.integers(-34, 19, (M, 1))  # some rows are below 1e-30
    w *= 10.0 ** rng.integers(-34, 19, (N, 1))
    x[rng.random((M, K)) < data.draw(st.floats(0, 1), "share of zeros")] = 0
    packed = quantize(w)
    for form in FORMS:
        np.testing.assert_array_equal(multiply(x, packed, row, form), int8_product(x, *packed), err_msg=form)


@each_form
@each_int8_row
def test_the_longest_sums_do_not_overflow(row: Row, form: str) -> None:
    """131,072 products of ±127 · ±127 come close to 2³¹. One more is refused. Short sums of them saturate nowhere."""
    ones = np.ones((1, 2**17), np.float32)
    turns = np.where(np.arange(2**17) % 2, -1, 1)[None].astype(np.float32)
    halves = np.where(np.arange(2**17) < 2**16, -1, 1)[None].astype(np.float32)
    x, w = np.concatenate([ones, -ones, turns, halves]), np.concatenate([ones, -ones, turns, halves, -turns, -halves])
    w_integers = (w * 127).astype(np.int8)
    w_scales = np.float32([1, 0.5, 2, 1, 1, 3])
    for K in (2, 4, 8, 64, 4096, 2**17):
        got = multiply(x[:, :K], (w_integers[:, :K], w_scales), row, form)
        wanted = int8_product(x[:, :K], w_integers[:, :K], w_scales)
        np.testing.assert_array_equal(got, wanted, err_msg=f"K={K}")
    assert wanted[0, 0] == -wanted[0, 1] * 2 == np.float32(2**17 * 127**2) * (np.float32(1) / np.float32(127))
    longer = np.ones((1, 2**17 + 1), np.float32)
    with pytest.raises(ValueError, match="a product of precision int8 sums at most 131072 values, not 131073"):
        multiply(longer, (longer.astype(np.int8), np.ones(1, np.float32)), row, form)


@each_form
@each_int8_row
def test_rows_of_zeros_and_rows_that_count_as_zeros(row: Row, form: str) -> None:
    x = normal((9, 40))
    x[1] = 0
    x[3] = -0.0
    x[4] *= np.float32(1e-31)
    x[5] *= np.float32(1e-42)  # subnormals
    x[6] = 0
    x[6, 17] = np.nextafter(np.float32(1e-30), np.float32(0))
    x[7] = 0
    x[7, 39] = -np.float32(1e-30)  # the smallest row that counts
    w = normal((21, 40), seed=1)
    w[:, 39] = 1
    w[0], w[20] = 0, 1e-35
    packed = quantize(w)
    assert packed[1][[0, 20]].tolist() == [0, 0] and not packed[0][[0, 20]].any()
    got = multiply(x, packed, row, form)
    np.testing.assert_array_equal(got, int8_product(x, *packed))
    assert not got[[1, 3, 4, 5, 6]].any() and not got[:, [0, 20]].any()
    assert got[[0, 2, 7, 8], 1:20].all()


@each_form
@each_int8_row
def test_each_row_has_a_scale_of_its_own(row: Row, form: str) -> None:
    """Activations and weights of magnitudes that 24 powers of ten divide. The bound follows from the scales; one scale
    for the whole tensor breaks it, for the activations as for the weights."""
    powers = np.float32(10) ** np.arange(-12, 13).astype(np.float32)[:, None]
    x, w = normal((25, 196)) * powers, normal((25, 196), seed=1) * powers[::-1]
    exact = x.astype(np.float64) @ w.astype(np.float64).T
    half_x, half_w = np.abs(x).max(axis=1)[:, None] / 254, np.abs(w).max(axis=1)[:, None] / 254
    # An element is off by at most half a scale, and rounding of the scales and of the result takes 4 more eps.
    off = half_x * np.abs(w).sum(axis=1) + np.abs(x).sum(axis=1)[:, None] * half_w.T + half_x * half_w.T * 196
    bound = off + 4 * np.finfo(np.float32).eps * (np.abs(x) @ np.abs(w).T + off)
    got = multiply(x, quantize(w), row, form)
    assert (np.abs(got - exact) <= bound).all()
    assert (got != 0).all()
    for of_all_x, of_all_w in ((True, False), (False, True)):
        coarse = [
            np.rint(v * (127 / (np.abs(v).max() if of_all else np.abs(v).max(axis=1)[:, None])))
            * (np.abs(v).max() if of_all else np.abs(v).max(axis=1)[:, None])
            / 127
            for v, of_all in ((x, of_all_x), (w, of_all_w))
        ]
        assert (np.abs(coarse[0] @ coarse[1].T - exact) > bound).mean() > 0.5


# Where the bad element lies: at either end of a row, and where the vectors, groups and runs of some row meet.
POISONED = ((0, 0), (3, 66), (4, 16), (13, 1), (14, 65), (16, 63), (31, 64), (34, 3))


@pytest.mark.parametrize("poison", [np.nan, -np.nan, np.inf, -np.inf], ids=str)
@each_form
@each_int8_row
def test_nan_and_infinity_spoil_their_own_row_and_no_other(row: Row, form: str, poison: float) -> None:
    x, w = normal((35, 67)), normal((19, 67), seed=1)
    w[5] = 0  # even where the weights are zeros
    packed = quantize(w)
    clean = multiply(x, packed, row, form)
    for m, k in POISONED:
        poisoned = x.copy()
        poisoned[m, k] = poison
        got = multiply(poisoned, packed, row, form)
        assert np.isnan(got[m]).all(), f"element {k} of row {m} is {poison}: {got[m]}"
        np.testing.assert_array_equal(np.delete(got, m, axis=0), np.delete(clean, m, axis=0))
    everywhere = np.full_like(x, poison)
    assert np.isnan(multiply(everywhere, packed, row, form)).all()


# ---- fp32 and bf16: within the rounding of float32 sums of the operands, after these are rounded.


def rounded(x: Float32, precision: str) -> Float32:
    return torch.from_numpy(x).bfloat16().float().numpy() if precision == "bf16" else x


def assert_close_to_float64(x_MK: Float32, w_NK: Float32, row: Row, form: str) -> None:
    """However K products are added in float32, the sum is off by at most K + 1 roundings of eps / 2 of all magnitudes.
    bf16 that is cut instead of rounded is off by a hundred times as much."""
    x, w = (rounded(v, row.precision).astype(np.float64) for v in (x_MK, w_NK))
    K = x.shape[1]
    # Some CPUs take subnormals of bf16 for zeros: the second term.
    tiny = np.finfo(np.float32).tiny
    bound = (K + 1) / 2 * np.finfo(np.float32).eps * (np.abs(x) @ np.abs(w).T)
    bound += tiny * (1 + np.abs(x).sum(axis=1)[:, None] + np.abs(w).sum(axis=1))
    error = np.abs(multiply(x_MK, w_NK, row, form) - x @ w.T)
    assert (error <= bound).all(), f"{(error / bound).max():.3g} times the bound for M, N, K = {*error.shape, K}"


@each_form
@each_float_row
def test_float_products_at_every_edge(row: Row, form: str) -> None:
    for M, N in product(WIDTHS, WIDTHS):
        assert_close_to_float64(normal((M, 67), seed=M), normal((N, 67), seed=N + 100), row, form)
    for K in DEPTHS:
        assert_close_to_float64(normal((17, K), seed=K), normal((35, K), seed=K + 1), row, form)


@each_float_row
@given(data=st.data())
def test_float_products_of_any_shape_and_magnitude(row: Row, data: st.DataObject) -> None:
    M, N = data.draw(st.integers(1, 50), "M"), data.draw(st.integers(1, 50), "N")
    K, seed = data.draw(st.integers(1, 200), "K"), data.draw(st.integers(0, 2**32 - 1), "seed")
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((M, K), np.float32), rng.standard_normal((N, K), np.float32)
    x *= 10.0 ** rng.integers(-15, 16, x.shape)
    w *= 10.0 ** rng.integers(-15, 16, w.shape)
    for form in FORMS:
        assert_close_to_float64(x, w, row, form)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf], ids=str)
@each_form
@each_float_row
def test_floats_keep_nan_and_infinity_in_their_row(row: Row, form: str, poison: float) -> None:
    x, w = normal((35, 67)), normal((19, 67), seed=1)
    clean = multiply(x, w, row, form)
    for m, k in POISONED:
        poisoned = x.copy()
        poisoned[m, k] = poison
        got = multiply(poisoned, w, row, form)
        assert not np.isfinite(got[m]).any(), f"element {k} of row {m} is {poison}: {got[m]}"
        np.testing.assert_array_equal(np.delete(got, m, axis=0), np.delete(clean, m, axis=0))


@pytest.mark.parametrize("row", [row for row in ROWS if row.precision == "bf16"], ids=str)
def test_weights_of_bf16_given_as_floats_are_the_same_weights(row: Row) -> None:
    x, w = normal((35, 67)), normal((19, 67), seed=1)
    for form in FORMS:
        got, again = (multiply(x, weight, row, form) for weight in (w, rounded(w, "bf16")))
        assert got.tobytes() == again.tobytes()


# ---- Weights, converted once at load.


def test_bf16_rounds_to_nearest_even() -> None:
    """Every upper half with lower halves at and beside a tie; rounded floats come out as they went in."""
    upper, lower = np.arange(1 << 16, dtype=np.uint32) << 16, np.uint32([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    floats = (upper[:, None] | lower).view(np.float32)
    bits = np.empty(floats.shape, np.uint16)
    _native.round_to_bf16(floats, bits)
    wanted = torch.from_numpy(floats).bfloat16()
    again = (bits.astype(np.uint32) << 16).view(np.float32)
    numbers = ~np.isnan(floats)
    np.testing.assert_array_equal(bits[numbers], wanted.view(torch.int16).numpy().view(np.uint16)[numbers])
    assert np.isnan(again[~numbers]).all(), "NaN stays NaN"
    bits_again = np.empty_like(bits)
    _native.round_to_bf16(again, bits_again)
    np.testing.assert_array_equal(bits_again, bits)


def test_quantize_is_exactly_numpys() -> None:
    for K in (*DEPTHS, 1000):
        w = normal((23, K), seed=K) * np.float32(10) ** np.arange(-28, 36, 2.8).astype(np.float32)[:, None]
        w[3], w[7] = 0, 1e-31
        w[8] = np.float32(1e-30)
        values, scales = quantize(w)
        wanted, wanted_scales = integers_of(w)
        np.testing.assert_array_equal(values, wanted)
        assert scales.tobytes() == wanted_scales.tobytes()
        assert np.abs(values).max(axis=1).tolist() == [0 if m in (3, 7) else 127 for m in range(23)]


def test_quantize_rounds_halves_to_even() -> None:
    halves = np.float32([[127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 125.5, 126.5, -126.5, 0.49999997]])
    values, scales = quantize(halves)
    assert values.tolist() == [[127, 0, 2, 2, 0, -2, -2, 126, 126, -126, 0]]
    assert scales.tolist() == [np.float32(127) * (np.float32(1) / np.float32(127))]
    largest = np.finfo(np.float32).max
    values, scales = quantize(np.float32([[largest, -largest, 0, largest / 3]]))
    assert values.tolist() == [[127, -127, 0, 42]] and np.isfinite(scales).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="sizes do not fit"):
        _native.quantize(normal((3, 4)), np.empty((3, 5), np.int8), np.empty(3, np.float32))
    with pytest.raises(ValueError, match="sizes do not fit"):
        _native.quantize(normal((3, 4)), np.empty((3, 4), np.int8), np.empty(4, np.float32))
    with pytest.raises(ValueError, match="sizes do not fit"):
        _native.round_to_bf16(normal((3, 4)), np.empty(11, np.uint16))
    x, (values, scales) = normal((2, 4)), quantize(normal((3, 4)))
    for row in ROWS:
        w = (values, scales) if row.precision == "int8" else normal((3, 4))
        with pytest.raises(ValueError, match="sizes do not fit"):
            multiply(normal((2, 5)), w, row, "rows")
        other = normal((3, 4)) if row.precision == "int8" else (values, scales)
        with pytest.raises(ValueError, match="sizes do not fit"):
            multiply(x, other, row, "rows")


def test_a_row_that_this_cpu_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="extension='amx' is not available on this CPU for scalar; it has"):
        multiply(normal((2, 4)), quantize(normal((3, 4))), Row("int8", "scalar", "amx"), "rows")
    with pytest.raises(ValueError, match=r"isa='mmx' is not available on this CPU; it supports .*scalar"):
        _native.available_extensions("mmx", "int8")
    with pytest.raises(ValueError, match="precision='int4' is not available on this CPU; it supports fp32, "):
        _native.available_extensions("scalar", "int4")


# ---- A model's weights, given as floats or as integers.

CONFIG = ModelConfig(
    image_px=20, patch_px=4, channels=48, blocks=2, token_hidden=21, channel_hidden=37, mlp="swiglu", num_classes=7
)
FC = ("mlp_tokens.fc1", "mlp_tokens.fc2", "mlp_channels.fc1", "mlp_channels.fc2")
LAYERS = [f"blocks.{block}.{fc}" for block, fc in product(range(CONFIG.blocks), FC)]


def drawn_tensors(seed: int = 5) -> dict[str, Float32]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(shape, np.float32) / np.float32(np.prod(shape[1:]) ** 0.5)
        for name, shape in CONFIG.tensor_shapes().items()
    }


def native_model(row: Row, tensors: dict[str, Float32]) -> _native.Model:
    model = _native.Model(
        image_px=CONFIG.image_px,
        patch_px=CONFIG.patch_px,
        in_chans=CONFIG.in_chans,
        channels=CONFIG.channels,
        blocks=CONFIG.blocks,
        token_hidden=CONFIG.token_hidden,
        channel_hidden=CONFIG.channel_hidden,
        gated=True,
        num_classes=CONFIG.num_classes,
        threads=2,
        isa=row.isa,
        precision=row.precision,
        extension=row.extension,
    )
    assert (model.isa, model.extension) == (row.isa, row.extension)
    for name, values in tensors.items():
        assert model.set_tensor(name, values)
    return model


def logits_of(model: _native.Model) -> Float32:
    x = normal((3, CONFIG.in_chans, CONFIG.image_px, CONFIG.image_px), seed=9)
    features, logits = np.empty((3, CONFIG.channels), np.float32), np.empty((3, CONFIG.num_classes), np.float32)
    model.forward(x, features, logits, None, None)
    assert np.isfinite(logits).all()
    return logits


@each_int8_row
def test_set_quantized_gives_the_bits_of_set_tensor(row: Row) -> None:
    tensors = drawn_tensors()
    from_floats = logits_of(native_model(row, tensors))
    model = native_model(row, drawn_tensors(seed=6))
    assert (logits_of(model) != from_floats).all()
    for name, values in tensors.items():
        if name.removesuffix(".weight") in LAYERS:
            assert model.set_quantized(name, *quantize(values))
        else:
            assert model.set_tensor(name, values)
    assert logits_of(model).tobytes() == from_floats.tobytes()


@each_int8_row
def test_set_quantized_refuses_what_no_quantisation_gives(row: Row) -> None:
    tensors = drawn_tensors()
    model = native_model(row, tensors)
    before = logits_of(model)
    for layer in LAYERS[:4]:
        name = f"{layer}.weight"
        values, scales = quantize(-tensors[name])
        for wrong in (np.nan, np.inf, -np.inf, -1e-30):
            wrong_scales = scales.copy()
            wrong_scales[-1] = wrong
            assert not model.set_quantized(name, values, wrong_scales)
        values[-1, -1] = -128
        assert not model.set_quantized(name, values, scales)
        for shape in ((len(scales), 1), (len(scales) + 1, values.shape[1])):
            with pytest.raises(ValueError, match="sizes do not fit"):
                model.set_quantized(name, np.zeros(shape, np.int8), scales)
        with pytest.raises(ValueError, match="sizes do not fit"):
            model.set_quantized(name, np.ascontiguousarray(values.T), scales)
        with pytest.raises(ValueError, match="sizes do not fit"):
            model.set_quantized(name, values, scales[1:].copy())
    for name in ("stem.proj.weight", "head.weight"):
        values, scales = quantize(tensors[name].reshape(len(tensors[name]), -1))
        with pytest.raises(ValueError, match=f"{name} is not computed in int8"):
            model.set_quantized(name, values, scales)
    for name in ("head.bias", "blocks.0.norm1.weight", "blocks.0.mlp_tokens.fc1.bias"):
        with pytest.raises(ValueError, match=r"sizes do not fit|is not computed in int8"):
            model.set_quantized(name, np.ones((1, tensors[name].size), np.int8), np.ones(1, np.float32))
    assert logits_of(model).tobytes() == before.tobytes(), "a refused tensor packs nothing"


@each_float_row
def test_only_an_int8_model_takes_integers(row: Row) -> None:
    tensors = drawn_tensors()
    model, name = native_model(row, tensors), "blocks.1.mlp_channels.fc2.weight"
    before = logits_of(model)
    with pytest.raises(ValueError, match=f"{name} is not computed in int8"):
        model.set_quantized(name, *quantize(tensors[name]))
    assert logits_of(model).tobytes() == before.tobytes()
