"""ROC curves with a band: how much of the curve other specimens would change."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hep2lib.evaluation.bootstrap import BLOCK, cumulated_weights, specimen_weights
from hep2lib.evaluation.inference import critical_value
from hep2lib.evaluation.metrics import FloatArray, ScoreError, check_scores
from hep2lib.evaluation.placements import check_specimens


@dataclass(frozen=True, slots=True)
class RocBand:
    """A ROC curve on a grid, with a pointwise band.

    Attributes:
        false_positive_rate: the grid, shape (points,), 0 to 1.
        sensitivity: of the images themselves, shape (points,).
        low: lower end at each grid point by itself, shape (points,).
        high: upper end.
        level: 0 to 1.
        repetitions: number of drawings.
        specimens: number of specimens drawn from.
        images: number of images.
    """

    false_positive_rate: FloatArray
    sensitivity: FloatArray
    low: FloatArray
    high: FloatArray
    level: float
    repetitions: int
    specimens: int
    images: int


def roc_band(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    specimen: npt.ArrayLike | None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    repetitions: int = 1000,
    points: int = 101,
) -> RocBand:
    """Band around a ROC curve, by drawing specimens.

    At each false positive rate, percentiles of the sensitivity. Pointwise: each grid point is covered with
    the level, the whole curve with less.

    Args:
        y: labels, shape (images,), both present.
        score: shape (images,), finite.
        specimen: name of each image's specimen, shape (images,); None: images are independent.
        generator: where chance comes from.
        level: confidence, between 0 and 1.
        repetitions: number of drawings, at least 100.
        points: grid points from 0 to 1.

    Raises:
        ScoreError: as `bootstrap_interval`.
    """
    labels, scores = check_scores(y, score)
    grid = np.linspace(0, 1, points)

    def sensitivities(weight: FloatArray) -> FloatArray:
        positive, negative = cumulated_weights(labels, scores, weight)
        positive, negative = positive / positive[:, -1:], negative / negative[:, -1:]
        # Where the curve rises straight up, interpolation takes the top: the last of equal rates.
        return np.stack([np.interp(grid, n, p) for n, p in zip(negative, positive, strict=True)])

    if repetitions < 100:
        raise ScoreError(f"repetitions is {repetitions}; percentiles need at least 100, better 1000.")
    critical_value(level)
    owner = check_specimens(specimen, labels.size)
    drawn = []
    for start in range(0, repetitions, BLOCK):
        rows = min(BLOCK, repetitions - start)
        drawn.append(sensitivities(specimen_weights(labels, owner, rows, generator)))
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    own = sensitivities(np.ones((1, labels.size)))[0]
    return RocBand(grid, own, low, high, level, repetitions, int(owner.max()) + 1, labels.size)
