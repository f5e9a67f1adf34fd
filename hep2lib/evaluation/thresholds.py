"""Where "negative" ends and "positive" begins: operating points, chosen on validation scores alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hep2lib.evaluation.metrics import Confusion, FloatArray, ScoreError, check_scores, confusion

RULES: tuple[str, ...] = ("default", "youden", "sensitivity", "specificity")


@dataclass(frozen=True, slots=True)
class Threshold:
    """An operating point: a score at or above `value` is called positive.

    Attributes:
        rule: "default", "youden", "sensitivity" or "specificity".
        value: the score, finite.
        target: the sensitivity or specificity that was asked for; None for the other rules.
        sensitivity: on the images it was chosen on (for "default": too), 0 to 1.
        specificity: likewise.
        images: number of validation images.
    """

    rule: str
    value: float
    target: float | None
    sensitivity: float
    specificity: float
    images: int

    def decide(self, score: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Call each score 1 (positive) or 0 (negative); any shape."""
        return (np.asarray(score, dtype=np.float64) >= self.value).astype(np.int64)

    def apply(self, y: npt.ArrayLike, score: npt.ArrayLike) -> Confusion:
        """Confusion counts of other images (the test fold's) at this threshold."""
        labels, scores = check_scores(y, score, both=False)
        return confusion(labels, self.decide(scores))


def candidates(score: FloatArray) -> FloatArray:
    """Every threshold that matters for these scores, increasing.

    Between two neighbouring scores their middle stands for all thresholds that decide alike, so that a
    threshold is not glued to one validation image; the first calls all images positive, the last none.
    """
    distinct = np.unique(score)
    middles = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
    # Two scores that are neighbours among the floating-point numbers have no number between them.
    middles = np.where(middles > distinct[:-1], middles, distinct[1:])
    return np.concatenate([distinct[:1], middles, [np.nextafter(distinct[-1], np.inf)]])


def choose_threshold(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    rule: str = "youden",
    *,
    default: float = 0.5,
    target: float = 0.95,
) -> Threshold:
    """Choose an operating point on validation scores.

    Never give it test scores: a threshold chosen where it is judged flatters (Leeflang et al. 2008, Clin Chem
    54:729). Assumes that validation and test scores are on one scale, so choose it per fold, for that fold's
    model.

    Args:
        y: validation labels, shape (images,), each 0 or 1.
        score: validation scores, shape (images,), finite.
        rule: "default": `default`, whatever the scores; "youden": largest sensitivity + specificity - 1
            (Youden 1950), of equals the lowest threshold; "sensitivity": the highest threshold whose
            sensitivity is at least `target`; "specificity": the lowest threshold whose specificity is at
            least `target`.
        default: 0.5 for probabilities, 0 for SVM margins.
        target: 0 to 1, for the last two rules.

    Raises:
        ScoreError: an unknown rule, a target outside 0 to 1, one label only, or a score that is not finite.
    """
    if rule not in RULES:
        raise ScoreError(f"There is no threshold rule {rule!r}; use one of {', '.join(RULES)}.")
    if not 0 <= target <= 1:
        raise ScoreError(f"target is {target}; it must be between 0 and 1 (a share, not a percentage).")
    labels, scores = check_scores(y, score)
    values = candidates(scores)
    positives, negatives = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    sensitivity = 1 - np.searchsorted(positives, values, side="left") / positives.size
    specificity = np.searchsorted(negatives, values, side="left") / negatives.size
    wanted = None
    if rule == "default":
        value = float(default)
    elif rule == "youden":
        # Rounded, so that equal sums do not differ by the order of floating-point additions.
        value = float(values[np.argmax(np.round(sensitivity + specificity, 12))])
    else:
        wanted = target
        reached = np.flatnonzero((sensitivity if rule == "sensitivity" else specificity) >= target - 1e-12)
        value = float(values[reached[-1] if rule == "sensitivity" else reached[0]])
    counts = confusion(labels, scores >= value)
    return Threshold(rule, value, wanted, counts.sensitivity, counts.specificity, labels.size)


def choose_thresholds(
    y: npt.ArrayLike, score: npt.ArrayLike, *, default: float = 0.5
) -> dict[str, Threshold]:
    """The four operating points of the book, by rule; arguments as in `choose_threshold`."""
    return {rule: choose_threshold(y, score, rule, default=default) for rule in RULES}
