"""What another image size costs the embedded model, and which interpolation of its token mixing costs least.

    python -m benchmarks.image_size FOLDER [--sizes 48 80 96]

FOLDER holds photos. Photos in subfolders named by ImageNet class index (`281/a.jpg`) also count for top-1. It prints a
Markdown table: the cosine of the features with those at 64 px, how often the top class stays the same, and top-1.
It needs gmixer[torch].

O patches of the trained size, P patches of the new size. W1 is the weight of fc1; W2 and b2 are those of fc2.
D maps tokens from P to O, U maps them from O to P.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import gmixer
from gmixer.data import Preprocess
from gmixer.predictor import Predictor
from gmixer.runtimes import Engine
from gmixer.sources.listing import list_files
from gmixer.weights.adapt import grid_matrix

MODEL = "gmixer_8_64"
Grids = tuple[np.ndarray, np.ndarray]  # D (O, P), U (P, O)


def between(old: int, new: int) -> Grids:
    """gmixer's method: bicubic interpolation of the tokens to the old grid and back."""
    return grid_matrix(new, old), grid_matrix(old, new)


def as_images(mode: str, *, scaled: bool) -> Callable[[int, int], Grids]:
    """Resizes W1, W2 and b2 as images on the old grid. scaled: multiply W1 by O / P."""

    def grids(old: int, new: int) -> Grids:
        maps = torch.eye(old * old).reshape(old * old, 1, old, old)
        corners = {} if mode == "nearest-exact" else {"align_corners": False}
        U_PO = F.interpolate(maps, size=(new, new), mode=mode, **corners).flatten(1).T.double().numpy()
        return U_PO.T * (old**2 / new**2 if scaled else 1.0), U_PO

    return grids


METHODS: dict[str, Callable[[int, int], Grids]] = {
    "tokens to the trained grid and back, bicubic (gmixer)": between,
    "W1, W2 and b2 as images, bicubic, W1 scaled": as_images("bicubic", scaled=True),
    "W1, W2 and b2 as images, bilinear, W1 scaled": as_images("bilinear", scaled=True),
    "W1, W2 and b2 as images, nearest, W1 scaled": as_images("nearest-exact", scaled=True),
    "W1, W2 and b2 as images, bicubic, W1 unscaled": as_images("bicubic", scaled=False),
}


def engine_at(image_px: int, method: Callable[[int, int], Grids]) -> Engine:
    trained = gmixer.load(MODEL).checkpoint
    config = trained.adapted(image_px=image_px).model
    D_OP, U_PO = method(*(c.image_px // c.patch_px for c in (trained.model, config)))
    tensors = {}
    for name, values in trained.tensors():
        if name.endswith("mlp_tokens.fc1.weight"):
            tensors[name] = (values @ D_OP).astype(np.float32)
        elif ".mlp_tokens.fc2." in name:
            tensors[name] = (U_PO @ values).astype(np.float32)
        else:
            tensors[name] = values.copy()
    return Engine(config, tensors.items())


def forward(engine: Engine, predictor: Predictor, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Features of length 1 (B, C) and the top class (B,)."""
    preprocess = Preprocess(predictor.data.adapted(image_px=engine.config.image_px))
    features, top1 = [], []
    for start in range(0, len(paths), 64):
        output = engine.forward(np.stack([preprocess(path) for path in paths[start : start + 64]]))
        features.append(output.features / np.linalg.norm(output.features, axis=1, keepdims=True))
        top1.append(output.logits.argmax(axis=1))
    return np.concatenate(features), np.concatenate(top1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder")
    parser.add_argument("--sizes", type=int, nargs="+", default=[48, 80, 96])
    arguments = parser.parse_args()

    predictor = gmixer.load(MODEL)
    paths = [entry.key for entry in list_files(arguments.folder) if not isinstance(entry, gmixer.ImageError)]
    folders = [Path(path).parent.name for path in paths]
    labels = np.array([int(name) if name.isdigit() else -1 for name in folders])
    known = labels >= 0
    assert isinstance(predictor.runtime, Engine)
    features, top1 = forward(predictor.runtime, predictor, paths)

    def accuracy(answers: np.ndarray) -> str:
        return f"{100 * (answers == labels)[known].mean():.1f} %" if known.any() else "–"

    print(f"{len(paths)} photos, {known.sum()} of them with a class; at {predictor.model.image_px} px: ", end="")
    print(f"top-1 {accuracy(top1)}\n")
    print("| px | method | cosine with 64 px | same class as at 64 px | top-1 |")
    print("| --- | --- | --- | --- | --- |")
    for size in arguments.sizes:
        for name, method in METHODS.items():
            features_there, top1_there = forward(engine_at(size, method), predictor, paths)
            cosine = (features_there * features).sum(axis=1).mean()
            agreement = 100 * (top1_there == top1).mean()
            print(f"| {size} | {name} | {cosine:.3f} | {agreement:.1f} % | {accuracy(top1_there)} |", flush=True)


if __name__ == "__main__":
    main()
