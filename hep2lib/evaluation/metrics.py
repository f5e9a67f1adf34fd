"""What one number says of a set of scores: AUC, confusion counts and the rates that follow from them.

Throughout the room a label is 1 (positive) or 0 (negative), a higher score means "more positive", and an
image is called positive when its score is at or above the threshold.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from hep2lib.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class ScoreError(InputError):
    """Labels or scores from which the figure asked for cannot be computed."""


def check_labels(y: npt.ArrayLike, *, both: bool = True) -> IntArray:
    """Return the labels as int64, or say what is wrong with them.

    Args:
        y: labels, shape (images,), each 0 or 1.
        both: whether both labels must occur.

    Raises:
        ScoreError: empty, of another shape, another value than 0 and 1, or one label only.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or labels.size == 0:
        raise ScoreError(f"Labels must be a non-empty list, one an image; their shape is {labels.shape}.")
    wrong = np.flatnonzero(~np.isin(labels, (0, 1)))
    if wrong.size:
        raise ScoreError(
            f"Row {wrong[0]} has the label {labels[wrong[0]]!r}; a label must be 1 (positive) or 0 "
            "(negative)."
        )
    labels = labels.astype(np.int64)
    if both and labels.min() == labels.max():
        one = "positive" if labels[0] else "negative"
        raise ScoreError(
            f"All {labels.size} images are {one}: both labels are needed here. Use more specimens or fewer "
            "folds."
        )
    return labels


def check_scores(y: npt.ArrayLike, score: npt.ArrayLike, *, both: bool = True) -> tuple[IntArray, FloatArray]:
    """Return labels as int64 and scores as float64, or say what is wrong with them.

    Args:
        y: labels, shape (images,), each 0 or 1.
        score: scores, shape (images,), finite.
        both: whether both labels must occur.

    Raises:
        ScoreError: as `check_labels`; scores of another length; a score that is NaN or infinite.
    """
    labels = check_labels(y, both=both)
    scores = np.asarray(score, dtype=np.float64)
    if scores.shape != labels.shape:
        raise ScoreError(
            f"There are {labels.size} labels and scores of shape {scores.shape}; give one score a label."
        )
    wrong = np.flatnonzero(~np.isfinite(scores))
    if wrong.size:
        raise ScoreError(
            f"{wrong.size} of {scores.size} scores are not finite numbers (the first is row {wrong[0]}: "
            f"{scores[wrong[0]]}). A training that diverged leaves such scores: repeat it or leave it out."
        )
    return labels, scores


def auc(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve: P(positive scores higher) + P(equal) / 2 over all pairs of opposite labels.

    Args:
        y: labels, shape (images,), each 0 or 1.
        score: scores, shape (images,), finite; higher means more positive.

    Returns:
        The Mann-Whitney form of the area (Hanley & McNeil 1982), in 0 to 1; a tie counts one half.

    Raises:
        ScoreError: one label only, or a score that is not finite.
    """
    labels, scores = check_scores(y, score)
    positive = labels == 1
    count = int(positive.sum())
    beaten = rankdata(scores)[positive].sum() - count * (count + 1) / 2
    return float(beaten / (count * (labels.size - count)))


def _ratio(above: Any, below: Any) -> Any:
    """`above / below`, NaN where `below` is 0; a float for numbers, an array for arrays."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=out, where=below != 0)
    return float(out) if out.ndim == 0 else out


@dataclass(frozen=True, slots=True)
class Confusion:
    """The four counts of a decision, and the rates that follow from them.

    The counts are numbers of images, or arrays of (weighted) counts with one entry a bootstrap repetition:
    every rate has the counts' shape. A rate without a denominator is NaN, except `mcc`, which is 0 by
    convention.
    """

    true_positive: Any
    false_positive: Any
    true_negative: Any
    false_negative: Any

    @property
    def images(self) -> Any:
        """Number of images."""
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative

    @property
    def accuracy(self) -> Any:
        """Share of images that are called what they are."""
        return _ratio(self.true_positive + self.true_negative, self.images)

    @property
    def sensitivity(self) -> Any:
        """Share of the positive images that are called positive."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> Any:
        """Share of the negative images that are called negative."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def balanced_accuracy(self) -> Any:
        """Mean of sensitivity and specificity; 0.5 for whoever always says the same."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def mcc(self) -> Any:
        """Matthews correlation coefficient, -1 to 1 (Matthews 1975); 0 where a margin is empty."""
        tp, fp = np.float64(self.true_positive), np.float64(self.false_positive)
        tn, fn = np.float64(self.true_negative), np.float64(self.false_negative)
        margins = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        value = np.nan_to_num(_ratio(tp * tn - fp * fn, margins), nan=0.0)
        return float(value) if np.ndim(value) == 0 else value


def confusion(y: npt.ArrayLike, decision: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Confusion:
    """Count the four cells of a decision.

    Args:
        y: labels, shape (images,), each 0 or 1; one label alone is allowed.
        decision: what the images are called, shape (images,), each 0 or 1.
        weight: how often each image counts, shape (repetitions, images); None: once.

    Returns:
        Whole counts, or with `weight` arrays of shape (repetitions,).

    Raises:
        ScoreError: another value than 0 and 1, or lengths that differ.
    """
    labels, called = check_labels(y, both=False), check_labels(decision, both=False)
    if labels.shape != called.shape:
        raise ScoreError(
            f"There are {labels.size} labels and {called.size} decisions; give one decision a label."
        )
    cells = [(labels == truth) & (called == call) for truth, call in ((1, 1), (0, 1), (0, 0), (1, 0))]
    if weight is None:
        return Confusion(*(int(cell.sum()) for cell in cells))
    weights = np.asarray(weight, dtype=np.float64)
    return Confusion(*(weights @ cell.astype(np.float64) for cell in cells))
