"""What the SVM study found: its scores as tables, and the layer and C chosen on validation images alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from hep2lib.data.folds import Fold
from hep2lib.studies.outcome import OutcomeError, out_of_fold
from hep2lib.studies.store import Record


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """A layer and a value of C, chosen by mean validation AUC over folds (0 to 1)."""

    layer: str
    value: float
    validation_auc: float


def auc_of_rows(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Area under the ROC curve of each row of scores, 0 to 1, ties counted half: see ``outcome.auc``.

    Args:
        labels: n, 1 is positive; both classes.
        scores: m x n, finite.

    Returns:
        m areas.
    """
    positive = np.asarray(labels) == 1
    count = int(positive.sum())
    ranks = rankdata(np.asarray(scores, dtype=float), axis=1)
    above = ranks[:, positive].sum(axis=1) - count * (count + 1) / 2
    return above / (count * (len(positive) - count))


@dataclass(frozen=True, eq=False)
class SVMOutcome:
    """All trials of an SVM study.

    Attributes:
        records: one a layer and fold, as ``hep2lib.studies.svm_study.fit_path`` returns them.
        labels: N; 1 is positive.
        folds: rows of each fold's parts.
    """

    records: Sequence[Record]
    labels: np.ndarray
    folds: Sequence[Fold]

    def table(self) -> pd.DataFrame:
        """One row a layer, fold and value of C: validation_auc, test_auc."""
        return self._table.copy()

    @cached_property
    def _table(self) -> pd.DataFrame:
        tables = []
        for record in self.records:
            trial = record["trial"]
            fold = self.folds[trial["fold"]]
            aucs = {
                f"{part}_auc": auc_of_rows(self.labels[getattr(fold, part)], record[part])
                for part in ("validation", "test")
            }
            about = {"layer": trial["layer"], "fold": trial["fold"], "value": trial["values"]}
            tables.append(pd.DataFrame(about | aucs))
        return pd.concat(tables, ignore_index=True)

    @property
    def layers(self) -> list[str]:
        """Names of the layers, in the study's order."""
        return list(dict.fromkeys(record["trial"]["layer"] for record in self.records))

    @property
    def reading(self) -> str:
        """What the grid's values are: "C" or "lambda"."""
        return self.records[0]["trial"].get("reading", "C")

    def as_c(self, value: float) -> float:
        """A value of the grid as C: 1 / (n lambda) for a lambda, n being the folds' mean training images."""
        count = float(np.mean([len(fold.train) for fold in self.folds]))
        return value if self.reading == "C" else 1 / (count * value)

    @property
    def fits(self) -> int:
        """Number of machines: layers x folds x values."""
        return sum(len(record["trial"]["values"]) for record in self.records)

    @property
    def seconds(self) -> float:
        """Time spent fitting, of one core, without the activations and Gram matrices."""
        return sum(record["seconds"] for record in self.records)

    @property
    def gap(self) -> float:
        """How far from its optimum any machine can be at most, as a share of the objective."""
        return max(record["gap"] for record in self.records if record["gap"] is not None)

    @cached_property
    def _of_layer(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record["trial"]["layer"], []).append(record)
        return found

    def means(self) -> pd.DataFrame:
        """Mean over folds for each layer, in the study's order, and value of C."""
        return self._means.copy()

    @cached_property
    def _means(self) -> pd.DataFrame:
        return self._table.groupby(["layer", "value"], as_index=False, sort=False).agg(
            validation_auc=("validation_auc", "mean"),
            test_auc=("test_auc", "mean"),
            test_auc_deviation=("test_auc", "std"),
        )

    def best(self, layer: str | None = None) -> LayerChoice:
        """The layer and value with the highest mean validation AUC.

        Of equals, the earliest layer, and the value that punishes large weights most: the smallest C, or the
        largest lambda.
        """
        means = self._means
        if layer is not None:
            means = means[means["layer"] == layer]
        if means.empty:
            raise OutcomeError(f"SVM: no trial on layer {layer!r}")
        top = means[means["validation_auc"] == means["validation_auc"].max()]
        top = top[top["layer"] == top["layer"].iloc[0]]
        value = top["value"].min() if self.reading == "C" else top["value"].max()
        return LayerChoice(top["layer"].iloc[0], float(value), float(top["validation_auc"].iloc[0]))

    def along_the_network(self) -> pd.DataFrame:
        """Each layer with the value that its own validation images prefer: one row a layer and fold.

        Columns ``layer`` (in the study's order), ``fold``, ``value``, ``validation_auc``, ``test_auc``.
        """
        preferred = {layer: self.best(layer).value for layer in self.layers}
        chosen = self._table["value"] == self._table["layer"].map(preferred)
        return self._table[chosen].reset_index(drop=True)

    def scores(self, choice: LayerChoice, part: str = "test") -> pd.DataFrame:
        """Margins of every fold's test (or validation) images: see ``outcome.out_of_fold``."""
        by_fold = {
            record["trial"]["fold"]: record[part][record["trial"]["values"].index(choice.value)]
            for record in self._of_layer[choice.layer]
        }
        return out_of_fold(self.folds, self.labels, [by_fold[f] for f in range(len(self.folds))], part)
