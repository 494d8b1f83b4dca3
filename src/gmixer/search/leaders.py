"""Which vectors lie near a better one: the core of `gmixer duplicates`.

N vectors in C dimensions, the best first; d dimensions of the projection; L leaders of a block; B vectors of a block.

A vector is a leader, unless an earlier leader is near. All others follow the nearest of their earlier leaders. So each
follower is near the very vector that stands for it, and groups do not chain: a near b, and b near c, does not join a
and c. Memory does not grow with the number of near pairs, which is N²/2 for N copies of one image.

Every pair is compared, without an index: the answer is exact. A cheap test comes first. An orthogonal projection makes
no distance longer, and |x − y|² is 2 − 2 cos. So two unit vectors that lie far apart in d dimensions have a small
cosine. Only the few pairs that are left are compared in C dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

BLOCK = 2_048  # vectors: the products of a block take 16 MB in each thread
DIMENSIONS = 32  # of the projection
SAMPLE = 20_000  # vectors that its axes are computed from
ROUNDING = 1e-6  # of float32 sums; a pair so close to the threshold counts as near

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


def follow(
    x_NC: Floats, threshold: float, *, threads: int, on_progress: Callable[[int], object] = lambda done: None
) -> tuple[Indices, Floats]:
    """x_NC: vectors of length 1; a vector of zeros is near to none. It may be a memory map.

    Returns the leader of each vector, itself for a leader, and the cosine with that leader. on_progress: gets the
    number of vectors that are done.
    """
    N = len(x_NC)
    leader_N, cosine_N = np.full(N, -1, np.int64), np.zeros(N, np.float32)
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:  # BLAS in the threads of the pool, not in its own
        left, right = _projections(x_NC)
        for start in range(0, N, BLOCK):
            block = slice(start, min(start + BLOCK, N))
            _settle(block, x_NC, leader_N, cosine_N, threshold)
            leaders_L = start + np.flatnonzero(leader_N[block] == np.arange(block.start, block.stop))
            near = partial(_near, leaders_L, x_NC, left[leaders_L], right, threshold)
            later = [slice(at, min(at + BLOCK, N)) for at in range(block.stop, N, BLOCK)]
            for rows, leaders, cosines in pool.map(near, later):
                _improve(rows, leaders, cosines, leader_N, cosine_N)
            on_progress(block.stop)
    return leader_N, cosine_N


def _projections(x_NC: Floats) -> tuple[Floats, Floats]:
    """(N, d + 2) each. left[i] · right[j] is -½ |p_i − p_j|², where p is the projection of x."""
    N, C = x_NC.shape
    sample = np.asarray(x_NC[:: max(N // SAMPLE, 1)], np.float64)
    centred = sample - sample.mean(0) if len(sample) else sample
    axes_Cd = np.linalg.eigh(centred.T @ centred)[1][:, -min(DIMENSIONS, C) :].astype(np.float32)
    p_Nd = np.concatenate([x_NC[at : at + BLOCK] @ axes_Cd for at in range(0, N, BLOCK)] or [x_NC @ axes_Cd])
    half_N1, one_N1 = -0.5 * (p_Nd**2).sum(1, keepdims=True), np.ones((N, 1), np.float32)
    return np.hstack([p_Nd, half_N1, one_N1]), np.hstack([p_Nd, one_N1, half_N1])


def _settle(block: slice, x_NC: Floats, leader_N: Indices, cosine_N: Floats, threshold: float) -> None:
    """Decides which vectors of the block are leaders; those before it have been compared with all earlier leaders."""
    x_BC = np.asarray(x_NC[block])
    cosine_BB = np.triu(x_BC @ x_BC.T, 1)
    near_BB = cosine_BB >= threshold - ROUNDING
    with_near = set(np.unique(np.nonzero(near_BB)[0]).tolist())
    leader_B, best_B = leader_N[block], cosine_N[block]  # views
    for i in range(len(x_BC)):
        if leader_B[i] >= 0:
            continue
        leader_B[i], best_B[i] = block.start + i, 1
        if i in with_near:
            _improve(np.flatnonzero(near_BB[i]), block.start + i, cosine_BB[i, near_BB[i]], leader_B, best_B)


def _near(
    leaders_L: Indices, x_NC: Floats, left_Ld: Floats, right_Nd: Floats, threshold: float, block: slice
) -> tuple[Indices, Indices, Floats]:
    """The vectors of a later block that are near one of the leaders: their rows, nearest leaders and cosines."""
    none = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    if not len(leaders_L):
        return none
    product_LB = left_Ld @ right_Nd[block].T
    least = np.float32(threshold - 1 - 10 * ROUNDING)  # these sums round too
    if product_LB.max() < least:
        return none
    maybe_LB = product_LB >= least
    leaders, columns = leaders_L[maybe_LB.any(1)], np.flatnonzero(maybe_LB.any(0))
    cosine_LB = x_NC[leaders] @ x_NC[block.start + columns].T
    best_B = cosine_LB.max(0)
    near_B = best_B >= threshold - ROUNDING
    return block.start + columns[near_B], leaders[cosine_LB.argmax(0)[near_B]], best_B[near_B]


def _improve(rows: Indices, leaders: Indices | int, cosines: Floats, leader_N: Indices, cosine_N: Floats) -> None:
    """Rows that are nearer to these leaders than to the one that they follow so far. An equal one is kept: it is the
    earlier, and so the better one.
    """
    better = (cosines > cosine_N[rows]) | (leader_N[rows] < 0)
    leader_N[rows[better]] = leaders if isinstance(leaders, int) else leaders[better]
    cosine_N[rows[better]] = np.minimum(cosines[better], 1)
