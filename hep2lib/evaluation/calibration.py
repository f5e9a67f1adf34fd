"""Does a score of 0.8 mean 80 in 100? Reliability, Brier score, ECE, and a temperature from validation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from hep2lib.evaluation.auc import FloatArray, IntArray, ScoreError, check_scores
from hep2lib.evaluation.decisions import share_interval, wilson_interval


def _probabilities(y: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[IntArray, FloatArray]:
    """Checked labels and probabilities."""
    labels, values = check_scores(y, probability, both=False)
    wrong = np.flatnonzero((values < 0) | (values > 1))
    if wrong.size:
        raise ScoreError(
            f"Row {wrong[0]} has the score {values[wrong[0]]:g}, which is no probability; margins have to be "
            "calibrated first."
        )
    return labels, values


def brier_score(y: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean squared distance of P(positive) from the label, 0 to 1 (Brier 1950, Mon Weather Rev 78:1).

    Args:
        y: labels, shape (images,), each 0 or 1; one label alone is allowed.
        probability: P(positive), shape (images,), 0 to 1.

    Raises:
        ScoreError: as `auc.check_scores`, or a value outside 0 to 1.
    """
    labels, values = _probabilities(y, probability)
    return float(np.mean((values - labels) ** 2))


@dataclass(frozen=True, slots=True)
class Reliability:
    """What was predicted against what was seen, by bin, shape (bins,); empty bins are left out."""

    predicted: FloatArray  # mean P(positive) in the bin
    observed: FloatArray  # share of positives in the bin
    low: FloatArray  # lower end of the 95 % interval of ``observed``
    high: FloatArray  # upper end
    error: float  # expected calibration error, 0 to 1


def reliability(
    y: npt.ArrayLike, probability: npt.ArrayLike, specimen: npt.ArrayLike | None = None, *, bins: int = 10
) -> Reliability:
    """The reliability curve and its summary, the expected calibration error (ECE, 0 to 1); no empty bins.

    ECE is the mean over images of |observed - predicted| of their bin (Naeini et al. 2015, AAAI), here for
    P(positive). It depends on the bins, and is above 0 even for perfect probabilities; compare only like with
    like.

    Args:
        y: labels, shape (images,), each 0 or 1.
        probability: P(positive), shape (images,), 0 to 1.
        specimen: name of each image's specimen, shape (images,): intervals of `decisions.share_interval` (0
            to 1 where a bin holds one specimen); None: images are independent.
        bins: number of bins with as many images in each, at least 1.

    Raises:
        ScoreError: as `brier_score`; no bin.
    """
    labels, values = _probabilities(y, probability)
    if bins < 1:
        raise ScoreError(f"bins={bins}: use 1 bin or more.")
    edges = np.quantile(values, np.linspace(0, 1, bins + 1))
    place = np.searchsorted(edges[1:-1], values, side="right")
    place, count = np.unique(place, return_inverse=True, return_counts=True)[1:]
    predicted = np.bincount(place, weights=values) / count
    observed = np.bincount(place, weights=labels) / count
    ends = []
    for number, inside in enumerate(place == np.arange(count.size)[:, None]):
        if specimen is None:
            found = wilson_interval(int(labels[inside].sum()), int(count[number]))
        elif np.unique(owner := np.asarray(specimen)[inside]).size > 1:
            found = share_interval(labels[inside], owner)
        else:
            found = None
        ends.append((found.low, found.high) if found else (0.0, 1.0))
    low, high = np.array(ends).T
    error = float(np.sum(count * np.abs(observed - predicted)) / labels.size)
    return Reliability(predicted, observed, low, high, error)


def log_odds(probability: npt.ArrayLike) -> FloatArray:
    """log(p / (1 - p)) of probabilities of any shape, finite also where a softmax has rounded to 0 or 1."""
    smallest = np.finfo(np.float64).eps
    return logit(np.clip(np.asarray(probability, dtype=np.float64), smallest, 1 - smallest))


@dataclass(frozen=True, slots=True)
class Temperature:
    """A divisor of log-odds that makes probabilities honest without changing their order.

    It means little where the search ended at a limit (validation perfectly separated, or at chance level).
    """

    value: float  # 1/20 to 20; above 1 where the model was too sure of itself
    at_limit: bool  # whether the search ended at a limit

    def calibrate(self, score: npt.ArrayLike) -> FloatArray:
        """P(positive) of other images, from their log-odds (any shape)."""
        return expit(np.asarray(score, dtype=np.float64) / self.value)


def fit_temperature(y: npt.ArrayLike, score: npt.ArrayLike) -> Temperature:
    """Temperature scaling (Guo et al. 2017, ICML): the divisor with the least log loss on validation images.

    Assumes that a score of 0 means even odds, as a softmax's log-odds and an SVM's margin do. One number is
    fitted, between 1/20 and 20, so the AUC and the decision at even odds stay as they are.

    Args:
        y: validation labels, shape (images,), both present.
        score: validation log-odds (`log_odds` of probabilities) or margins, shape (images,), finite.

    Raises:
        ScoreError: as `auc.check_scores`.
    """
    labels, scores = check_scores(y, score)
    signed = (2 * labels - 1) * scores

    def loss(log_temperature: float) -> float:
        return float(np.mean(np.logaddexp(0.0, -signed / np.exp(log_temperature))))

    limit = float(np.log(20))
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-8})
    return Temperature(float(np.exp(found.x)), bool(abs(found.x) > limit - 1e-3))


def calibrated(
    validation: pd.DataFrame, test: pd.DataFrame, *, probabilities: bool
) -> tuple[pd.DataFrame, list[Temperature]]:
    """P(positive) of test images after temperature scaling, each fold by its own validation images.

    Args:
        validation: validation scores: ``row``, ``fold``, ``label``, ``score``.
        test: test scores, likewise; their labels have no part in it.
        probabilities: whether scores are P(positive), or margins of an SVM.

    Returns:
        ``test`` with calibrated probabilities as scores, and the folds' temperatures in order.

    Raises:
        ScoreError: as `fit_temperature`.
    """
    on_scale = log_odds if probabilities else np.asarray
    scores, temperatures = test["score"].to_numpy(np.float64).copy(), []
    for fold, part in validation.groupby("fold"):
        inside = test["fold"] == fold
        temperatures.append(fit_temperature(part["label"], on_scale(part["score"])))
        scores[inside] = temperatures[-1].calibrate(on_scale(scores[inside]))
    return test.assign(score=scores), temperatures
