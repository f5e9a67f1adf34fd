"""Drawing specimens again and again: intervals and comparisons for figures without a formula.

A repetition draws as many specimens as there are, with replacement, among those with positive images only,
with negative images only and with both, each kind for itself (Davison & Hinkley 1997, Bootstrap Methods,
section 3.8; for clusters Field & Welsh 2007, J R Stat Soc B 69:369). A specimen that is drawn twice counts
twice, with all its images: a repetition is a row of weights, and all rows are computed at once.

Assumes independent specimens and says nothing of another training. The ends are percentiles: they never leave
the figure's range, and they have no width where every repetition gives the same (perfect separation), which
`inference.auc_interval` handles.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


BLOCK = 256  # repetitions at a time: a block of weights stays in the processor's cache


def weighted_auc(y: IntArray, score: FloatArray, weight: FloatArray) -> FloatArray:
    """AUC of each repetition: a `Metric`.

    Args:
        y: labels, shape (images,).
        score: shape (images,), finite.
        weight: how often each image counts, shape (repetitions, images).

    Returns:
        Shape (repetitions,); NaN where a label has no weight.
    """
    positive, negative = cumulated_weights(y, score, weight)
    # Between two thresholds the curve is straight: trapezia, which count a tie one half.
    area = np.sum(np.diff(negative, axis=1) * (positive[:, 1:] + positive[:, :-1]) / 2, axis=1)
    pairs = positive[:, -1] * negative[:, -1]
    return np.divide(area, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)


def cumulated_weights(y: IntArray, score: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight of positives and of negatives at or above each distinct score, from none to all.

    Arguments as `weighted_auc`. Returns two arrays of shape (repetitions, distinct scores + 1), rising along
    rows.
    """
    order = np.argsort(-score, kind="stable")
    first = np.unique(-score[order], return_index=True)[1]
    sums = []
    for label in (1, 0):
        part = np.add.reduceat(weight[:, order] * (y[order] == label), first, axis=1)
        sums.append(np.pad(np.cumsum(part, axis=1), ((0, 0), (1, 0))))
    return sums[0], sums[1]


def at_threshold(threshold: float, rate: str) -> Metric:
    """A `Metric` of the decision "score at or above `threshold`".

    Args:
        threshold: on the scores' scale; 0.5 where the scores are decisions (0 or 1) made fold by fold.
        rate: a rate of `metrics.Confusion`: "accuracy", "balanced_accuracy", "sensitivity", "specificity"
            or "mcc".
    """

    def metric(y: IntArray, score: FloatArray, weight: FloatArray) -> FloatArray:
        return getattr(confusion(y, score >= threshold, weight), rate)

    return metric


def specimen_weights(
    y: IntArray,
    specimen: IntArray,
    repetitions: int,
    generator: np.random.Generator,
    fold: IntArray | None = None,
) -> FloatArray:
    """How often each image counts in each repetition.

    Args:
        y: labels, shape (images,).
        specimen: numbers 0, 1, ... of the images' specimens, shape (images,).
        repetitions: number of drawings.
        generator: where chance comes from.
        fold: numbers of the images' folds, shape (images,): draw within folds.

    Returns:
        Shape (repetitions, images), whole numbers; each kind of specimen keeps its number of specimens.
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
        drawn[:, members] = generator.multinomial(
            members.size, np.full(members.size, 1 / members.size), repetitions
        )
    return drawn[:, specimen]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Checked input of a bootstrap."""

    y: IntArray
    specimen: IntArray
    fold: IntArray | None
    repetitions: int
    generator: np.random.Generator

    def _evaluate(self, metric: Metric, score: FloatArray, weight: FloatArray) -> FloatArray:
        if self.fold is None:
            return metric(self.y, score, weight)
        insides = [self.fold == number for number in np.unique(self.fold)]
        return np.mean([metric(self.y[i], score[i], weight[:, i]) for i in insides], axis=0)

    def figures(self, metric: Metric, *scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Each score's own figure, shape (scores,), and the drawn ones, shape (scores, repetitions)."""
        once = np.ones((1, self.y.size))
        own = np.array([self._evaluate(metric, score, once)[0] for score in scores])
        blocks = []
        for start in range(0, self.repetitions, BLOCK):
            rows = min(BLOCK, self.repetitions - start)
            weight = specimen_weights(self.y, self.specimen, rows, self.generator, self.fold)
            blocks.append(np.stack([self._evaluate(metric, score, weight) for score in scores]))
        return own, np.concatenate(blocks, axis=1)


def _sample(
    y: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    fold: npt.ArrayLike | None,
    repetitions: int,
    generator: np.random.Generator,
) -> _Sample:
    if repetitions < 100:
        raise ScoreError(f"repetitions is {repetitions}; percentiles need at least 100, better 2000.")
    labels = np.asarray(y, dtype=np.int64)
    numbers = None if fold is None else np.unique(np.asarray(fold), return_inverse=True)[1].astype(np.int64)
    return _Sample(labels, check_specimens(specimen, labels.size), numbers, repetitions, generator)


def bootstrap_interval(
    metric: Metric,
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    *,
    generator: np.random.Generator,
    repetitions: int = 2000,
) -> Interval:
    """95 % percentile interval of any figure, by drawing specimens.

    Args:
        metric: `weighted_auc`, `at_threshold(...)` or another.
        y: labels, shape (images,), both present.
        score: shape (images,), finite.
        specimen: name of each image's specimen, shape (images,); None: images are independent.
        generator: where chance comes from.
        repetitions: number of drawings, at least 100.

    Returns:
        Repetitions in which the figure is undefined are left out of the percentiles.

    Raises:
        ScoreError: as `metrics.check_scores`, or a figure that is never defined.
    """
    labels, scores = check_scores(y, score)
    sample = _sample(labels, specimen, None, repetitions, generator)
    own, drawn = sample.figures(metric, scores)
    known = drawn[0][np.isfinite(drawn[0])]
    if not known.size:
        raise ScoreError("The figure is undefined in every repetition (a rate without a denominator).")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = float(np.std(known, ddof=1))
    return Interval(float(own[0]), float(low), float(high), error, int(sample.specimen.max()) + 1)


def bootstrap_p(
    metric: Metric,
    y: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    *,
    generator: np.random.Generator,
    repetitions: int = 2000,
    fold: npt.ArrayLike | None = None,
) -> float:
    """Two-sided p value of "no difference" between two classifiers, by drawing the same specimens for both.

    Twice the smaller share of drawings on either side of no difference, counting one more than drawn (Davison
    & Hinkley 1997, section 4.2), so it is never 0.

    Args:
        metric: as for `bootstrap_interval`.
        y: labels, shape (images,), both present.
        score_a: the first classifier's scores, shape (images,), finite.
        score_b: the second one's.
        specimen: name of each image's specimen, shape (images,); None: images are independent.
        generator: where chance comes from.
        repetitions: number of drawings, at least 100.
        fold: the fold in which each image was tested: draw within folds, and average the folds' figures.

    Raises:
        ScoreError: as `bootstrap_interval`.
    """
    labels, first = check_scores(y, score_a)
    _, second = check_scores(y, score_b)
    _, drawn = _sample(labels, specimen, fold, repetitions, generator).figures(metric, first, second)
    difference = drawn[0] - drawn[1]
    kept = difference[np.isfinite(difference)]
    if not kept.size:
        raise ScoreError("The figure is undefined in every repetition (a rate without a denominator).")
    tail = min(np.sum(kept <= 0), np.sum(kept >= 0))
    return float(min(1.0, 2 * (tail + 1) / (kept.size + 1)))


@dataclass(frozen=True, slots=True)
class RocBand:
    """A ROC curve on a grid, with a pointwise 95 % band.

    Attributes:
        false_positive_rate: the grid, shape (points,), 0 to 1.
        sensitivity: of the images themselves, shape (points,).
        low: lower end at each grid point by itself, shape (points,).
        high: upper end.
        specimens: number of specimens drawn from.
    """

    false_positive_rate: FloatArray
    sensitivity: FloatArray
    low: FloatArray
    high: FloatArray
    specimens: int


def roc_band(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    *,
    generator: np.random.Generator,
    repetitions: int = 1000,
) -> RocBand:
    """95 % band around a ROC curve, by drawing specimens.

    At each false positive rate, percentiles of the sensitivity. Pointwise: each grid point is covered with
    95 %, the whole curve with less.

    Args:
        y: labels, shape (images,), both present.
        score: shape (images,), finite.
        specimen: name of each image's specimen, shape (images,); None: images are independent.
        generator: where chance comes from.
        repetitions: number of drawings, at least 100.

    Raises:
        ScoreError: as `bootstrap_interval`.
    """
    labels, scores = check_scores(y, score)
    grid = np.linspace(0, 1, 101)

    def sensitivities(weight: FloatArray) -> FloatArray:
        positive, negative = cumulated_weights(labels, scores, weight)
        positive, negative = positive / positive[:, -1:], negative / negative[:, -1:]
        # Where the curve rises straight up, interpolation takes the top: the last of equal rates.
        return np.stack([np.interp(grid, n, p) for n, p in zip(negative, positive, strict=True)])

    if repetitions < 100:
        raise ScoreError(f"repetitions is {repetitions}; percentiles need at least 100, better 1000.")
    owner = check_specimens(specimen, labels.size)
    drawn = []
    for start in range(0, repetitions, BLOCK):
        rows = min(BLOCK, repetitions - start)
        drawn.append(sensitivities(specimen_weights(labels, owner, rows, generator)))
    low, high = np.quantile(np.concatenate(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    own = sensitivities(np.ones((1, labels.size)))[0]
    return RocBand(grid, own, low, high, int(owner.max()) + 1)
