"""Files that people pass for weights and that gmixer does not read: what they are, and the way out."""

from __future__ import annotations

from pathlib import Path

_CONVERTED = "wanted timm's names as .safetensors: load it in timm, and save that model with gmixer.save_model"
_BY_START = {
    b"\x93NUMPY": f"is a NumPy array; {_CONVERTED}",
    b"\x89HDF\r\n\x1a\n": f"is an HDF5 file, as Keras writes it; {_CONVERTED}",
    b"GGUF": "is a GGUF file; wanted .safetensors",
    b"version https://git-lfs": "is only the Git LFS pointer to the weights; fetch them: git lfs pull",
    b"<!doctype html": "is an HTML page, not weights; download the file itself, not the page about it",
    b"<?xml": "is an XML page, such as an error of a server, not weights; download the file itself",
    b"<html": "is an HTML page, not weights; download the file itself, not the page about it",
}
_BY_SUFFIX = {
    ".onnx": "is an ONNX program; wanted the weights of the torch model, as .safetensors",
    ".msgpack": f"is a checkpoint of Flax; {_CONVERTED}",
    ".json": "is no weights file; pass the folder that holds it, or the .safetensors file",
    ".toml": "is no weights file; wanted a model's folder, or a .safetensors file",
}
FOREIGN_SUFFIXES = (".npz", ".npy", ".pt2", *_BY_SUFFIX)
_TORCHSCRIPT = (
    "is a TorchScript program, not weights alone; take them out of it in Python: "
    "safetensors.torch.save_file(torch.jit.load(path).state_dict(), 'model.safetensors')"
)
_EXPORTED = (
    "is a program of torch.export, not weights alone; take them out of it in Python: "
    "safetensors.torch.save_file(torch.export.load(path).state_dict, 'model.safetensors')"
)
_JSON = "is JSON, such as an error of a server, not weights; download the weights themselves"
_NUMPY_ARCHIVE = f"is a NumPy archive (.npz), as Google published Mixer; {_CONVERTED}"


def why_foreign(path: Path) -> str | None:
    """One sentence without the path; None for a file that may be safetensors or a pickle of weights.

    The first bytes decide, then the names in a ZIP archive, then the suffix.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(32)
    except OSError:
        return None  # the reader of weights says why
    text = head.lstrip().lower()
    for start, sentence in _BY_START.items():
        if text.startswith(start.lower()):
            return sentence
    if head.startswith(b"PK\x03\x04"):
        return _why_foreign_archive(path)
    if b"\0" in head and head[8:9] == b"{":  # safetensors: the length of its header, then the header
        return None
    return _BY_SUFFIX.get(path.suffix.lower()) or (_JSON if text.startswith((b'{"', b"{\n")) else None)


def _why_foreign_archive(path: Path) -> str | None:
    import zipfile  # 2 ms, which a start of the command does not need

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if all(name.endswith(".npy") for name in names):
        return _NUMPY_ARCHIVE
    if any("/code/" in name for name in names):
        return _TORCHSCRIPT
    if any(name.endswith(("archive_format", "exported_program.json")) for name in names):
        return _EXPORTED
    return None
