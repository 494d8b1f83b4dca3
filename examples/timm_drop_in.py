"""Code written for timm runs with gmixer: only the first import differs."""

from pathlib import Path

import torch
from PIL import Image

import gmixer as timm

model = timm.create_model("gmixer_8_64", pretrained=True).eval()
data_config = timm.data.resolve_model_data_config(model)
transform = timm.data.create_transform(**data_config, is_training=False)
image = Image.open(Path(__file__).parent / "photos" / "coffee.png").convert("RGB")
with torch.inference_mode():
    probabilities = model(transform(image).unsqueeze(0)).softmax(dim=1)
top5 = probabilities.topk(5)
for probability, index in zip(top5.values[0].tolist(), top5.indices[0].tolist(), strict=True):
    print(f"{probability:.1%} {timm.data.ImageNetInfo().index_to_description(index)}")
