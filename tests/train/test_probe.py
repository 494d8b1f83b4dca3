"""probe.py: a linear head on embeddings, by logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gmixer.data import Preprocess
from gmixer.errors import InputError
from gmixer.train.embeddings import embed_all
from gmixer.train.probe import PENALTIES, fit_head, fit_probe
from training import DATA, Drawn, Watching, small_mixer

PREPROCESS = Preprocess(DATA)


def clouds(n: int, *, apart: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """n features of 3 classes in 20 dimensions of very different scale. apart: distance of the class means."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(3, 20, generator=torch.Generator().manual_seed(99)) * apart
    labels_N = torch.randint(3, (n,), generator=generator)
    scale_C = torch.logspace(-2, 2, 20)
    return (means[labels_N] + torch.randn(n, 20, generator=generator)) * scale_C + 5, labels_N


def test_it_is_the_minimum_for_its_penalty() -> None:
    """The gradient of the loss with the penalty is all but zero there, on the standardised features."""
    features_NC, labels_N = clouds(300, apart=0.5)
    head = fit_head(features_NC, labels_N, 3, seed=0)
    std_C = features_NC.std(dim=0)
    weight = (head.weight_KC * std_C).requires_grad_()
    bias = (head.bias_K + head.weight_KC @ features_NC.mean(dim=0)).requires_grad_()
    x_NC = (features_NC - features_NC.mean(dim=0)) / std_C
    loss = F.cross_entropy(x_NC @ weight.T + bias, labels_N) + head.penalty / 2 * weight.square().sum()
    loss.backward()
    assert weight.grad.norm() < 1e-3 and bias.grad.norm() < 1e-3


def test_of_four_images_each_judges_the_penalty() -> None:
    """With five folds, one fold would be empty. Its loss would be NaN, which counts as the smallest."""
    features_NC = torch.tensor([[0.0, 1.0], [0.1, 1.1], [5.0, -4.0], [5.1, -4.1]])
    assert fit_head(features_NC, torch.tensor([0, 0, 1, 1]), 2, seed=0).penalty < PENALTIES[0]


def test_the_penalty_follows_what_there_is_to_learn() -> None:
    noise = fit_head(*clouds(200, apart=0.0), 3, seed=0)
    signal = fit_head(*clouds(200, apart=3.0), 3, seed=0)
    assert noise.penalty == PENALTIES[0] > signal.penalty


def test_it_generalises() -> None:
    features_NC, labels_N = clouds(300, apart=1.0)
    head = fit_head(features_NC, labels_N, 3, seed=0)
    unseen_NC, right_N = clouds(300, apart=1.0, seed=1)
    assert ((unseen_NC @ head.weight_KC.T + head.bias_K).argmax(dim=1) == right_N).float().mean() > 0.95


def test_the_model_gets_the_head_and_keeps_the_rest() -> None:
    model = small_mixer()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    watching, images = Watching(), Drawn(30, unreadable=[4], unlabelled=[5])
    fitted_on = fit_probe(model, PREPROCESS, images, watching, seed=0)
    assert [error.source for error in fitted_on.unreadable] == ["image 4"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) != name.startswith("head."), name
    labelled = np.flatnonzero(images.labels >= 0)
    features_NC, numbers, _, _ = embed_all(model, PREPROCESS, images, labelled, watching)
    labels_N = images.labels[numbers]
    assert features_NC.shape == (28, 64)
    with torch.inference_mode():
        answers = model.head(torch.from_numpy(features_NC)).argmax(dim=1).numpy()
    assert (answers == labels_N).all()
    np.testing.assert_array_equal(labels_N, [i % 3 for i in range(30) if i not in (4, 5)])


def test_one_class_is_nothing_to_tell_apart() -> None:
    model = small_mixer()
    with pytest.raises(InputError, match="drawn has readable images of 1 class; wanted two or more"):
        fit_probe(model, PREPROCESS, Drawn(6, unreadable=[1, 2, 4, 5]), Watching(), seed=0)


def test_a_class_without_images_takes_no_time_and_is_never_the_answer() -> None:
    """90,211 classes took gigabytes and hours; three of them have images."""
    features_NC, labels_N = clouds(60, apart=1.0)
    few = fit_head(features_NC, labels_N, 3, seed=0)
    many = fit_head(features_NC, torch.tensor([90_210, 10_001, 60_601])[labels_N], 90_211, seed=0)
    assert many.weight_KC.shape == (90_211, 20) and many.bias_K.isfinite().all()
    unseen_NC = torch.cat([clouds(20, apart=1.0, seed=1)[0], 1e3 * clouds(20, apart=1.0, seed=2)[0]])
    some = [10_001, 60_601, 90_210]
    probability_NK = (unseen_NC @ many.weight_KC.T + many.bias_K).softmax(dim=1)
    alone_NK = (unseen_NC @ few.weight_KC[[1, 2, 0]].T + few.bias_K[[1, 2, 0]]).softmax(dim=1)
    assert (probability_NK[:, some] - alone_NK).abs().max() < 1e-2
    assert bool((probability_NK[:, 0] < 1e-8).all())
