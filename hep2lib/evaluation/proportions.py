"""Intervals and comparisons of shares (accuracy, sensitivity, specificity) of images that share specimens."""

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from hep2lib.evaluation.inference import LEVEL, Comparison, Interval, critical_value
from hep2lib.evaluation.metrics import FloatArray, ScoreError, check_labels
from hep2lib.evaluation.placements import check_specimens


def _wilson(share: float, size: float, level: float) -> tuple[float, float]:
    z = critical_value(level)
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def wilson_interval(successes: int, images: int) -> Interval:
    """Wilson's score interval of a share (Wilson 1927, J Am Stat Assoc 22:209).

    Assumes independent images: for several from a specimen use `share_interval`.

    Args:
        successes: 0 to `images`.
        images: at least 1.

    Raises:
        ScoreError: counts that cannot be.
    """
    if images < 1 or not 0 <= successes <= images:
        raise ScoreError(
            f"{successes} of {images} is no share: give 0 <= successes <= images, and an image at least."
        )
    share = successes / images
    low, high = _wilson(share, images, LEVEL)
    return Interval(share, low, high, float(np.sqrt(share * (1 - share) / images)), images)


def _between_specimens(value: FloatArray, specimen: npt.ArrayLike | None) -> tuple[float, int]:
    """Variance of a mean over images, from the specimens' sums of deviations; number of specimens."""
    owner = check_specimens(specimen, value.size)
    sums = np.bincount(owner, weights=value - value.mean())
    count = sums.size
    if count < 2:
        raise ScoreError(
            f"All {value.size} images belong to one specimen: how specimens differ cannot be known from one."
        )
    return float(count / (count - 1) * np.sum(sums**2) / value.size**2), count


def share_interval(correct: npt.ArrayLike, specimen: npt.ArrayLike | None, level: float = LEVEL) -> Interval:
    """Interval of a share of images, by Wilson's formula for as many images as the specimens are worth.

    The variance is that of a ratio of specimens' sums; N images are then worth p(1 - p) / variance
    independent ones (Rao & Scott 1992, Biometrics 48:577), never more than N. Where every image is right, or
    every one wrong, an estimate of that is impossible, and each specimen counts as one image: the images of
    one are taken to be copies.

    Accuracy: `correct = (decision == y)`. Sensitivity: the positives' rows of it alone; specificity: the
    negatives'.

    Args:
        correct: whether each image counts, shape (images,), each 0 or 1.
        specimen: name of each image's specimen, shape (images,); None: images are independent (Wilson's own).
        level: confidence, between 0 and 1.

    Raises:
        ScoreError: another value than 0 and 1; one specimen only.
    """
    value = check_labels(correct, both=False).astype(np.float64)
    variance, specimens = _between_specimens(value, specimen)
    share = float(value.mean())
    if specimen is None:
        size: float = value.size
    elif variance > 0:
        size = min(value.size, share * (1 - share) / variance)
    else:
        size = specimens if share in (0.0, 1.0) else value.size
    low, high = _wilson(share, size, level)
    return Interval(share, low, high, float(np.sqrt(variance)), specimens)


def compare_shares(
    correct_a: npt.ArrayLike, correct_b: npt.ArrayLike, specimen: npt.ArrayLike | None, level: float = LEVEL
) -> Comparison:
    """Paired difference of two shares on the same images: McNemar's question, for clustered images.

    Normal interval and test with the variance of the images' differences between specimens (Obuchowski 1998,
    Stat Med 17:1495). Where no image tells the two apart the variance is 0; then p is 1 and the ends are
    those of Wilson's interval for none of as many specimens, on either side.

    Args:
        correct_a: the first classifier's hits, shape (images,), each 0 or 1.
        correct_b: the second one's.
        specimen: name of each image's specimen, shape (images,); None: images are independent.
        level: confidence, between 0 and 1.

    Raises:
        ScoreError: lengths that differ, another value than 0 and 1, one specimen only.
    """
    first = check_labels(correct_a, both=False).astype(np.float64)
    second = check_labels(correct_b, both=False).astype(np.float64)
    if first.shape != second.shape:
        raise ScoreError(
            f"There are {first.size} and {second.size} hits or misses; compare on the same images."
        )
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
