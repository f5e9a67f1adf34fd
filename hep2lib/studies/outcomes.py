"""What a study found: its scores as tables, and the choices made on validation images alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from hep2lib.data.folds import Fold
from hep2lib.errors import InputError
from hep2lib.studies.trial import Record

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
        records: one a trial, as ``hep2lib.studies.fine_tuning.fine_tune`` returns them.
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
