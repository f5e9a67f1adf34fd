"""Linear SVMs along the grid of C from one Gram matrix, each with a proof of how near its optimum it is.

In this order: ``svm_path`` scores a fold's images for every C; ``hinge_path`` fits its machines, each from
the one before; ``_Problem`` tries one method after the other for a single C; ``search`` (active sets) and
``interior_point`` solve the dual.

No method is trusted. Weights that satisfy the dual's constraints, however they were found, bound the optimum
from below by the dual objective, and the machine that they make bounds it from above by the primal one. The
difference as a share of the objective, the duality gap, is computed for every machine and kept with it.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC, LinearSVC
from torch import Tensor

from hep2lib.data.folds import Fold
from hep2lib.studies.gram import SVMError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Regularisation = Literal["C", "lambda"]
Point = tuple[Tensor, Tensor, Tensor]

PAPER_GRID: tuple[float, ...] = tuple(float(value) for value in 10.0 ** np.linspace(-6, 2.5, 20))
"""The paper's 20 values; its best, 5.1348, is the 16th."""

GAP = 1e-10  # relative duality gap at which nothing more is tried
EDGE = 1e-9  # a weight this near to 0 or C, relative to C, is taken to be there
INSIDE = 1e-6  # the same for an interior-point method's weights, which never quite get there
PATIENCE = 30  # libsvm's iterations for each image; where classes overlap and C is large it may need millions
PASSES = 10  # of the solver that stops early

# The active-set search:
ROUNDS = 20  # most searches take one to six
RIDGES = (1e-12, 1e-9)  # on a diagonal of about one, tried in turn, so that equal images do no harm
CORRECTIONS = 3  # of a solution of linear equations, to take back what the ridge did
MARGIN = 1e-10  # by how much an image may miss its condition

# The interior-point method:
STEPS = 60  # at most; ten to twenty-five are usual
ENOUGH = 1e-13  # duality gap relative to the objective
NEAREST = 0.995  # share of the way to the nearest bound that a step may go


class PathScores(NamedTuple):
    """Scores along a grid of C."""

    validation: list[list[float]]  # margins of the validation images in the fold's order, one list a value
    test: list[list[float]]  # the same of the test images
    gap: float  # how far from the optimum any of the machines can be at most, as a share of its objective


def svm_path(
    gram: NDArray[np.float64],
    labels: NDArray,
    fold: Fold,
    values: Sequence[float] = PAPER_GRID,
    regularisation: Regularisation = "C",
) -> PathScores:
    """Scores of a fold's validation and test images along the grid.

    Args:
        gram: float64, N x N, of all images.
        labels: N; 1 is positive.
        fold: rows of the three parts.
        values: the grid, all greater than 0.
        regularisation: whether the values are "C" or fitclinear's "lambda" (C = 1 / (n lambda)).

    Returns:
        The margins of both parts for each value, and the largest duality gap.

    Raises:
        SVMError: if there is one class only among the training images, or a value is not positive.
    """
    signs = _signs(labels[fold.train])
    weights_of_losses = [loss_weight(value, regularisation, len(signs)) for value in values]
    kernel = centred(gram, fold.train)
    machines = hinge_path(kernel[fold.train], signs, weights_of_losses)
    weights = torch.from_numpy(np.stack([machine.coefficients for machine in machines], 1))
    biases = np.array([machine.bias for machine in machines])
    validation, test = (
        ((torch.from_numpy(kernel[rows]) @ weights).numpy() + biases).T.tolist()
        for rows in (fold.validation, fold.test)
    )
    return PathScores(validation, test, max(machine.gap for machine in machines))


def loss_weight(value: float, regularisation: Regularisation, images: int) -> float:
    """C of a value of the grid, with n training images: the value itself, or 1 / (n lambda).

    Raises:
        SVMError: if the value is not positive and finite.
    """
    given = _positive(regularisation, value)
    return given if regularisation == "C" else 1.0 / (images * given)


def _signs(labels: NDArray) -> NDArray[np.float64]:
    if len(np.unique(labels)) < 2:
        raise SVMError("an SVM needs images of both classes to learn from; these have one")
    return np.where(labels == 1, 1.0, -1.0)


def _positive(name: str, value: float) -> float:
    if not 0 < value < np.inf:
        raise SVMError(f"{name} = {value}: it must be greater than 0 and finite")
    return float(value)


def centred(gram: NDArray[np.float64], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """The Gram matrix after the training images' mean is taken off all features, rows x training images.

    With a free bias this changes no score; without it, features that share a large offset lose digits. Of
    float64, N x N, and the n rows of the training images it makes float64, N x n.
    """
    with_train = gram[:, train]
    inner = with_train[train]
    return (
        with_train - with_train.mean(axis=1, keepdims=True) - inner.mean(axis=0, keepdims=True) + inner.mean()
    )


def early_stopped_path(
    gram: NDArray[np.float64],
    labels: NDArray,
    fold: Fold,
    values: Sequence[float],
    regularisation: Regularisation,
) -> PathScores:
    """Scores along the grid after ten passes of dual coordinate descent (Hsieh et al. 2008) over the images.

    For more than a hundred predictors MATLAB's fitclinear takes a solver of this family and stops it after at
    most ten passes, wherever it is. Neither the order of its steps nor its other rules are known here: this
    shows what stopping early does, and its scores are not MATLAB's. As in liblinear, the bias is penalised.

    The images' coordinates in an orthonormal basis of their span, as many numbers an image as there are
    images, take the features' place; coordinate descent does the same steps on either.

    Arguments and errors as those of ``svm_path``; the gap is not known and given as infinity.
    """
    eigenvalues, eigenvectors = torch.linalg.eigh(torch.from_numpy(np.array(gram)))
    images = (eigenvectors * eigenvalues.clamp(min=0).sqrt()).numpy()
    validation: list[list[float]] = []
    test: list[list[float]] = []
    for value in values:
        C = loss_weight(value, regularisation, len(fold.train))
        machine = LinearSVC(loss="hinge", dual=True, C=C, max_iter=PASSES, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # which is the point
            machine.fit(images[fold.train], labels[fold.train])
        for rows, scores in ((fold.validation, validation), (fold.test, test)):
            scores.append(machine.decision_function(images[rows]).tolist())
    return PathScores(validation, test, float("inf"))


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """A fitted linear SVM, in terms of inner products with its training images."""

    coefficients: Array  # n; the weight of each training image, signed by its class (0: it does not support)
    bias: float  # added to every score
    C: float  # weight of the losses that it was fitted with
    objective: float  # 1/2 |b|^2 + C sum of hinge losses
    gap: float  # share of the objective that any other machine could save at most (the duality gap)
    settled: bool  # whether every image meets its optimality condition to rounding

    def decision_function(self, kernel: Array) -> Array:
        """Scores, float64, m, positive for the positive class.

        Args:
            kernel: m x n, inner products of m images with the n training images.
        """
        return kernel @ self.coefficients + self.bias


def fit_svm(gram_train: NDArray[np.float64], y: ArrayLike, C: float) -> Machine:
    """Fit a soft-margin SVM with hinge loss and a free bias, given the training images' Gram matrix.

    Minimises 1/2 |b|^2 + C sum_i max(0, 1 - y_i (x_i b + b0)), which is fitclinear's objective with
    C = 1 / (n lambda).

    Args:
        gram_train: float64, n x n; centred, where features share a large offset (``centred``).
        y: n labels, 0 or 1.
        C: weight of the losses, greater than 0.

    Returns:
        The machine; its ``decision_function`` takes inner products with the training images.

    Raises:
        SVMError: if there is one class only, or C is not positive.
    """
    return hinge_path(gram_train, _signs(np.asarray(y)), (_positive("C", C),))[0]


def hinge_path(kernel: Array, signs: Array, values: Sequence[float]) -> list[Machine]:
    """Fit a machine for each value of C.

    From the smallest C to the largest, the sets of images beyond, on and within the margin are taken over
    from the value before and corrected (``search``), in double precision. Where that does not end, libsvm is
    asked for another start; alone it would not do, because it keeps the kernel in single precision. Where
    that is of no use either, an interior-point method follows. Once no image violates its margin, the classes
    are separated as widely as they can be, and no larger C changes anything.

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
        last = problem.solved(C * scale, last)
        weights, objective = last.coefficients / scale, last.objective / scale
        found[C] = replace(last, coefficients=weights, C=C, objective=objective)
    return [found[C] for C in values]


@dataclass(frozen=True, slots=True)
class _Problem:
    """A kernel with a diagonal of about one, and the classes."""

    kernel: Tensor
    signs: Array

    def solved(self, C: float, last: Machine | None) -> Machine:
        """The machine for C, starting from that for a smaller one."""
        if last is not None and last.settled and np.abs(last.coefficients).max() < (1 - EDGE) * last.C:
            return replace(last, C=C)  # no image is at its bound
        best: Machine | None = None
        for machine in self.attempts(C, last):
            if best is None or machine.gap < best.gap or (machine.settled and machine.gap <= GAP):
                best = machine
            if best.gap <= GAP:
                break
        assert best is not None
        return best

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
        # The sum of hinge losses is convex in the bias and linear between the points sign - score. Its slope
        # grows by one at each, from minus the number of positives: the middle of the interval where it is 0.
        points, count = np.sort(self.signs - scores), int(positive.sum())
        bias = float(0.5 * (points[count - 1] + points[count]))
        half_norm = float(0.5 * coefficients @ scores)
        primal = half_norm + C * float(np.maximum(0.0, 1.0 - self.signs * (scores + bias)).sum())
        dual = float(np.abs(coefficients).sum()) - half_norm
        return Machine(coefficients, bias, C, primal, max(0.0, (primal - dual) / primal), settled)


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


def interior_point(kernel: Tensor, signs: Array, C: float) -> Array:
    """Weights that maximise sum a - 1/2 sum a_i a_j y_i y_j k_ij with 0 <= a <= C and sum a_i y_i = 0.

    Mehrotra's predictor-corrector method (Nocedal and Wright, Numerical Optimization, 2nd ed., section 16.6),
    in shares of C, from a point that is feasible for primal and dual. A point (and a step) is the shares, and
    the multipliers of their bounds 0 and 1; the equation's multiplier is kept beside it. The kernel (float64,
    n x n) is positive semi-definite, the n signs are -1 or 1, both present; the weights are strictly between
    0 and C.
    """
    y = torch.from_numpy(signs)
    hessian = C * kernel * y[:, None] * y
    counts = torch.where(y > 0, (y > 0).sum(), (y < 0).sum()).to(torch.float64)
    share = 0.5 * counts.min() / counts
    gradient = hessian @ share - 1
    multiplier = -float((gradient * y).mean())
    slack = gradient + multiplier * y
    room = 0.1 * float(slack.abs().mean()) + 1e-3
    point = share, slack.clamp(min=0) + room, (-slack).clamp(min=0) + room
    for _ in range(STEPS):
        share, of_low, of_high = point
        objective = float(0.5 * share @ hessian @ share - share.sum())
        now = _complementarity(point)
        if 2 * len(y) * now <= ENOUGH * abs(objective):
            break
        matrix = hessian.clone()
        matrix.diagonal().add_(of_low / share + of_high / (1 - share))
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if failed:  # rounding leaves Newton's equations without a solution
            break
        gradient = hessian @ share - 1 + multiplier * y - of_low + of_high
        low, high = share * of_low, (1 - share) * of_high
        predicted, _ = _newton(point, gradient, y, factor, -low, -high)
        after = _complementarity(_moved(point, predicted, _longest(point, predicted)))
        target = now * (after / now) ** 3
        change, by_low, by_high = predicted
        low, high = target - low - change * by_low, target - high + change * by_high
        step, shift = _newton(point, gradient, y, factor, low, high)
        length = min(1.0, NEAREST * _longest(point, step))
        point, multiplier = _moved(point, step, length), multiplier + length * shift
    return (C * point[0]).numpy()


def _newton(
    point: Point, gradient: Tensor, y: Tensor, factor: Tensor, low: Tensor, high: Tensor
) -> tuple[Point, float]:
    """The step, and the multiplier's, after which the products with both bounds change by low and high."""
    share, of_low, of_high = point
    right = low / share - high / (1 - share) - gradient
    alone = torch.cholesky_solve(right[:, None], factor)[:, 0]
    by_multiplier = torch.cholesky_solve(y[:, None], factor)[:, 0]
    shift = (float(y @ alone) + float(y @ share)) / float(y @ by_multiplier)
    change = alone - shift * by_multiplier
    return (change, (low - of_low * change) / share, (high + of_high * change) / (1 - share)), shift


def _moved(point: Point, step: Point, length: float) -> Point:
    return point[0] + length * step[0], point[1] + length * step[1], point[2] + length * step[2]


def _complementarity(point: Point) -> float:
    """Mean product of a bound's slack and its multiplier; 0 at the solution."""
    share, of_low, of_high = point
    return float(share @ of_low + (1 - share) @ of_high) / (2 * len(share))


def _longest(point: Point, step: Point) -> float:
    """The longest step, 1 at most, that keeps every share, its distance to 1 and the multipliers positive."""
    values, changes = torch.cat([*point, 1 - point[0]]), torch.cat([*step, -step[0]])
    falling = changes < 0
    return min(1.0, float((-values[falling] / changes[falling]).min())) if falling.any() else 1.0
