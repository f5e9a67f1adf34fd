"""How much a figure changes with the fold and with the seed, which no interval over specimens tells.

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
from hep2lib.evaluation.auc import FloatArray, IntArray, Interval, ScoreError, auc, auc_interval, check_scores
from hep2lib.evaluation.bootstrap import Metric, at_threshold, bootstrap_interval
from hep2lib.evaluation.calibration import log_odds
from hep2lib.evaluation.decisions import RULES, Confusion, choose_threshold, confusion, share_interval
from hep2lib.studies.outcomes import Configuration, FineTuningOutcome, LayerChoice, SVMOutcome
from hep2lib.studies.svm_study import BLOCKS


@dataclass(frozen=True, slots=True)
class Spread:
    """Several values of one figure.

    Attributes:
        mean: their mean.
        lowest: the smallest.
        highest: the largest.
        count: number of values.
    """

    mean: float
    lowest: float
    highest: float
    count: int


def spread(values: npt.ArrayLike) -> Spread:
    """Describe several values of one figure, over folds or over seeds.

    A description, no interval: the folds of one cross-validation share most of their training images, and no
    unbiased variance of their mean exists (Bengio & Grandvalet 2004, J Mach Learn Res 5:1089).

    Args:
        values: shape (count,), finite, at least one.

    Raises:
        ScoreError: no value, or one that is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.all(np.isfinite(numbers)):
        raise ScoreError(
            "A spread needs a list of finite values, one at least; leave out folds without a result."
        )
    return Spread(float(numbers.mean()), float(numbers.min()), float(numbers.max()), numbers.size)


@dataclass(frozen=True, slots=True)
class FoldAuc:
    """AUC of a cross-validation, both ways of putting its folds together.

    Attributes:
        values: the folds' AUCs in order of their numbers, shape (folds,).
        mean: of the folds' AUCs; only scores of one model are compared with each other.
        pooled: of all out-of-fold scores at once; also compares scores of different models, which may be
            calibrated differently, and is lower where they are.
    """

    values: FloatArray
    mean: float
    pooled: float


def fold_auc(y: npt.ArrayLike, score: npt.ArrayLike, fold: npt.ArrayLike) -> FoldAuc:
    """AUC of each fold, their mean, and pooled.

    Args:
        y: labels, shape (images,), each 0 or 1.
        score: out-of-fold test scores, shape (images,), finite.
        fold: number of the fold in which each image was tested, shape (images,), whole numbers.

    Raises:
        ScoreError: as `metrics.auc`; a fold with one label only, named.
    """
    labels, scores = check_scores(y, score)
    numbers = np.asarray(fold)
    if numbers.shape != labels.shape:
        raise ScoreError(
            f"There are {labels.size} labels and fold numbers of shape {numbers.shape}; give one a label."
        )
    values = []
    for name in np.unique(numbers):
        inside = numbers == name
        try:
            values.append(auc(labels[inside], scores[inside]))
        except ScoreError as error:
            raise ScoreError(f"In fold {name}: {error}") from None
    return FoldAuc(np.array(values), float(np.mean(values)), auc(labels, scores))


def scored_auc(scores: pd.DataFrame, database: pd.DataFrame) -> Interval:
    """Mean of the folds' test AUCs with its interval over specimens.

    Args:
        scores: columns ``row``, ``fold``, ``label``, ``score`` (``hep2lib.studies.outcomes.out_of_fold``).
        database: its ``specimen`` column says which images belong together.
    """
    specimens = database["specimen"].to_numpy()[scores["row"]]
    return auc_interval(scores["label"], scores["score"], specimens, fold=scores["fold"])


def decisions_at_youden(
    validation: pd.DataFrame, test: pd.DataFrame, default: float
) -> tuple[Confusion, np.ndarray]:
    """Decisions on test images at the threshold that is best on each fold's validation images (Youden).

    Args:
        validation: validation scores, columns as for ``scored_auc``.
        test: test scores.
        default: the threshold where validation scores single none out (0.5, or 0 for margins).

    Returns:
        The confusion counts over all test images, and the decisions, one a row of ``test``.
    """
    decisions = np.zeros(len(test), dtype=np.int64)
    for fold, part in validation.groupby("fold"):
        threshold = choose_threshold(part["label"], part["score"], "youden", default=default)
        rows = (test["fold"] == fold).to_numpy()
        decisions[rows] = test["score"].to_numpy()[rows] >= threshold
    return confusion(test["label"], decisions), decisions


def aligned(
    validation: pd.DataFrame, test: pd.DataFrame, default: float, *, probabilities: bool
) -> pd.DataFrame:
    """Test scores of several models on one scale, so that one ROC curve can be drawn of all folds.

    Each fold's scores come from a model of its own, and five models need not mean the same by 0.7. They are
    measured from the fold's own threshold (the best on its validation images) in standard deviations of its
    validation scores, probabilities as log odds. Within a fold the order stays, and with it the fold's AUC;
    0 is every fold's threshold. Test labels have no part in it.

    Args:
        validation: validation scores, columns as for ``scored_auc``.
        test: test scores.
        default: the threshold where validation scores single none out (0.5, or 0 for margins).
        probabilities: whether scores are probabilities, or margins.

    Returns:
        ``test`` with other scores.
    """
    scores = np.zeros(len(test))
    for fold, part in validation.groupby("fold"):
        threshold = choose_threshold(part["label"], part["score"], "youden", default=default)
        rows = (test["fold"] == fold).to_numpy()
        known, new = part["score"].to_numpy(), test["score"].to_numpy()[rows]
        zero = np.array([threshold])
        if probabilities:
            known, new, zero = log_odds(known), log_odds(new), log_odds(np.clip(zero, 0, 1))
        scores[rows] = (new - zero) / (float(np.std(known)) or 1.0)
    return test.assign(score=scores)


BEST_TUNED, BEST_SVM = "fine-tuning", "SVM"
"""Names of the best of each kind, by validation AUC."""


NESTED_TUNED, NESTED_SVM = "fine-tuning, by fold", "SVM, by fold"
"""Names of the strategies that choose anew in each fold, on its own validation images alone."""


EARLY_LAYER, BEST_LATER = "inception_3a-output", "SVM, best later layer"
"""The paper's best layer, and the name of the best by validation AUC of those behind it."""


ROTATED, AS_LONG = "with rotations", "without rotations, as long"
"""Names of the training on rotated copies, and of the same one without, over as many epochs at most."""


@dataclass(frozen=True, slots=True)
class Result:
    """Out-of-fold test scores of one strategy, for some or all rows of the database.

    Attributes:
        name: as claims call it.
        row: rows of the database that were tested, shape (images,), increasing.
        score: shape (images,); higher means more positive.
        decision: 1 or 0 at a threshold chosen on validation, shape (images,); None if there is none.
        fold: number of the fold that tested the row, shape (images,); None if unknown.
    """

    name: str
    row: IntArray
    score: FloatArray
    decision: IntArray | None = None
    fold: IntArray | None = None


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


RULE_NAMES: dict[str, str] = {
    "default": "even odds",
    "youden": "highest sum",
    "sensitivity": "sensitivity 95 %",
    "specificity": "specificity 95 %",
}
"""The four rules in the words of tables; what they promise, they promise on validation images."""


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
