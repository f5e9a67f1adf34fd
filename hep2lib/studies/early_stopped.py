"""A linear SVM whose solver stops early, to see what that does to the scores."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from hep2lib.data.folds import Fold
from hep2lib.studies.svm import PathScores, Reading, loss_weight

PASSES = 10


def early_stopped_path(
    gram: NDArray[np.float64],
    labels: NDArray,
    fold: Fold,
    values: Sequence[float],
    reading: Reading,
) -> PathScores:
    """Scores along the grid after ten passes of dual coordinate descent (Hsieh et al. 2008) over the images.

    For more than a hundred predictors MATLAB's fitclinear takes a solver of this family and stops it after at
    most ten passes, wherever it is. Neither the order of its steps nor its other rules are known here: this
    shows what stopping early does, and its scores are not MATLAB's. As in liblinear, the bias is penalised.

    The images' coordinates in an orthonormal basis of their span, as many numbers an image as there are
    images, take the features' place; coordinate descent does the same steps on either.

    Args:
        gram: float64, N x N, of all images.
        labels: N; 1 is positive.
        fold: rows of the three parts.
        values: the grid, all greater than 0.
        reading: whether the values are "C" or fitclinear's "lambda" (C = 1 / (n lambda)).

    Returns:
        The margins; the gap is not known and given as infinity.
    """
    eigenvalues, eigenvectors = torch.linalg.eigh(torch.from_numpy(np.array(gram)))
    images = (eigenvectors * eigenvalues.clamp(min=0).sqrt()).numpy()
    validation: list[list[float]] = []
    test: list[list[float]] = []
    for value in values:
        C = loss_weight(value, reading, len(fold.train))
        machine = LinearSVC(loss="hinge", dual=True, C=C, max_iter=PASSES, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # which is the point
            machine.fit(images[fold.train], labels[fold.train])
        for rows, scores in ((fold.validation, validation), (fold.test, test)):
            scores.append(machine.decision_function(images[rows]).tolist())
    return PathScores(validation, test, float("inf"))
