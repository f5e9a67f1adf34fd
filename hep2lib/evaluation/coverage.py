"""Do 95 % intervals hold the truth 95 times in 100? Counted on data made so that the AUC is known."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from hep2lib.evaluation.bootstrap import specimen_weights, weighted_auc
from hep2lib.evaluation.inference import auc_bounds
from hep2lib.evaluation.metrics import FloatArray, IntArray, ScoreError
from hep2lib.evaluation.placements import specimen_sums
from hep2lib.progress import progress


@dataclass(frozen=True, slots=True)
class ClusteredDesign:
    """How the images of a coverage study are made; each specimen has one label, as in AIDA.

    Attributes:
        specimens: number of specimens.
        images_per_specimen: numbers of images that specimens have in turn.
        positive: share of positive specimens, 0 to 1.
        area: the true AUC, 0.5 to 1 (the ends excluded).
        correlation: of two images of one specimen, given the label, 0 (independent) to 1 (copies).
    """

    specimens: int = 100
    images_per_specimen: tuple[int, ...] = (1, 2, 3, 4)
    positive: float = 0.6
    area: float = 0.95
    correlation: float = 0.7

    def labels(self) -> tuple[IntArray, IntArray]:
        """Labels and specimen numbers, both of shape (images,); the same in every repetition."""
        label = (np.arange(self.specimens) < round(self.positive * self.specimens)).astype(np.int64)
        sizes = np.resize(self.images_per_specimen, self.specimens)
        specimen = np.repeat(np.arange(self.specimens), sizes)
        return label[specimen], specimen

    def turns(self) -> IntArray:
        """Each specimen's number among those of its label, shape (specimens,)."""
        positive = round(self.positive * self.specimens)
        return np.concatenate([np.arange(positive), np.arange(self.specimens - positive)])

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


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often one kind of interval held the true AUC.

    Attributes:
        method: "images", "specimens", "specimens, plain", "specimens, mean of folds" or "specimens,
            bootstrap".
        covered: share of the repetitions, 0 to 1.
        too_low: share whose interval lies below the truth.
        too_high: share whose interval lies above it.
        width: mean width.
        level: what `covered` should be.
        repetitions: number of data sets made.
        design: how they were made.
    """

    method: str
    covered: float
    too_low: float
    too_high: float
    width: float
    level: float
    repetitions: int
    design: ClusteredDesign


def simulate_coverage(
    design: ClusteredDesign | None = None,
    *,
    repetitions: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    drawings: int = 0,
    folds: int = 0,
) -> list[Coverage]:
    """Make data sets whose AUC is known, and count whose interval holds it.

    Args:
        design: how the images are made; None: the default one.
        repetitions: number of data sets.
        level: confidence, between 0 and 1.
        seed: of the scores.
        drawings: bootstrap repetitions in each data set; 0: leave the bootstrap out (it takes seconds).
        folds: number of folds in which specimens are tested, each label's in turn; 0: leave that one out.

    Returns:
        "images" (DeLong, logit scale: pretends that images are independent), "specimens" (Obuchowski, logit
        scale, `inference.auc_interval`), "specimens, plain" (the same, symmetric), and where asked for
        "specimens, mean of folds" (logit scale) and "specimens, bootstrap".
    """
    design = design or ClusteredDesign()
    if not (0.5 <= design.area < 1 and 0 <= design.correlation <= 1):
        raise ScoreError("A design needs an area from 0.5 to below 1 and a correlation from 0 to 1.")
    generator = np.random.default_rng(seed)
    y, specimen = design.labels()
    scores = design.scores(repetitions, generator)
    aware, naive = specimen_sums(y, scores, specimen), specimen_sums(y, scores, np.arange(y.size))
    ends = {
        "images": auc_bounds([naive], level)[:2],
        "specimens": auc_bounds([aware], level)[:2],
        "specimens, plain": auc_bounds([aware], level, "plain")[:2],
    }
    if folds:
        fold = design.turns()[specimen] % folds
        parts = [specimen_sums(y[fold == k], scores[:, fold == k], specimen[fold == k]) for k in range(folds)]
        ends["specimens, mean of folds"] = auc_bounds(parts, level)[:2]
    if drawings:
        # One set of weights serves all data sets: it depends on labels and specimens, which they share.
        weight = specimen_weights(y, specimen, drawings, generator)
        rows = progress(scores, "drawing specimens", total=repetitions, unit="data set")
        drawn = np.stack([weighted_auc(y, row, weight) for row in rows])
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
        ends["specimens, bootstrap"] = (low, high)
    return [_count(method, low, high, level, design) for method, (low, high) in ends.items()]


def _count(method: str, low: FloatArray, high: FloatArray, level: float, design: ClusteredDesign) -> Coverage:
    below, above = float(np.mean(high < design.area)), float(np.mean(low > design.area))
    width = float(np.mean(high - low))
    return Coverage(method, 1 - below - above, below, above, width, level, low.size, design)
