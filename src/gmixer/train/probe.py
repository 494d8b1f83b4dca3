"""A linear head on embeddings that are computed once, on the native engine: it takes minutes on a CPU.

N images, C channels of an embedding, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gmixer.data import Preprocess
from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages
from gmixer.errors import InputError
from gmixer.models.mixer import Mixer
from gmixer.train.embeddings import Embedded, embed_all
from gmixer.train.log import Listener

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # the strongest first: each fit starts from the one before it
HELD_OUT = 5  # folds: the images of one fold test the penalties that the others fit
MAX_FOLDED = 5_000  # with more images than these only one fold is a test: that is enough to choose
ABSENT_LOGIT = -20.0  # of a class without images, below the mean logit: its probability is at most 2e-9
_ITERATIONS = 100
_WORTH_THREADS = 10_000_000  # multiply-adds of a product; guessed: 160×256×5 took 46 times the work with two threads


@dataclass(frozen=True)
class Head:
    """weight (K, C), bias (K,); penalty: of the squared weights, chosen by the loss on images held out."""

    weight_KC: Tensor
    bias_K: Tensor
    penalty: float


def fit_probe(
    model: Mixer, preprocess: Preprocess, images: LabeledImages, listener: Listener, *, seed: int
) -> Embedded:
    """Sets the model's head → the embeddings that it was fitted on.

    Raises InputError if fewer than two classes have readable images.
    """
    embedded = embed_all(model, preprocess, images, np.flatnonzero(images.labels != UNKNOWN), listener)
    set_head(model, embedded.features_NC, images.labels[embedded.numbers_N], source=images.source, seed=seed)
    return embedded


def set_head(
    model: Mixer, features_NC: NDArray[np.float32], labels_N: NDArray[np.int64], *, source: str, seed: int
) -> None:
    """Fits the model's head on embeddings of images with a label. source: of the images, in the error.

    Raises InputError if the labels are of fewer than two classes.
    """
    if (classes := len(np.unique(labels_N))) < 2:
        found = "1 class" if classes == 1 else "0 classes"
        raise InputError(f"{source} has readable images of {found}; wanted two or more")
    head = fit_head(torch.from_numpy(features_NC), torch.from_numpy(labels_N), model.num_classes, seed=seed)
    assert isinstance(model.head, nn.Linear)
    with torch.no_grad():
        model.head.weight.copy_(head.weight_KC)
        model.head.bias.copy_(head.bias_K)


def fit_head(features_NC: Tensor, labels_N: Tensor, num_classes: int, *, seed: int) -> Head:
    """Multinomial logistic regression with a penalty on the squared weights, by torch's L-BFGS, on standardised
    features. The head includes the standardisation. A class without images takes no time, and is never the answer."""
    present_P, place_N = torch.unique(labels_N, return_inverse=True)  # P classes with images
    with _threads_for(features_NC.numel() * len(present_P)):
        head = _fit_head(features_NC, place_N, len(present_P), seed=seed)
    if len(present_P) == num_classes:
        return head
    # The rows of a penalised fit add up to 0, so the mean of an image's logits is the mean bias.
    weight_KC = head.weight_KC.new_zeros(num_classes, features_NC.shape[1])
    bias_K = head.bias_K.new_full((num_classes,), float(head.bias_K.mean()) + ABSENT_LOGIT)
    weight_KC[present_P], bias_K[present_P] = head.weight_KC, head.bias_K
    return Head(weight_KC, bias_K, head.penalty)


def _fit_head(features_NC: Tensor, labels_N: Tensor, num_classes: int, *, seed: int) -> Head:
    mean_C, std_C = features_NC.mean(dim=0), features_NC.std(dim=0).clamp_min(1e-6)
    x_NC = (features_NC - mean_C) / std_C
    count = min(HELD_OUT, len(x_NC))  # a fold without images would have no loss
    fold_N = torch.randperm(len(x_NC), generator=torch.Generator().manual_seed(seed)) % count
    folds = range(count) if len(x_NC) <= MAX_FOLDED else range(1)
    held_out_losses = torch.zeros(len(PENALTIES))
    for fold in folds:
        out_N = fold_N == fold
        solutions = _path(x_NC[~out_N], labels_N[~out_N], num_classes)
        for i, (weight, bias) in enumerate(solutions):
            held_out_losses[i] += F.cross_entropy(x_NC[out_N] @ weight.T + bias, labels_N[out_N])
    best = int(held_out_losses.argmin())
    weight_KC, bias_K = _path(x_NC, labels_N, num_classes, last=best)[best]
    weight_KC = weight_KC / std_C
    return Head(weight_KC, bias_K - weight_KC @ mean_C, PENALTIES[best])


def _path(
    x_NC: Tensor, labels_N: Tensor, num_classes: int, *, last: int = len(PENALTIES) - 1
) -> list[tuple[Tensor, Tensor]]:
    """The solutions for the penalties; each fit starts from the solution before it."""
    weight = torch.zeros(num_classes, x_NC.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    solutions = []
    for penalty in PENALTIES[: last + 1]:
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()  # noqa: B023 - called within the loop only
            loss = F.cross_entropy(x_NC @ weight.T + bias, labels_N) + penalty / 2 * weight.square().sum()  # noqa: B023
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        solutions.append((weight.detach().clone(), bias.detach().clone()))
    return solutions


@contextmanager
def _threads_for(multiply_adds: int) -> Iterator[None]:
    """One thread for small products: several threads would wait for each other longer than they work."""
    threads = torch.get_num_threads()
    if multiply_adds < _WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
