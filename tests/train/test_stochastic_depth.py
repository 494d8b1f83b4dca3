"""stochastic_depth.py: branches skipped by given numbers."""

from __future__ import annotations

import torch

from gmixer.train.stochastic_depth import give_drop_paths, give_numbers
from training import small_mixer

X = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_each_image_skips_branches_by_its_numbers() -> None:
    model = small_mixer().train()
    paths = give_drop_paths(model, 0.25)
    numbers = torch.ones(4, 2, 2)  # above 0.75: skipped
    numbers[1, 0, 1] = numbers[2, 1, 0] = 0.7
    give_numbers(paths, numbers)
    ours = model.forward_features(X)
    x_BNC = model.stem(X)
    first, second = model.blocks
    expected = x_BNC.clone()
    expected[1] += first.mlp_channels(first.norm2(x_BNC[1:2]))[0] / 0.75
    expected[2] += second.mlp_tokens(second.norm1(x_BNC[2:3]).mT).mT[0] / 0.75
    torch.testing.assert_close(ours, model.norm(expected))


def test_a_second_pass_skips_the_same() -> None:
    model = small_mixer().train()
    give_numbers(give_drop_paths(model, 0.5), torch.rand(4, 2, 2, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(model(X), model(X))


def test_nothing_is_skipped_where_the_model_is_used() -> None:
    model = small_mixer()
    expected = model.eval()(X)
    give_numbers(give_drop_paths(model, 0.5), torch.ones(4, 2, 2))
    assert torch.equal(model.eval()(X), expected)
    assert not torch.equal(model.train()(X), expected)


def test_without_a_rate_the_model_keeps_its_own() -> None:
    assert give_drop_paths(small_mixer(), 0.0) == []
