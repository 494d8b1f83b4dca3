"""muon.py, against torch's, and against singular values."""

from __future__ import annotations

import pytest
import torch

from gmixer.train.muon import Muon, orthogonal

SHAPES = [(24, 40), (40, 24), (32, 32)]
BFLOAT16 = 2.0**-8  # half of what lies between two neighbours about 1


@pytest.mark.parametrize("shape", SHAPES)
def test_the_update_has_the_singular_vectors_of_what_came_in_and_values_near_1(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ orthogonal(matrix) @ vt.T
    values = inside.diagonal()
    assert values.min() > 0.65 and values.max() < 1.25
    assert float((inside - torch.diag(values)).abs().max()) < 1e-12
    assert float((orthogonal(matrix) - u @ torch.diag(values) @ vt).abs().max()) < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_the_size_of_what_comes_in_does_not_matter(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for factor in (1e-4, 1e4):
        torch.testing.assert_close(orthogonal(factor * matrix), orthogonal(matrix), atol=1e-4, rtol=1e-3)
    assert not orthogonal(torch.zeros(shape)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_takes_the_steps_of_torchs_muon(shape: tuple[int, int]) -> None:
    """Which computes in bfloat16: its iterations amplify the rounding of what comes in, so that a few times
    bfloat16's precision is all that can be asked of one update. A missing factor, momentum or decay is 10 % or more."""
    torch.manual_seed(0)
    start = torch.randn(shape)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    options = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    optimizers = (
        (ours, Muon([ours], **options)),
        (theirs, torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **options)),
    )
    for step in range(6):
        gradient = torch.randn(shape)
        for weight, optimizer in optimizers:
            weight.grad = gradient.clone()
            optimizer.step()
        moved = float((theirs - start).detach().norm())
        difference = float((ours - theirs).detach().norm())
        assert difference < 8 * BFLOAT16 * moved, step


def test_the_decay_and_the_look_ahead_are_those_of_the_formula() -> None:
    """Two steps, written out in float64."""
    torch.manual_seed(0)
    weight, gradients = torch.randn(6, 9, dtype=torch.float64), torch.randn(2, 6, 9, dtype=torch.float64)
    expected, m = weight.clone(), torch.zeros_like(weight)
    trained = weight.clone().requires_grad_()
    optimizer = Muon([trained], lr=0.1, momentum=0.8, weight_decay=0.3)
    for g in gradients:
        m = 0.8 * m + 0.2 * g
        expected = expected * (1 - 0.1 * 0.3) - 0.1 * 0.2 * 9**0.5 * orthogonal(0.2 * g + 0.8 * m)
        trained.grad = g.clone()
        optimizer.step()
    torch.testing.assert_close(trained.detach(), expected)


def test_is_for_matrices_alone() -> None:
    with pytest.raises(ValueError, match=r"Muon takes matrices; got a parameter of shape \(3,\)"):
        Muon([torch.ones(3, requires_grad=True)])
    with pytest.raises(ValueError, match="takes no closure"):
        Muon([torch.ones(3, 3, requires_grad=True)]).step(lambda: 0.0)
