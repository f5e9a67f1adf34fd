"""Everything a run can be asked about: the test scores of every strategy, under names that claims use.

A strategy's cell, epoch, layer and C are those that were chosen on validation images, and so are the
thresholds behind its decisions: each fold's own, with the highest sensitivity plus specificity on the fold's
validation images.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.evaluation.claims import Result
from hep2lib.evaluation.inference import Interval, auc_interval
from hep2lib.evaluation.metrics import FloatArray
from hep2lib.evaluation.results import aligned, decisions_at_youden
from hep2lib.studies.outcome import Configuration, FineTuningOutcome
from hep2lib.studies.svm_outcome import LayerChoice, SVMOutcome
from hep2lib.studies.svm_study import BLOCKS

BEST_TUNED, BEST_SVM = "fine-tuning", "SVM"
"""Names of the best of each kind, by validation AUC."""

NESTED_TUNED, NESTED_SVM = "fine-tuning, by fold", "SVM, by fold"
"""Names of the strategies that choose anew in each fold, on its own validation images alone."""

EARLY_LAYER, BEST_LATER = "inception_3a-output", "SVM, best later layer"
"""The paper's best layer, and the name of the best by validation AUC of those behind it."""

ROTATED, AS_LONG = "with rotations", "without rotations, as long"
"""Names of the training on rotated copies, and of the same one without, over as many epochs at most."""


@dataclass(frozen=True, eq=False)
class Strategy:
    """One way to call images positive, with what it was chosen on.

    Attributes:
        name: as claims and figures call it.
        choice: what was chosen on validation images, in words.
        validation: scores of every fold's validation images: ``row``, ``fold``, ``label``, ``score``.
        test: scores of every fold's test images, likewise; each image once.
        probabilities: whether scores are P(positive), or margins of an SVM.
    """

    name: str
    choice: str
    validation: pd.DataFrame
    test: pd.DataFrame
    probabilities: bool

    @property
    def default(self) -> float:
        """The threshold of someone who chooses none: even odds."""
        return 0.5 if self.probabilities else 0.0

    def result(self) -> Result:
        """Its test scores and decisions as claims are judged on, rows increasing."""
        _, decision = decisions_at_youden(self.validation, self.test, self.default)
        order = np.argsort(self.test["row"].to_numpy(), kind="stable")
        row, fold = (self.test[name].to_numpy(np.int64)[order] for name in ("row", "fold"))
        score = self.test["score"].to_numpy(np.float64)[order]
        return Result(self.name, row, score, decision[order], fold)

    def one_scale(self, part: str = "test") -> pd.DataFrame:
        """Scores of all folds on one scale, 0 being each fold's threshold (``results.aligned``).

        Args:
            part: "test" or "validation".
        """
        frame = self.test if part == "test" else self.validation
        return aligned(self.validation, frame, self.default, probabilities=self.probabilities)


def tuned(outcome: FineTuningOutcome, choice: Configuration, name: str) -> Strategy:
    """A fine-tuned network as a strategy."""
    return Strategy(name, _words(choice), outcome.scores(choice, "validation"), outcome.scores(choice), True)


def extracted(outcome: SVMOutcome, choice: LayerChoice, name: str) -> Strategy:
    """An SVM on a layer's activations as a strategy."""
    words = f"{choice.layer}, C = {choice.value:.4g}"
    return Strategy(name, words, outcome.scores(choice, "validation"), outcome.scores(choice), False)


def best_tuned(outcome: FineTuningOutcome) -> Configuration:
    """The configuration with the best mean validation AUC, rotated or not; of equals the one without."""
    plain = outcome.best()
    if not _has_rotations(outcome):
        return plain
    rotated = outcome.best(rotated=True)
    return rotated if rotated.validation_auc > plain.validation_auc else plain


def nested_tuned(outcome: FineTuningOutcome) -> Strategy:
    """Fine-tuning where each fold takes the configuration that is best on its own validation images.

    The best of all folds together, which the paper took, lets an image have a say as a validation image of
    one fold in how it is classified as a test image of another. Here no image has.
    """
    chosen = outcome.nested()
    if _has_rotations(outcome):
        pairs = zip(chosen, outcome.nested(rotated=True), strict=True)
        chosen = [b if b.validation_auc > a.validation_auc else a for a, b in pairs]
    words = "; ".join(dict.fromkeys(_words(choice) for choice in chosen))
    validation, test = (outcome.scores(chosen, part) for part in ("validation", "test"))
    return Strategy(NESTED_TUNED, words, validation, test, True)


def nested_extracted(outcome: SVMOutcome) -> Strategy:
    """The SVM where each fold takes the layer and the C that are best on its own validation images."""
    table = outcome.table()
    best = table.loc[table.groupby("fold")["validation_auc"].idxmax()]
    chosen = {row.fold: LayerChoice(row.layer, row.value, row.validation_auc) for row in best.itertuples()}
    parts = [
        pd.concat(
            [outcome.scores(choice, part).query("fold == @fold") for fold, choice in chosen.items()],
            ignore_index=True,
        )
        for part in ("validation", "test")
    ]
    words = "; ".join(dict.fromkeys(f"{one.layer}, C = {one.value:.4g}" for one in chosen.values()))
    return Strategy(NESTED_SVM, words, parts[0], parts[1], False)


def without_rotations(outcome: FineTuningOutcome) -> Configuration:
    """The rotated training's twin: same cell, no rotations, the epoch chosen among as many.

    Rotations cost epochs in a quick profile; compared with a longer training without, they would be blamed
    for what the epochs did.
    """
    rotated = outcome.best(rotated=True)
    means = outcome.means()
    same = _same_cell(means, rotated)
    longest = means.loc[same & (means["rotations"] == rotated.rotations), "epoch"].max()
    twins = means[same & (means["rotations"] == 1) & (means["epoch"] <= longest)]
    top = twins.loc[twins["validation_auc"].idxmax()]
    return replace(rotated, rotations=1, epoch=int(top["epoch"]), validation_auc=float(top["validation_auc"]))


def run_strategies(fine_tuning: FineTuningOutcome, svm: SVMOutcome) -> dict[str, Strategy]:
    """Every strategy of a run by name, the best of each kind first.

    Args:
        fine_tuning: the fine-tuning study.
        svm: the SVM study.

    Returns:
        ``BEST_TUNED``; ``BEST_SVM``; ``NESTED_TUNED``; ``NESTED_SVM``; "freeze D" for each freezing depth D,
        without rotations; ``ROTATED`` and ``AS_LONG``, if there are rotations; "SVM on LAYER" for each
        block's output that was tried (each layer, if none was), with its best C; ``BEST_LATER``, if the
        study has layers behind ``EARLY_LAYER``.
    """
    found = [
        tuned(fine_tuning, best_tuned(fine_tuning), BEST_TUNED),
        extracted(svm, svm.best(), BEST_SVM),
        nested_tuned(fine_tuning),
        nested_extracted(svm),
    ]
    means = fine_tuning.means()
    depths = sorted(means.loc[means["rotations"] == 1, "freeze"].unique())
    found += [tuned(fine_tuning, fine_tuning.best(depth), f"freeze {depth}") for depth in depths]
    if _has_rotations(fine_tuning):
        found.append(tuned(fine_tuning, fine_tuning.best(rotated=True), ROTATED))
        found.append(tuned(fine_tuning, without_rotations(fine_tuning), AS_LONG))
    layers = dict.fromkeys(record["trial"]["layer"] for record in svm.records)
    # Of all 144 layers, those that stand for a depth: one table or figure shows no more.
    shown = [layer for layer in layers if layer in BLOCKS] or list(layers)
    found += [extracted(svm, svm.best(layer), f"SVM on {layer}") for layer in shown]
    later = [svm.best(layer) for layer in layers if LAYERS.index(layer) > LAYERS.index(EARLY_LAYER)]
    if later:
        found.append(extracted(svm, max(later, key=lambda choice: choice.validation_auc), BEST_LATER))
    return {strategy.name: strategy for strategy in found}


def strategy_results(strategies: Iterable[Strategy]) -> list[Result]:
    """What claims are judged on, for each strategy."""
    return [strategy.result() for strategy in strategies]


def result_auc(result: Result, database: pd.DataFrame) -> Interval:
    """Mean of the folds' test AUCs of a result, with its interval over specimens.

    Args:
        result: a strategy's or a baseline's.
        database: `label` and `specimen`, one row an image.
    """
    y = database["label"].to_numpy(dtype=np.int64)[result.row]
    specimen = database["specimen"].to_numpy()[result.row]
    return auc_interval(y, result.score, specimen, fold=result.fold)


def tuned_aucs(outcome: FineTuningOutcome, choice: Configuration) -> FloatArray:
    """Test AUC of every training of a configuration: what another seed, or another fold, gives.

    Args:
        outcome: the fine-tuning study.
        choice: a cell and an epoch.

    Returns:
        Shape (seeds, folds), of the seeds that were trained on every fold; values 0 to 1.
    """
    table = outcome.table()
    same = _same_cell(table, choice) & (table["rotations"] == choice.rotations)
    trained = table[same & (table["epoch"] == choice.epoch) & (table["batchnorm"] == "frozen")]
    return trained.pivot_table(index="seed", columns="fold", values="test_auc").dropna().to_numpy()


def extracted_aucs(outcome: SVMOutcome, choice: LayerChoice) -> FloatArray:
    """Test AUC of each fold for a layer and a value of C, shape (1, folds): an SVM has no seed."""
    table = outcome.table()
    same = (table["layer"] == choice.layer) & (table["value"] == choice.value)
    return table[same].sort_values("fold")["test_auc"].to_numpy()[None]


def _words(choice: Configuration) -> str:
    views = f", {choice.rotations} rotations" if choice.rotations > 1 else ""
    return (
        f"freeze {choice.freeze}{views}, batch size {choice.batch_size}, learning rate "
        f"{choice.learning_rate:g}, epoch {choice.epoch}"
    )


def _has_rotations(outcome: FineTuningOutcome) -> bool:
    return bool((outcome.means()["rotations"] > 1).any())


def _same_cell(table: pd.DataFrame, choice: Configuration) -> npt.NDArray[np.bool_]:
    """Which rows are of the configuration's cell, whatever their rotations and epoch."""
    cell = ("freeze", "batch_size", "learning_rate")
    return np.logical_and.reduce([table[name] == getattr(choice, name) for name in cell])
