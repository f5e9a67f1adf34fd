"""How sure an AUC is, and whether two differ: intervals and paired tests that know about specimens.

All of it is conditional on the trained models: the specimens could have been others, the training not. How
much another seed or fold changes is another question, answered by `spread`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import beta, norm, rankdata
from scipy.stats import t as student

from hep2lib.evaluation.metrics import FloatArray, ScoreError
from hep2lib.evaluation.placements import SpecimenSums, fold_sums

LEVEL = 0.95  # of every interval that is told no other


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        estimate: the figure itself.
        low: lower end, at most `estimate`.
        high: upper end, at least `estimate`.
        standard_error: of `estimate`, on its own scale.
        specimens: number of independent units.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    specimens: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two classifiers on the same images, first minus second.

    Attributes:
        difference: first figure minus second.
        low: lower end of the difference's interval.
        high: upper end.
        p: two-sided p value of "no difference", 0 to 1, uncorrected for other comparisons.
        specimens: number of independent units.
    """

    difference: float
    low: float
    high: float
    p: float
    specimens: int


def critical_value(level: float) -> float:
    """Normal quantile of a two-sided interval, 1.96 for 0.95.

    Raises:
        ScoreError: a level that is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ScoreError(f"level is {level}; it must lie between 0 and 1, as 0.95 does.")
    return float(norm.ppf((1 + level) / 2))


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Holm's step-down correction for the number of comparisons (Holm 1979, Scand J Stat 6:65).

    Holds the chance of any false rejection at the level, whatever the tests' dependence.

    Args:
        p_values: shape (tests,), each 0 to 1.

    Returns:
        Corrected p values, shape (tests,), in the order given.

    Raises:
        ScoreError: a value outside 0 to 1, or NaN.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ScoreError(
            "p_values must be a list of numbers between 0 and 1; leave out tests that were not made."
        )
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def delong_variance(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Variance of the AUC of independent images (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837).

    Computed by midranks (Sun & Xu 2014). Assumes that no two images share a specimen; where they do it is too
    small, and `auc_interval` with its `specimen` is the one to use.

    Args:
        y: labels, shape (images,), each 0 or 1, at least two of each.
        score: shape (images,), finite.

    Raises:
        ScoreError: one label only, one image of a label, or a score that is not finite.
    """
    (sums,) = fold_sums(y, score, None)
    return float(sums.variances()[0])


def pair_bounds(area: npt.ArrayLike, pairs: int, level: float) -> tuple[FloatArray, FloatArray]:
    """Clopper & Pearson 1934 bounds for an AUC seen on `pairs` independent pairs of specimens; any shape."""
    tail = (1 - level) / 2
    right = np.asarray(area, dtype=np.float64) * pairs
    low = np.where(right <= 0, 0.0, beta.ppf(tail, np.maximum(right, 1e-12), pairs - right + 1))
    high = np.where(right >= pairs, 1.0, beta.ppf(1 - tail, right + 1, np.maximum(pairs - right, 1e-12)))
    return low, high


def auc_bounds(
    parts: list[SpecimenSums], level: float = LEVEL, scale: str = "logit"
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Ends of the intervals of many classifiers' AUCs at once, as `auc_interval` says.

    Args:
        parts: the folds' sums, or the one of pooled scores (`placements.fold_sums`).
        level: confidence, between 0 and 1.
        scale: "logit", or "plain" for the symmetric interval that most packages print (cut at 0 and 1).

    Returns:
        Low ends, high ends and variances of the mean of the parts' AUCs, each of shape (classifiers,).

    Raises:
        ScoreError: an unknown scale or an impossible level.
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
    low_pairs, high_pairs = pair_bounds(area, sum(part.pairs for part in parts), level)
    return np.where(known, low, low_pairs), np.where(known, high, high_pairs), np.maximum(variance, 0.0)


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
    variance itself is a guess. An approximation for many specimens: `coverage.simulate_coverage` tells how
    good it is for a given design (with 100 specimens good at an AUC of 0.95, too short above 0.98).

    Where the two labels are perfectly separated (AUC exactly 1, or 0) the variance is 0, which says nothing.
    Then the specimens can still be paired off, one positive with one negative, no specimen twice; in each of
    those k independent pairs the order was right, so the exact binomial lower bound of Clopper & Pearson for
    k of k holds for the AUC, without any model: (alpha / 2) ** (1 / k). It is cautious, since it uses k pairs
    only. Where all scores are equal the AUC is 0.5 by definition and the interval has no width.

    Args:
        y: labels, shape (images,), each 0 or 1.
        score: shape (images,), finite; higher means more positive.
        specimen: name of each image's specimen, shape (images,); None: every image is independent (DeLong
            1988).
        level: confidence, between 0 and 1.
        fold: the fold in which each image was tested, shape (images,): then the mean of the folds' AUCs,
            which does not compare scores of two models with each other; None: pooled over all images.

    Raises:
        ScoreError: one label only, all images of a label from one specimen, a score that is not finite.
    """
    parts = fold_sums(y, score, specimen, fold)
    area = float(np.mean([part.auc[0] for part in parts]))
    low, high, variance = (float(value[0]) for value in auc_bounds(parts, level))
    if np.ptp(np.asarray(score, dtype=np.float64)) == 0:
        low, high = area, area  # 0.5 by definition
    return Interval(area, low, high, float(np.sqrt(variance)), sum(part.specimens for part in parts))


def _without_variance(
    parts: list[SpecimenSums], area: FloatArray, level: float
) -> tuple[float, float, float]:
    """Bounds and p value of a difference without variance: both separate perfectly, or one is constant."""
    pairs = sum(part.pairs for part in parts)
    difference = area[0] - area[1]
    (low_a, low_b), (high_a, high_b) = pair_bounds(area, pairs, level)
    low = difference - np.hypot(area[0] - low_a, high_b - area[1])
    high = difference + np.hypot(high_a - area[0], area[1] - low_b)
    p = 1.0 if difference == 0 else float(min(1.0, 2 * 0.5**pairs))
    return float(max(low, -1)), float(min(high, 1)), p


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

    Where the variance of the difference is 0 (identical ranks: difference 0, p = 1; both perfect; one
    perfect, one constant) the interval is put together from the two classifiers' own (square-and-add,
    Newcombe 1998), and p is the sign test's over disjoint pairs of specimens.

    Args:
        y: labels, shape (images,), each 0 or 1.
        score_a: the first classifier's scores, shape (images,), finite.
        score_b: the second one's, on any other scale.
        specimen: name of each image's specimen, shape (images,), or None.
        level: confidence, between 0 and 1.
        fold: as in `auc_interval`: compare means of the folds' AUCs.

    Raises:
        ScoreError: as `auc_interval`.
    """
    critical = critical_value(level)
    first, second = np.asarray(score_a, dtype=np.float64), np.asarray(score_b, dtype=np.float64)
    if first.shape != second.shape:
        raise ScoreError(
            f"The scores' shapes are {first.shape} and {second.shape}; compare on the same images."
        )
    parts = fold_sums(y, np.stack([first, second]), specimen, fold)
    area = np.mean([part.auc for part in parts], axis=0)
    covariance = np.sum([part.covariance() for part in parts], axis=0) / len(parts) ** 2
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    difference = float(area[0] - area[1])
    # Rounding leaves 1e-18 where the true variance is 0.
    if variance > 1e-15:
        error = float(np.sqrt(variance))
        low, high = difference - critical * error, difference + critical * error
        p = float(2 * norm.sf(abs(difference / error)))
    elif np.array_equal(rankdata(first), rankdata(second)):
        low, high, p = 0.0, 0.0, 1.0
    else:
        low, high, p = _without_variance(parts, area, level)
    return Comparison(difference, low, high, p, sum(part.specimens for part in parts))
