"""Write the embedded model's weights and their record: the average of several models, in fp16.

    gmixer train DATA -o RUN --config distill_embedded
    python tools/make_embedded.py DATA RUN/model/model.safetensors OLDER.safetensors …

The accuracy is measured on DATA's held-out part. docs/decisions/38-… says why it is an average, and of which models.
Afterwards, run tools/make_golden.py, and update the card (README.md beside the weights) and top1 in catalogue.py.
tests/weights/test_find.py and tests/doctor find what was forgotten.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import gmixer
from gmixer.catalogue import EMBEDDED_MODEL, VARIANTS
from gmixer.evaluate.validate import validate
from gmixer.files import atomic_write

FOLDER = Path(__file__).parents[1] / "src/gmixer/weights/embedded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("models", nargs="+", type=Path, help=".safetensors files; each weighs the same")
    arguments = parser.parse_args()
    variant, _, tag = EMBEDDED_MODEL.partition(".")
    weights = FOLDER / f"{variant}.safetensors"

    models = [load_file(path) for path in arguments.models]
    parameters = VARIANTS[variant].model.parameters
    for path, tensors in zip(arguments.models, models, strict=True):
        if (found := sum(values.size for values in tensors.values())) != parameters:
            raise SystemExit(f"{path} has {found:,} parameters, the embedded model {parameters:,}")
    # In float64: fp16 then rounds once, and the order of the models has no effect.
    averages = {name: np.mean([tensors[name].astype(np.float64) for tensors in models], axis=0) for name in models[0]}
    halves = {name: values.astype(np.float16) for name, values in averages.items()}
    if not all(np.isfinite(values).all() for values in halves.values()):
        raise SystemExit("the average has weights that fp16 cannot hold")

    with atomic_write(weights) as unfinished:  # replaced after the measurement: wrong DATA changes nothing
        save_file(halves, unfinished, metadata={"format": "pt"})  # other libraries recognise PyTorch's layout by it
        predictor = gmixer.load(unfinished)
        measured = validate(predictor, arguments.data)
    record = {
        "variant": variant,
        "tag": tag,
        "parameters": parameters,
        "sha256": sha256_of(weights),
        "data_config": predictor.data.to_timm(),
        "training": {"recipe": "distill_embedded", "average_of": [sha256_of(path) for path in arguments.models]},
        "accuracy": {
            "on": VARIANTS[variant].pretrained[tag].top1_on,
            "n": measured.top1.n,
            "top1": round(measured.top1.value, 4),
            "top5": round(measured.top5.value, 4),
            "calibration_error": round(measured.calibration_error, 4),
        },
    }
    weights.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
