"""The area under the ROC curve by ranks: the one AUC of the whole project."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def auc(labels: ArrayLike, scores: ArrayLike) -> Any:
    """Area under the ROC curve: P(positive scores higher) + P(equal) / 2 over all pairs of opposite labels.

    The Mann-Whitney form (Hanley and McNeil 1982). It checks nothing: a study asks for it thousands of
    times, and scikit-learn's takes 25 times as long, mostly to check its arguments. The same with checks is
    ``hep2lib.evaluation.auc.auc``. SciPy, whose import takes most of a second, is not needed for it.

    Args:
        labels: n, 1 is positive; both classes.
        scores: n, or m x n; finite.

    Returns:
        A float, or m of them as an array, 0 to 1.
    """
    positive = np.asarray(labels) == 1

    def area(row: NDArray[np.float64]) -> float:
        lower, upper = np.sort(row[~positive]), np.sort(row[positive])
        below, not_above = (np.searchsorted(lower, upper, side).sum() for side in ("left", "right"))
        return float((below + not_above) / (2 * len(lower) * len(upper)))

    table = np.asarray(scores, dtype=float)
    return area(table) if table.ndim == 1 else np.array([area(row) for row in table])
