"""Classify every file of a folder: python examples/classify_folder.py [FOLDER]"""

import sys
from pathlib import Path

import gmixer

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "photos"
predictor = gmixer.load("gmixer_8_64.distill_in1k")
paths = sorted(folder.iterdir())
for path, result in zip(paths, predictor.stream(paths), strict=True):
    if isinstance(result, gmixer.ImageError):
        print(f"{path.name}: {result.reason}")
    else:
        best = result.prediction[0]
        print(f"{path.name}: {best.probability:.0%} {best.label}")
