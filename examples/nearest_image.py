"""Find the image that is most similar to a query, by the cosine of their embeddings."""

from pathlib import Path

import numpy as np
from PIL import Image

import gmixer

paths = sorted((Path(__file__).parent / "photos").iterdir())
predictor = gmixer.load("gmixer_8_64.distill_in1k")
vectors = np.asarray(predictor.embed(paths))  # float32 (images, channels)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
query = np.asarray(predictor.embed(Image.open(paths[0]).rotate(10)))
cosines = vectors @ (query / np.linalg.norm(query))
print(f"nearest to {paths[0].name} rotated by 10 degrees: {paths[cosines.argmax()].name} ({cosines.max():.2f})")
