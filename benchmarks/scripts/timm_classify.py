"""What a person would write with timm: python timm_classify.py IMAGE MODEL WEIGHTS.safetensors"""

import sys

import timm
import torch
from PIL import Image

path, name, weights = sys.argv[1:]
model = timm.create_model(name, checkpoint_path=weights).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
with torch.inference_mode():
    logits = model(transform(Image.open(path).convert("RGB"))[None])
probabilities, indices = logits.softmax(dim=1).topk(5)
labels = timm.data.ImageNetInfo()
for probability, index in zip(probabilities[0].tolist(), indices[0].tolist(), strict=True):
    print(f"{probability:.4f} {labels.index_to_description(index)}")
