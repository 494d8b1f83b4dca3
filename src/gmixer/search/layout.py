"""Vectors → places on a map, by t-SNE.

N vectors in C dimensions; M of them distinct.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gmixer.errors import require

SEED = 0
PERPLEXITY = 30  # openTSNE's default: about as many neighbours as shape the place of each point
STEPS = (250, 500)  # openTSNE's defaults: in the first, clusters form
SINGLE_THREAD = 10_000  # fewer vectors are faster in one thread: threads of openTSNE wait for each other at each step
BARNES_HUT = 3_000  # up to here faster than the interpolation by FFT, whose grid costs 10 s at any size
FEW = 4  # with fewer distinct vectors, their principal components are the map
GOLDEN_ANGLE = np.pi * (3 - 5**0.5)


def lay_out(
    x_NC: NDArray[np.float32],
    *,
    threads: int,
    on_progress: Callable[[int, int], object] = lambda done, of: None,
) -> NDArray[np.float64]:
    """(N, 2): near vectors are near on the map. The longer side of the map is 1 long, its middle is 0.

    x_NC: of length 1. Equal vectors stand in a small spiral, since on one point only the last would be seen. The same
    vectors always give the same map, with any number of threads. on_progress: gets the steps done, and of how many.
    """
    distinct_MC, which_N = _distinct(x_NC)
    place_M2 = _principal(distinct_MC) if len(distinct_MC) < FEW else _t_sne(distinct_MC, threads, on_progress)
    return _spread(_to_unit_size(place_M2), which_N)


def _distinct(x_NC: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The distinct vectors in the order of their first row, and for each row which one it is."""
    seen: dict[bytes, int] = {}
    which_N = np.array([seen.setdefault(x.tobytes(), len(seen)) for x in x_NC], np.int64)
    first_M = np.unique(which_N, return_index=True)[1]
    return x_NC[first_M], which_N


def _principal(x_MC: NDArray[np.float32]) -> NDArray[np.float64]:
    if len(x_MC) < 2:
        return np.zeros((len(x_MC), 2))
    centred = x_MC.astype(np.float64) - x_MC.mean(0)
    axes_kC = np.linalg.svd(centred, full_matrices=False)[2][:2]
    place = centred @ axes_kC.T
    return np.pad(place, ((0, 0), (0, 2 - place.shape[1])))


def _t_sne(x_MC: NDArray[np.float32], threads: int, on_progress: Callable[[int, int], object]) -> NDArray[np.float64]:
    with require("gmixer map", "search", ("openTSNE",)):
        from openTSNE import TSNE
    M, done = len(x_MC), 0

    def count(step: int, error: float, places: object) -> None:
        nonlocal done
        done += 50
        on_progress(done, sum(STEPS))

    t_sne = TSNE(
        perplexity=min(PERPLEXITY, max(1, (M - 1) / 3)),
        metric="euclidean",
        negative_gradient_method="bh" if M <= BARNES_HUT else "fft",
        early_exaggeration_iter=STEPS[0],
        n_iter=STEPS[1],
        n_jobs=1 if M < SINGLE_THREAD else threads,
        random_state=SEED,
        callbacks=count,
        callbacks_every_iters=50,
    )
    return np.asarray(t_sne.fit(x_MC), np.float64)


def _to_unit_size(place_M2: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(place_M2):
        return place_M2
    low, high = place_M2.min(0), place_M2.max(0)
    longer = float((high - low).max())
    unit: NDArray[np.float64] = (place_M2 - (low + high) / 2) / (longer if longer > 0 else 1)
    return unit


def _spread(place_M2: NDArray[np.float64], which_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each row at the place of its vector; equal ones around it."""
    order = np.argsort(which_N, kind="stable")
    starts = np.flatnonzero(np.diff(which_N[order], prepend=-1))
    turn_N = np.empty(len(which_N))
    turn_N[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))  # 0, 1, 2 … of equals
    radius_N = 0.15 / max(len(place_M2), 25) ** 0.5 * np.sqrt(turn_N / (turn_N.max(initial=0) + 1))
    angle_N = turn_N * GOLDEN_ANGLE
    around_N2 = radius_N[:, None] * np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
    placed: NDArray[np.float64] = place_M2[which_N] + around_N2
    return placed
