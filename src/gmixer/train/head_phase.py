"""The last phase of a run: the head alone learns once more, on embeddings of images that are not augmented.

The embeddings are computed once, so that a pass over them takes seconds. N images, B images of a batch, C channels of
an embedding, K classes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gmixer.datasets.labeled_images import Subset
from gmixer.errors import ImageError
from gmixer.models.mixer import Mixer
from gmixer.train.embeddings import embed_all
from gmixer.train.log import Listener
from gmixer.train.order import Order, balanced
from gmixer.train.recipe import TrainRecipe
from gmixer.train.run_context import TrainData
from gmixer.train.targets import Targets


def train_head(model: Mixer, recipe: TrainRecipe, data: TrainData, listener: Listener) -> list[ImageError]:
    """Changes the model's head, by AdamW with a cosine to 0 → the errors of images that cannot be read."""
    settings = recipe.head
    targets = Targets(model.num_classes, smoothing=recipe.loss.label_smoothing, teacher_share=settings.teacher_share)
    features_NC, numbers, unreadable, _ = embed_all(
        model, data.preprocess(), data.train, targets.usable(data.train), listener
    )
    images, x_NC = Subset(data.train, numbers), torch.from_numpy(features_NC)
    order = Order(len(numbers), settings.batch_size, recipe.seed, balanced(images.labels, settings.balance))
    steps = math.ceil(settings.epochs * len(numbers) / settings.batch_size)

    head = model.head
    assert isinstance(head, nn.Linear)
    weight_KC, bias_K = (p.detach().float().cpu().clone().requires_grad_() for p in (head.weight, head.bias))
    decays = [
        {"params": [weight_KC], "weight_decay": settings.weight_decay},
        {"params": [bias_K], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(decays, lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(steps, 1))
    for step in range(steps):
        chosen_B = np.array([order.image(place) for place in order.places(step)])
        target_BK = torch.from_numpy(np.stack([targets.of(images, i) for i in chosen_B]))
        loss = F.cross_entropy(F.linear(x_NC[chosen_B], weight_KC, bias_K), target_BK)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        head.weight.copy_(weight_KC)
        head.bias.copy_(bias_K)
    return unreadable
