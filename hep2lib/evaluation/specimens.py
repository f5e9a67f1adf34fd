"""From fields to specimens: one decision a specimen, how far its fields disagree, who is sent to review."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hep2lib.evaluation.auc import ScoreError, check_scores, check_specimens
from hep2lib.evaluation.decisions import Confusion, choose_threshold, confusion
from hep2lib.evaluation.scores import Strategy


def specimen_decisions(y: npt.ArrayLike, score: npt.ArrayLike, specimen: npt.ArrayLike) -> pd.DataFrame:
    """Put the fields of each specimen together.

    A specimen is positive if any of its images is labelled so (in AIDA all of them agree).

    Args:
        y: labels of the images, shape (images,), each 0 or 1; one label alone is allowed.
        score: shape (images,), finite, on one scale, 0 being the threshold.
        specimen: name of each image's specimen, shape (images,).

    Returns:
        One row a specimen, in order of names: `specimen`; `label`; `fields` (number of images); `mean_score`;
        `lowest_score` and `highest_score`; `positive_share` (of its fields at or above the threshold);
        `by_mean` (1 where the mean score is at or above the threshold); `by_majority` (1 where at least half
        of the fields are: a tie is positive, because a missed positive costs more than a second look);
        `disagree` (True where the fields are on both sides of the threshold).

    Raises:
        ScoreError: as `metrics.check_scores`; a missing specimen.
    """
    labels, scores = check_scores(y, score, both=False)
    names = np.asarray(specimen)
    check_specimens(names, labels.size)
    images = pd.DataFrame({"specimen": names, "label": labels, "score": scores, "called": scores >= 0})
    groups = images.groupby("specimen", sort=True)
    table = pd.DataFrame(
        {
            "label": groups["label"].max(),
            "fields": groups["label"].size(),
            "mean_score": groups["score"].mean(),
            "lowest_score": groups["score"].min(),
            "highest_score": groups["score"].max(),
            "positive_share": groups["called"].mean(),
        }
    )
    table["by_mean"] = (table["mean_score"] >= 0).astype(np.int64)
    table["by_majority"] = (table["positive_share"] >= 0.5).astype(np.int64)
    table["disagree"] = (table["positive_share"] > 0) & (table["positive_share"] < 1)
    return table.reset_index()


def disagreement(decisions: pd.DataFrame) -> float:
    """Share of the specimens with two fields or more whose fields disagree; NaN where no specimen has two.

    Args:
        decisions: what `specimen_decisions` returns.
    """
    several = decisions[decisions["fields"] > 1]
    return float(several["disagree"].mean()) if len(several) else float("nan")


def specimen_correlation(y: npt.ArrayLike, score: npt.ArrayLike, specimen: npt.ArrayLike) -> float:
    """How alike the scores of one specimen's images are, given their label: intraclass correlation.

    The analysis-of-variance estimator for groups of unequal size (Donner 1986, Int Stat Rev 54:67), of scores
    from which their label's mean has been taken. With it, N images of n a specimen are worth about
    N / (1 + (n - 1) correlation) independent ones.

    Args:
        y: labels, shape (images,), each 0 or 1; the images of a specimen share theirs.
        score: shape (images,), finite, on one scale.
        specimen: name of each image's specimen, shape (images,).

    Returns:
        Below 0 (images differ more within specimens than between them) to 1 (copies); NaN where no specimen
        has two images, or no label has two specimens.

    Raises:
        ScoreError: as `metrics.check_scores`; a missing specimen.
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


def specimen_confusion(decisions: pd.DataFrame, rule: str = "mean") -> Confusion:
    """Confusion counts of specimens instead of images.

    Args:
        decisions: what `specimen_decisions` returns.
        rule: "mean" or "majority".

    Raises:
        ScoreError: another rule.
    """
    if rule not in ("mean", "majority"):
        raise ScoreError(f"There is no rule {rule!r} for fields; use 'mean' or 'majority'.")
    return confusion(decisions["label"], decisions[f"by_{rule}"])


@dataclass(frozen=True, slots=True)
class Zones:
    """Two thresholds: below `low` negative, at or above `high` positive, between them a person looks again.

    Attributes:
        low: score, at most `high`.
        high: score.
    """

    low: float
    high: float

    def assign(self, score: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Zone of each score: 0 negative, 1 review, 2 positive."""
        scores = np.asarray(score, dtype=np.float64)
        return (scores >= self.low).astype(np.int64) + (scores >= self.high).astype(np.int64)


def choose_zones(y: npt.ArrayLike, score: npt.ArrayLike) -> Zones:
    """Choose the review zone on validation scores: as narrow as two promises allow.

    They are that 95 % of the positives are not called negative, and 95 % of the negatives not positive.

    Where one threshold keeps both promises there is nothing to review, and both ends are put in the middle of
    the thresholds that do.

    Args:
        y: validation labels, shape (images,) or (specimens,), both present.
        score: validation scores, of the same shape, finite.

    Raises:
        ScoreError: as `thresholds.choose_threshold`.
    """
    low = choose_threshold(y, score, "sensitivity")
    high = choose_threshold(y, score, "specificity")
    if low >= high:
        low = high = high + (low - high) / 2
    return Zones(low, high)


@dataclass(frozen=True, slots=True)
class ZoneReport:
    """What three zones do with labelled scores.

    Attributes:
        counts: shape (2, 3): rows negative and positive label, columns negative, review and positive zone.
        review_rate: share of all that a person looks at again.
        missed: share of the positives in the negative zone; NaN without positives.
        false_alarms: share of the negatives in the positive zone; NaN without negatives.
    """

    counts: npt.NDArray[np.int64]
    review_rate: float
    missed: float
    false_alarms: float


def zone_report(y: npt.ArrayLike, zone: npt.ArrayLike) -> ZoneReport:
    """Count labels by zone.

    Args:
        y: labels of images or of specimens, shape (count,), each 0 or 1.
        zone: what `Zones.assign` returned, shape (count,); folds with zones of their own may be put together.

    Raises:
        ScoreError: lengths that differ, or a zone other than 0, 1 and 2.
    """
    labels, _ = check_scores(y, np.asarray(zone, dtype=np.float64), both=False)
    zones = np.asarray(zone, dtype=np.int64)
    if not np.isin(zones, (0, 1, 2)).all():
        raise ScoreError("A zone is 0 (negative), 1 (review) or 2 (positive); use what Zones.assign returns.")
    counts = np.zeros((2, 3), dtype=np.int64)
    np.add.at(counts, (labels, zones), 1)
    negatives, positives = counts.sum(axis=1)
    return ZoneReport(
        counts=counts,
        review_rate=float(counts[:, 1].sum() / labels.size),
        missed=float(counts[1, 0] / positives) if positives else float("nan"),
        false_alarms=float(counts[0, 2] / negatives) if negatives else float("nan"),
    )


@dataclass(frozen=True, slots=True)
class RoutineDay:
    """What an operating point means for 1,000 routine sera; expected numbers, not whole ones.

    Attributes:
        found: positive sera called positive.
        missed: positive sera called negative.
        false_alarms: negative sera called positive.
        cleared: negative sera called negative.
        positive_predictive_value: share of those called positive that are; NaN where none is called so.
    """

    found: float
    missed: float
    false_alarms: float
    cleared: float
    positive_predictive_value: float


def routine_day(sensitivity: float, specificity: float, prevalence: float) -> RoutineDay:
    """Carry an operating point over to 1,000 routine sera, by Bayes' rule.

    Assumes that sensitivity and specificity stay what they are where the prevalence differs. They often do
    not: an enriched set of unanimous readings is easier than consecutive routine sera (spectrum bias).

    Args:
        sensitivity: 0 to 1.
        specificity: 0 to 1.
        prevalence: share of positive sera, 0 to 1.

    Raises:
        ScoreError: a share outside 0 to 1.
    """
    shares = {"sensitivity": sensitivity, "specificity": specificity, "prevalence": prevalence}
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ScoreError(f"{name} is {value}; it must be between 0 and 1 (a share, not a percentage).")
    called_positive = sensitivity * prevalence + (1 - specificity) * (1 - prevalence)
    positive, negative = 1000 * prevalence, 1000 * (1 - prevalence)
    return RoutineDay(
        found=positive * sensitivity,
        missed=positive * (1 - sensitivity),
        false_alarms=negative * (1 - specificity),
        cleared=negative * specificity,
        positive_predictive_value=sensitivity * prevalence / called_positive if called_positive else np.nan,
    )


@dataclass(frozen=True, eq=False)
class Review:
    """Every specimen's fields put together, on one scale (0: its fold's threshold).

    Attributes:
        decisions: one row a specimen, as ``specimens.specimen_decisions`` returns it, with ``fold`` and
            ``zone`` (0 negative, 1 review, 2 positive).
        images: scores of the fields: ``specimen``, ``label``, ``score``.
        zone: lowest and highest score of the review zone, means of the folds' own.
        report: what the zones do with the specimens.
    """

    decisions: pd.DataFrame
    images: pd.DataFrame
    zone: tuple[float, float]
    report: ZoneReport

    def table(self) -> pd.DataFrame:
        """Rates of three ways to decide: by field, by the specimen's mean score, by its fields' majority."""
        label, called = self.images["label"], self.images["score"] >= 0
        fields = {"sensitivity": called[label == 1].mean(), "specificity": 1 - called[label == 0].mean()}
        rows = [{"Decided": "each field by itself", "Of": len(label)} | fields]
        for rule in ("mean", "majority"):
            counts = specimen_confusion(self.decisions, rule)
            rates = {"sensitivity": counts.sensitivity, "specificity": counts.specificity}
            rows.append({"Decided": f"each specimen, by {rule}", "Of": counts.images} | rates)
        renamed = {"sensitivity": "Sensitivity", "specificity": "Specificity"}
        return pd.DataFrame(rows).rename(columns=renamed)

    @property
    def disagreement(self) -> float:
        """Share of the specimens with several fields whose fields disagree; NaN where none has several."""
        return disagreement(self.decisions)


def review_specimens(strategy: Strategy, specimens: np.ndarray) -> Review:
    """Put fields together and choose each fold's review zone on its validation specimens.

    Args:
        strategy: its scores.
        specimens: specimen of each row of the database.

    Raises:
        ScoreError: one label only among a fold's validation images.
    """
    known, test = strategy.one_scale("validation"), strategy.one_scale()
    tables, ends = [], []
    for fold, part in known.groupby("fold"):
        before = specimen_decisions(part["label"], part["score"], specimens[part["row"]])
        zones = choose_zones(before["label"], before["mean_score"])
        tested = test[test["fold"] == fold]
        after = specimen_decisions(tested["label"], tested["score"], specimens[tested["row"]])
        tables.append(after.assign(fold=fold, zone=zones.assign(after["mean_score"])))
        ends.append((zones.low, zones.high))
    decisions = pd.concat(tables, ignore_index=True)
    images = test.assign(specimen=specimens[test["row"]])[["specimen", "label", "score"]]
    low, high = np.mean(ends, axis=0)
    report = zone_report(decisions["label"], decisions["zone"])
    return Review(decisions, images, (float(low), float(high)), report)
