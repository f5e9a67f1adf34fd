"""Where "negative" ends and "positive" begins: operating points, chosen on validation scores alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from hep2lib.evaluation.auc import (
    LEVEL,
    Comparison,
    FloatArray,
    Interval,
    ScoreError,
    check_count,
    check_labels,
    check_scores,
    check_specimens,
    critical_value,
)

TARGET = 0.95  # the sensitivity or specificity that two of the rules promise

RULES: dict[str, str] = {
    "default": "threshold 0.5",
    "youden": "Youden",
    "sensitivity": "sensitivity 95 %",
    "specificity": "specificity 95 %",
}
"""Rules for a threshold, in the words of tables; what they promise, they promise on validation images."""


def candidates(score: FloatArray) -> FloatArray:
    """Every threshold that matters for these scores, increasing; the first calls all positive, the last none.

    Between two neighbouring scores their middle stands for all thresholds that decide alike, so that a
    threshold is not glued to one validation image.
    """
    distinct = np.unique(score)
    middles = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
    # Two scores that are neighbours among the floating-point numbers have no number between them.
    middles = np.where(middles > distinct[:-1], middles, distinct[1:])
    return np.concatenate([distinct[:1], middles, [np.nextafter(distinct[-1], np.inf)]])


def choose_threshold(
    y: npt.ArrayLike, score: npt.ArrayLike, rule: str = "youden", *, default: float = 0.5
) -> float:
    """Choose an operating point on validation scores: a score at or above it is called positive.

    Never give it test scores: a threshold chosen where it is judged flatters (Leeflang et al. 2008, Clin Chem
    54:729). Validation and test scores must be on one scale: choose it per fold, for that fold's model.

    Args:
        y: validation labels, shape (images,), each 0 or 1.
        score: validation scores, shape (images,), finite.
        rule: "default": `default`, whatever the scores; "youden": largest sensitivity + specificity - 1
            (Youden 1950), of equals the lowest threshold; "sensitivity": the highest threshold whose
            sensitivity is at least 95 %; "specificity": the lowest threshold whose specificity is at least
            95 %.
        default: 0.5 for probabilities, 0 for SVM margins.

    Raises:
        ScoreError: an unknown rule, one label only, or a score that is not finite.
    """
    if rule not in RULES:
        raise ScoreError(f"There is no threshold rule {rule!r}; use one of {', '.join(RULES)}.")
    labels, scores = check_scores(y, score)
    if rule == "default":
        return float(default)
    values = candidates(scores)
    positives, negatives = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    sensitivity = 1 - np.searchsorted(positives, values, side="left") / positives.size
    specificity = np.searchsorted(negatives, values, side="left") / negatives.size
    if rule == "youden":
        # Rounded, so that equal sums do not differ by the order of floating-point additions.
        return float(values[np.argmax(np.round(sensitivity + specificity, 12))])
    reached = np.flatnonzero((sensitivity if rule == "sensitivity" else specificity) >= TARGET - 1e-12)
    return float(values[reached[-1] if rule == "sensitivity" else reached[0]])


def _wilson(found: float, size: float, level: float) -> tuple[float, float]:
    """Ends of Wilson's interval for a share of as many images as ``size`` says, whole or not."""
    z = critical_value(level)
    middle = (found + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(found * (1 - found) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def _between_specimens(value: FloatArray, specimen: npt.ArrayLike | None) -> tuple[float, int]:
    """Variance of a mean over images, from the specimens' sums of deviations; number of specimens."""
    owner = check_specimens(specimen, value.size)
    sums = np.bincount(owner, weights=value - value.mean())
    count = sums.size
    if count < 2:
        raise ScoreError(f"All {value.size} images belong to one specimen: how specimens differ is unknown.")
    return float(count / (count - 1) * np.sum(sums**2) / value.size**2), count


def share_interval(correct: npt.ArrayLike, specimen: npt.ArrayLike | None, level: float = LEVEL) -> Interval:
    """Interval of a share of images, by Wilson's formula for as many images as the specimens are worth.

    The variance is that of a ratio of specimens' sums; N images are then worth p(1 - p) / variance
    independent ones (Rao & Scott 1992, Biometrics 48:577), never more than N. Where every image is right, or
    every one wrong, an estimate of that is impossible, and each specimen counts as one image: the images of
    one are taken to be copies. Without specimens it is Wilson's own (1927, J Am Stat Assoc 22:209).

    Args:
        correct: whether each image counts, each 0 or 1.
        specimen: name of each image's specimen; None: images are independent.
        level: confidence, between 0 and 1.

    Raises:
        ScoreError: another value than 0 and 1; one specimen only.
    """
    value = check_labels(correct, both=False).astype(np.float64)
    variance, specimens = _between_specimens(value, specimen)
    found = float(value.mean())
    size: float = value.size
    if specimen is not None and variance > 0:
        size = min(size, found * (1 - found) / variance)
    elif specimen is not None and found in (0.0, 1.0):
        size = specimens
    return Interval(found, *_wilson(found, size, level), float(np.sqrt(variance)), specimens)


def hits(decided: pd.DataFrame, rate: str) -> pd.DataFrame:
    """The images that a rate counts, with ``correct``: whether the decision is right.

    Args:
        decided: ``label``, ``decision``, each 0 or 1; one row an image.
        rate: "accuracy" (all images), "sensitivity" (the positive ones) or "specificity" (the negative ones).
    """
    labels = {"accuracy": (0, 1), "sensitivity": (1,), "specificity": (0,)}[rate]
    counted = decided[decided["label"].isin(labels)]
    return counted.assign(correct=counted["decision"] == counted["label"])


def share(decided: pd.DataFrame, rate: str, level: float = LEVEL) -> Interval:
    """Accuracy, sensitivity or specificity of decisions (`hits`) with its interval (`share_interval`).

    Args:
        decided: ``label``, ``decision``, ``specimen``; one row an image (``Scores.decided``).
        rate: as for `hits`.
        level: confidence, between 0 and 1.
    """
    counted = hits(decided, rate)
    return share_interval(counted["correct"], counted["specimen"], level)


def compare_shares(
    correct_a: npt.ArrayLike, correct_b: npt.ArrayLike, specimen: npt.ArrayLike | None, level: float = LEVEL
) -> Comparison:
    """Paired difference of two shares on the same images: McNemar's question, for clustered images.

    Normal interval and test with the variance of the images' differences between specimens (Obuchowski 1998,
    Stat Med 17:1495). Where no image tells the two apart the variance is 0; then p is 1 and the ends are
    those of Wilson's interval for none of as many specimens, on either side.

    Arguments and errors are those of `share_interval`, the hits (0 or 1) being the first and the second
    classifier's.
    """
    first, second = (check_labels(hit, both=False).astype(np.float64) for hit in (correct_a, correct_b))
    check_count(second, first.size, "hits or misses")
    critical = critical_value(level)
    variance, specimens = _between_specimens(first - second, specimen)
    difference, error = float(np.mean(first - second)), float(np.sqrt(variance))
    if variance > 0:
        low, high = difference - critical * error, difference + critical * error
        p = float(2 * norm.sf(abs(difference / error)))
    else:
        width = _wilson(0.0, specimens, level)[1]
        low, high = difference - width, difference + width
        p = 1.0 if difference == 0 else min(1.0, float(2 * 0.5**specimens))
    return Comparison(difference, max(low, -1.0), min(high, 1.0), p, specimens)


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


def predictive_value(sensitivity: Any, specificity: Any, prevalence: float) -> Any:
    """Share of those called positive that are, at a prevalence, by Bayes' rule; NaN where none is called so.

    Of those called negative it is ``predictive_value(specificity, sensitivity, 1 - prevalence)``. All are
    shares, 0 to 1; sensitivity and specificity may be arrays.
    """
    called = sensitivity * prevalence + (1 - specificity) * (1 - prevalence)
    return _ratio(sensitivity * prevalence, called)


def confusion(y: npt.ArrayLike, decision: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Confusion:
    """Count the four cells of a decision; one label alone is allowed.

    Args:
        y: labels.
        decision: what the images are called, each 0 or 1.
        weight: how often each image counts, shape (repetitions, images): counts then have the shape
            (repetitions,). None: once.
    """
    labels, called = check_labels(y, both=False), check_labels(decision, both=False)
    check_count(called, labels.size, "decisions")
    cells = [(labels == truth) & (called == call) for truth, call in ((1, 1), (0, 1), (0, 0), (1, 0))]
    if weight is None:
        return Confusion(*(int(cell.sum()) for cell in cells))
    weights = np.asarray(weight, dtype=np.float64)
    return Confusion(*(weights @ cell.astype(np.float64) for cell in cells))
