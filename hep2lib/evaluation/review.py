"""One decision a specimen from all its fields, and who is sent to a person: a strategy's three zones."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hep2lib.evaluation.specimens import (
    ZoneReport,
    choose_zones,
    disagreement,
    specimen_confusion,
    specimen_decisions,
    zone_report,
)
from hep2lib.evaluation.strategies import Strategy


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
