"""Where "negative" ends and "positive" begins: operating points, chosen on validation scores alone."""

import numpy as np
import numpy.typing as npt

from hep2lib.evaluation.metrics import FloatArray, ScoreError, check_scores

RULES: tuple[str, ...] = ("default", "youden", "sensitivity", "specificity")


TARGET = 0.95  # the sensitivity or specificity that the last two rules promise


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
) -> float:
    """Choose an operating point on validation scores: a score at or above it is called positive.

    Never give it test scores: a threshold chosen where it is judged flatters (Leeflang et al. 2008, Clin Chem
    54:729). Assumes that validation and test scores are on one scale, so choose it per fold, for that fold's
    model.

    Args:
        y: validation labels, shape (images,), each 0 or 1.
        score: validation scores, shape (images,), finite.
        rule: "default": `default`, whatever the scores; "youden": largest sensitivity + specificity - 1
            (Youden 1950), of equals the lowest threshold; "sensitivity": the highest threshold whose
            sensitivity is at least 95 %; "specificity": the lowest threshold whose specificity is at least
            95 %.
        default: 0.5 for probabilities, 0 for SVM margins.

    Raises:
        ScoreError: an unknown rule, one label only, or a score that is not finite.
    """
    if rule not in RULES:
        raise ScoreError(f"There is no threshold rule {rule!r}; use one of {', '.join(RULES)}.")
    labels, scores = check_scores(y, score)
    values = candidates(scores)
    positives, negatives = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    sensitivity = 1 - np.searchsorted(positives, values, side="left") / positives.size
    specificity = np.searchsorted(negatives, values, side="left") / negatives.size
    if rule == "default":
        return float(default)
    if rule == "youden":
        # Rounded, so that equal sums do not differ by the order of floating-point additions.
        return float(values[np.argmax(np.round(sensitivity + specificity, 12))])
    reached = np.flatnonzero((sensitivity if rule == "sensitivity" else specificity) >= TARGET - 1e-12)
    return float(values[reached[-1] if rule == "sensitivity" else reached[0]])
