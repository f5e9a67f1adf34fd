"""The dual of the soft-margin SVM by an interior-point method: slower than others, but it always arrives."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

STEPS = 60  # at most; ten to twenty-five are usual
ENOUGH = 1e-13  # duality gap relative to the objective
NEAREST = 0.995  # share of the way to the nearest bound that a step may go


def interior_point(kernel: Tensor, signs: Array, C: float) -> Array:
    """Weights that maximise sum a - 1/2 sum a_i a_j y_i y_j k_ij with 0 <= a <= C and sum a_i y_i = 0.

    Mehrotra's predictor-corrector method (Nocedal and Wright, Numerical Optimization, 2nd ed., section 16.6),
    in shares of C, from a point that is feasible for primal and dual.

    Args:
        kernel: float64, n x n, symmetric, positive semi-definite.
        signs: n, -1 or 1, both present.
        C: upper bound, greater than 0.

    Returns:
        n weights, strictly between 0 and C.
    """
    y = torch.from_numpy(signs)
    hessian = C * kernel * y[:, None] * y
    point = _start(hessian, y)
    for _ in range(STEPS):
        objective = float(0.5 * point.share @ hessian @ point.share - point.share.sum())
        if 2 * len(y) * point.complementarity() <= ENOUGH * abs(objective):
            break
        system = _System.at(hessian, y, point)
        if system is None:
            break
        low, high = point.share * point.of_low, (1 - point.share) * point.of_high
        predicted = system.step(-low, -high)
        after = point.moved(predicted, _longest(point, predicted)).complementarity()
        target = point.complementarity() * (after / point.complementarity()) ** 3
        corrected = system.step(
            target - low - predicted.share * predicted.of_low,
            target - high + predicted.share * predicted.of_high,
        )
        point = point.moved(corrected, min(1.0, NEAREST * _longest(point, corrected)))
    return (C * point.share).numpy()


class _Point(NamedTuple):
    """A point, or a step: shares of C, the multiplier of the equation, and those of both bounds."""

    share: Tensor
    shift: float
    of_low: Tensor
    of_high: Tensor

    def complementarity(self) -> float:
        """Mean product of a bound's slack and its multiplier; 0 at the solution."""
        return float(self.share @ self.of_low + (1 - self.share) @ self.of_high) / (2 * len(self.share))

    def moved(self, step: "_Point", length: float) -> "_Point":
        return _Point(
            self.share + length * step.share,
            self.shift + length * step.shift,
            self.of_low + length * step.of_low,
            self.of_high + length * step.of_high,
        )


def _start(hessian: Tensor, y: Tensor) -> _Point:
    counts = torch.where(y > 0, (y > 0).sum(), (y < 0).sum()).to(torch.float64)
    share = 0.5 * counts.min() / counts
    gradient = hessian @ share - 1
    shift = -float((gradient * y).mean())
    slack = gradient + shift * y
    room = 0.1 * float(slack.abs().mean()) + 1e-3
    return _Point(share, shift, slack.clamp(min=0) + room, (-slack).clamp(min=0) + room)


def _longest(point: _Point, step: _Point) -> float:
    """The longest step, 1 at most, that keeps every share and multiplier positive."""
    longest = 1.0
    pairs = (
        (point.share, step.share),
        (1 - point.share, -step.share),
        (point.of_low, step.of_low),
        (point.of_high, step.of_high),
    )
    for value, change in pairs:
        falling = change < 0
        if falling.any():
            longest = min(longest, float((-value[falling] / change[falling]).min()))
    return longest


@dataclass(frozen=True, slots=True)
class _System:
    """Newton's equations at a point, factorised."""

    point: _Point
    y: Tensor
    factor: Tensor
    gradient: Tensor
    balance: float
    by_shift: Tensor

    @classmethod
    def at(cls, hessian: Tensor, y: Tensor, point: _Point) -> "_System | None":
        """The equations, or None where rounding leaves them without a solution."""
        matrix = hessian.clone()
        matrix.diagonal().add_(point.of_low / point.share + point.of_high / (1 - point.share))
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if failed:
            return None
        gradient = hessian @ point.share - 1 + point.shift * y - point.of_low + point.of_high
        by_shift = torch.cholesky_solve(y[:, None], factor)[:, 0]
        return cls(point, y, factor, gradient, float(y @ point.share), by_shift)

    def step(self, low: Tensor, high: Tensor) -> _Point:
        """The step after which the products with both bounds have changed by ``low`` and ``high``."""
        share, _, of_low, of_high = self.point
        right = low / share - high / (1 - share) - self.gradient
        without_shift = torch.cholesky_solve(right[:, None], self.factor)[:, 0]
        shift = (float(self.y @ without_shift) + self.balance) / float(self.y @ self.by_shift)
        change = without_shift - shift * self.by_shift
        return _Point(change, shift, (low - of_low * change) / share, (high + of_high * change) / (1 - share))
