"""How much a figure changes with the fold and with the seed, which no interval over specimens tells."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hep2lib.evaluation.metrics import FloatArray, ScoreError, auc, check_scores


@dataclass(frozen=True, slots=True)
class Spread:
    """Several values of one figure.

    Attributes:
        mean: their mean.
        lowest: the smallest.
        highest: the largest.
        count: number of values.
    """

    mean: float
    lowest: float
    highest: float
    count: int


def spread(values: npt.ArrayLike) -> Spread:
    """Describe several values of one figure, over folds or over seeds.

    A description, no interval: the folds of one cross-validation share most of their training images, and no
    unbiased variance of their mean exists (Bengio & Grandvalet 2004, J Mach Learn Res 5:1089).

    Args:
        values: shape (count,), finite, at least one.

    Raises:
        ScoreError: no value, or one that is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.all(np.isfinite(numbers)):
        raise ScoreError(
            "A spread needs a list of finite values, one at least; leave out folds without a result."
        )
    return Spread(float(numbers.mean()), float(numbers.min()), float(numbers.max()), numbers.size)


@dataclass(frozen=True, slots=True)
class FoldAuc:
    """AUC of a cross-validation, both ways of putting its folds together.

    Attributes:
        values: the folds' AUCs in order of their numbers, shape (folds,).
        mean: of the folds' AUCs; only scores of one model are compared with each other.
        pooled: of all out-of-fold scores at once; also compares scores of different models, which may be
            calibrated differently, and is lower where they are.
    """

    values: FloatArray
    mean: float
    pooled: float


def fold_auc(y: npt.ArrayLike, score: npt.ArrayLike, fold: npt.ArrayLike) -> FoldAuc:
    """AUC of each fold, their mean, and pooled.

    Args:
        y: labels, shape (images,), each 0 or 1.
        score: out-of-fold test scores, shape (images,), finite.
        fold: number of the fold in which each image was tested, shape (images,), whole numbers.

    Raises:
        ScoreError: as `metrics.auc`; a fold with one label only, named.
    """
    labels, scores = check_scores(y, score)
    numbers = np.asarray(fold)
    if numbers.shape != labels.shape:
        raise ScoreError(
            f"There are {labels.size} labels and fold numbers of shape {numbers.shape}; give one a label."
        )
    values = []
    for name in np.unique(numbers):
        inside = numbers == name
        try:
            values.append(auc(labels[inside], scores[inside]))
        except ScoreError as error:
            raise ScoreError(f"In fold {name}: {error}") from None
    return FoldAuc(np.array(values), float(np.mean(values)), auc(labels, scores))
