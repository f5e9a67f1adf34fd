"""Out-of-fold scores of networks, SVMs and baselines: each image is scored by a model that never saw it.

Configurations, epochs, layers, values of C and thresholds were all chosen on validation images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.evaluation.auc import LEVEL, FloatArray, Interval, ScoreError, auc, auc_interval
from hep2lib.evaluation.calibration import log_odds
from hep2lib.evaluation.decisions import choose_threshold
from hep2lib.studies.outcomes import SEARCHED, Configuration, FineTuningOutcome, LayerChoice, SVMOutcome
from hep2lib.studies.svm_study import BLOCKS


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of every fold's validation and test images, and what was chosen to get them.

    Attributes:
        name: as claims, tables and figures call it.
        choice: what was chosen on validation images, in words.
        validation: columns ``row`` (of the database), ``fold``, ``label`` (0 or 1), ``score`` (higher means
            more positive) and ``specimen``; the folds one after the other.
        test: likewise; each image once.
        probabilities: whether scores are P(positive), or others, such as the margins of an SVM.
    """

    name: str
    choice: str
    validation: pd.DataFrame
    test: pd.DataFrame
    probabilities: bool

    @property
    def default(self) -> float:
        """The threshold of someone who chooses none: 0.5 of a probability, 0 of a margin."""
        return 0.5 if self.probabilities else 0.0

    def by_row(self) -> pd.DataFrame:
        """Test scores in the order of the database's rows."""
        return self.test.sort_values("row", kind="stable", ignore_index=True)

    def decided(self, rule: str = "youden") -> pd.DataFrame:
        """Test scores with a column ``decision``, 0 or 1, by each fold's own threshold (``thresholds``)."""
        called = self.test["score"] >= self.test["fold"].map(self.thresholds(rule))
        return self.test.assign(decision=called.astype(np.int64))

    def one_scale(self, part: str = "test") -> pd.DataFrame:
        """Scores of all folds on one scale, so that one ROC curve can be drawn of them.

        Each fold's scores come from a model of its own, and models need not mean the same by 0.7. They are
        measured from the fold's Youden threshold, in standard deviations of the fold's validation scores,
        probabilities as log odds. Within a fold the order stays, and with it the fold's AUC; 0 is every
        fold's threshold. Test labels have no part in it. ``part`` is "test" or "validation".
        """
        frame = self.test if part == "test" else self.validation
        scores = np.zeros(len(frame))
        thresholds = self.thresholds("youden")
        for fold, validation in self.validation.groupby("fold"):
            inside = (frame["fold"] == fold).to_numpy()
            known, new = validation["score"].to_numpy(), frame["score"].to_numpy()[inside]
            zero = np.array([thresholds[fold]])
            if self.probabilities:
                known, new, zero = log_odds(known), log_odds(new), log_odds(np.clip(zero, 0, 1))
            scores[inside] = (new - zero) / (float(np.std(known)) or 1.0)
        return frame.assign(score=scores)

    def auc(self, level: float = LEVEL) -> Interval:
        """Mean of the folds' test AUCs, with its interval over specimens (``auc.auc_interval``).

        It does not compare scores of two models with each other, as the AUC of all scores at once does.
        """
        test = self.by_row()
        return auc_interval(test["label"], test["score"], test["specimen"], level, fold=test["fold"])

    def fold_aucs(self) -> FloatArray:
        """Test AUC of each fold, shape (folds,); errors as of ``auc.auc``, with the fold."""
        values = []
        for fold, part in self.test.groupby("fold"):
            try:
                values.append(auc(part["label"], part["score"]))
            except ScoreError as error:
                raise ScoreError(f"In fold {fold}: {error}") from None
        return np.array(values)

    def thresholds(self, rule: str = "youden") -> dict[int, float]:
        """Each fold's threshold, from its validation images.

        Args:
            rule: one of ``decisions.RULES``, applied to the fold's validation images.

        Raises:
            ScoreError: an unknown rule, or one label only among a fold's validation images.
        """
        return {
            fold: choose_threshold(part["label"], part["score"], rule, default=self.default)
            for fold, part in self.validation.groupby("fold")
        }


def with_specimens(scores: pd.DataFrame, database: pd.DataFrame) -> pd.DataFrame:
    """Out-of-fold scores (`outcomes.out_of_fold`) with their images' ``specimen``, as `Scores` holds them."""
    specimen = database["specimen"].to_numpy()[scores["row"]]
    return scores.assign(specimen=specimen).reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, smallest, largest and number of several values of one figure."""

    mean: float
    lowest: float
    highest: float
    count: int


def spread(values: npt.ArrayLike) -> Spread:
    """Describe several values of one figure, over folds or over seeds; `ScoreError` for none, or NaN.

    A description, no interval: the folds of one cross-validation share most of their training images, and no
    unbiased variance of their mean exists (Bengio & Grandvalet 2004, J Mach Learn Res 5:1089).
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.all(np.isfinite(numbers)):
        raise ScoreError("A spread needs finite values, one at least; leave out folds without a result.")
    return Spread(float(numbers.mean()), float(numbers.min()), float(numbers.max()), numbers.size)


BEST_TUNED, BEST_SVM = "fine-tuning", "SVM"
"""Names of the best of each kind, by validation AUC."""

NESTED_TUNED, NESTED_SVM = "fine-tuning, by fold", "SVM, by fold"
"""Names of what is chosen anew in each fold, on its own validation images alone.

The best of all folds together, which the paper took, lets an image have a say as a validation image of one
fold in how it is classified as a test image of another.
"""

EARLY_LAYER, BEST_LATER = "inception_3a-output", "SVM, best later layer"
"""The paper's best layer, and the name of the best by validation AUC of those behind it."""

ROTATED = ", with rotations"
"""What follows the name of a depth where its best configuration was trained on rotated copies."""


def tuned(
    outcome: FineTuningOutcome,
    choice: Configuration | Sequence[Configuration],
    database: pd.DataFrame,
    name: str = BEST_TUNED,
) -> Scores:
    """Scores of a fine-tuned network.

    Args:
        outcome: the fine-tuning study.
        choice: one configuration for all folds, or one for each.
        database: its ``specimen`` column says which images belong together.
        name: of the scores.

    Raises:
        OutcomeError: if a fold has no such training, or it ended before that epoch.
    """
    words = [
        f"{training_words(outcome, one)}, batch size {one.batch_size}, learning rate {one.learning_rate:g}, "
        f"epoch {one.epoch}"
        for one in ([choice] if isinstance(choice, Configuration) else choice)
    ]
    parts = [with_specimens(outcome.scores(choice, part), database) for part in ("validation", "test")]
    return Scores(name, "; ".join(dict.fromkeys(words)), parts[0], parts[1], probabilities=True)


def extracted(
    outcome: SVMOutcome,
    choice: LayerChoice | Sequence[LayerChoice],
    database: pd.DataFrame,
    name: str = BEST_SVM,
) -> Scores:
    """Scores of an SVM on a layer's activations; arguments as for ``tuned``."""
    chosen = [choice] if isinstance(choice, LayerChoice) else choice
    words = [f"{one.layer}, {outcome.regularisation} = {one.value:.4g}" for one in chosen]
    parts = [with_specimens(outcome.scores(choice, part), database) for part in ("validation", "test")]
    return Scores(name, "; ".join(dict.fromkeys(words)), parts[0], parts[1], probabilities=False)


def run_strategies(
    fine_tuning: FineTuningOutcome, svm: SVMOutcome, database: pd.DataFrame, *, each_layer: bool = True
) -> dict[str, Scores]:
    """Scores of every strategy of a run by name, the best of each kind first.

    Args:
        fine_tuning: the fine-tuning study.
        svm: the SVM study.
        database: its ``specimen`` column says which images belong together.
        each_layer: whether the SVMs on single layers are asked for too.

    Returns:
        ``BEST_TUNED``; ``BEST_SVM``; ``NESTED_TUNED``; ``NESTED_SVM``; "freeze D" for each freezing depth D,
        without rotations; "freeze D, with rotations" where there are any; "SVM on LAYER" for each block's
        output that was tried (each layer, if none was), with its best C; ``BEST_LATER``, if the study has
        layers behind ``EARLY_LAYER``.
    """
    networks: dict[str, Configuration | Sequence[Configuration]] = {
        BEST_TUNED: fine_tuning.best(rotated=None),
        NESTED_TUNED: fine_tuning.nested(rotated=None),
    }
    networks |= {f"freeze {depth}": fine_tuning.best(depth) for depth in fine_tuning.depths()}
    for depth in fine_tuning.depths(rotated=True):
        networks[f"freeze {depth}{ROTATED}"] = fine_tuning.best(depth, rotated=True)
    machines: dict[str, LayerChoice | Sequence[LayerChoice]]
    machines = {BEST_SVM: svm.best(), NESTED_SVM: svm.nested()}
    # Of all 144 layers, those that stand for a depth: one table or figure shows no more.
    shown = [layer for layer in svm.layers if layer in BLOCKS] or svm.layers
    machines |= {f"SVM on {layer}": svm.best(layer) for layer in shown if each_layer}
    later = [one for one in svm.layers if LAYERS.index(one) > LAYERS.index(EARLY_LAYER)]
    if later:
        machines[BEST_LATER] = svm.best(*later)
    found = {name: tuned(fine_tuning, choice, database, name) for name, choice in networks.items()}
    found |= {name: extracted(svm, choice, database, name) for name, choice in machines.items()}
    first = (BEST_TUNED, BEST_SVM, NESTED_TUNED, NESTED_SVM)
    return {name: found[name] for name in dict.fromkeys([*first, *found])}


def seed_aucs(outcome: FineTuningOutcome, choice: Configuration) -> FloatArray:
    """Test AUC of every training of a configuration: what another seed, or another fold, gives.

    Shape (seeds, folds), of the seeds that were trained on every fold; values 0 to 1.
    """
    table = outcome.table()
    names = [*SEARCHED, "epoch"]
    same = (table[names] == [getattr(choice, name) for name in names]).all(axis=1)
    trained = table[same & (table["batchnorm"] == "frozen")]
    return trained.pivot_table(index="seed", columns="fold", values="test_auc").dropna().to_numpy()


def training_words(outcome: FineTuningOutcome, choice: Configuration) -> str:
    """What was frozen, and which views were trained on: "freeze 11, one of 18 angles an epoch"."""
    shown = outcome.budget(choice.freeze, rotated=choice.rotations > 1)[2]
    return f"freeze {choice.freeze}" + (f", {views(choice.rotations, shown)}" if choice.rotations > 1 else "")


def views(angles: int, shown: int) -> str:
    """In words, at how many of how many angles a training image is seen in an epoch (0: all)."""
    if angles == 1:
        return "never rotated"
    if shown in (0, angles):
        return f"all {angles} angles in every epoch"
    return f"{'one' if shown == 1 else shown} of {angles} angles an epoch"
