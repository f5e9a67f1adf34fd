"""What a study found: its scores as tables, and the choices made on validation images alone.

Every choice takes the highest validation AUC. On few images hundreds of candidates put both classes in order,
and to take the first of them would let the order of a list decide. Of equals, the one with the lowest mean of
the loss that it was trained by is taken, on the same scores of the same validation images: an SVM's hinge
loss, whose unit is its own margin, so that layers and values of C are comparable; a network's log loss. How
many were equal is kept with the choice.

What cannot be chosen or shown, for want of trainings that ended or of records, raises `OutcomeError`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from inspect import signature
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from hep2lib.data.folds import Fold
from hep2lib.errors import InputError
from hep2lib.ranking import auc
from hep2lib.studies.trial import Record

SEARCHED = ["freeze", "batch_size", "learning_rate", "rotations"]
"""What a fine-tuning configuration consists of, besides its epoch."""

_MEANS = {
    "validation_auc": ("validation_auc", "mean"),
    "validation_loss": ("validation_loss", "mean"),
    "test_auc": ("test_auc", "mean"),
    "test_auc_deviation": ("test_auc", "std"),
}


Choice = TypeVar("Choice")
Losses = Callable[
    [np.ndarray, np.ndarray], np.ndarray
]  # which images are positive, their scores -> each one's


class OutcomeError(InputError):
    """A study from which nothing can be chosen."""


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
        Columns ``row`` (of the database), ``fold`` (from 0), ``label``, ``score``.
    """
    tables = [
        pd.DataFrame({"row": getattr(fold, part), "fold": number, "score": np.asarray(values, dtype=float)})
        for number, (fold, values) in enumerate(zip(folds, scores, strict=True))
    ]
    table = pd.concat(tables, ignore_index=True)
    table["label"] = np.asarray(labels)[table["row"]]
    return table


def _hinge_losses(positive: np.ndarray, margins: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.where(positive, margins, -margins))


def log_losses(positive: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Each image's log loss in nats, at most 16: from whether it is positive, and P(positive)."""
    right = np.where(positive, probabilities, 1 - probabilities)
    return -np.log(np.clip(right, np.finfo(np.float32).eps, 1))  # a softmax in single precision rounds to 0


@dataclass(frozen=True, eq=False)
class Outcome(ABC):
    """All trials of a study."""

    records: Sequence[Record]  # one a trial, as ``fine_tune`` or ``fit_path`` of the studies return them
    labels: np.ndarray  # N; 1 is positive
    folds: Sequence[Fold]
    known: pd.DataFrame | None = None  # ``table``, where the records hold no longer all that it follows from

    def table(self) -> pd.DataFrame:
        """One row a result: what it is of, ``fold``, ``validation_auc``, ``test_auc`` and more of each study.

        ``validation_loss`` is the mean over the fold's validation images, 0 or more: of the hinge loss
        max(0, 1 - margin) of an SVM, of a network's log loss in nats.
        Fine-tuning: a row a trial and epoch, with the configuration, seed, batchnorm, epoch, loss, seconds.
        SVM: a row a layer, fold and value of C.
        """
        return self._table.copy()

    @cached_property
    def _table(self) -> pd.DataFrame:
        if self.known is not None:
            return self.known
        rows = [table for record in self.records if len(table := self._rows(record))]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()

    @abstractmethod
    def _rows(self, record: Record) -> pd.DataFrame:
        """A trial's part of the table."""

    def _each(self, choice: Choice | Sequence[Choice]) -> Sequence[Choice]:
        """One choice a fold, where one is given for all."""
        return choice if isinstance(choice, Sequence) else [choice] * len(self.folds)

    def _judged(self, record: Record, scores: dict[str, Any], losses: Losses) -> dict[str, Any]:
        """Areas of both parts, and the mean validation loss, from the scores of a trial's fold."""
        fold = self.folds[record["trial"]["fold"]]
        areas = {
            f"{part}_auc": auc(self.labels[getattr(fold, part)], scores[part])
            for part in ("validation", "test")
        }
        own = losses(self.labels[fold.validation] == 1, np.asarray(scores["validation"]))
        return areas | {"validation_loss": own.mean(axis=-1)}


def _first(table: pd.DataFrame, kind: Callable[..., Choice], order: dict[str, bool]) -> Choice:
    """The row of the highest validation AUC; of equals the lowest loss, then as ``order`` sorts (ascending).

    Both are rounded: the last digits of a mean depend on the folds' order, those of a loss on the solver.
    """
    rounded = table.round({"validation_auc": 9, "validation_loss": 6})
    names = ["validation_auc", "validation_loss", *order]
    top = rounded.sort_values(names, ascending=[False, True, *order.values()]).index[0]
    tied = int((rounded["validation_auc"] == rounded["validation_auc"].max()).sum())
    row = table.loc[[top]].to_dict("records")[0] | {"tied": tied}
    return kind(**{name: row[name] for name in signature(kind).parameters})


@dataclass(frozen=True, slots=True)
class Configuration:
    """A point of the fine-tuning search with an epoch, chosen on validation images."""

    freeze: int  # freeze depth, 0 to 144
    batch_size: int  # images a mini-batch
    learning_rate: float
    rotations: int  # views of each training image; 1: none is rotated
    epoch: int  # 1 or more
    validation_auc: float  # mean over folds (``best``) or one fold's own (``nested``), 0 to 1
    validation_loss: float  # log loss in nats, likewise
    tied: int  # number of candidates with that AUC, itself included


class FineTuningOutcome(Outcome):
    """All trainings of a fine-tuning study."""

    def _rows(self, record: Record) -> pd.DataFrame:
        trial = record["trial"]
        about = {name: trial[name] for name in [*SEARCHED, "fold", "seed"]}
        about["batchnorm"] = trial.get("batchnorm", "frozen")
        return pd.DataFrame(
            about
            | {"epoch": epoch["epoch"], "loss": epoch["loss"]}
            | self._judged(record, epoch, log_losses)
            | {"seconds": record["seconds"]}
            for epoch in record["epochs"]
        )

    @property
    def seed(self) -> int:
        """The study's own seed, which is the first record's: the only one that anything is chosen by."""
        return int(self.records[0]["trial"]["seed"])

    @property
    def _own(self) -> pd.DataFrame:
        """The rows that a choice may rest on: the study's own seed, normalisation frozen."""
        if self._table.empty:
            raise OutcomeError("fine-tuning: every trial diverged; try smaller learning rates")
        return self._table[(self._table["seed"] == self.seed) & (self._table["batchnorm"] == "frozen")]

    def means(self) -> pd.DataFrame:
        """Mean over folds for each configuration that every fold has reached, with the study's own seed.

        Columns ``freeze``, ``batch_size``, ``learning_rate``, ``rotations``, ``epoch``, ``validation_auc``,
        ``validation_loss``, ``test_auc``, ``test_auc_deviation`` (the folds' standard deviation, k - 1) and
        ``loss``.
        """
        grouped = self._own.groupby([*SEARCHED, "epoch"], as_index=False).agg(
            **_MEANS, loss=("loss", "mean"), folds=("fold", "nunique")
        )
        whole = grouped[grouped["folds"] == len(self.folds)]
        if whole.empty:
            raise OutcomeError(
                "fine-tuning: every configuration diverged in some fold; try smaller learning rates"
            )
        return whole.drop(columns="folds").reset_index(drop=True)

    def depths(self, *, rotated: bool = False) -> list[int]:
        """Freezing depths, in ascending order, at which some configuration ended on all folds.

        By its trainings on ``rotated`` copies, or by those without.
        """
        means = self.means()
        return sorted(means.loc[(means["rotations"] > 1) == rotated, "freeze"].unique().tolist())

    def budget(self, freeze: int | None = None, *, rotated: bool | None = False) -> tuple[int, int, int]:
        """What was allowed: number of configurations searched, most epochs, most views of an image an epoch.

        A configuration that is trained with rotations was searched without them, so it counts once. Arguments
        are those of ``best``.
        """
        tried = [r["trial"] for r in self.records if freeze is None or r["trial"]["freeze"] == freeze]
        counted = {tuple(trial[name] for name in SEARCHED[:-1]) for trial in tried}
        mine = [trial for trial in tried if rotated is None or (trial["rotations"] > 1) == rotated]
        views = (min(one.get("views_per_epoch") or one["rotations"], one["rotations"]) for one in mine)
        return len(counted), max(trial["epochs"] for trial in mine), max(views)

    def best(self, freeze: int | None = None, *, rotated: bool | None = False) -> Configuration:
        """The configuration with the highest mean validation AUC; of equals the one with the lowest log loss.

        Args:
            freeze: at this depth only; None for all.
            rotated: among trainings on rotated copies, or among those without; None: among all.
        """
        return self.choose(self.means(), freeze, rotated)

    def nested(self, freeze: int | None = None, *, rotated: bool | None = False) -> list[Configuration]:
        """For each fold the configuration with the highest AUC on that fold's own validation images.

        The paper chose one configuration for all folds. A choice per fold uses fewer images each time, but no
        image that is tested in one fold has a say, as a validation image of another, in how it is classified.
        Arguments are those of ``best``; ``validation_auc`` is that fold's.
        """
        own = self._own
        return [self.choose(own[own["fold"] == f], freeze, rotated) for f in range(len(self.folds))]

    @staticmethod
    def choose(table: pd.DataFrame, freeze: int | None = None, rotated: bool | None = None) -> Configuration:
        """``best`` among rows of ``means``, or of one fold in ``table``; at last, what trains for less."""
        chosen = table if rotated is None else table[(table["rotations"] > 1) == rotated]
        if freeze is not None:
            chosen = chosen[chosen["freeze"] == freeze]
        if chosen.empty:
            raise OutcomeError(
                f"fine-tuning: no configuration at freeze depth {freeze} "
                f"{'with' if rotated else 'without'} rotations ended on all folds"
            )
        cheapest = {"rotations": True, "epoch": True, "freeze": False, "batch_size": False}
        return _first(chosen, Configuration, cheapest)

    def trainings(self, configuration: Configuration) -> list[Record]:
        """The records of a configuration's trainings with the study's own seed, in the order of the folds."""
        return [self._training(configuration, fold) for fold in range(len(self.folds))]

    def _training(self, configuration: Configuration, fold: int) -> Record:
        values = asdict(configuration)
        wanted = {name: values[name] for name in SEARCHED} | {"fold": fold, "seed": self.seed}
        for record in self.records:
            trial = {"batchnorm": "frozen"} | record["trial"]
            matches = trial["batchnorm"] == "frozen" and wanted.items() <= trial.items()
            if matches and len(record["epochs"]) >= configuration.epoch:
                return record
        raise OutcomeError(f"fine-tuning: no training of {wanted} reached epoch {configuration.epoch}")

    def scores(
        self, configuration: Configuration | Sequence[Configuration], part: str = "test"
    ) -> pd.DataFrame:
        """P(positive) of every fold's test (or validation) images, 0 to 1: see ``out_of_fold``.

        Args:
            configuration: one for all folds (``best``), or one for each (``nested``).
            part: "test" or "validation".
        """
        chosen = enumerate(self._each(configuration))
        scores = [self._training(c, fold)["epochs"][c.epoch - 1][part] for fold, c in chosen]
        return out_of_fold(self.folds, self.labels, scores, part)

    def seed_results(self) -> pd.DataFrame:
        """Validation AUC of every configuration with every seed: of the best epoch, mean of the folds."""
        table = self._table[self._table["batchnorm"] == "frozen"]
        by_epoch = table.groupby([*SEARCHED, "seed", "epoch"])["validation_auc"].agg(["mean", "size"])
        whole = by_epoch[by_epoch["size"] == len(self.folds)]["mean"]
        return whole.groupby([*SEARCHED, "seed"]).max().rename("validation_auc").reset_index()

    def seed_spread(self) -> pd.DataFrame:
        """How much another seed moves each configuration that was trained with several, one a row.

        Columns: what was searched, ``seeds``, ``mean``, ``low``, ``high`` and ``spread`` (high - low).
        """
        grouped = self.seed_results().groupby(SEARCHED)["validation_auc"]
        spread = grouped.agg(seeds="size", mean="mean", low="min", high="max").reset_index()
        spread["spread"] = spread["high"] - spread["low"]
        return spread[spread["seeds"] > 1].reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """A layer and a value of C, chosen on validation images."""

    layer: str  # MATLAB's name
    value: float  # of the grid: C or lambda, see ``SVMOutcome.regularisation``
    validation_auc: float  # mean over folds (``best``) or one fold's own (``nested``), 0 to 1
    validation_loss: float  # hinge loss, likewise
    tied: int  # number of candidates with that AUC, itself included


class SVMOutcome(Outcome):
    """All paths of an SVM study: one record a layer and fold."""

    def _rows(self, record: Record) -> pd.DataFrame:
        trial = record["trial"]
        about = {"layer": trial["layer"], "fold": trial["fold"], "value": trial["values"]}
        return pd.DataFrame(about | self._judged(record, record, _hinge_losses))

    @property
    def layers(self) -> list[str]:
        """Names of the layers, in the study's order."""
        return list(dict.fromkeys(record["trial"]["layer"] for record in self.records))

    @property
    def regularisation(self) -> str:
        """What the grid's values are: "C" or "lambda"."""
        return self.records[0]["trial"].get("regularisation", "C")

    def as_c(self, value: float) -> float:
        """A value of the grid as C: 1 / (n lambda) for a lambda, n being the folds' mean training images."""
        count = float(np.mean([len(fold.train) for fold in self.folds]))
        return value if self.regularisation == "C" else 1 / (count * value)

    @property
    def fits(self) -> int:
        """Number of machines: layers x folds x values."""
        return sum(len(record["trial"]["values"]) for record in self.records)

    @property
    def seconds(self) -> float:
        """Seconds spent fitting, of one core, without the activations and Gram matrices."""
        return sum(record["seconds"] for record in self.records)

    @property
    def gap(self) -> float:
        """How far from its optimum any SVM can be at most, as a share of the objective."""
        return max(record["gap"] for record in self.records if record["gap"] is not None)

    def means(self) -> pd.DataFrame:
        """Mean over folds for each layer, in the study's order, and value of the grid.

        Columns ``layer``, ``value``, ``validation_auc``, ``validation_loss``, ``test_auc`` and
        ``test_auc_deviation`` (the folds' standard deviation, k - 1).
        """
        return self._means.copy()

    @cached_property
    def _means(self) -> pd.DataFrame:
        return self._table.groupby(["layer", "value"], as_index=False, sort=False).agg(**_MEANS)

    def best(self, *layers: str) -> LayerChoice:
        """The layer, among ``layers`` if any are named, and value with the highest mean validation AUC.

        Of equals, those with the lowest mean hinge loss on the same images; of equals again, the value that
        punishes large weights most (the smallest C, or the largest lambda), then the earliest layer.
        """
        means = self._means[self._means["layer"].isin(layers or self.layers)]
        if means.empty:
            raise OutcomeError(f"SVM: no trial on layer {' or '.join(map(repr, layers))}")
        return self._choose(means)

    def nested(self) -> list[LayerChoice]:
        """For each fold the ``best`` layer and value on its own validation images."""
        return [self._choose(self._table[self._table["fold"] == f]) for f in range(len(self.folds))]

    def _choose(self, table: pd.DataFrame) -> LayerChoice:
        return _first(table, LayerChoice, {"value": self.regularisation == "C"})

    def along_the_network(self) -> pd.DataFrame:
        """Each layer with the value that its own validation images prefer: one row a layer and fold.

        Columns ``layer`` (in the study's order), ``fold``, ``value``, ``validation_auc``, ``test_auc``.
        """
        preferred = {layer: self.best(layer).value for layer in self.layers}
        chosen = self._table["value"] == self._table["layer"].map(preferred)
        return self._table[chosen].reset_index(drop=True)

    def scores(self, choice: LayerChoice | Sequence[LayerChoice], part: str = "test") -> pd.DataFrame:
        """Margins of every fold's test (or validation) images: see ``FineTuningOutcome.scores``.

        The records need not hold those of every value where ``table`` is known.
        """
        records = {(one["trial"]["layer"], one["trial"]["fold"]): one for one in self.records}
        scores = []
        for fold, one in enumerate(self._each(choice)):
            record = records[one.layer, fold]
            scores.append(record[part][record["trial"]["values"].index(one.value)])
            if scores[-1] is None:
                which = f"{one.layer} with {self.regularisation} = {one.value:.4g}"
                only = "only of what validation prefers; a run of its own has all"
                raise OutcomeError(f"SVM: the records of this run hold no scores of {which}, {only}")
        return out_of_fold(self.folds, self.labels, scores, part)
