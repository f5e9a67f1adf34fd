"""Does a score of 0.8 mean 80 in 100, and what is it worth? Calibration, temperatures and net benefit."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit
from scipy.stats import t as student

from hep2lib.evaluation.auc import (
    LEVEL,
    FloatArray,
    IntArray,
    Interval,
    ScoreError,
    check_scores,
    check_specimens,
)
from hep2lib.evaluation.decisions import share_interval


def _probabilities(
    y: npt.ArrayLike, probability: npt.ArrayLike, *, both: bool = False
) -> tuple[IntArray, FloatArray]:
    """Checked labels and probabilities."""
    labels, values = check_scores(y, probability, both=both)
    wrong = np.flatnonzero((values < 0) | (values > 1))
    if wrong.size:
        raise ScoreError(
            f"Row {wrong[0]} has the score {values[wrong[0]]:g}, which is no probability; margins have to be "
            "calibrated first."
        )
    return labels, values


def brier_score(y: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean squared distance of P(positive) from the label, 0 to 1 (Brier 1950, Mon Weather Rev 78:1).

    One label alone is allowed; `ScoreError` for a value outside 0 to 1.
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
    lowest: FloatArray  # P(positive) in the bin, the lowest
    highest: FloatArray  # and the highest
    images: IntArray  # how many in the bin
    error: float  # expected calibration error, 0 to 1


def reliability(
    y: npt.ArrayLike, probability: npt.ArrayLike, specimen: npt.ArrayLike, *, bins: int = 10
) -> Reliability:
    """The reliability curve and its summary, the expected calibration error (ECE, 0 to 1); no empty bins.

    ECE is the mean over images of |observed - predicted| of their bin (Naeini et al. 2015, AAAI), here for
    P(positive). It depends on the bins, and is above 0 even for perfect probabilities; compare only like with
    like.

    Args:
        y: labels; one alone is allowed.
        probability: P(positive), 0 to 1.
        specimen: name of each image's specimen: intervals of `decisions.share_interval`, 0 to 1 where a bin
            holds one specimen.
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
    bins_images = place == np.arange(count.size)[:, None]
    low, high = np.array([_share_ends(labels, np.asarray(specimen), inside) for inside in bins_images]).T
    error = float(np.sum(count * np.abs(observed - predicted)) / labels.size)
    lowest, highest = np.array([(values[one].min(), values[one].max()) for one in bins_images]).T
    return Reliability(predicted, observed, low, high, lowest, highest, count, error)


def _share_ends(hit: npt.NDArray, owner: npt.NDArray, inside: npt.NDArray) -> tuple[float, float]:
    """Ends of the interval of a share of some of the images; 0 and 1 where they are of one specimen."""
    if np.unique(owner[inside]).size < 2:
        return 0.0, 1.0
    found = share_interval(hit[inside], owner[inside])
    return found.low, found.high


def log_odds(probability: npt.ArrayLike) -> FloatArray:
    """log(p / (1 - p)) of probabilities of any shape, finite also where a softmax has rounded to 0 or 1."""
    smallest = np.finfo(np.float64).eps
    return logit(np.clip(np.asarray(probability, dtype=np.float64), smallest, 1 - smallest))


def recalibration(
    y: npt.ArrayLike, probability: npt.ArrayLike, specimen: npt.ArrayLike | None
) -> dict[str, Interval | str]:
    """Calibration intercept and slope with 95 % intervals (Van Calster et al. 2019, BMC Medicine 17:230).

    The slope of a logistic regression of the labels on the log-odds of the probabilities (0 to 1): 1 is
    right, less says that they are too extreme. The intercept of the same regression with the slope held at 1:
    0 is right, less says that they are too high on the whole. Intervals by Student's t with standard errors
    of the one-step jackknife over specimens, the small-sample form of Liang & Zeger's (Mancl & DeRouen 2001,
    Biometrics 57:126): of 100 specimens or more they held the truth in 91 to 97 of 100 simulated data sets.

    Returns:
        "intercept" and "slope"; in place of one that the images do not determine, why, in words.

    Raises:
        ScoreError: as `brier_score`; one label only; a missing specimen.
    """
    labels, values = _probabilities(y, probability, both=True)
    owner, odds = check_specimens(specimen, labels.size), log_odds(values)
    if sure := int(np.sum(np.abs(odds) >= log_odds(1.0))):
        are = "probability is" if sure == 1 else "probabilities are"
        return dict.fromkeys(("intercept", "slope"), f"{sure} {are} 0 or 1 to rounding")
    ones = np.ones((labels.size, 1))
    found = {"intercept": _logistic(labels, ones, odds, owner)}
    above, below = odds[labels == 1], odds[labels == 0]
    if above.min() >= below.max() or above.max() <= below.min():
        equal = odds.min() == odds.max()
        reason = "all probabilities are equal" if equal else "the probabilities separate the labels"
        return found | {"slope": reason}
    return found | {"slope": _logistic(labels, np.column_stack([odds, ones]), 0 * odds, owner)}


def _logistic(y: IntArray, design: FloatArray, offset: FloatArray, owner: IntArray) -> Interval | str:
    """The first coefficient of a logistic regression, or why there is none."""

    def parts(beta: FloatArray) -> list[FloatArray]:
        """Each image's log loss, its gradient and its curvature."""
        odds = offset + design @ beta
        chance = expit(odds)
        curvature = design[:, :, None] * design[:, None] * (chance * (1 - chance))[:, None, None]
        return [np.logaddexp(0, odds) - y * odds, design * (chance - y)[:, None], curvature]

    total, slope, curvature = (lambda beta, n=n: parts(beta)[n].sum(axis=0) for n in range(3))
    start, options = np.zeros(design.shape[1]), {"gtol": 1e-9}
    beta = minimize(total, start, jac=slope, hess=curvature, method="trust-exact", options=options).x
    order, count = np.argsort(owner, kind="stable"), int(owner.max()) + 1
    first = np.searchsorted(owner[order], np.arange(count))
    pull, hold = (np.add.reduceat(part[order], first) for part in parts(beta)[1:])
    others = hold.sum(axis=0) - hold  # the curvature without each specimen
    if np.linalg.eigvalsh(others).min() < 1e-8:
        return "too few images have a say in it"
    moved = np.linalg.solve(others, pull[:, :, None])[:, 0, 0]
    error = float(np.sqrt((count - 1) / count * np.sum(moved**2)))
    half = error * float(student.ppf((1 + LEVEL) / 2, count - 1))
    return Interval(float(beta[0]), float(beta[0] - half), float(beta[0] + half), error, count)


def net_benefit(
    y: npt.ArrayLike, probability: npt.ArrayLike, threshold: npt.ArrayLike, prevalence: float | None = None
) -> FloatArray:
    """Net benefit of reporting positive what is at or above a threshold t.

    Sensitivity * prevalence - (1 - specificity) * (1 - prevalence) * t / (1 - t): the share of all that are
    found, less false alarms at the price that t sets (Vickers & Elkin 2006, Med Decis Making 26:565).
    Reporting none has 0; reporting all, what probabilities of 1 have.

    Args:
        y: labels, shape (images,), each 0 or 1, both present.
        probability: P(positive), shape (images,), 0 to 1.
        threshold: 0 to below 1, any shape.
        prevalence: share of positives where the test is used, 0 to 1; None: that of these images.

    Returns:
        At most the prevalence, of the shape of `threshold`.

    Raises:
        ScoreError: as `brier_score`; one label only; a threshold or prevalence out of range.
    """
    labels, values = _probabilities(y, probability, both=True)
    steps = np.asarray(threshold, dtype=np.float64)
    share = labels.mean() if prevalence is None else prevalence
    if not (np.all((steps >= 0) & (steps < 1)) and 0 <= share <= 1):
        raise ScoreError(f"threshold={steps}, prevalence={share}: use 0 to 1, of thresholds below 1.")
    found, alarms = ((values[labels == label] >= steps[..., None]).mean(axis=-1) for label in (1, 0))
    return found * share - alarms * (1 - share) * steps / (1 - steps)


STEPS = np.arange(1, 100) / 100


def decision_curve(
    test: pd.DataFrame, prevalence: float | None = None, thresholds: FloatArray = STEPS
) -> pd.DataFrame:
    """Net benefit at the thresholds `STEPS` with a pointwise 95 % band over specimens.

    The intervals of sensitivity and specificity (`decisions.share_interval`) are put together by
    square-and-add, as in `auc.compare_auc`; the prevalence is taken as known. On simulated data sets of 30 to
    300 specimens the band held the truth in 92 to 98 of 100, percentiles of drawn specimens in 57 to 96.

    Args:
        test: ``label``, ``score`` (P(positive)) and ``specimen``, one row an image.
        prevalence: as for `net_benefit`.
        thresholds: 0 to below 1, shape (thresholds,).

    Returns:
        ``threshold``, ``benefit``, ``low``, ``high``, and ``all``: the net benefit of reporting all positive.
    """
    y, score, owner = (test[name].to_numpy() for name in ("label", "score", "specimen"))
    share = float(y.mean()) if prevalence is None else prevalence
    curve = pd.DataFrame({"threshold": thresholds, "benefit": net_benefit(y, score, thresholds, share)})
    price = np.stack([np.full(len(curve), share), -(1 - share) * thresholds / (1 - thresholds)])[..., None]
    called = [(score >= step).astype(np.int64) for step in thresholds]
    rates = np.array([[hit[y == label].mean() for hit in called] for label in (1, 0)])[..., None]
    ends = np.array([[_share_ends(hit, owner, y == label) for hit in called] for label in (1, 0)])
    below, above = np.hypot(*np.sort(price * (ends - rates))).T
    everyone = net_benefit(y, np.ones(len(y)), thresholds, share)
    return curve.assign(low=curve["benefit"] - below, high=curve["benefit"] + above, all=everyone)


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

    Assumes that a score of 0 means a probability of 0.5, as log-odds and SVM margins do. One number is
    fitted, between 1/20 and 20, so the AUC and the decision at 0.5 stay as they are.

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
    """
    on_scale = log_odds if probabilities else np.asarray
    scores, temperatures = test["score"].to_numpy(np.float64).copy(), []
    for fold, part in validation.groupby("fold"):
        inside = test["fold"] == fold
        temperatures.append(fit_temperature(part["label"], on_scale(part["score"])))
        scores[inside] = temperatures[-1].calibrate(on_scale(scores[inside]))
    return test.assign(score=scores), temperatures
