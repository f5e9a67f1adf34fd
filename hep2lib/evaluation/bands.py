"""ROC curves with a band: how much of the curve other specimens would change."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hep2lib.evaluation.bootstrap import BLOCK, cumulated_weights, specimen_weights
from hep2lib.evaluation.inference import LEVEL
from hep2lib.evaluation.metrics import FloatArray, ScoreError, check_scores
from hep2lib.evaluation.placements import check_specimens


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
