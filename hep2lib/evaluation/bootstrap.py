"""The bootstrap over specimens: intervals, p values and ROC bands for figures without a formula.

A repetition draws as many specimens as there are, with replacement, among those with positive images only,
with negative images only and with both, each kind for itself (Davison & Hinkley 1997, Bootstrap Methods,
section 3.8; for clusters Field & Welsh 2007, J R Stat Soc B 69:369). A specimen that is drawn twice counts
twice, with all its images: a repetition is a row of weights, and a block of rows is computed at once.

Assumes independent specimens and says nothing of another training. The ends are percentiles: they never leave
the figure's range, and they have no width where every repetition gives the same (perfect separation), which
`auc.auc_interval` handles.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from hep2lib.evaluation.auc import (
    LEVEL,
    FloatArray,
    IntArray,
    Interval,
    ScoreError,
    check_scores,
    check_specimens,
)
from hep2lib.evaluation.decisions import confusion

Metric = Callable[[IntArray, FloatArray, FloatArray], FloatArray]
"""Labels (images,), scores (images,), weights (repetitions, images) -> figures (repetitions,)."""

_BLOCK = 256  # repetitions at a time: a block of weights stays in the processor's cache
_ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def weighted_auc(y: IntArray, score: FloatArray, weight: FloatArray) -> FloatArray:
    """AUC of each repetition: a `Metric`. NaN where a label has no weight."""
    positive, negative = _cumulated_weights(y, score, weight)
    # Between two thresholds the curve is straight: trapezia, which count a tie one half.
    area = np.sum(np.diff(negative, axis=1) * (positive[:, 1:] + positive[:, :-1]) / 2, axis=1)
    pairs = positive[:, -1] * negative[:, -1]
    return np.divide(area, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)


def _cumulated_weights(y: IntArray, score: FloatArray, weight: FloatArray) -> list[FloatArray]:
    """Weight of positives, and of negatives, at or above each distinct score, from none to all of them."""
    order = np.argsort(-score, kind="stable")
    first = np.unique(-score[order], return_index=True)[1]
    parts = [np.add.reduceat(weight[:, order] * (y[order] == label), first, axis=1) for label in (1, 0)]
    return [np.pad(np.cumsum(part, axis=1), ((0, 0), (1, 0))) for part in parts]


def at_threshold(threshold: float, rate: str) -> Metric:
    """A `Metric` of the decision "score at or above `threshold`".

    Args:
        threshold: on the scores' scale; 0.5 where the scores are decisions (0 or 1) made fold by fold.
        rate: a rate of `decisions.Confusion`: "accuracy", "balanced_accuracy", "sensitivity", ....
    """

    def metric(y: IntArray, score: FloatArray, weight: FloatArray) -> FloatArray:
        return getattr(confusion(y, score >= threshold, weight), rate)

    return metric


def specimen_weights(
    y: IntArray, specimen: IntArray, repetitions: int, generator: Generator, fold: IntArray | None = None
) -> FloatArray:
    """How often each image counts in each repetition; each kind of specimen keeps its number of specimens.

    Args:
        y: labels.
        specimen: numbers 0, 1, ... of the images' specimens.
        repetitions: number of drawings.
        generator: where chance comes from.
        fold: numbers of the images' folds: draw within folds.

    Returns:
        Whole numbers, shape (repetitions, images).
    """
    count = int(specimen.max()) + 1
    kind = np.zeros(count, dtype=np.int64)
    for label in (1, 0):
        kind[np.unique(specimen[y == label])] += label + 1
    if fold is not None:
        folds = np.zeros(count, dtype=np.int64)
        folds[specimen] = fold
        kind += 4 * folds
    drawn = np.zeros((repetitions, count))
    for one in np.unique(kind):
        members = np.flatnonzero(kind == one)
        share = np.full(members.size, 1 / members.size)
        drawn[:, members] = generator.multinomial(members.size, share, repetitions)
    return drawn[:, specimen]


def _blocks(
    y: IntArray, specimen: IntArray, repetitions: int, generator: Generator, fold: IntArray | None = None
) -> Iterator[FloatArray]:
    """All repetitions' `specimen_weights`, block by block."""
    if repetitions < 100:
        raise ScoreError(f"repetitions is {repetitions}; percentiles need at least 100, better 2000.")
    for start in range(0, repetitions, _BLOCK):
        yield specimen_weights(y, specimen, min(_BLOCK, repetitions - start), generator, fold)


def _finite(drawn: FloatArray) -> FloatArray:
    kept = drawn[np.isfinite(drawn)]
    if not kept.size:
        raise ScoreError("The figure is undefined in every repetition (a rate without a denominator).")
    return kept


def bootstrap_interval(
    metric: Metric,
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    *,
    generator: Generator,
    repetitions: int = 2000,
) -> Interval:
    """95 % percentile interval of any figure; repetitions in which it is undefined are left out.

    Args:
        metric: `weighted_auc`, `at_threshold(...)` or another.
        y: labels, shape (images,), both present.
        score: shape (images,), finite.
        specimen: name of each image's specimen, shape (images,); None: images are independent.
        generator: where chance comes from.
        repetitions: number of drawings, at least 100.

    Raises:
        ScoreError: as `auc.check_scores`, or a figure that is never defined.
    """
    labels, scores = check_scores(y, score)
    owner = check_specimens(specimen, labels.size)
    own = metric(labels, scores, np.ones((1, labels.size)))[0]
    blocks = _blocks(labels, owner, repetitions, generator)
    drawn = _finite(np.concatenate([metric(labels, scores, weight) for weight in blocks]))
    low, high = np.quantile(drawn, _ENDS)
    return Interval(float(own), float(low), float(high), float(np.std(drawn, ddof=1)), int(owner.max()) + 1)


def bootstrap_p(
    metric: Metric,
    y: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    *,
    generator: Generator,
    repetitions: int = 2000,
    fold: npt.ArrayLike | None = None,
) -> float:
    """Two-sided p value of "no difference" between two classifiers, by drawing the same specimens for both.

    Twice the smaller share of drawings on either side of no difference, counting one more than drawn (Davison
    & Hinkley 1997, section 4.2), so it is never 0. Arguments and errors are those of `bootstrap_interval`;
    with `fold`, drawings are within folds, and the folds' figures are averaged.
    """
    labels, first = check_scores(y, score_a)
    second = check_scores(y, score_b)[1]
    owner = check_specimens(specimen, labels.size)
    number = None if fold is None else np.unique(np.asarray(fold), return_inverse=True)[1].astype(np.int64)
    insides = [slice(None)] if number is None else [number == one for one in np.unique(number)]

    def mean_of_folds(score: FloatArray, weight: FloatArray) -> FloatArray:
        return np.mean([metric(labels[i], score[i], weight[:, i]) for i in insides], axis=0)

    blocks = _blocks(labels, owner, repetitions, generator, number)
    difference = _finite(np.concatenate([mean_of_folds(first, w) - mean_of_folds(second, w) for w in blocks]))
    tail = min(np.sum(difference <= 0), np.sum(difference >= 0))
    return float(min(1.0, 2 * (tail + 1) / (difference.size + 1)))


@dataclass(frozen=True, slots=True)
class RocBand:
    """A ROC curve on a grid, with a pointwise 95 % band; arrays of shape (points,), each value 0 to 1."""

    false_positive_rate: FloatArray  # the grid, 101 points
    sensitivity: FloatArray  # of the images themselves
    low: FloatArray  # lower end at each grid point by itself
    high: FloatArray  # upper end
    specimens: int  # number of specimens drawn from


def roc_band(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    *,
    generator: Generator,
    repetitions: int = 1000,
) -> RocBand:
    """A ROC curve and, at each false positive rate, percentiles of the sensitivity.

    Pointwise: each grid point is covered with 95 %, the whole curve with less. Arguments and errors are those
    of `bootstrap_interval`.
    """
    labels, scores = check_scores(y, score)
    owner = check_specimens(specimen, labels.size)
    grid = np.linspace(0, 1, 101)

    def sensitivities(weight: FloatArray) -> FloatArray:
        positive, negative = (w / w[:, -1:] for w in _cumulated_weights(labels, scores, weight))
        # Where the curve rises straight up, interpolation takes the top: the last of equal rates.
        return np.stack([np.interp(grid, n, p) for n, p in zip(negative, positive, strict=True)])

    drawn = [sensitivities(weight) for weight in _blocks(labels, owner, repetitions, generator)]
    low, high = np.quantile(np.concatenate(drawn), _ENDS, axis=0)
    return RocBand(grid, sensitivities(np.ones((1, labels.size)))[0], low, high, int(owner.max()) + 1)
