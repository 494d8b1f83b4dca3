"""gmixer convert: the folder gives the bits of the original, says what it is, and is refused where it is damaged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.errors import InputError, WeightsError
from gmixer.isa import available_isas
from gmixer.models.saving import save_model
from gmixer.options import NativePrecision
from gmixer.weights import convert as convert_module
from gmixer.weights import find_checkpoint
from gmixer.weights.convert import convert
from gmixer.weights.converted import crc32_of
from gmixer.weights.weights_file import Quantized
from mixers import drawn_images, drawn_mixer

EMBEDDED = "gmixer_8_64.distill_in1k"
FLOWERS = replace(VARIANTS["gmixer_8_64"].model, num_classes=3)
PRECISIONS: tuple[NativePrecision, ...] = ("int8", "bf16")
EVERY_KERNEL = [(precision, isa) for precision in PRECISIONS for isa in available_isas(precision)]


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder in float32, with class names and a card."""
    folder = tmp_path_factory.mktemp("models") / "flowers"
    data = replace(VARIANTS["gmixer_8_64"].data, mean=(0.1, 0.2, 0.3), crop_fraction=0.75)
    save_model(drawn_mixer(FLOWERS), folder, data=data, class_names=["rose", "tulip", "daisy"], license="mit")
    card = "---\nlibrary_name: timm\nlicense: mit\n---\n\n# Flowers\n\nThree of them.\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def converted(flowers: Path) -> dict[str, Path]:
    return {precision: convert(flowers, flowers.parent / precision, precision) for precision in PRECISIONS}


@pytest.fixture
def int8(converted: dict[str, Path], tmp_path: Path) -> Path:
    """A copy, to damage it."""
    return Path(shutil.copytree(converted["int8"], tmp_path / "int8"))


def bits(model: str | Path, **options: Any) -> bytes:
    predictor = gmixer.load(model, **options)
    output = predictor.forward(drawn_images(predictor.model, 2), tokens=True)
    assert output.tokens is not None
    return output.logits.tobytes() + output.features.tobytes() + output.tokens.tobytes()


@pytest.mark.parametrize(("precision", "isa"), EVERY_KERNEL)
def test_the_folder_gives_the_bits_of_the_original(
    precision: NativePrecision, isa: str, flowers: Path, converted: dict[str, Path]
) -> None:
    of_original = bits(flowers, precision=precision, isa=isa)
    assert bits(converted[precision], isa=isa) == of_original != bits(flowers, isa=isa, precision="fp32")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_half_precision_and_another_size_give_them_too(precision: NativePrecision, tmp_path: Path) -> None:
    """The embedded weights are float16. Resized ones are new numbers, which only float32 holds."""
    convert(EMBEDDED, tmp_path / "same", precision)
    convert(EMBEDDED, tmp_path / "96", precision, image_px=96)
    only = {"isa": available_isas(precision)[0]}
    assert bits(tmp_path / "same", **only) == bits(EMBEDDED, precision=precision, **only)
    assert bits(tmp_path / "96", **only) == bits(EMBEDDED, precision=precision, image_px=96, **only)
    assert gmixer.load(tmp_path / "96", **only).data.image_px == 96


def test_torch_computes_a_bf16_folder_in_bf16(flowers: Path, converted: dict[str, Path]) -> None:
    predictor = gmixer.load(converted["bf16"], runtime="torch")
    assert predictor.precision == "bf16"
    assert bits(converted["bf16"], runtime="torch") == bits(flowers, runtime="torch", precision="bf16")


def test_more_channels_leave_the_integers_as_they_are(flowers: Path, converted: dict[str, Path]) -> None:
    assert bits(converted["int8"], in_chans=1) == bits(flowers, precision="int8", in_chans=1)


def test_the_file_is_small_and_its_dtypes_are_the_originals(flowers: Path, converted: dict[str, Path]) -> None:
    of_original = (flowers / "model.safetensors").stat().st_size
    sizes = {p: (folder / "model.safetensors").stat().st_size / of_original for p, folder in converted.items()}
    assert sizes["int8"] < 0.3 and sizes["bf16"] < 0.55
    with safe_open(converted["int8"] / "model.safetensors", framework="numpy") as file:
        dtypes = {name: file.get_slice(name).get_dtype() for name in file.offset_keys()}
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.offset_keys()}
    weights = [name for name, dtype in dtypes.items() if dtype == "I8"]
    assert len(weights) == 4 * FLOWERS.blocks and all(name.endswith((".fc1.weight", ".fc2.weight")) for name in weights)
    assert {dtype for name, dtype in dtypes.items() if name not in weights} == {"F32"}
    wanted = FLOWERS.tensor_shapes()
    for name in weights:
        assert shapes[name] == (1, *wanted[name]) and shapes[f"{name}_scale"] == wanted[name][:1]
    assert find_checkpoint(converted["bf16"]).file.dtypes == ("BF16", "F32")


def test_the_integers_are_the_cores_own(flowers: Path, converted: dict[str, Path]) -> None:
    """Symmetric, with a scale for each output: the nearest multiple of a row's largest magnitude / 127."""
    floats = {name: values.copy() for name, values in find_checkpoint(flowers).tensors()}
    compared = 0
    for name, quantized in find_checkpoint(converted["int8"]).native_tensors():
        if isinstance(quantized, Quantized):
            compared += 1
            scales_O1, largest_O = quantized.scales[:, None], np.abs(floats[name]).max(axis=1)
            np.testing.assert_allclose(quantized.scales, largest_O / 127, rtol=1e-6)
            assert (np.abs(quantized.values * scales_O1 - floats[name]) <= 0.5001 * scales_O1).all()
            assert (np.abs(quantized.values).max(axis=1) == 127).all()
        else:
            np.testing.assert_array_equal(quantized, floats[name])
    assert compared == 4 * FLOWERS.blocks


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_folder_says_what_it_is(precision: NativePrecision, flowers: Path, converted: dict[str, Path]) -> None:
    folder, original = converted[precision], find_checkpoint(flowers)
    checkpoint = find_checkpoint(folder)
    assert (checkpoint.name, checkpoint.stored_for) == (precision, precision)
    for field in ("model", "data", "class_names", "license"):
        assert getattr(checkpoint, field) == getattr(original, field), field
    said = json.loads((folder / "config.json").read_text())["conversion"]
    weights = folder / "model.safetensors"
    assert said["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest() == checkpoint.file.sha256()
    assert said["source_sha256"] == hashlib.sha256((flowers / "model.safetensors").read_bytes()).hexdigest()
    assert (said["source"], said["source_file"], said["precision"]) == ("flowers", "model.safetensors", precision)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert f"in {precision}" in repr(gmixer.load(folder, isa="scalar").embed(np.zeros((64, 64, 3), np.uint8)))


def test_the_card_travels_with_a_line_about_the_conversion(converted: dict[str, Path], tmp_path: Path) -> None:
    cards = {precision: (folder / "README.md").read_text() for precision, folder in converted.items()}
    assert cards["bf16"].startswith("---\nlibrary_name: timm\nlicense: mit\n---\n\n> The weights here are in bf16.")
    assert cards["int8"].startswith("---\nlibrary_name: gmixer\nlicense: mit\n---\n\n> The weights here are in int8.")
    assert all(
        card.endswith("# Flowers\n\nThree of them.\n") and "flowers (model.saf" in card for card in cards.values()
    )
    embedded = convert(EMBEDDED, tmp_path / "embedded", "int8") / "README.md"
    assert "The small classifier and feature backbone inside gmixer." in embedded.read_text()


def test_a_readme_beside_a_bare_file_is_no_card(flowers: Path, tmp_path: Path) -> None:
    shutil.copy(flowers / "model.safetensors", tmp_path / "mine.safetensors")
    (tmp_path / "README.md").write_text("Shopping list")
    card = (convert(tmp_path / "mine.safetensors", tmp_path / "small", "int8") / "README.md").read_text()
    assert card.startswith("> The weights here are in int8.") and card.endswith("\n\n# small\n")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1000] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def of_floats(folder: Path) -> None:
    tensors = {name: np.zeros(shape, np.float32) for name, shape in FLOWERS.tensor_shapes().items()}
    save_file(tensors, folder / "model.safetensors")


def gone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def page(folder: Path) -> None:
    (folder / "model.safetensors").write_text("<!doctype html><title>404</title>")


def without_a_scale(folder: Path) -> None:
    change(folder, lambda tensors: tensors.pop("blocks.0.mlp_tokens.fc1.weight_scale"))


def without_a_norm(folder: Path) -> None:
    change(folder, lambda tensors: tensors.pop("norm.weight"))


def minus_128(folder: Path) -> None:
    change(folder, lambda tensors: tensors["blocks.1.mlp_tokens.fc2.weight"].put(7, -128))


def bad_scale(value: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        change(folder, lambda tensors: tensors["blocks.1.mlp_channels.fc1.weight_scale"].put(5, value))

    return damage


def nan_in_the_stem(folder: Path) -> None:
    change(folder, lambda tensors: tensors["stem.proj.bias"].put(0, np.nan))


def change(folder: Path, how: Callable[[dict[str, np.ndarray]], object]) -> None:
    """The checksum agrees with the changed file, so that what is wrong in it must be found."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    how(tensors)
    save_file(tensors, path)
    with_conversion(folder, crc32=crc32_of(path))


def with_conversion(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["conversion"] |= changes
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "is not a safetensors file, or is cut short or damaged"),
        (flip, "its checksum is not the one in config.json: .* convert flowers again"),
        (of_floats, r"blocks.0.mlp_channels.fc1.weight is F32 .*; wanted the int8 weights that gmixer convert writes"),
        (gone, "model.safetensors: no such file"),
        (page, "is an HTML page, not weights"),
        (without_a_scale, "its scales None; wanted the int8 weights"),
        (without_a_norm, "lacks norm.weight; wanted the"),
        (minus_128, r"blocks.1.mlp_tokens.fc2.weight holds -128, or a scale that is negative, NaN or infinity"),
        (bad_scale(-1.0), "blocks.1.mlp_channels.fc1.weight holds -128, or a scale"),
        (bad_scale(np.nan), "blocks.1.mlp_channels.fc1.weight holds -128, or a scale"),
        (bad_scale(np.inf), "blocks.1.mlp_channels.fc1.weight holds -128, or a scale"),
        (nan_in_the_stem, "stem.proj.bias holds NaN or infinity"),
        (lambda folder: with_conversion(folder, precision="int4"), "conversion is damaged, or of a newer gmixer"),
        (lambda folder: with_conversion(folder, precision="fp32"), "conversion is damaged"),
        (lambda folder: with_conversion(folder, sha256="0"), "conversion is damaged"),
        (lambda folder: with_conversion(folder, crc32="0"), "conversion is damaged"),
        (lambda folder: with_conversion(folder, source=None), "conversion is damaged"),
        (lambda folder: with_conversion(folder, more=1), "conversion holds other keys than gmixer convert writes"),
        (lambda folder: with_conversion(folder, architecture="gmixer_9_64"), "no model 'gmixer_9_64'"),
        (lambda folder: with_conversion(folder, precision="bf16"), "holds the unknown blocks.0.*weight_scale"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(damage: Callable[[Path], None], message: str, int8: Path) -> None:
    damage(int8)
    with pytest.raises(WeightsError, match=message) as said:
        gmixer.load(int8)
    assert str(int8) in str(said.value)


def test_a_bf16_folder_holds_bf16(converted: dict[str, Path], tmp_path: Path) -> None:
    """Otherwise the core would round the numbers of another file, and nobody would know."""
    folder = Path(shutil.copytree(converted["bf16"], tmp_path / "bf16"))
    save_file({name: values.copy() for name, values in find_checkpoint(folder).tensors()}, folder / "model.safetensors")
    with_conversion(folder, crc32=crc32_of(folder / "model.safetensors"))
    with pytest.raises(WeightsError, match=r"fc1.weight is stored as F32; wanted BF16, as gmixer convert writes bf16"):
        gmixer.load(folder, isa="scalar")


def test_weights_of_another_conversion_are_refused(converted: dict[str, Path], int8: Path, tmp_path: Path) -> None:
    convert(save_model(drawn_mixer(FLOWERS, seed=1), tmp_path / "other"), tmp_path / "other8", "int8")
    shutil.copy(tmp_path / "other8" / "model.safetensors", int8)
    with pytest.raises(WeightsError, match="belongs to another conversion"):
        gmixer.load(int8)
    bf16 = Path(shutil.copytree(converted["bf16"], tmp_path / "bf16"))
    shutil.copy(int8 / "model.safetensors", bf16)
    with pytest.raises(WeightsError, match=r"model\.safetensors: "):
        gmixer.load(bf16, isa="scalar")


def test_an_int8_folder_runs_in_int8_only(int8: Path) -> None:
    for precision in ("fp32", "bf16"):
        message = f"precision is '{precision}' and int8 is stored in int8, .* or load the original, flowers"
        with pytest.raises(InputError, match=message):
            gmixer.load(int8, precision=precision)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"which only the native runtime computes: .* load the original, flowers"):
        gmixer.load(int8, runtime="torch")
    with pytest.raises(InputError, match=r"image_px is 96 .* cannot be resized; take the original, flowers, or conv"):
        gmixer.load(int8, image_px=96)
    assert gmixer.load(int8, precision="int8").precision == gmixer.load(int8).precision == "int8"


def test_a_bf16_folder_runs_in_other_precisions_if_they_are_named(converted: dict[str, Path]) -> None:
    """Its numbers are exact in float32. Nothing but the name asks for them."""
    assert gmixer.load(converted["bf16"], precision="fp32").precision == "fp32"
    assert gmixer.load(converted["bf16"], precision="int8").precision == "int8"
    assert gmixer.load(converted["bf16"], isa="scalar").precision == "bf16"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_plain_half_precision_runs_in_fp32(dtype: torch.dtype, tmp_path: Path) -> None:
    folder = save_model(drawn_mixer(FLOWERS).to(dtype), tmp_path / "half")
    assert gmixer.load(folder).precision == "fp32"
    with pytest.warns(UserWarning, match="for its class names, normalisation and precision, pass the folder"):
        assert gmixer.load(folder / "model.safetensors").precision == "fp32"


def test_the_bare_file_of_an_int8_folder_needs_its_config(int8: Path) -> None:
    message = r"holds weights in int8, by gmixer convert, .* pass the folder .*/int8, or take the original"
    with pytest.raises(WeightsError, match=message):
        gmixer.load(int8 / "model.safetensors")
    with pytest.raises(WeightsError, match=message):
        gmixer.create_model("gmixer_8_64", num_classes=3, checkpoint_path=int8 / "model.safetensors")
    with pytest.raises(WeightsError, match=r"only the native runtime runs; for torch, training and .* flowers"):
        gmixer.create_model(f"local-dir:{int8}", pretrained=True)


def test_timm_refuses_int8_and_reads_bf16(tmp_path: Path) -> None:
    """It never takes the integers for weights, also where it is not strict: for another number of classes."""
    name = "gmixer_12_224"
    model = drawn_mixer(replace(VARIANTS[name].model, num_classes=5))
    save_model(model, tmp_path / "original")
    for precision in PRECISIONS:
        convert(tmp_path / "original", tmp_path / precision, precision)
    for num_classes in (None, 7):
        with pytest.raises(RuntimeError, match=r"Unknown model \(gmixer_12_224 in int8, which only gmixer runs"):
            timm.create_model(f"local-dir:{tmp_path / 'int8'}", pretrained=True, num_classes=num_classes)
    weights = tmp_path / "int8" / "model.safetensors"
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"blocks.0.mlp_tokens.fc1.weight_scale"'):
        timm.create_model(name, num_classes=5, checkpoint_path=weights)
    with pytest.raises(RuntimeError, match=r"size mismatch for blocks.0.mlp_tokens.fc1.weight.*\[1, 384, 196\]"):
        timm.create_model(name, num_classes=7, pretrained=True, pretrained_cfg_overlay={"file": str(weights)})
    loaded = timm.create_model(f"local-dir:{tmp_path / 'bf16'}", pretrained=True).state_dict()
    for tensor, values in model.state_dict().items():
        is_product = tensor.endswith((".fc1.weight", ".fc2.weight"))
        assert torch.equal(loaded[tensor], values.bfloat16().float() if is_product else values), tensor


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int4", None, "INT8"])
def test_another_precision_is_refused(precision: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"precision is {precision!r}; wanted int8 or bf16"):
        convert(EMBEDDED, tmp_path / "x", precision)


def test_what_cannot_be_converted(flowers: Path, int8: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was itself converted to int8; convert its original, flowers"):
        convert(int8, tmp_path / "again", "bf16")
    small = drawn_mixer(replace(FLOWERS, blocks=3))
    save_file({n: t.numpy() for n, t in small.state_dict().items()}, tmp_path / "small.safetensors")
    config = json.loads((flowers / "config.json").read_text())
    config["model_args"] |= {"num_blocks": 3, "num_classes": 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="3 blocks of 256 channels are no variant"):
        convert(tmp_path, tmp_path / "x", "int8")
    broken = drawn_mixer(FLOWERS)
    with torch.no_grad():
        broken.blocks[2].mlp_tokens.fc1.weight[3, 4] = torch.nan
    with pytest.raises(WeightsError, match=r"blocks.2.mlp_tokens.fc1.weight holds NaN or infinity"):
        convert(save_model(broken, tmp_path / "broken"), tmp_path / "x", "int8")
    assert not list(tmp_path.glob("*x*"))


def test_the_folder_must_be_new(flowers: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in flowers.iterdir()}
    for taken in (flowers, flowers / "config.json"):
        with pytest.raises(InputError, match="exists and is not empty; wanted the name of a new folder"):
            convert(flowers, taken, "int8")
    assert {path: path.read_bytes() for path in flowers.iterdir()} == before
    (tmp_path / "empty").mkdir()
    assert (convert(flowers, tmp_path / "empty", "int8") / "config.json").exists()
    assert (convert(flowers, tmp_path / "a" / "b", "int8") / "config.json").exists()


def test_a_failure_leaves_nothing(flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert_module, "write_safetensors", full)
    with pytest.raises(OSError, match="No space left"):
        convert(flowers, tmp_path / "small", "int8")
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    convert(flowers, tmp_path / "small", "int8")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_full_disk_is_named(flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert_module, "write_safetensors", full)
    with pytest.raises(OSError, match=r"No space left on device: .*small"):
        convert(flowers, tmp_path / "small", "int8")


def test_the_working_directory_and_a_link_are_written_into(
    flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that took their place would leave the shell in a deleted one, or fail, as for a mounted one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    convert(flowers, ".", "int8")
    assert sorted(os.listdir(".")) == ["README.md", "config.json", "model.safetensors"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    convert(flowers, tmp_path / "link", "int8")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "empty" / "config.json").exists()


def test_two_conversions_into_one_folder(flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one is refused, and changes nothing of the first one."""
    write = convert_module.write_safetensors

    def meanwhile(tensors: Any, path: Path) -> None:
        with pytest.raises(InputError, match="exists and is not empty"):
            convert(EMBEDDED, tmp_path / "small", "bf16")
        write(tensors, path)

    monkeypatch.setattr(convert_module, "write_safetensors", meanwhile)
    convert(flowers, tmp_path / "small", "int8")
    assert gmixer.load(tmp_path / "small", isa="scalar").precision == "int8"


@pytest.mark.parametrize("folder", [None, 3, b"x", "a\0b"])
def test_what_is_no_path_is_refused(folder: Any, flowers: Path) -> None:
    with pytest.raises(InputError, match=r"folder is .*; wanted the path of a new folder"):
        convert(flowers, folder, "int8")


def test_a_weight_beyond_bfloat16_is_refused(tmp_path: Path) -> None:
    """Such a folder would hold infinity, and nothing could load it."""
    model = drawn_mixer(FLOWERS)
    with torch.no_grad():
        model.blocks[2].mlp_channels.fc1.weight[3, 4] = -torch.finfo(torch.float32).max
    with pytest.raises(WeightsError, match=r"blocks.2.mlp_channels.fc1.weight holds a number that bfloat16 rounds"):
        convert(save_model(model, tmp_path / "huge"), tmp_path / "x", "bf16")


def test_the_library_reads_the_file_as_it_was_written(converted: dict[str, Path]) -> None:
    """safetensors itself checks the header; torch reads BF16 without our help."""
    from safetensors.torch import load_file as load_with_torch

    tensors = load_with_torch(converted["bf16"] / "model.safetensors")
    ours = {name: values.copy() for name, values in find_checkpoint(converted["bf16"]).tensors()}
    assert tensors.keys() == ours.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.float().numpy(), ours[name], err_msg=name)


def test_a_start_from_the_folder_imports_nothing_more(flowers: Path, int8: Path) -> None:
    def imported(folder: Path) -> set[str]:
        program = (
            "import sys, numpy, gmixer\n"
            f"gmixer.load({str(folder)!r}).classify(numpy.zeros((70, 90, 3), numpy.uint8))\n"
            "print(*sys.modules)"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return set(run.stdout.split())

    assert imported(int8) - imported(flowers) <= {"zlib"}, "a part of Python, which takes the checksum"
