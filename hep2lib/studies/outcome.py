"""What a study found: its scores as tables, and the choices made on validation images alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hep2lib.data.folds import Fold
from hep2lib.errors import InputError
from hep2lib.studies.store import Record

CELL = ["freeze", "batch_size", "learning_rate", "rotations"]


class OutcomeError(InputError):
    """A study from which nothing can be chosen."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A cell of the fine-tuning grid and an epoch, chosen by mean validation AUC over folds (0 to 1)."""

    freeze: int
    batch_size: int
    learning_rate: float
    rotations: int
    epoch: int
    validation_auc: float


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, 0 to 1, ties counted half.

    The Mann-Whitney form (Hanley and McNeil 1982): a study asks for it thousands of times, and this is many
    times as fast as scikit-learn's, which draws the curve and checks its input each time.

    Args:
        labels: n, 1 is positive; both classes.
        scores: n, finite.
    """
    positive, values = np.asarray(labels) == 1, np.asarray(scores, dtype=float)
    negatives = np.sort(values[~positive])
    below = np.searchsorted(negatives, values[positive], side="left")
    at_most = np.searchsorted(negatives, values[positive], side="right")
    return float((below + at_most).sum() / (2 * positive.sum() * len(negatives)))


def out_of_fold(
    folds: Sequence[Fold], labels: np.ndarray, scores: Sequence[Sequence[float]], part: str
) -> pd.DataFrame:
    """The scores of a part of every fold as one table.

    Args:
        folds: rows of the parts.
        labels: N; 1 is positive.
        scores: for each fold, the scores of the part's images in the fold's order.
        part: "test" or "validation".

    Returns:
        Columns ``row`` (of the database), ``fold``, ``label``, ``score``.
    """
    tables = [
        pd.DataFrame({"row": getattr(fold, part), "fold": number, "score": np.asarray(values, dtype=float)})
        for number, (fold, values) in enumerate(zip(folds, scores, strict=True))
    ]
    table = pd.concat(tables, ignore_index=True)
    table["label"] = np.asarray(labels)[table["row"]]
    return table


def _configuration(ranked: pd.DataFrame) -> Configuration:
    """The first of the ranked cells and epochs."""
    top = ranked.iloc[0]
    return Configuration(
        freeze=int(top["freeze"]),
        batch_size=int(top["batch_size"]),
        learning_rate=float(top["learning_rate"]),
        rotations=int(top["rotations"]),
        epoch=int(top["epoch"]),
        validation_auc=float(top["validation_auc"]),
    )


@dataclass(frozen=True, eq=False)
class FineTuningOutcome:
    """All trials of a fine-tuning study.

    Attributes:
        records: one a trial, as ``hep2lib.studies.finetuning.fine_tune`` returns them.
        labels: N; 1 is positive.
        folds: rows of each fold's parts.
    """

    records: Sequence[Record]
    labels: np.ndarray
    folds: Sequence[Fold]

    def table(self) -> pd.DataFrame:
        """One row a trial and epoch: the cell, fold, seed, batchnorm, epoch, loss, AUCs, seconds."""
        return self._table.copy()

    @cached_property
    def _table(self) -> pd.DataFrame:
        rows = []
        for record in self.records:
            trial = record["trial"]
            fold = self.folds[trial["fold"]]
            for epoch in record["epochs"]:
                rows.append(
                    {name: trial[name] for name in [*CELL, "fold", "seed"]}
                    | {"batchnorm": trial.get("batchnorm", "frozen")}
                    | {"epoch": epoch["epoch"], "loss": epoch["loss"]}
                    | {
                        f"{part}_auc": auc(self.labels[getattr(fold, part)], epoch[part])
                        for part in ("validation", "test")
                    }
                    | {"seconds": record["seconds"]}
                )
        return pd.DataFrame(rows)

    @property
    def seed(self) -> int:
        """The study's own seed, which is the first record's: the only one that anything is chosen by."""
        return int(self.records[0]["trial"]["seed"])

    def means(self) -> pd.DataFrame:
        """Mean over folds for each cell and epoch that every fold has reached, of the study's own seed."""
        table = self._table
        if table.empty:
            raise OutcomeError("fine-tuning: every trial diverged; try smaller learning rates")
        table = table[(table["seed"] == self.seed) & (table["batchnorm"] == "frozen")]
        grouped = table.groupby([*CELL, "epoch"], as_index=False).agg(
            validation_auc=("validation_auc", "mean"),
            test_auc=("test_auc", "mean"),
            test_auc_deviation=("test_auc", "std"),
            loss=("loss", "mean"),
            folds=("fold", "nunique"),
        )
        whole = grouped[grouped["folds"] == len(self.folds)]
        if whole.empty:
            raise OutcomeError(
                "fine-tuning: every configuration diverged in some fold; try smaller learning rates"
            )
        return whole.drop(columns="folds").reset_index(drop=True)

    def best(self, freeze: int | None = None, *, rotated: bool = False) -> Configuration:
        """The configuration with the highest mean validation AUC; of equals, the one that trains for less.

        Args:
            freeze: at this depth only; None for all.
            rotated: among trainings on rotated copies, or among those without.

        Raises:
            OutcomeError: if there is none.
        """
        return _configuration(self._ranked(self.means(), freeze, rotated))

    def nested(self, freeze: int | None = None, *, rotated: bool = False) -> list[Configuration]:
        """For each fold the configuration with the highest AUC on that fold's own validation images.

        The paper chose one configuration for all folds. A choice per fold uses fewer images each time, but no
        image that is tested in one fold has a say, as a validation image of another, in how it is classified.

        Args:
            freeze: at this depth only; None for all.
            rotated: among trainings on rotated copies, or among those without.

        Returns:
            One a fold; ``validation_auc`` is that fold's.
        """
        table = self._table[(self._table["seed"] == self.seed) & (self._table["batchnorm"] == "frozen")]
        return [
            _configuration(self._ranked(table[table["fold"] == fold], freeze, rotated))
            for fold in range(len(self.folds))
        ]

    @staticmethod
    def _ranked(means: pd.DataFrame, freeze: int | None, rotated: bool) -> pd.DataFrame:
        chosen = means[(means["rotations"] > 1) == rotated]
        if freeze is not None:
            chosen = chosen[chosen["freeze"] == freeze]
        if chosen.empty:
            raise OutcomeError(
                f"fine-tuning: no configuration at freeze depth {freeze} "
                f"{'with' if rotated else 'without'} rotations ended on all folds"
            )
        return chosen.sort_values(
            ["validation_auc", "epoch", "freeze", "batch_size"], ascending=[False, True, False, False]
        )

    def trainings(self, configuration: Configuration) -> list[Record]:
        """The records of a configuration's trainings with the study's own seed, in the order of the folds.

        Args:
            configuration: a cell and an epoch.

        Raises:
            OutcomeError: if a fold has no such training, or it ended before that epoch.
        """
        return [self._training(configuration, fold) for fold in range(len(self.folds))]

    def _training(self, configuration: Configuration, fold: int) -> Record:
        wanted = {name: getattr(configuration, name) for name in CELL}
        wanted |= {"fold": fold, "seed": self.seed}
        for record in self.records:
            trial = {"batchnorm": "frozen"} | record["trial"]
            matches = trial["batchnorm"] == "frozen" and wanted.items() <= trial.items()
            if matches and len(record["epochs"]) >= configuration.epoch:
                return record
        raise OutcomeError(f"fine-tuning: no training of {wanted} reached epoch {configuration.epoch}")

    def scores(
        self, configuration: Configuration | Sequence[Configuration], part: str = "test"
    ) -> pd.DataFrame:
        """P(positive) of every fold's test (or validation) images: see ``out_of_fold``.

        Args:
            configuration: one for all folds (``best``), or one for each (``nested``).
            part: "test" or "validation".
        """
        chosen = (
            [configuration] * len(self.folds)
            if isinstance(configuration, Configuration)
            else list(configuration)
        )
        scores = [self._training(one, fold)["epochs"][one.epoch - 1][part] for fold, one in enumerate(chosen)]
        return out_of_fold(self.folds, self.labels, scores, part)

    def seed_results(self) -> pd.DataFrame:
        """Validation AUC of every cell with every seed: of the best epoch, mean of the folds."""
        table = self._table[self._table["batchnorm"] == "frozen"]
        by_epoch = table.groupby([*CELL, "seed", "epoch"])["validation_auc"].agg(["mean", "size"])
        whole = by_epoch[by_epoch["size"] == len(self.folds)]["mean"]
        return whole.groupby([*CELL, "seed"]).max().rename("validation_auc").reset_index()

    def seed_spread(self) -> pd.DataFrame:
        """How much another seed moves each cell that was trained with several.

        Returns:
            One row a cell: the cell, ``seeds``, ``mean``, ``low``, ``high`` and ``spread`` (high - low).
        """
        of_cell = self.seed_results().groupby(CELL)["validation_auc"]
        spread = of_cell.agg(seeds="size", mean="mean", low="min", high="max").reset_index()
        spread["spread"] = spread["high"] - spread["low"]
        return spread[spread["seeds"] > 1].reset_index(drop=True)
