"""Fine-tune the embedded model on six classes in PyTorch, save it, and run it on the native core."""

import tempfile
from pathlib import Path

import torch
from PIL import Image

import gmixer

paths = sorted((Path(__file__).parent / "photos").iterdir())
photos = [Image.open(path).convert("RGB") for path in paths]
crops = [photo.resize((200, 200)).crop((x, y, x + 150, y + 150)) for photo in photos for x in (0, 50) for y in (0, 50)]
targets = torch.arange(len(paths)).repeat_interleave(4)
x_BCHW = torch.from_numpy(gmixer.load("gmixer_8_64.distill_in1k").transform(crops))

torch.manual_seed(0)  # draws the new head
model = gmixer.create_model("gmixer_8_64", pretrained=True, num_classes=len(paths)).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(5):
    loss = torch.nn.functional.cross_entropy(model(x_BCHW), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

with tempfile.TemporaryDirectory() as folder:
    gmixer.save_model(model, folder, class_names=[path.stem for path in paths])
    predictor = gmixer.load(folder)
    for path in paths:
        print(f"{path.name}: {predictor.classify(path)[0].label}")
