"""What another image size costs the embedded model, and which interpolation of its token mixing costs least.

    python benchmarks/image_size.py FOLDER [--sizes 48 80 96]

FOLDER: photographs; in subfolders named by ImageNet class index (`281/a.jpg`) they count for top-1 too. Prints a
Markdown table: cosine of the features with those at 64 px, agreement of the most probable class, top-1. It needs
gmixer[test].

O the patches that the weights were trained on, P those of the new size; D brings the tokens from P to O, U back.
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
    """What gmixer does: the tokens go to the old grid and back by bicubic interpolation."""
    return grid_matrix(new, old), grid_matrix(old, new)


def like_an_image(mode: str, *, scaled: bool) -> Callable[[int, int], Grids]:
    """fc1's and fc2's weights are maps on the old grid, enlarged like pictures; fc1's scaled by O / P, or not."""

    def grids(old: int, new: int) -> Grids:
        maps = torch.eye(old * old).reshape(old * old, 1, old, old)
        corners = {} if mode == "nearest-exact" else {"align_corners": False}
        U_PO = F.interpolate(maps, size=(new, new), mode=mode, **corners).flatten(1).T.double().numpy()
        return U_PO.T * (old**2 / new**2 if scaled else 1.0), U_PO

    return grids


WAYS: dict[str, Callable[[int, int], Grids]] = {
    "tokens to the trained grid and back, bicubic (gmixer)": between,
    "weights like an image, bicubic, fc1 scaled": like_an_image("bicubic", scaled=True),
    "weights like an image, bilinear, fc1 scaled": like_an_image("bilinear", scaled=True),
    "weights like an image, nearest, fc1 scaled": like_an_image("nearest-exact", scaled=True),
    "weights like an image, bicubic, fc1 unscaled": like_an_image("bicubic", scaled=False),
}


def engine_at(image_px: int, way: Callable[[int, int], Grids]) -> Engine:
    trained = gmixer.load(MODEL).checkpoint
    config = trained.adapted(image_px=image_px).model
    D_OP, U_PO = way(*(c.image_px // c.patch_px for c in (trained.model, config)))
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
    """Features of length 1 (B, C) and the most probable class (B,)."""
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

    print(f"{len(paths)} photographs, {known.sum()} of them with a class; at {predictor.model.image_px} px: ", end="")
    print(f"top-1 {accuracy(top1)}\n")
    print("| px | how the token mixing is resized | cosine with 64 px | same class as at 64 px | top-1 |")
    print("| --- | --- | --- | --- | --- |")
    for size in arguments.sizes:
        for name, way in WAYS.items():
            features_there, top1_there = forward(engine_at(size, way), predictor, paths)
            cosine = (features_there * features).sum(axis=1).mean()
            agreement = 100 * (top1_there == top1).mean()
            print(f"| {size} | {name} | {cosine:.3f} | {agreement:.1f} % | {accuracy(top1_there)} |", flush=True)


if __name__ == "__main__":
    main()
