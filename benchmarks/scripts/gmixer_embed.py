"""The same with gmixer: python gmixer_embed.py FOLDER OUT.parquet MODEL WEIGHTS.safetensors"""

import json
import sys
import time

import gmixer
from gmixer.bulk import embed

folder, out, name, weights = sys.argv[1:]
predictor = gmixer.load(weights, name=name)
begin = time.perf_counter()
stored = embed(folder, out, model=predictor)
print(json.dumps({"seconds": time.perf_counter() - begin, "rows": stored.table(["path"], readable=True).num_rows}))
