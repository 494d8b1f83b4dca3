"""`.pth` files: what torch and timm write is read, what attacks is refused, and nothing is ever executed."""

from __future__ import annotations

import argparse
import datetime
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import load_checkpoint
from typer.testing import CliRunner

import gmixer
from gmixer.cli import app
from gmixer.errors import WeightsError
from gmixer.options import WeightsSource
from gmixer.weights import find_checkpoint
from gmixer.weights.pickle_file import PickleFile, is_pickle


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """timm's own, of gmixer_12_224 with three classes, in half precision to be small."""
    generator = torch.Generator().manual_seed(0)
    model = timm.create_model("gmixer_12_224", num_classes=3)
    return {name: torch.randn(t.shape, generator=generator).half() * 0.1 for name, t in model.state_dict().items()}


def changed(state: dict[str, torch.Tensor], by: float) -> dict[str, torch.Tensor]:
    return {name: tensor + by for name, tensor in state.items()}


def assert_holds(path: Path, state: dict[str, torch.Tensor]) -> None:
    read = {name: values.copy() for name, values in PickleFile(path).tensors()}
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(read[name], tensor.float().numpy())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older form"])
@pytest.mark.parametrize("part", [None, "state_dict_ema", "model_ema", "state_dict", "model"])
def test_every_wrapping_is_taken_off(part: str | None, zipped: bool, state: Any, tmp_path: Path) -> None:
    wrapped = {part: state, "epoch": 7, "args": argparse.Namespace(lr=0.1)} if part else state
    torch.save(wrapped, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    assert PickleFile(tmp_path / "x.pth").part == part
    assert_holds(tmp_path / "x.pth", state)


def test_the_averaged_weights_go_first_as_in_timm(state: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"state_dict": changed(state, 1.0), "state_dict_ema": state, "model": changed(state, 2.0)}, path)
    assert_holds(path, state)
    theirs = timm.create_model("gmixer_12_224", num_classes=3)
    load_checkpoint(theirs, str(path))
    assert all(torch.equal(theirs.state_dict()[name], tensor.float()) for name, tensor in state.items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_training_are_taken_off(prefix: str, state: Any, tmp_path: Path) -> None:
    torch.save({prefix + name: tensor for name, tensor in state.items()}, tmp_path / "x.pth")
    assert_holds(tmp_path / "x.pth", state)


def test_same_model_from_pth_and_safetensors(state: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": state}, tmp_path / "x.pth.tar")
    save_file(state, tmp_path / "x.safetensors")
    x_BCHW = np.random.default_rng(0).standard_normal((2, 3, 224, 224), np.float32)
    pickled = gmixer.load(tmp_path / "x.pth.tar", allow_pickle=True)
    np.testing.assert_array_equal(
        pickled.forward(x_BCHW).logits, gmixer.load(tmp_path / "x.safetensors").forward(x_BCHW).logits
    )
    model = gmixer.create_model(
        "gmixer_12_224", num_classes=3, checkpoint_path=tmp_path / "x.pth.tar", allow_pickle=True
    )
    assert all(torch.equal(model.state_dict()[name], tensor.float()) for name, tensor in state.items())


def test_a_folder_of_timm_with_a_pickle_alone(state: Any, tmp_path: Path) -> None:
    model = timm.create_model("gmixer_12_224", num_classes=3)
    timm.models.save_for_hf(model, tmp_path, safe_serialization=False)
    with pytest.raises(WeightsError, match=r"pytorch_model.bin: is a pickle"):
        find_checkpoint(tmp_path)
    assert find_checkpoint(tmp_path, WeightsSource(allow_pickle=True)).path.name == "pytorch_model.bin"
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    assert find_checkpoint(tmp_path, WeightsSource(allow_pickle=True)).path.name == "model.safetensors"


def test_nothing_is_read_without_leave(state: Any, tmp_path: Path) -> None:
    """By its content, whatever it is called; and nothing of torch is loaded to say so."""
    torch.save(state, tmp_path / "x.pth")
    os.link(tmp_path / "x.pth", tmp_path / "model.safetensors")
    for name in ("x.pth", "model.safetensors"):
        with pytest.raises(WeightsError, match=rf"{name}: is a pickle, .* pass allow_pickle=True .*--allow-pickle"):
            gmixer.load(tmp_path / name)
        with pytest.raises(WeightsError, match="is a pickle"):
            gmixer.create_model("gmixer_12_224", num_classes=3, checkpoint_path=tmp_path / name)
    script = (
        "import gmixer, sys\ntry: gmixer.load(sys.argv[1])\nexcept gmixer.WeightsError: print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script, tmp_path / "x.pth"], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_safetensors_is_never_taken_for_a_pickle(tmp_path: Path) -> None:
    """Its first bytes are a length: 0x280 looks like the pickle protocol's own two bytes."""
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(0x280)
    (tmp_path / "x.bin").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    assert (tmp_path / "x.bin").read_bytes().startswith(b"\x80\x02") and not is_pickle(tmp_path / "x.bin")


class Runs:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


class Evaluates(Runs):
    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("attack", [Runs, Evaluates])
@pytest.mark.parametrize("place", ["whole", "beside", "as a tensor"])
@pytest.mark.parametrize("write", ["torch", "torch, older form", "pickle 2", "pickle 4"])
def test_attacks_are_refused_and_nothing_runs(attack: Any, place: str, write: str, state: Any, tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "attack.pth"
    evil = attack(made)
    content = {"whole": evil, "beside": {"state_dict": state, "x": evil}, "as a tensor": state | {"x": evil}}[place]
    if write.startswith("torch"):
        torch.save(content, path, _use_new_zipfile_serialization="older" not in write)
    else:
        path.write_bytes(pickle.dumps(content, protocol=int(write[-1])))
    pickle.loads(pickle.dumps(evil))
    assert made.exists(), "the attack works where it is not refused"
    made.unlink()
    with pytest.raises(WeightsError, match=r"attack.pth: (was refused: it asks for|is no checkpoint)") as caught:
        gmixer.load(path, allow_pickle=True)
    assert not made.exists()
    assert "weights_only" not in str(caught.value), "no advice to switch the guard off"


def test_the_command_says_it_in_one_line(state: Any, tmp_path: Path, photos: list[Path]) -> None:
    torch.save({"x": Runs(tmp_path / "made")}, tmp_path / "attack.pth")
    torch.save({"state_dict_ema": state}, tmp_path / "good.pth")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gmixer", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)

    attacked = run("classify", photos[0], "--model", "attack.pth", "--allow-pickle")
    assert (attacked.returncode, attacked.stdout) == (2, "")
    assert attacked.stderr.startswith(
        "gmixer: attack.pth: was refused: it asks for posix.system, which weights do not need"
    )
    assert attacked.stderr.count("\n") == 1 and not (tmp_path / "made").exists()
    refused = run("classify", photos[0], "--model", "good.pth")
    assert refused.returncode == 2 and refused.stderr.startswith("gmixer: good.pth: is a pickle")
    # In this process, which has imported torch already.
    good = str(tmp_path / "good.pth")
    arguments = ["classify", str(photos[0]), "--model", good, "--allow-pickle", "--json"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    shown = CliRunner().invoke(app, ["info", good, "--allow-pickle"]).stdout
    assert "good.pth, its state_dict_ema (23.5 MiB, F16)" in shown


def test_sizes_that_are_not_true(state: Any, tmp_path: Path) -> None:
    stretched = {name: tensor.as_strided((10**6, 10**6), (0, 0)) for name, tensor in state.items()}
    torch.save(stretched, tmp_path / "stretched.pth")
    with pytest.raises(WeightsError, match=r"stretched.pth: its tensors claim [\d,]+ bytes, and the whole file holds"):
        PickleFile(tmp_path / "stretched.pth")
    torch.save({"a": torch.zeros(10_000_000)}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match=r"bomb.pth: is a compressed archive of 40,\d+,\d+ bytes unpacked"):
        PickleFile(tmp_path / "bomb.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds a list, no state dict"),
        ({}, "holds a dict without tensors; wanted a saved model.state_dict"),
        ({"a": "text"}, "holds a dict without tensors"),
        ({1: torch.zeros(1)}, "holds no MLP-Mixer .1, …."),
        ({"a": torch.eye(3).to_sparse()}, "a is sparse_coo on cpu; wanted plain tensors"),
        ({"a": torch.zeros(3, device="meta")}, "a is strided on meta; wanted plain tensors"),
        ({"a": torch.zeros(3)}, "holds no MLP-Mixer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_state_dict(content: Any, words: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=f"x.pth: {words}"):
        gmixer.load(tmp_path / "x.pth", allow_pickle=True)


def test_damage(state: Any, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "x.pth")
    whole = (tmp_path / "x.pth").read_bytes()
    for damaged in (b"", b"junk" * 100, whole[:100_000], b"\x80\x02", whole[:-100], b"PK\x03\x04" + bytes(100)):
        (tmp_path / "damaged.pth").write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"damaged.pth: is no checkpoint that torch can read safely"):
            PickleFile(tmp_path / "damaged.pth")


def test_dtypes_and_shapes_are_held_to_the_architecture(state: Any, tmp_path: Path) -> None:
    torch.save(state | {"norm.bias": state["norm.bias"].double()}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"norm.bias is stored as float64; wanted F32, F16 or BF16"):
        find_checkpoint(tmp_path / "x.pth", WeightsSource(allow_pickle=True))
    torch.save({name: t for name, t in state.items() if name != "norm.bias"}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x.pth: lacks norm.bias"):
        find_checkpoint(tmp_path / "x.pth", WeightsSource(allow_pickle=True))
    torch.save(state | {"norm.bias": torch.full((384,), torch.nan)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x.pth: norm.bias holds"):
        gmixer.load(tmp_path / "x.pth", allow_pickle=True)


def test_an_older_torch_is_not_trusted_with_pickles(state: Any, tmp_path: Path, monkeypatch: Any) -> None:
    torch.save(state, tmp_path / "x.pth")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(WeightsError, match=r"torch 2.9.1\+cpu reads pickles unsafely; wanted 2.10 or newer"):
        PickleFile(tmp_path / "x.pth")


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent.pth: no such file"):
        gmixer.load(tmp_path / "absent.pth", allow_pickle=True)


@pytest.mark.parametrize("write", [torch.save, lambda *of: torch.save(*of, _use_new_zipfile_serialization=False)])
def test_what_training_programs_save_beside_the_weights(write: Any, state: Any, tmp_path: Path) -> None:
    """torch refuses NumPy's numbers, paths and dates. They are passed over, and their own code does not run."""
    beside = {
        "best_accuracy": np.mean([0.5, 0.75]),
        "numbers": [np.float32(1), np.int64(3), np.bool_(True), np.str_("x")],
        "confusion": np.asfortranarray(np.ones((3, 4))),
        "objects": np.array(["a", None], object),
        "random_state": np.random.get_state(),
        "args": argparse.Namespace(data=Path("photos"), started=datetime.datetime(2026, 1, 1)),
        "took": datetime.timedelta(1),
    }
    write({"model_state_dict": state, **beside}, tmp_path / "x.pth")
    assert_holds(tmp_path / "x.pth", state)


def test_weights_as_arrays_are_refused(state: Any, tmp_path: Path) -> None:
    torch.save({"model": {name: tensor.numpy() for name, tensor in state.items()}}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x.pth: holds a dict without tensors; wanted a saved model.state_dict\(\)"):
        gmixer.load(tmp_path / "x.pth", allow_pickle=True)


def test_a_pickle_that_is_called_safetensors(state: Any, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "x.safetensors")
    assert_holds(tmp_path / "x.safetensors", state)


@pytest.mark.parametrize(
    "names",
    [
        {"classes": ["a", "b", "c"]},
        {"class_to_idx": {"a": 0, "b": 1, "c": 2}},
        {"hyper_parameters": {"class_names": ["a", "b", "c"]}},  # Lightning
        {"meta": {"dataset_meta": {"classes": ("a", "b", "c")}}},  # MMEngine
    ],
)
def test_class_names_in_a_checkpoint_are_said(names: Any, state: Any, tmp_path: Path) -> None:
    torch.save({"model": state} | names, tmp_path / "x.pth")
    with pytest.warns(UserWarning, match=r"class names under 'class\w+' are not read from a checkpoint; .*save_model"):
        assert_holds(tmp_path / "x.pth", state)
