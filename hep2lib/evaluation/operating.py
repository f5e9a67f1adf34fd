"""What a strategy does at each operating point: thresholds from validation, rates on test, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hep2lib.evaluation.bootstrap import Metric, at_threshold, bootstrap_interval
from hep2lib.evaluation.inference import Interval
from hep2lib.evaluation.metrics import Confusion, FloatArray, IntArray, confusion
from hep2lib.evaluation.proportions import share_interval
from hep2lib.evaluation.strategies import Strategy
from hep2lib.evaluation.thresholds import RULES, choose_threshold

RULE_NAMES: dict[str, str] = {
    "default": "even odds",
    "youden": "highest sum",
    "sensitivity": "sensitivity 95 %",
    "specificity": "specificity 95 %",
}
"""The four rules in the words of tables; what they promise, they promise on validation images."""

RATE_NAMES: dict[str, str] = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "mcc": "Matthews correlation",
}
"""The rates of a table, shares first."""


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Decisions on test images at thresholds chosen by one rule.

    Attributes:
        rule: one of ``thresholds.RULES``.
        row: rows of the database, in the order of the decisions.
        label: their labels, each 0 or 1.
        decision: what they are called, each 0 or 1.
        specimen: their specimens.
    """

    rule: str
    row: IntArray
    label: IntArray
    decision: IntArray
    specimen: np.ndarray

    @property
    def counts(self) -> Confusion:
        """Confusion counts of all test images."""
        return confusion(self.label, self.decision)

    @property
    def called(self) -> set[str]:
        """What images are called at all: "negative", "positive"."""
        return {("negative", "positive")[one] for one in np.unique(self.decision)}

    def share(self, rate: str) -> Interval:
        """Accuracy, sensitivity or specificity, with its interval over specimens (``share_interval``)."""
        kept = {"accuracy": self.label >= 0, "sensitivity": self.label == 1, "specificity": self.label == 0}
        correct = (self.decision == self.label)[kept[rate]]
        return share_interval(correct, self.specimen[kept[rate]])

    def drawn(self, metric: Metric | str, generator: np.random.Generator) -> Interval:
        """Any rate of ``metrics.Confusion`` by name, or a metric, with percentiles over drawn specimens."""
        chosen = at_threshold(0.5, metric) if isinstance(metric, str) else metric
        decision = self.decision.astype(np.float64)
        return bootstrap_interval(chosen, self.label, decision, self.specimen, generator=generator)


def operating_point(strategy: Strategy, rule: str, specimens: np.ndarray) -> OperatingPoint:
    """Choose each fold's threshold on its validation images, and decide its test images.

    Args:
        strategy: its scores.
        rule: one of ``thresholds.RULES``.
        specimens: specimen of each row of the database.

    Raises:
        ScoreError: an unknown rule, or one label only among a fold's validation images.
    """
    test = strategy.test
    score, fold = test["score"].to_numpy(), test["fold"].to_numpy()
    decision = np.zeros(len(test), dtype=np.int64)
    for number, part in strategy.validation.groupby("fold"):
        threshold = choose_threshold(part["label"], part["score"], rule, default=strategy.default)
        decision[fold == number] = score[fold == number] >= threshold
    row, label = test["row"].to_numpy(np.int64), test["label"].to_numpy(np.int64)
    return OperatingPoint(rule, row, label, decision, specimens[row])


def operating_points(strategy: Strategy, specimens: np.ndarray) -> dict[str, OperatingPoint]:
    """The four operating points of the book, by rule."""
    return {rule: operating_point(strategy, rule, specimens) for rule in RULES}


def at_prevalence(value: str, prevalence: float) -> Metric:
    """A ``bootstrap.Metric``: a predictive value of decisions (0 or 1), carried over to a prevalence.

    Args:
        value: "positive" or "negative".
        prevalence: share of positive specimens where the test is used, 0 to 1.
    """

    def metric(y: IntArray, score: FloatArray, weight: FloatArray) -> FloatArray:
        counts = confusion(y, score >= 0.5, weight)
        right, other = counts.sensitivity, counts.specificity
        share = prevalence
        if value == "negative":
            right, other, share = other, right, 1 - prevalence
        # Bayes' rule, for all repetitions at once.
        called = right * share + (1 - other) * (1 - share)
        return np.divide(right * share, called, out=np.full(len(weight), np.nan), where=called > 0)

    return metric


def rates_table(points: Sequence[OperatingPoint], generator: np.random.Generator) -> pd.DataFrame:
    """Rates of each operating point with 95 % intervals over specimens.

    Args:
        points: as ``operating_points`` makes them.
        generator: where the bootstrap's chance comes from.

    Returns:
        One row a rate of ``RATE_NAMES``, one column a point, as texts "0.91 (0.85 to 0.95)": Wilson's
        interval for clustered images of sensitivity, specificity and accuracy, the bootstrap's of the others.
    """
    table = {"Rate": list(RATE_NAMES.values())}
    for point in points:
        shares = [point.share(name) for name in list(RATE_NAMES)[:3]]
        drawn = [point.drawn(name, generator) for name in list(RATE_NAMES)[3:]]
        table[RULE_NAMES[point.rule]] = [with_interval(found) for found in shares + drawn]
    return pd.DataFrame(table)


def predictive_table(
    points: Sequence[OperatingPoint], prevalences: dict[str, float], generator: np.random.Generator
) -> pd.DataFrame:
    """Predictive values of each operating point at several prevalences, with 95 % intervals over specimens.

    Args:
        points: as ``operating_points`` makes them.
        prevalences: by name, shares of positive specimens, 0 to 1.
        generator: where the bootstrap's chance comes from.

    Returns:
        Two rows a prevalence (positive and negative predictive value), one column a point; an en dash where
        nothing is called so.
    """
    kinds = [
        (f"{title}, {name}", value, prevalence)
        for name, prevalence in prevalences.items()
        for title, value in (("PPV", "positive"), ("NPV", "negative"))
    ]
    table = {"Value, prevalence": [title for title, _, _ in kinds]}
    for point in points:
        table[RULE_NAMES[point.rule]] = [
            with_interval(point.drawn(at_prevalence(value, prevalence), generator))
            if value in point.called
            else "–"
            for _, value, prevalence in kinds
        ]
    return pd.DataFrame(table)


def with_interval(found: Interval) -> str:
    """An estimate with its interval as a table shows it: 0.91 (0.85 to 0.95)."""
    return f"{found.estimate:.2f} ({found.low:.2f} to {found.high:.2f})"
