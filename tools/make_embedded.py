"""Write the embedded model's weights and their record: one model, or the average of several, in fp16.

    gmixer train DATA -o RUN --config distill_embedded
    python tools/make_embedded.py DATA HELD_OUT RUN/model/model.safetensors …

tools/prepare_embedded_data.py makes DATA and HELD_OUT. The accuracy is measured on DATA's val split and on HELD_OUT.
For how many of these images the native core and PyTorch return the same five classes is printed.
docs/decisions/38-embedded-model.md says which models were averaged, and why.

Afterwards, run tools/make_golden.py and `tests/net/record.py networks commands training`, and update the card
(README.md beside the weights; tools/family_accuracy.py prints its table) and top1 in catalogue.py.
tests/weights/test_find.py, tests/doctor, tests/net and tests/test_readme.py find what was forgotten.
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
    parser.add_argument("held_out")
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
        predictor, in_torch = (gmixer.load(unfinished, runtime=runtime) for runtime in ("native", "torch"))
        on_val, on_held_out = (measure(predictor, in_torch, data) for data in (arguments.data, arguments.held_out))
    record = {
        "variant": variant,
        "tag": tag,
        "parameters": parameters,
        "sha256": sha256_of(weights),
        "data_config": predictor.data.to_timm(),
        "training": {"recipe": "distill_embedded", "average_of": [sha256_of(path) for path in arguments.models]},
        "accuracy": {"on": VARIANTS[variant].pretrained[tag].top1_on, **on_val},
        "held_out_accuracy": {"on": "photos held out of the training sources, 1,000-way", **on_held_out},
    }
    weights.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def measure(predictor: gmixer.Predictor, in_torch: gmixer.Predictor, data: str) -> dict[str, int | float]:
    """The record of the native core's accuracy; shares are 0…1. Prints how far PyTorch agrees."""
    native, torch = validate(predictor, data), validate(in_torch, data)
    same = int((np.sort(native.outcomes.best) == np.sort(torch.outcomes.best)).all(axis=1).sum())
    print(f"{data}: top-1 {native.top1}; the same five classes in PyTorch: {same:,} of {native.top1.n:,}")
    return {
        "n": native.top1.n,
        "classes": sum(share.n > 0 for share in native.classes),
        "top1": round(native.top1.value, 4),
        "top5": round(native.top5.value, 4),
        "calibration_error": round(native.calibration_error, 4),
    }


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
