"""The area under the ROC curve, its variance over specimens, its interval, and paired comparisons.

Throughout the room a label ``y`` is 1 (positive) or 0 (negative), a ``score`` is finite, a higher one means
"more positive", and an image is called positive when its score is at or above the threshold. ``specimen``
names each image's specimen (None: images are independent) and ``fold`` the fold in which it was tested. All
of them are of shape (images,), unless it is said otherwise, and `ScoreError` is raised where they are not.

All of it is conditional on the trained models: the specimens could have been others, the training not. How
much another seed or fold changes is another question, answered by `scores.spread`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.special import expit, logit
from scipy.stats import beta, norm, rankdata
from scipy.stats import t as student

from hep2lib import ranking
from hep2lib.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVEL = 0.95  # of every interval that is told no other


class ScoreError(InputError):
    """Labels or scores from which the figure asked for cannot be computed."""


def check_count(values: npt.NDArray[Any], images: int, what: str) -> None:
    """Raise `ScoreError` unless the values, called ``what``, are one an image, of shape (images,)."""
    if values.shape != (images,):
        raise ScoreError(f"There are {images} images and {what} of shape {values.shape}; give one an image.")


def check_labels(y: npt.ArrayLike, *, both: bool = True) -> IntArray:
    """Return labels as int64; `ScoreError` for none, another value, or one only where ``both`` must occur."""
    labels = np.asarray(y)
    if labels.ndim != 1 or labels.size == 0:
        raise ScoreError(f"Labels must be a non-empty list, one an image; their shape is {labels.shape}.")
    wrong = np.flatnonzero(~np.isin(labels, (0, 1)))
    if wrong.size:
        raise ScoreError(f"Row {wrong[0]} has the label {labels[wrong[0]]!r}; a label is 1 (positive) or 0.")
    labels = labels.astype(np.int64)
    if both and labels.min() == labels.max():
        one = "positive" if labels[0] else "negative"
        raise ScoreError(
            f"All {labels.size} images are {one}: both labels are needed here. Use more specimens or fewer "
            "folds."
        )
    return labels


def check_scores(y: npt.ArrayLike, score: npt.ArrayLike, *, both: bool = True) -> tuple[IntArray, FloatArray]:
    """Return labels as `check_labels` does, scores as float64; `ScoreError` for NaN or another length."""
    labels = check_labels(y, both=both)
    scores = np.asarray(score, dtype=np.float64)
    check_count(scores, labels.size, "scores")
    wrong = np.flatnonzero(~np.isfinite(scores))
    if wrong.size:
        raise ScoreError(
            f"{wrong.size} of {scores.size} scores are not finite numbers (the first is row {wrong[0]}: "
            f"{scores[wrong[0]]}). A training that diverged leaves such scores: repeat it or leave it out."
        )
    return labels, scores


def check_specimens(specimen: npt.ArrayLike | None, images: int) -> IntArray:
    """Number specimens 0, 1, ... by name (None: each image is its own); `ScoreError` if one is missing."""
    if specimen is None:
        return np.arange(images)
    names = np.asarray(specimen)
    check_count(names, images, "specimens")
    missing = [row for row, name in enumerate(names.tolist()) if name is None or name != name or name == ""]
    if missing:
        raise ScoreError(f"Row {missing[0]} names no specimen; intervals need to know whose an image is.")
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def auc(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """`hep2lib.ranking.auc` after all checks: P(positive scores higher) + P(equal) / 2, 0 to 1."""
    return ranking.auc(*check_scores(y, score))


def placements(y: IntArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of the other label's images that each image is on the right side of, by midranks.

    The fast form of DeLong's structural components: Sun & Xu 2014, IEEE Signal Processing Letters 21:1389,
    O(N log N) instead of the definition's O(mn).

    Args:
        y: labels, with m ones and n zeros.
        scores: shape (classifiers, images).

    Returns:
        For the positives, shape (classifiers, m): share of negatives below, a tie counting one half. For the
        negatives, shape (classifiers, n): share of positives above. Each averages to the AUC.
    """
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    everywhere = rankdata(scores, axis=1)
    above = (everywhere[:, y == 1] - rankdata(positive, axis=1)) / negative.shape[1]
    below = 1 - (everywhere[:, y == 0] - rankdata(negative, axis=1)) / positive.shape[1]
    return above, below


@dataclass(frozen=True, slots=True)
class SpecimenSums:
    """AUCs and, per specimen, the sums from which their variances follow."""

    auc: FloatArray  # shape (classifiers,)
    positive: FloatArray  # (classifiers, specimens): sum of its positive images' (placement - AUC) / m
    negative: FloatArray  # likewise over its negative images, divided by n
    with_positive: int  # number of specimens that have a positive image
    with_negative: int  # number of specimens that have a negative image

    @property
    def specimens(self) -> int:
        """Number of specimens."""
        return self.positive.shape[1]

    @property
    def pairs(self) -> int:
        """Most pairs of one positive and one negative specimen in which no specimen occurs twice."""
        return min(self.with_positive, self.with_negative, self.specimens // 2)

    def _by_label(self) -> tuple[FloatArray, FloatArray]:
        positive = _small_sample(self.with_positive) * np.sum(self.positive**2, axis=1)
        negative = _small_sample(self.with_negative) * np.sum(self.negative**2, axis=1)
        return positive, negative

    def variances(self) -> FloatArray:
        """Variance of each AUC, shape (classifiers,): the diagonal of `covariance` without the rest."""
        positive, negative = self._by_label()
        mixed = _small_sample(self.specimens) * 2 * np.sum(self.positive * self.negative, axis=1)
        return positive + negative + mixed

    def uncertainty(self) -> FloatArray:
        """How uncertain each variance is, shape (classifiers,).

        The sum of (a label's part)^2 / (its specimens - 1): the denominator of Satterthwaite's degrees of
        freedom (1946, Biometrics Bulletin 2:110).
        """
        positive, negative = self._by_label()
        return positive**2 / (self.with_positive - 1) + negative**2 / (self.with_negative - 1)

    def covariance(self) -> FloatArray:
        """Covariance of the AUCs, shape (classifiers, classifiers).

        Obuchowski 1997, Biometrics 53:567: the spread of the positives' sums, that of the negatives' sums,
        and what a specimen with images of both labels adds to both. With one image a specimen it is DeLong's.
        """
        mixed = self.positive @ self.negative.T
        return (
            _small_sample(self.with_positive) * self.positive @ self.positive.T
            + _small_sample(self.with_negative) * self.negative @ self.negative.T
            + _small_sample(self.specimens) * (mixed + mixed.T)
        )


def _small_sample(count: int) -> float:
    return count / (count - 1)


def specimen_sums(y: IntArray, scores: FloatArray, specimen: IntArray) -> SpecimenSums:
    """Gather the placements by specimen.

    Args:
        y: labels, both present.
        scores: shape (classifiers, images).
        specimen: number of each image's specimen; one may hold images of both labels.

    Raises:
        ScoreError: all the positive, or all the negative images belong to one specimen.
    """
    numbers = np.unique(specimen, return_inverse=True)[1]
    above, below = placements(y, scores)
    area = above.mean(axis=1)
    sums, holders = [], []
    for label, placed in ((1, above), (0, below)):
        owner = numbers[y == label]
        holders.append(np.unique(owner).size)
        if holders[-1] < 2:
            one = "positive" if label else "negative"
            raise ScoreError(
                f"All {owner.size} {one} images belong to one specimen: how {one} specimens differ cannot be "
                "known from one. Use more specimens, or fewer folds."
            )
        share = np.full(owner.size, 1 / owner.size)
        member = csr_array((share, (owner, np.arange(owner.size))), shape=(numbers.max() + 1, owner.size))
        sums.append((member @ (placed - area[:, None]).T).T)
    return SpecimenSums(area, *sums, *holders)


def fold_sums(
    y: npt.ArrayLike, scores: npt.ArrayLike, specimen: npt.ArrayLike | None, fold: npt.ArrayLike | None = None
) -> list[SpecimenSums]:
    """`specimen_sums` of each fold (one, where `fold` is None), after all checks.

    Arguments are those of `auc_interval`, with scores of shape (classifiers, images).

    Raises:
        ScoreError: a specimen in two folds; in a fold, one label only or one specimen a label.
    """
    labels = check_labels(y)
    table = np.stack([check_scores(labels, row)[1] for row in np.atleast_2d(np.asarray(scores))])
    owner = check_specimens(specimen, labels.size)
    if fold is None:
        return [specimen_sums(labels, table, owner)]
    number = np.asarray(fold)
    check_count(number, labels.size, "fold numbers")
    names, place = np.unique(number, return_inverse=True)
    if np.unique(np.stack([owner, place]), axis=1).shape[1] > np.unique(owner).size:
        raise ScoreError("A specimen was tested in two folds, whose AUCs depend then. Split by specimen.")
    parts = []
    for name in names:
        inside = number == name
        try:
            parts.append(specimen_sums(check_labels(labels[inside]), table[:, inside], owner[inside]))
        except ScoreError as error:
            raise ScoreError(f"In fold {name}: {error}") from None
    return parts


def critical_value(level: float) -> float:
    """Normal quantile of a two-sided interval, 1.96 for 0.95; `ScoreError` unless 0 < level < 1."""
    if not 0 < level < 1:
        raise ScoreError(f"level is {level}; it must lie between 0 and 1, as 0.95 does.")
    return float(norm.ppf((1 + level) / 2))


def _pair_bounds(area: FloatArray, parts: list[SpecimenSums], level: float) -> tuple[FloatArray, FloatArray]:
    """Clopper & Pearson 1934 bounds for AUCs seen on as many independent pairs as the specimens make."""
    pairs, tail = sum(part.pairs for part in parts), (1 - level) / 2
    right = area * pairs
    low = np.where(right <= 0, 0.0, beta.ppf(tail, np.maximum(right, 1e-12), pairs - right + 1))
    high = np.where(right >= pairs, 1.0, beta.ppf(1 - tail, right + 1, np.maximum(pairs - right, 1e-12)))
    return low, high


def auc_bounds(
    parts: list[SpecimenSums], level: float = LEVEL, scale: str = "logit"
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Ends of the intervals of many classifiers' AUCs at once, as `auc_interval` says.

    Args:
        parts: the folds' sums, or the one of pooled scores (`fold_sums`).
        level: as in `auc_interval`.
        scale: "logit", or "plain" for the symmetric interval that most packages print (cut at 0 and 1).

    Returns:
        Low ends, high ends and variances of the mean of the parts' AUCs, each of shape (classifiers,).
    """
    if scale not in ("logit", "plain"):
        raise ScoreError(f"There is no scale {scale!r}; use 'logit' or 'plain'.")
    critical = critical_value(level)
    area = np.mean([part.auc for part in parts], axis=0)
    total = np.sum([part.variances() for part in parts], axis=0)
    variance = total / len(parts) ** 2
    known = (variance > 0) & (area > 0) & (area < 1)
    error = np.sqrt(np.where(known, variance, 0.0))
    if scale == "plain":
        low, high = np.maximum(area - critical * error, 0), np.minimum(area + critical * error, 1)
    else:
        doubt = np.sum([part.uncertainty() for part in parts], axis=0)
        degrees = np.divide(total**2, doubt, out=np.ones_like(total), where=known & (doubt > 0))
        inside = np.where(known, area, 0.5)
        half = student.ppf((1 + level) / 2, degrees) * error / (inside * (1 - inside))
        low, high = expit(logit(inside) - half), expit(logit(inside) + half)
    low_pairs, high_pairs = _pair_bounds(area, parts, level)
    return np.where(known, low, low_pairs), np.where(known, high, high_pairs), np.maximum(variance, 0.0)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float  # lower end, at most the estimate
    high: float  # upper end, at least the estimate
    standard_error: float  # of the estimate, on its own scale
    specimens: int  # number of independent units


def auc_interval(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    level: float = LEVEL,
    *,
    fold: npt.ArrayLike | None = None,
) -> Interval:
    """Confidence interval of an AUC whose images come several from a specimen.

    The variance is Obuchowski's for clustered data (1997, Biometrics 53:567): specimens are independent, the
    images of one may be correlated in any way, and their number is unrelated to how hard they are. The ends
    are computed on the logit scale and carried back (Pepe 2003, The Statistical Evaluation of Medical Tests;
    Qin & Hotilovac 2008, Stat Methods Med Res 17:207): near 1 the plain ones pass 1 and cover too seldom. The
    quantile is Student's with Satterthwaite's degrees of freedom, because with few negative specimens the
    variance itself is a guess. An approximation for many specimens: `evidence.simulate_coverage` tells how
    good it is for a given design (with 100 specimens good at an AUC of 0.95, too short above 0.98).

    Where the two labels are perfectly separated (AUC exactly 1, or 0) the variance is 0, which says nothing.
    Then the specimens can still be paired off, one positive with one negative, no specimen twice; in each of
    those k independent pairs the order was right, so the exact binomial lower bound of Clopper & Pearson for
    k of k holds for the AUC, without any model: (alpha / 2) ** (1 / k). It is cautious, since it uses k pairs
    only. Where all scores of each fold are equal the AUC is 0.5 by definition and the interval has no width.

    Args:
        y: labels, shape (images,), each 0 or 1.
        score: shape (images,), finite; higher means more positive.
        specimen: name of each image's specimen, shape (images,); None: images are independent (DeLong 1988).
        level: confidence, between 0 and 1.
        fold: the fold in which each image was tested, shape (images,): then the mean of the folds' AUCs,
            which does not compare scores of two models with each other; None: pooled over all images.

    Raises:
        ScoreError: one label only, all images of a label from one specimen, a score that is not finite.
    """
    parts = fold_sums(y, score, specimen, fold)
    area = float(np.mean([part.auc[0] for part in parts]))
    low, high, variance = (float(value[0]) for value in auc_bounds(parts, level))
    scores = np.asarray(score, dtype=np.float64)
    if all(np.ptp(scores[inside]) == 0 for inside in _insides(fold)):
        low, high = area, area  # 0.5 by definition
    return Interval(area, low, high, float(np.sqrt(variance)), sum(part.specimens for part in parts))


def _insides(fold: npt.ArrayLike | None) -> list[Any]:
    """What picks each fold's images; all of them, where there are no folds."""
    return [...] if fold is None else [np.asarray(fold) == one for one in np.unique(np.asarray(fold))]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two classifiers on the same images, first minus second."""

    difference: float
    low: float  # lower end of the difference's interval
    high: float  # upper end
    p: float  # two-sided p value of "no difference", 0 to 1, uncorrected for other comparisons
    specimens: int  # number of independent units
    same: bool = False  # whether the two rank all images of each fold alike


def compare_auc(
    y: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    level: float = LEVEL,
    *,
    fold: npt.ArrayLike | None = None,
) -> Comparison:
    """Paired comparison of two AUCs on the same images.

    Obuchowski's 1997 covariance of two clustered AUCs, or with `specimen=None` the test of DeLong, DeLong &
    Clarke-Pearson 1988 for independent images; normal in the number of specimens. That both classifiers saw
    the same images is used, so that a small but steady difference is found. Careful rather than bold where
    few images are misplaced: at an AUC of about 0.98 on 100 specimens it rejects a true null hypothesis more
    seldom than the level says.

    Where both place every image alike (`placements`, fold by fold; or alike in each specimen's sums), no
    specimen tells them apart, and the variance is 0. If they also misplace some images, or have the same
    ranks throughout, the ends are 0 and 0, and p is 1: no difference was observed where one could have been.
    Equal AUCs with other placements are none of this: their interval is the ordinary one.

    A fold whose AUC is 1 or 0 adds nothing to the variance, although another sample may part its labels less
    well. Where a fold of either has such an AUC, and wherever else the variance is 0, the interval is put
    together from the two classifiers' own, by square-and-add with the correlation of their AUCs (Zou 2007,
    Psychol Methods 12:399; Newcombe 1998, Stat Med 17:2635, for proportions). Of each own interval's ends,
    the nearer of `auc_interval`'s and the bound for independent pairs counts: few degrees of freedom make the
    first wider than the specimens ask for. p is 1 less the highest level at which the interval leaves out 0,
    but never below the sign test's of disjoint pairs of specimens; an interval that it contradicts reaches 0.

    Arguments and errors are those of `auc_interval`; the two scores may be on different scales.
    """
    critical = critical_value(level)
    first, second = np.asarray(score_a, dtype=np.float64), np.asarray(score_b, dtype=np.float64)
    if first.shape != second.shape:
        raise ScoreError(f"Scores of shapes {first.shape} and {second.shape}; compare on the same images.")
    table = np.stack([first, second])
    parts = fold_sums(y, table, specimen, fold)
    area = np.mean([part.auc for part in parts], axis=0)
    covariance = np.sum([part.covariance() for part in parts], axis=0) / len(parts) ** 2
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    difference = float(area[0] - area[1])
    same = all(np.array_equal(*rankdata(table[:, inside], axis=1)) for inside in _insides(fold))
    sides = [side for part in parts for side in (part.auc, part.positive, part.negative)]
    alike = all(np.ptp(side, axis=0).max() < 1e-12 for side in sides)
    extreme = any(np.isin(part.auc, (0, 1)).any() for part in parts)
    if alike and (same or 0 < area[0] < 1):
        low, high, p = 0.0, 0.0, 1.0
    # Rounding leaves about 1e-16 of the summands where the true variance is 0.
    elif not extreme and variance > 1e-12 * (covariance[0, 0] + covariance[1, 1]):
        error = float(np.sqrt(variance))
        low, high = difference - critical * error, difference + critical * error
        p = float(2 * norm.sf(abs(difference / error)))
    else:
        scale = float(np.sqrt(max(covariance[0, 0] * covariance[1, 1], 0)))
        correlation = float(np.clip(covariance[0, 1] / scale, -1, 1)) if scale > 0 else 0.0
        flat = np.all([np.ptp(table[:, inside], axis=1) == 0 for inside in _insides(fold)], axis=0)
        ends = partial(_square_and_add, area, parts, flat, correlation)
        low, high = (float(end) for end in ends(level))
        p, least = 1.0, max(2 * 0.5 ** sum(part.pairs for part in parts), 1e-12)
        if abs(difference) > 1e-12 and least < 1 and np.prod(ends(1e-9)) > 0:  # 0 is left out at some level
            left_out = np.prod(ends(1 - least)) > 0
            p = least if left_out else brentq(lambda q: float(np.prod(ends(1 - q))), least, 1 - 1e-9)
        if p > 1 - level:
            low, high = min(low, 0.0), max(high, 0.0)
    return Comparison(difference, low, high, p, sum(part.specimens for part in parts), same)


def _square_and_add(
    area: FloatArray, parts: list[SpecimenSums], flat: npt.NDArray[np.bool_], correlation: float, level: float
) -> FloatArray:
    """Ends, shape (2,), of the difference of two AUCs, from their own (`flat`: 0.5 by definition)."""
    (low, high, _), (low_pairs, high_pairs) = auc_bounds(parts, level), _pair_bounds(area, parts, level)
    below = np.where(flat, 0, area - np.maximum(low, low_pairs))
    above = np.where(flat, 0, np.minimum(high, high_pairs) - area)
    first, second = np.array([below[0], above[0]]), np.array([above[1], below[1]])
    half = np.sqrt(np.maximum(first**2 + second**2 - 2 * correlation * first * second, 0))
    return np.clip(area[0] - area[1] + half * [-1, 1], -1, 1)


def difference_across_folds(
    y: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    folds: tuple[npt.ArrayLike, npt.ArrayLike],
    level: float = LEVEL,
) -> tuple[float, float]:
    """Interval of the difference of two mean AUCs on the same images, first minus second.

    For classifiers that were tested in other folds (`folds`, one for each). As `compare_auc`, with the
    correlation that the sums of the same specimens have: normal, or square-and-add of both own intervals
    where a fold is perfect.

    Arguments and errors are otherwise those of `compare_auc`.
    """
    owner, own, sums, extreme = check_specimens(specimen, np.size(y)), [], [], False
    for score, fold in zip((score_a, score_b), map(np.asarray, folds), strict=True):
        own.append(auc_interval(y, score, owner, level, fold=fold))
        total = np.zeros(owner.max() + 1)
        for number, part in zip(np.unique(fold), fold_sums(y, score, owner, fold), strict=True):
            total[np.unique(owner[fold == number])] = (part.positive + part.negative)[0]
            extreme |= bool(part.auc[0] in (0, 1))
        sums.append(total / (np.linalg.norm(total) or 1))
    first, second = own
    errors = [critical_value(level) * np.array([one.standard_error, one.standard_error]) for one in own]
    if extreme:
        errors = [np.array([first.estimate - first.low, first.high - first.estimate])]
        errors += [np.array([second.high - second.estimate, second.estimate - second.low])]
    away = errors[0] ** 2 + errors[1] ** 2 - 2 * np.dot(*sums) * errors[0] * errors[1]
    half = np.sqrt(np.maximum(away, 0)) * [-1, 1]
    low, high = np.clip(first.estimate - second.estimate + half, -1, 1).tolist()
    return low, high


@dataclass(frozen=True, slots=True)
class SeedComparison:
    """The difference between two kinds of classifier, each made from several seeds; first minus second."""

    areas: tuple[FloatArray, FloatArray]  # of each kind the AUC of each seed, mean over the databases
    difference: float  # of the kinds' means
    low: float  # lower end of the difference's interval
    high: float  # upper end
    specimens_error: float  # standard error of the difference by the choice of specimens alone
    seeds_error: float  # and by the choice of seeds alone


def compare_seeds(
    databases: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
    level: float = LEVEL,
) -> SeedComparison:
    """Compare two kinds of classifier on the same images, seeds of both being a second source of variation.

    The variance is the sum of two: Obuchowski's 1997, of the difference of the seeds' mean AUCs, paired by
    specimen, and what another choice of seeds would change, the variance between the seeds' AUCs over their
    number, on either side. The second holds a part of the first (a seed's own errors on these specimens), so
    the interval is rather too wide. Its quantile is Student's with Satterthwaite's degrees of freedom (1946,
    Biometrics Bulletin 2:110), few where the seeds decide.

    Args:
        databases: of each its labels; the scores of the first kind, shape (seeds, images), and of the second,
            the same seeds in the same order on every database; specimens; folds. A side of one seed is taken
            as it is.
        level: confidence, between 0 and 1.

    Raises:
        ScoreError: another number of seeds on another database.
    """
    areas, variance, specimens, seeds = [], 0.0, 0, set()
    for y, *scores, specimen, fold in databases:
        first, second = (np.atleast_2d(np.asarray(side, dtype=np.float64)) for side in scores)
        seeds.add((len(first), len(second)))
        parts = fold_sums(y, np.concatenate([first, second]), specimen, fold)
        weight = np.repeat([1 / len(first), -1 / len(second)], [len(first), len(second)])
        covariance = np.sum([part.covariance() for part in parts], axis=0) / len(parts) ** 2
        variance += float(weight @ covariance @ weight) / len(databases) ** 2
        specimens += sum(part.specimens for part in parts)
        areas.append(np.mean([part.auc for part in parts], axis=0))
    if len(seeds) != 1:
        raise ScoreError(f"Databases with {sorted(seeds)} seeds; compare the same seeds on all of them.")
    kinds = tuple(np.split(np.mean(areas, axis=0), [seeds.pop()[0]]))
    among = [kind.var(ddof=1) / kind.size if kind.size > 1 else 0.0 for kind in kinds]
    difference, total = float(kinds[0].mean() - kinds[1].mean()), variance + sum(among)
    half = 0.0
    if total > 0:
        terms = [(variance, specimens), *zip(among, (kind.size for kind in kinds), strict=True)]
        degrees = total**2 / sum(part**2 / max(count - 1, 1) for part, count in terms)
        half = float(student.ppf((1 + level) / 2, degrees) * np.sqrt(total))
    errors = np.sqrt([variance, sum(among)])
    return SeedComparison(
        (kinds[0], kinds[1]), difference, difference - half, difference + half, *errors.tolist()
    )


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Holm's step-down correction for the number of comparisons (Holm 1979, Scand J Stat 6:65).

    Holds the chance of any false rejection at the level, whatever the tests' dependence. Returns the p
    values, shape (tests,), corrected, in the order given; `ScoreError` for one that is not from 0 to 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ScoreError("p_values must be numbers between 0 and 1; leave out tests that were not made.")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return corrected
