"""From fields to specimens: one decision a specimen, how far its fields disagree, who is sent to review."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hep2lib.evaluation.auc import ScoreError, check_scores, check_specimens
from hep2lib.evaluation.decisions import choose_threshold, confusion, predictive_value
from hep2lib.evaluation.scores import Scores


def specimen_decisions(y: npt.ArrayLike, score: npt.ArrayLike, specimen: npt.ArrayLike) -> pd.DataFrame:
    """Put the fields of each specimen together.

    A specimen is positive if any of its images is labelled so (in AIDA all of them agree). One label alone is
    allowed; scores are on one scale, 0 being the threshold.

    Returns:
        One row a specimen, in order of names: `specimen`; `label`; `fields` (number of images); `mean_score`;
        `lowest_score` and `highest_score`; `positive_share` (of its fields at or above the threshold);
        `by_mean` (1 where the mean score is at or above the threshold); `by_majority` (1 where at least half
        of the fields are: a tie is positive, because a missed positive costs more than a second look);
        `disagree` (True where the fields are on both sides of the threshold).
    """
    labels, scores = check_scores(y, score, both=False)
    names = np.asarray(specimen)
    check_specimens(names, labels.size)
    images = pd.DataFrame({"specimen": names, "label": labels, "score": scores, "called": scores >= 0})
    table = images.groupby("specimen", sort=True).agg(
        label=("label", "max"),
        fields=("label", "size"),
        mean_score=("score", "mean"),
        lowest_score=("score", "min"),
        highest_score=("score", "max"),
        positive_share=("called", "mean"),
    )
    table["by_mean"] = (table["mean_score"] >= 0).astype(np.int64)
    table["by_majority"] = (table["positive_share"] >= 0.5).astype(np.int64)
    table["disagree"] = (table["positive_share"] > 0) & (table["positive_share"] < 1)
    return table.reset_index()


def disagreement(decisions: pd.DataFrame) -> float:
    """Share of the specimens with several fields whose fields disagree; NaN where no specimen has several."""
    return float(decisions.loc[decisions["fields"] > 1, "disagree"].mean())


def intraclass_correlation(y: npt.ArrayLike, score: npt.ArrayLike, specimen: npt.ArrayLike) -> float:
    """Intraclass correlation coefficient (ICC): how alike a specimen's scores are, given their label.

    The analysis-of-variance estimator for groups of unequal size (Donner 1986, Int Stat Rev 54:67), of scores
    on one scale from which their label's mean has been taken. With it, N images of n a specimen are worth
    about N / (1 + (n - 1) correlation) independent ones. The images of a specimen share their label.

    Returns:
        Below 0 (images differ more within specimens than between them) to 1 (copies); NaN where no specimen
        has two images, or no label has two specimens.
    """
    labels, scores = check_scores(y, score, both=False)
    owner = check_specimens(specimen, labels.size)
    means = np.bincount(labels, scores) / np.maximum(np.bincount(labels), 1)
    rest = scores - means[labels]
    size = np.bincount(owner)
    own = np.bincount(owner, rest) / size
    groups = np.unique(labels).size
    between_freedom, within_freedom = size.size - groups, labels.size - size.size
    if between_freedom < 1 or within_freedom < 1:
        return float("nan")
    between = float(np.sum(size * own**2)) / between_freedom
    within = float(np.sum((rest - own[owner]) ** 2)) / within_freedom
    typical = (labels.size - float(np.sum(size**2)) / labels.size) / (size.size - 1)
    spread = between + (typical - 1) * within
    return (between - within) / spread if spread > 0 else float("nan")


def choose_zone(y: npt.ArrayLike, score: npt.ArrayLike) -> tuple[float, float]:
    """Choose the review zone on validation scores, of images or specimens: as narrow as two promises allow.

    They are that 95 % of the positives are not called negative, and 95 % of the negatives not positive. Where
    one threshold keeps both promises there is nothing to review, and both ends are put in the middle of the
    thresholds that do.

    Returns:
        Low and high end: below the low one negative, at or above the high one positive, between them a person
        looks again (``np.digitize(score, zone)`` is 0, 2 and 1).
    """
    low = choose_threshold(y, score, "sensitivity")
    high = choose_threshold(y, score, "specificity")
    if low >= high:
        low = high = high + (low - high) / 2
    return low, high


def zone_rates(reviewed: pd.DataFrame) -> dict[str, float]:
    """What zones do with specimens of a `label` (0, 1) and a `zone` (0 negative, 1 review, 2 positive).

    Returns:
        `review_rate`: share of all that a person looks at again; `missed`: share of the positives in the
        negative zone; `false_alarms`: share of the negatives in the positive zone; NaN where there are none.
    """
    zone, label = reviewed["zone"], reviewed["label"]
    return {
        "review_rate": float((zone == 1).mean()),
        "missed": float((zone[label == 1] == 0).mean()),
        "false_alarms": float((zone[label == 0] == 2).mean()),
    }


def review_specimens(scores: Scores) -> pd.DataFrame:
    """Put fields together and choose each fold's review zone on its validation specimens.

    To what `specimen_decisions` returns it adds `fold`, `zone` (0 negative, 1 review, 2 positive), and `low`
    and `high`, the ends of the fold's zone on the scale of ``Scores.one_scale``.
    """
    test = scores.one_scale()
    tables = []
    for fold, known in scores.one_scale("validation").groupby("fold"):
        before = specimen_decisions(known["label"], known["score"], known["specimen"])
        low, high = choose_zone(before["label"], before["mean_score"])
        tested = test[test["fold"] == fold]
        after = specimen_decisions(tested["label"], tested["score"], tested["specimen"])
        zone = np.digitize(after["mean_score"], (low, high))
        tables.append(after.assign(fold=fold, zone=zone, low=low, high=high))
    return pd.concat(tables, ignore_index=True)


def decision_table(images: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Rates of three ways to decide: by field, by the specimen's mean score, by its fields' majority.

    ``images`` have a `label` and a `score`, 0 being the threshold; ``decisions`` are their
    `specimen_decisions`.
    """
    kinds = {
        "each field by itself": confusion(images["label"], images["score"] >= 0),
        "each specimen, by mean": confusion(decisions["label"], decisions["by_mean"]),
        "each specimen, by majority": confusion(decisions["label"], decisions["by_majority"]),
    }
    rows = [(name, one.images, one.sensitivity, one.specificity) for name, one in kinds.items()]
    return pd.DataFrame(rows, columns=["Decided", "Of", "Sensitivity", "Specificity"])


def routine_day(sensitivity: float, specificity: float, prevalence: float) -> dict[str, float]:
    """Carry sensitivity and specificity over to 1,000 routine sera, by Bayes' rule; all are shares, 0 to 1.

    Assumes that they stay what they are where the prevalence differs. They often do not: an enriched set of
    unanimous readings is easier than consecutive routine sera (spectrum bias).

    Returns:
        Expected numbers, not whole ones: `found` and `missed` (positive sera called positive, called
        negative), `false_alarms` and `cleared` (negative sera called positive, called negative); and
        `predictive_value`, the share of those called positive that are, NaN where none is called so.

    Raises:
        ScoreError: a share outside 0 to 1.
    """
    shares = {"sensitivity": sensitivity, "specificity": specificity, "prevalence": prevalence}
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ScoreError(f"{name} is {value}; it must be between 0 and 1 (a share, not a percentage).")
    positive, negative = 1000 * prevalence, 1000 * (1 - prevalence)
    return {
        "found": positive * sensitivity,
        "missed": positive * (1 - sensitivity),
        "false_alarms": negative * (1 - specificity),
        "cleared": negative * specificity,
        "predictive_value": predictive_value(sensitivity, specificity, prevalence),
    }
