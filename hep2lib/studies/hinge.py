"""The soft-margin SVM on a Gram matrix, along a path of C: exact, and each time with a proof of how exact."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC
from torch import Tensor

from hep2lib.studies.active_set import search
from hep2lib.studies.interior_point import interior_point

Array = NDArray[np.float64]

GAP = 1e-10  # relative duality gap at which nothing more is tried
EDGE = 1e-9  # a weight this near to 0 or C, relative to C, is taken to be there
INSIDE = 1e-6  # the same for an interior-point method's weights, which never quite get there
PATIENCE = (
    30  # iterations of libsvm for each image; where classes overlap and C is large it may need millions
)


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """A fitted linear SVM, in terms of inner products with its training images.

    Attributes:
        coefficients: n; the weight of each training image, signed by its class (0: it does not support).
        bias: added to every score.
        C: weight of the losses that it was fitted with.
        objective: 1/2 |b|^2 + C sum of hinge losses.
        gap: an upper bound of how much of the objective any other machine could save, as a share of it: the
            difference to the dual objective at these weights, which bounds the optimum from below.
        settled: whether every image meets its optimality condition to rounding.
    """

    coefficients: Array
    bias: float
    C: float
    objective: float
    gap: float
    settled: bool

    def decision_function(self, kernel: Array) -> Array:
        """Scores, positive for the positive class.

        Args:
            kernel: m x n, inner products of m images with the training images.
        """
        return kernel @ self.coefficients + self.bias


def fit_hinge(kernel: Array, signs: Array, C: float) -> Machine:
    """Minimise 1/2 |b|^2 + C sum_i max(0, 1 - y_i f(x_i)), the bias free: see ``hinge_path``."""
    return hinge_path(kernel, signs, (C,))[0]


def hinge_path(kernel: Array, signs: Array, values: Sequence[float]) -> list[Machine]:
    """Fit a machine for each value of C.

    From the smallest C to the largest, the sets of images beyond, on and within the margin are taken over
    from the value before and corrected (``hep2lib.studies.active_set``), in double precision. Where that does
    not end, libsvm is asked for another start; alone it would not do, because it keeps the kernel in single
    precision. Where that is of no use either, an interior-point method follows. Once no image violates its
    margin, the classes are separated as widely as they can be, and no larger C changes anything.

    Args:
        kernel: n x n, centred, float64.
        signs: n, -1 or 1, both present.
        values: of C, greater than 0, in any order.

    Returns:
        The machines in the order of ``values``.
    """
    scale = max(float(np.abs(np.diag(kernel)).mean()), np.finfo(float).tiny)
    # (K / s, s C) has the solution of (K, C): tolerances then mean the same for every layer.
    problem = _Problem(torch.from_numpy(np.ascontiguousarray(kernel / scale)), signs)
    found: dict[float, Machine] = {}
    last: Machine | None = None
    for C in sorted(set(values)):
        last = _next(problem, C * scale, last)
        found[C] = replace(
            last, coefficients=last.coefficients / scale, C=C, objective=last.objective / scale
        )
    return [found[C] for C in values]


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


def _next(problem: "_Problem", C: float, last: Machine | None) -> Machine:
    """The machine for C, starting from that for a smaller one."""
    if last is not None and last.settled and np.abs(last.coefficients).max() < (1 - EDGE) * last.C:
        return replace(last, C=C)  # no image is at its bound
    best: Machine | None = None
    for machine in problem.attempts(C, last):
        if best is None or machine.gap < best.gap or (machine.settled and machine.gap <= GAP):
            best = machine
        if best.gap <= GAP:
            break
    assert best is not None
    return best


@dataclass(frozen=True, slots=True)
class _Problem:
    """A kernel with a diagonal of about one, and the classes."""

    kernel: Tensor
    signs: Array

    def attempts(self, C: float, last: Machine | None) -> Iterator[Machine]:
        """Machines for C by one method after the other, the quickest first."""
        if last is not None:
            yield from self.searched(C, np.abs(last.coefficients) / last.C, EDGE)
        weights = self.libsvm(C)
        yield from self.searched(C, weights / C, EDGE)
        yield self.machine(C, weights)
        weights = interior_point(self.kernel, self.signs, C)
        yield from self.searched(C, weights / C, INSIDE)
        yield self.machine(C, weights)

    def searched(self, C: float, shares: Array, edge: float) -> Iterator[Machine]:
        """The machine that the active-set search reaches from weights given as shares of C, if any."""
        found = search(self.kernel, self.signs, C, shares <= edge, shares >= 1 - edge)
        if found is not None:
            yield self.machine(C, found[0], settled=found[1])

    def libsvm(self, C: float) -> Array:
        """Weights as libsvm finds them, 0 to C."""
        # The default tolerance, 1e-3, misses the optimum by more than 1e-5 of the objective.
        libsvm = SVC(kernel="precomputed", C=C, tol=1e-6, cache_size=500, max_iter=PATIENCE * len(self.signs))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the gap tells
            libsvm.fit(self.kernel.numpy(), self.signs)
        weights = np.zeros(len(self.signs))
        weights[libsvm.support_] = np.abs(libsvm.dual_coef_[0])
        return weights

    def machine(self, C: float, weights: Array, *, settled: bool = False) -> Machine:
        """The machine with these weights, moved into the dual's feasible set, and the bias that is best."""
        weights = np.clip(weights, 0, C)
        positive = self.signs > 0
        sums = weights[positive].sum(), weights[~positive].sum()
        factors = [min(sums) / total if total > 0 else 0.0 for total in sums]
        coefficients = weights * np.where(positive, factors[0], -factors[1])
        scores = (self.kernel @ torch.from_numpy(coefficients)).numpy()
        bias = best_bias(scores, self.signs)
        half_norm = float(0.5 * coefficients @ scores)
        primal = half_norm + C * float(np.maximum(0.0, 1.0 - self.signs * (scores + bias)).sum())
        dual = float(np.abs(coefficients).sum()) - half_norm
        return Machine(coefficients, bias, C, primal, max(0.0, (primal - dual) / primal), settled)
