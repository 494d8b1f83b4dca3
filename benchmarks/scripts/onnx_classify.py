"""What a person would write with ONNX Runtime: python onnx_classify.py IMAGE MODEL.onnx RESIZE CROP MEAN,… STD,…"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

path, network, resize, crop, mean, std = sys.argv[1:]
side, crop_px = int(resize), int(crop)
image = Image.open(path).convert("RGB")
scale = side / min(image.size)
image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
left, top = (image.width - crop_px) // 2, (image.height - crop_px) // 2
pixels = np.asarray(image.crop((left, top, left + crop_px, top + crop_px)), np.float32) / 255
x = (pixels - np.array(mean.split(","), np.float32)) / np.array(std.split(","), np.float32)
session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
(logits,) = session.run(None, {"x": x.transpose(2, 0, 1)[None]})
exponentials = np.exp(logits[0] - logits[0].max())
for index in np.argsort(-exponentials)[:5]:
    print(f"{exponentials[index] / exponentials.sum():.4f} {index}")
