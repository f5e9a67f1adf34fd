"""The soft-margin SVM on a Gram matrix: libsvm finds what supports it, double precision the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

Array = NDArray[np.float64]

TOLERANCE = 1e-6  # libsvm's default, 1e-3, misses the optimum by more than 1e-5 of the objective
ROUNDS = 20  # of refinement; a few suffice, and the best round is kept


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """A fitted linear SVM, in terms of inner products with its training images.

    Attributes:
        coefficients: n; the weight of each training image, signed by its class (0: it does not support).
        bias: added to every score.
        objective: 1/2 |b|^2 + C sum of hinge losses.
    """

    coefficients: Array
    bias: float
    objective: float

    def decision_function(self, kernel: Array) -> Array:
        """Scores, positive for the positive class.

        Args:
            kernel: m x n, inner products of m images with the training images.
        """
        return kernel @ self.coefficients + self.bias


def fit_hinge(kernel: Array, signs: Array, C: float) -> Machine:
    """Minimise 1/2 |b|^2 + C sum_i max(0, 1 - y_i f(x_i)), the bias free.

    libsvm keeps the kernel in single precision, which near separation costs more than 1e-5 of the objective.
    Its solution tells which images lie on the margin; their weights and the bias then follow from linear
    equations, solved in double precision, until no image is on the wrong side of its condition (an active-set
    method; Scheinberg 2006, JMLR 7:2237).

    Args:
        kernel: n x n, centred, float64.
        signs: n, -1 or 1, both present.
        C: weight of the losses, greater than 0.
    """
    found = SVC(kernel="precomputed", C=C, tol=TOLERANCE, cache_size=500).fit(kernel, signs)
    coefficients = np.zeros(len(signs))
    coefficients[found.support_] = found.dual_coef_[0]
    best = _machine(kernel, signs, C, coefficients)
    alpha = coefficients * signs
    low, high = alpha <= 1e-9 * C, alpha >= (1 - 1e-9) * C
    for _ in range(ROUNDS):
        solved = _on_the_margin(kernel, signs, C, low, high)
        if solved is None:
            break
        alpha, bias = solved
        candidate = _machine(kernel, signs, C, np.clip(alpha, 0, C) * signs)
        if candidate.objective < best.objective:
            best = candidate
        margin = signs * (kernel @ (alpha * signs) + bias)
        free = ~(low | high)
        next_low = (free & (alpha < 0)) | (low & (margin >= 1 - 1e-10))
        next_high = (free & (alpha > C)) | (high & (margin <= 1 + 1e-10))
        if (next_low == low).all() and (next_high == high).all():
            break
        low, high = next_low, next_high
    return best


def _on_the_margin(
    kernel: Array, signs: Array, C: float, low: NDArray[np.bool_], high: NDArray[np.bool_]
) -> tuple[Array, float] | None:
    """Weights (0 where low, C where high) and bias that put all other images on the margin exactly."""
    free = np.flatnonzero(~(low | high))
    if not len(free):
        return None
    alpha = np.where(high, C, 0.0)
    fixed = alpha * signs
    equations = np.ones((len(free) + 1, len(free) + 1))
    equations[:-1, :-1] = kernel[np.ix_(free, free)]
    equations[-1, -1] = 0.0
    right = np.append(signs[free] - kernel[free] @ fixed, -fixed.sum())
    solution = np.linalg.lstsq(equations, right, rcond=None)[0]
    if not np.isfinite(solution).all():
        return None
    alpha[free] = solution[:-1] * signs[free]
    return alpha, float(solution[-1])


def _machine(kernel: Array, signs: Array, C: float, coefficients: Array) -> Machine:
    """The machine with these weights and the bias that is best for them."""
    scores = kernel @ coefficients
    bias = best_bias(scores, signs)
    losses = np.maximum(0.0, 1.0 - signs * (scores + bias)).sum()
    return Machine(coefficients, bias, float(0.5 * coefficients @ scores + C * losses))


def best_bias(scores: Array, signs: Array) -> float:
    """The bias with the smallest sum of hinge losses, the middle one where an interval has it.

    The sum is convex and linear between the points y_i - score_i. From the left to the right its slope grows
    by one at each of them, from minus the number of positives to the number of negatives.

    Args:
        scores: n, without bias.
        signs: n, -1 or 1, both present.
    """
    points = np.sort(signs - scores)
    positives = int((signs > 0).sum())
    return float(0.5 * (points[positives - 1] + points[positives]))
