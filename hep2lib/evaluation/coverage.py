"""Do 95 % intervals hold the truth 95 times in 100? Counted on made data; and how many specimens decide."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from hep2lib.evaluation.auc import FloatArray, IntArray, ScoreError, auc_bounds, specimen_sums


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
    that points to the border ends there: n' = n (half / distance)^2, rounded up.

    Args:
        specimens: number that the interval rests on.
        estimate: a figure, or the difference of two.
        low: lower end of the interval that decides.
        high: its upper end.
        border: where the claim begins to hold.

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
