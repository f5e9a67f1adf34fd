"""How much evidence there is: in intervals, in a number of specimens, and in figures that were printed.

Do 95 % intervals hold the truth 95 times in 100? Counted on made data (``simulate_coverage``). How many
specimens would decide a claim? And how sure can a claim or an AUC be of which nothing but the figure is
known: from the size of the test set, and assumptions that are stated, without an image or a score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import beta, norm

from hep2lib.evaluation.auc import (
    LEVEL,
    FloatArray,
    IntArray,
    Interval,
    ScoreError,
    auc_bounds,
    critical_value,
    specimen_sums,
)


@dataclass(frozen=True, slots=True)
class ClusteredDesign:
    """How the images of a coverage study are made; each specimen has one label, as in AIDA."""

    specimens: int = 100
    images_per_specimen: tuple[int, ...] = (1, 2, 3, 4)  # numbers of images that specimens have in turn
    positive: float = 0.6  # share of positive specimens, 0 to 1
    area: float = 0.95  # the true AUC, 0.5 to 1 (the ends excluded)
    correlation: float = 0.7  # of two images of one specimen, given the label, 0 to 1 (copies)

    def labels(self) -> tuple[IntArray, IntArray]:
        """Labels and specimen numbers, both of shape (images,); the same in every repetition."""
        label = (np.arange(self.specimens) < round(self.positive * self.specimens)).astype(np.int64)
        sizes = np.resize(self.images_per_specimen, self.specimens)
        specimen = np.repeat(np.arange(self.specimens), sizes)
        return label[specimen], specimen

    def scores(self, repetitions: int, generator: np.random.Generator) -> FloatArray:
        """Normal scores of variance 1 within a label, shape (repetitions, images).

        A positive and a negative image never share a specimen, so that P(positive above negative) is
        Phi(shift / sqrt(2)): the true AUC, whatever the correlation.
        """
        y, specimen = self.labels()
        shared = generator.normal(size=(repetitions, self.specimens))[:, specimen]
        own = generator.normal(size=(repetitions, y.size))
        shift = np.sqrt(2) * norm.ppf(self.area)
        return shift * y + np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own


def simulate_coverage(
    design: ClusteredDesign, *, repetitions: int = 1000, seed: int = 0, folds: int = 0
) -> dict[str, float]:
    """Make data sets whose AUC is known, and count whose 95 % interval holds it.

    Args:
        design: how the images are made.
        repetitions: number of data sets.
        seed: of the scores.
        folds: number of folds in which specimens are tested, each label's in turn; 0: leave that one out.

    Returns:
        Share of the data sets, 0 to 1, by kind of interval: "images" (DeLong, logit scale: pretends that
        images are independent), "specimens" (Obuchowski, logit scale, `auc.auc_interval`), "specimens, plain"
        (the same, symmetric), and where asked for "specimens, mean of folds" (logit scale).
    """
    if not (0.5 <= design.area < 1 and 0 <= design.correlation <= 1):
        raise ScoreError("A design needs an area from 0.5 to below 1 and a correlation from 0 to 1.")
    y, specimen = design.labels()
    scores = design.scores(repetitions, np.random.default_rng(seed))
    aware, naive = specimen_sums(y, scores, specimen), specimen_sums(y, scores, np.arange(y.size))
    ends = {"images": auc_bounds([naive]), "specimens": auc_bounds([aware])}
    ends["specimens, plain"] = auc_bounds([aware], scale="plain")
    if folds:
        first_negative = round(design.positive * design.specimens)
        fold = (specimen - np.where(y == 1, 0, first_negative)) % folds
        parts = [specimen_sums(y[fold == k], scores[:, fold == k], specimen[fold == k]) for k in range(folds)]
        ends["specimens, mean of folds"] = auc_bounds(parts)
    return {
        method: 1 - float(np.mean(high < design.area)) - float(np.mean(low > design.area))
        for method, (low, high, _) in ends.items()
    }


def specimens_to_decide(specimens: int, estimate: float, low: float, high: float, border: float) -> float:
    """How many specimens would decide a claim, if the estimate stayed where it is.

    An interval shrinks with the square root of the number of specimens. It decides as soon as the half of it
    that points to the border (where the claim begins to hold) ends there: n' = n (half / distance)^2, rounded
    up.

    Returns:
        A whole number; infinity where the estimate lies on the border or the interval has no width there, so
        that no number of specimens like these decides. NaN where a number is NaN.
    """
    distance = abs(estimate - border)
    half = high - estimate if estimate < border else estimate - low
    if np.isnan([half, distance]).any():
        return np.nan
    # 1e-9: a distance left by rounding is none.
    return float(np.ceil(specimens * (half / distance) ** 2)) if min(half, distance) > 1e-9 else np.inf


def false_claim(first: int, second: int, both: npt.ArrayLike) -> FloatArray:
    """Probability that a method said to be more accurate is not, given how often both methods were right.

    Each image lies in one of four cells: both methods right, only the first, only the second, neither. With a
    multinomial likelihood and a flat Dirichlet prior, the first method's part of the images on which one
    alone is right is Beta(1 + only first, 1 + only second), whatever the other two cells hold, and the claim
    is false where that part is at most one half: exact. The question, and to ask it for each number of images
    that both had right, is Christodoulou et al.'s (2025, arXiv 2505.04720); the derivation is ours.

    Args:
        first: number of images on which the method said to be better was right.
        second: number on which the other one was.
        both: numbers on which both were, any shape, which is that of the probabilities returned.

    Raises:
        ScoreError: more images that both had right than one had.
    """
    shared = np.asarray(both)
    if np.any((shared < 0) | (shared > min(first, second))):
        raise ScoreError(f"both must lie between 0 and {min(first, second)}, the images that each had right.")
    return np.asarray(beta.cdf(0.5, first - shared + 1, second - shared + 1))


def claim_curves(
    claims: Sequence[tuple[float, float]], units: Mapping[str, int]
) -> dict[str, dict[str, pd.DataFrame]]:
    """`false_claim` for every number of images that both methods can have had right.

    Args:
        claims: accuracies, 0 to 1, of the method said to be better and of the other one.
        units: what counts as one piece of evidence ("images"), and how many there are, 1 or more.

    Returns:
        By claim and by unit: ``both`` (share that both had right, rising), ``apart`` (number that one alone
        had right) and ``false`` (the probability).
    """
    curves: dict[str, dict[str, pd.DataFrame]] = {}
    for better, other in claims:
        words = f"{100 * better:.1f} % over {100 * other:.1f} %"
        for unit, count in units.items():
            if count < 1 or not (0 <= better <= 1 and 0 <= other <= 1):
                raise ScoreError(f"{words} of {count} {unit}: accuracies are shares (0 to 1) of 1 or more.")
            first, second = round(better * count), round(other * count)
            both = np.arange(max(0, first + second - count), min(first, second) + 1)
            table = {"both": both / count, "apart": first + second - 2 * both}
            curve = pd.DataFrame(table | {"false": false_claim(first, second, both)})
            curves.setdefault(words, {})[f"{count:,} {unit}"] = curve
    return curves


def agreement_needed(curve: pd.DataFrame) -> int | None:
    """On how many units two methods may be apart at most for a false claim to be less probable than 5 %."""
    sure = curve.loc[curve["false"] < 1 - LEVEL, "apart"]
    return None if sure.empty else int(sure.max())


def area_interval(
    area: float, positive: int, negative: int, images_per_specimen: float = 1, correlation: float = 0
) -> Interval:
    """95 % interval (logit scale) of an AUC of which only its value and the number of images are known.

    The variance is Hanley & McNeil's (1982, Radiology 143:29) for independent images and exponential scores,
    times the design effect 1 + (images_per_specimen - 1) * correlation (Kish 1965) of specimens of one size.

    Args:
        area: the AUC, between 0 and 1.
        positive: number of positive images, 1 or more.
        negative: number of negative images, likewise.
        images_per_specimen: on average.
        correlation: of the images of one specimen, 0 (independent) to 1 (copies).
    """
    if not (0 < area < 1 and min(positive, negative, images_per_specimen) >= 1 and 0 <= correlation <= 1):
        raise ScoreError("An AUC and a correlation lie between 0 and 1; numbers of images are 1 or more.")
    above, below = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    variance = (area * (1 - area) + (positive - 1) * above + (negative - 1) * below) / (positive * negative)
    error = np.sqrt(variance * (1 + (images_per_specimen - 1) * correlation))
    half = critical_value(LEVEL) * error / (area * (1 - area))
    low, high = expit(logit(area) - half), expit(logit(area) + half)
    units = round((positive + negative) / images_per_specimen)
    return Interval(area, float(low), float(high), float(error), units)


def told_apart(first: Interval, second: Interval) -> tuple[float, float]:
    """Whether two printed AUCs can be told apart.

    Returns:
        The two-sided p value as if they were of different images; and how much the two AUCs must correlate
        for a test on the same images to find p below 0.05, from the variance of a difference of paired AUCs
        (Hanley & McNeil 1983, Radiology 148:839): below 0 where any will do, 1 or more where none will.
    """
    one, other = first.standard_error, second.standard_error
    difference = abs(first.estimate - second.estimate)
    allowed = (difference / critical_value(LEVEL)) ** 2
    p = 2 * norm.sf(difference / np.hypot(one, other))
    return float(p), float((one**2 + other**2 - allowed) / (2 * one * other))
