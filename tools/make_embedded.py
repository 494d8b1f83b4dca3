"""Write the embedded model's weights and what is recorded of them: the model of a run, in half the bytes.

    gmixer train DATA -o RUN --config distill_embedded
    python tools/make_embedded.py RUN DATA

DATA's held-out part gives the accuracy. Afterwards: tools/make_golden.py, the card (README.md beside the weights), and
top1 in config.py; tests/test_find.py and tests/test_doctor.py tell what was forgotten.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import gmixer
from gmixer.config import EMBEDDED_MODEL, VARIANTS
from gmixer.evaluate.validate import validate
from gmixer.train.recipe import read_recipe

FOLDER = Path(__file__).parents[1] / "src/gmixer/weights/embedded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data")
    arguments = parser.parse_args()
    variant, _, tag = EMBEDDED_MODEL.partition(".")
    weights = FOLDER / f"{variant}.safetensors"
    parameters = VARIANTS[variant].model.parameters

    tensors = load_file(arguments.run / "model" / "model.safetensors")
    if (found := sum(values.size for values in tensors.values())) != parameters:
        raise SystemExit(f"the run's model has {found:,} parameters, the embedded one {parameters:,}")
    halves = {name: values.astype(np.float16) for name, values in tensors.items()}
    if not all(np.isfinite(values).all() for values in halves.values()):
        raise SystemExit("the run's model has weights that fp16 cannot hold")
    save_file(halves, weights, metadata={"format": "pt"})  # by which other libraries know whose layout it is

    predictor = gmixer.load(weights)
    measured = validate(predictor, arguments.data)
    recipe = read_recipe(arguments.run / "recipe.toml")
    record = {
        "variant": variant,
        "tag": tag,
        "parameters": parameters,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "data_config": predictor.data.to_timm(),
        "training": {"recipe": "distill_embedded", "epochs": recipe.epochs, "starts_from": "the version before it"},
        "accuracy": {
            "on": VARIANTS[variant].pretrained[tag].top1_on,
            "n": measured.top1.n,
            "top1": round(measured.top1.value, 4),
            "top5": round(measured.top5.value, 4),
            "calibration_error": round(measured.calibration_error, 4),
        },
    }
    weights.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
