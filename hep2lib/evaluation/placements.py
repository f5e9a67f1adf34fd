"""How far each image stands above or below the other label: what every variance of the AUC is made of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.stats import rankdata

from hep2lib.evaluation.metrics import FloatArray, IntArray, ScoreError, check_labels, check_scores


def check_specimens(specimen: npt.ArrayLike | None, images: int) -> IntArray:
    """Number the specimens 0, 1, ... in order of their names; None: every image is a specimen of its own.

    Args:
        specimen: shape (images,), any names, none missing.
        images: number of images.

    Raises:
        ScoreError: another length, or a missing name.
    """
    if specimen is None:
        return np.arange(images)
    names = np.asarray(specimen)
    if names.shape != (images,):
        raise ScoreError(
            f"There are {images} images and specimens of shape {names.shape}; name one specimen an image."
        )
    missing = [row for row, name in enumerate(names.tolist()) if name is None or name != name or name == ""]
    if missing:
        raise ScoreError(
            f"Row {missing[0]} names no specimen; intervals need to know which images belong together."
        )
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def placements(y: IntArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of the other label's images that each image is on the right side of, by midranks.

    The fast form of DeLong's structural components: Sun & Xu 2014, IEEE Signal Processing Letters 21:1389,
    O(N log N) instead of the definition's O(mn).

    Args:
        y: labels, shape (images,), with m ones and n zeros.
        scores: shape (classifiers, images), finite.

    Returns:
        For the positives, shape (classifiers, m): share of negatives below, a tie counting one half. For the
        negatives, shape (classifiers, n): share of positives above. Each averages to the AUC.
    """
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    everywhere = rankdata(scores, axis=1)
    among_positive, among_negative = rankdata(positive, axis=1), rankdata(negative, axis=1)
    above = (everywhere[:, y == 1] - among_positive) / negative.shape[1]
    below = 1 - (everywhere[:, y == 0] - among_negative) / positive.shape[1]
    return above, below


@dataclass(frozen=True, slots=True)
class SpecimenSums:
    """AUCs and, per specimen, the sums from which their variances follow.

    Attributes:
        auc: shape (classifiers,).
        positive: per specimen the sum over its positive images of (placement - AUC), divided by m;
            shape (classifiers, specimens).
        negative: likewise for its negative images, divided by n.
        with_positive: number of specimens that have a positive image.
        with_negative: number of specimens that have a negative image.
    """

    auc: FloatArray
    positive: FloatArray
    negative: FloatArray
    with_positive: int
    with_negative: int

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
        return (
            positive
            + negative
            + _small_sample(self.specimens) * 2 * np.sum(self.positive * self.negative, axis=1)
        )

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
        y: labels, shape (images,), both present.
        scores: shape (classifiers, images), finite.
        specimen: number of each image's specimen, shape (images,); a specimen may hold images of both labels.

    Raises:
        ScoreError: all the positive, or all the negative images belong to one specimen.
    """
    numbers = np.unique(specimen, return_inverse=True)[1]
    above, below = placements(y, scores)
    area = above.mean(axis=1)
    sums = []
    for label, placed in ((1, above), (0, below)):
        owner = numbers[y == label]
        holders = np.unique(owner).size
        if holders < 2:
            one = "positive" if label else "negative"
            raise ScoreError(
                f"All {owner.size} {one} images belong to one specimen: how {one} specimens differ cannot be "
                "known from one. Use more specimens, or fewer folds."
            )
        share = np.full(owner.size, 1 / owner.size)
        member = csr_array((share, (owner, np.arange(owner.size))), shape=(numbers.max() + 1, owner.size))
        sums.append(((member @ (placed - area[:, None]).T).T, holders))
    (positive, with_positive), (negative, with_negative) = sums
    return SpecimenSums(area, positive, negative, with_positive, with_negative)


def fold_sums(
    y: npt.ArrayLike, scores: npt.ArrayLike, specimen: npt.ArrayLike | None, fold: npt.ArrayLike | None = None
) -> list[SpecimenSums]:
    """`specimen_sums` of each fold (one, where `fold` is None), after all checks.

    Args:
        y: labels, shape (images,).
        scores: shape (classifiers, images).
        specimen: shape (images,) or None (independent images).
        fold: number of the fold in which each image was tested, shape (images,), or None (pooled).

    Raises:
        ScoreError: as `check_scores`; a specimen in two folds; in a fold, one label only or one specimen a
            label.
    """
    labels = check_labels(y)
    table = np.stack([check_scores(labels, row)[1] for row in np.atleast_2d(np.asarray(scores))])
    owner = check_specimens(specimen, labels.size)
    if fold is None:
        return [specimen_sums(labels, table, owner)]
    number = np.asarray(fold)
    if number.shape != labels.shape:
        raise ScoreError(
            f"There are {labels.size} labels and fold numbers of shape {number.shape}; give one a label."
        )
    names = np.unique(number)
    places = np.unique(np.stack([owner, np.unique(number, return_inverse=True)[1]]), axis=1)[0]
    if places.size != np.unique(places).size:
        raise ScoreError(
            "A specimen was tested in two folds: the folds' AUCs are then not independent. Split by specimen."
        )
    parts = []
    for name in names:
        inside = number == name
        try:
            parts.append(specimen_sums(check_labels(labels[inside]), table[:, inside], owner[inside]))
        except ScoreError as error:
            raise ScoreError(f"In fold {name}: {error}") from None
    return parts
