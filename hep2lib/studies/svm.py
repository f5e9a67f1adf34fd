"""Linear SVMs on a layer's activations (paper, section 2.5), exactly, by their Gram matrix."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hep2lib.data.folds import Fold
from hep2lib.studies.gram import SVMError, gram_matrix
from hep2lib.studies.hinge import Machine, fit_hinge, hinge_path

__all__ = [
    "PAPER_GRID",
    "PathScores",
    "SVMError",
    "centred",
    "fit_svm",
    "gram_matrix",
    "svm_path",
]

PAPER_GRID: tuple[float, ...] = tuple(float(value) for value in 10.0 ** np.linspace(-6, 2.5, 20))
"""The paper's 20 values; its best, 5.1348, is the 16th."""

Reading = Literal["C", "lambda"]


class PathScores(NamedTuple):
    """Scores along a grid of C.

    Attributes:
        validation: margins of the validation images in the fold's order, one list a value.
        test: the same of the test images.
        gap: how far from the optimum any of the machines can be at most, as a share of its objective.
    """

    validation: list[list[float]]
    test: list[list[float]]
    gap: float


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
    return fit_hinge(gram_train, _signs(np.asarray(y)), _positive("C", C))


def centred(gram: NDArray[np.float64], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """The Gram matrix after the training images' mean is taken off all features, rows x training images.

    With a free bias this changes no score; without it, features that share a large offset lose digits.

    Args:
        gram: float64, N x N.
        train: row numbers of the training images.

    Returns:
        float64, N x n.
    """
    with_train = gram[:, train]
    inner = with_train[train]
    return (
        with_train - with_train.mean(axis=1, keepdims=True) - inner.mean(axis=0, keepdims=True) + inner.mean()
    )


def svm_path(
    gram: NDArray[np.float64],
    labels: NDArray,
    fold: Fold,
    values: Sequence[float] = PAPER_GRID,
    reading: Reading = "C",
) -> PathScores:
    """Scores of a fold's validation and test images along the grid.

    Args:
        gram: float64, N x N, of all images.
        labels: N; 1 is positive.
        fold: rows of the three parts.
        values: the grid, all greater than 0.
        reading: whether the values are "C" or fitclinear's "lambda" (C = 1 / (n lambda)).

    Returns:
        The margins of both parts for each value.

    Raises:
        SVMError: if there is one class only among the training images, or a value is not positive.
    """
    signs = _signs(labels[fold.train])
    weights_of_losses = [loss_weight(value, reading, len(signs)) for value in values]
    kernel = centred(gram, fold.train)
    machines = hinge_path(kernel[fold.train], signs, weights_of_losses)
    weights = torch.from_numpy(np.stack([machine.coefficients for machine in machines], 1))
    biases = np.array([machine.bias for machine in machines])
    validation, test = (
        ((torch.from_numpy(kernel[rows]) @ weights).numpy() + biases).T.tolist()
        for rows in (fold.validation, fold.test)
    )
    return PathScores(validation, test, max(machine.gap for machine in machines))


def loss_weight(value: float, reading: Reading, images: int) -> float:
    """C of a value of the grid: the value itself, or 1 / (n lambda).

    Args:
        value: of the grid.
        reading: what the value is, "C" or fitclinear's "lambda".
        images: n, the number of training images.

    Raises:
        SVMError: if the value is not positive and finite.
    """
    given = _positive(reading, value)
    return given if reading == "C" else 1.0 / (images * given)


def _signs(labels: NDArray) -> NDArray[np.float64]:
    if len(np.unique(labels)) < 2:
        raise SVMError("an SVM needs images of both classes to learn from; these have one")
    return np.where(labels == 1, 1.0, -1.0)


def _positive(name: str, value: float) -> float:
    if not 0 < value < np.inf:
        raise SVMError(f"{name} = {value}: it must be greater than 0 and finite")
    return float(value)
