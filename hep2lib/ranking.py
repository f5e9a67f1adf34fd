"""The area under the ROC curve by ranks: the one AUC of the whole project."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def auc(labels: ArrayLike, scores: ArrayLike) -> Any:
    """Area under the ROC curve: P(positive scores higher) + P(equal) / 2 over all pairs of opposite labels.

    The Mann-Whitney form by midranks (Hanley and McNeil 1982). It checks nothing: a study asks for it
    thousands of times, and scikit-learn's takes 25 times as long, mostly to check its arguments. The same
    with checks is ``hep2lib.evaluation.auc.auc``.

    Args:
        labels: n, 1 is positive; both classes.
        scores: n, or m x n; finite.

    Returns:
        A float, or m of them as an array, 0 to 1.
    """
    positive = np.asarray(labels) == 1
    count = int(positive.sum())
    ranks = rankdata(np.asarray(scores, dtype=float), axis=-1)
    above = ranks[..., positive].sum(axis=-1) - count * (count + 1) / 2
    areas = above / (count * (len(positive) - count))
    return areas if areas.ndim else float(areas)
