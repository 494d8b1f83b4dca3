"""What a person would write with timm, after its inference.py: a folder of images → vectors in a Parquet file.

python timm_embed.py FOLDER OUT.parquet MODEL WEIGHTS.safetensors WORKERS BATCH
"""

import json
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import timm
import torch

folder, out, name, weights, workers, batch = sys.argv[1:]
model = timm.create_model(name, checkpoint_path=weights).eval()
begin = time.perf_counter()
dataset = timm.data.create_dataset("", root=folder)
loader = timm.data.create_loader(
    dataset,
    batch_size=int(batch),
    num_workers=int(workers),
    device=torch.device("cpu"),
    **timm.data.resolve_model_data_config(model),
)
vectors = []
with torch.inference_mode():
    for images, _ in loader:
        vectors.append(model.forward_head(model.forward_features(images), pre_logits=True))
vectors = torch.cat(vectors).numpy()
column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
pq.write_table(pa.table({"path": dataset.filenames(basename=False), "vector": column}), out)
print(json.dumps({"seconds": time.perf_counter() - begin, "rows": len(vectors)}))
