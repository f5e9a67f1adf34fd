"""The dual of the soft-margin SVM, exactly: which weights are 0, which C, and equations for the others."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROUNDS = 20  # most searches take one to six
RIDGES = (1e-12, 1e-9)  # on a diagonal of about one, tried in turn, so that equal images do no harm
CORRECTIONS = 3  # of a solution of linear equations, to take back what the ridge did
MARGIN = 1e-10  # by how much an image may miss its condition


def search(kernel: Tensor, signs: Array, C: float, low: Flags, high: Flags) -> tuple[Array, bool] | None:
    """Correct a guess of the weights' sets until every image meets its condition.

    An image beyond its margin has weight 0, one that violates it has C, and one on it anything in between
    (Karush, Kuhn and Tucker). Given the first two sets, the other weights and the bias follow from linear
    equations; an image whose weight or margin then contradicts its set changes it (an active-set method;
    Scheinberg 2006, JMLR 7:2237; all images change at a time, as in a primal-dual method). From a good guess
    this ends within a few rounds; from a bad one it may go round in circles, and is given up.

    Args:
        kernel: float64, n x n, symmetric, with a diagonal of about one.
        signs: n, -1 or 1, both present.
        C: upper bound of the weights.
        low: n; weight 0 by the guess.
        high: n; weight C by the guess.

    Returns:
        The last weights, not clipped to 0 and C, and whether all conditions hold; None where the equations
        have no solution.
    """
    seen: set[bytes] = set()
    weights = None
    for _ in range(ROUNDS):
        solved = _on_the_margin(kernel, signs, C, low, high)
        if solved is None:
            break
        weights, bias = solved
        margin = signs * ((kernel @ torch.from_numpy(weights * signs)).numpy() + bias)
        free = ~(low | high)
        next_low = (free & (weights < 0)) | (low & (margin >= 1 - MARGIN))
        next_high = (free & (weights > C)) | (high & (margin <= 1 + MARGIN))
        if (next_low == low).all() and (next_high == high).all():
            return weights, True
        low, high = next_low, next_high
        if (state := low.tobytes() + high.tobytes()) in seen:
            break
        seen.add(state)
    return None if weights is None else (weights, False)


def _on_the_margin(
    kernel: Tensor, signs: Array, C: float, low: Flags, high: Flags
) -> tuple[Array, float] | None:
    """Weights (0 where low, C where high) and bias that put all other images on the margin exactly."""
    free = np.flatnonzero(~(low | high))
    if not len(free):
        return None
    weights = np.where(high, C, 0.0)
    fixed = weights * signs
    chosen = torch.from_numpy(free)
    rows = kernel.index_select(0, chosen)
    wanted = torch.from_numpy(signs[free]) - rows @ torch.from_numpy(fixed)
    solution = _solve(rows.index_select(1, chosen), torch.stack([wanted, torch.ones_like(wanted)], 1))
    if solution is None:
        return None
    by_margin, by_bias = solution.numpy().T
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = float((by_margin.sum() + fixed.sum()) / by_bias.sum())
        weights[free] = (by_margin - bias * by_bias) * signs[free]
    return (weights, bias) if np.isfinite(weights).all() else None


def _solve(matrix: Tensor, right: Tensor) -> Tensor | None:
    """Solve symmetric equations by Cholesky's method, with a ridge whose effect is then taken back."""
    for ridge in RIDGES:
        with_ridge = matrix.clone()
        with_ridge.diagonal().add_(ridge)
        factor, failed = torch.linalg.cholesky_ex(with_ridge)
        if not failed:
            solution = torch.cholesky_solve(right, factor)
            for _ in range(CORRECTIONS):
                solution += torch.cholesky_solve(right - matrix @ solution, factor)
            return solution
    return None
