"""The SVM study's tables: layer by layer beside the paper, and what other ways to do it change."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.svm import SVC
from torch import Tensor

from hep2lib.data.folds import Fold
from hep2lib.evaluation.inference import compare_auc
from hep2lib.evaluation.results import scored_auc
from hep2lib.studies.svm import PAPER_GRID, gram_matrix, svm_path
from hep2lib.studies.svm_outcome import LayerChoice, SVMOutcome

FIRST = "as above"
WAYS = {
    "fine-tuned": "fine-tuned features",
    "pooled": "pooled features",
    "rotated": "rotated copies",
    "refitted": "refitted",
    "other-reading": "values read as {reading}",
    "early-stopped": "stopped early",
}
"""The parameter ``svm_variants`` in a reader's words."""


def layers_table(
    study: SVMOutcome, database: pd.DataFrame, layers: Sequence[str], paper: tuple[str, float]
) -> pd.DataFrame:
    """Layers with the C that their own validation images prefer, and what that reaches on test images.

    Args:
        study: the SVM study.
        database: the database's table.
        layers: those to show, in order.
        paper: the paper's layer and its AUC.

    Returns:
        ``Layer``, ``C`` (or lambda: the study's value), ``Validation AUC``, ``Test AUC``, ``95 % interval``,
        ``Paper's AUC`` (NaN where it has none).
    """
    rows = []
    for layer in layers:
        choice = study.best(layer)
        found = scored_auc(study.scores(choice), database)
        rows.append(
            {
                "Layer": layer,
                study.reading: choice.value,
                "Validation AUC": choice.validation_auc,
                "Test AUC": found.estimate,
                "95 % interval": f"{found.low:.3f} to {found.high:.3f}",
                "Paper's AUC": paper[1] if layer == paper[0] else np.nan,
            }
        )
    return pd.DataFrame(rows)


def variants_table(
    study: SVMOutcome, variants: Mapping[str, SVMOutcome], database: pd.DataFrame
) -> pd.DataFrame:
    """What each of the ways that the paper leaves open gives, chosen on validation like the study itself.

    Args:
        study: the SVM study.
        variants: other studies by name.
        database: the database's table.

    Returns:
        ``Way``, ``Chosen`` (layer and value), ``Validation AUC``, ``Test AUC``, and ``Difference`` to the
        first row's test AUC with its 95 % interval, paired by image, over specimens ("" in the first row,
        words where both put every fold's images in the same order).
    """
    specimens = database["specimen"].to_numpy()
    first = study.scores(study.best())
    rows = []
    for name, outcome in {FIRST: study, **variants}.items():
        choice = outcome.best()
        scores = outcome.scores(choice)
        both = scores.merge(first, on=["row", "fold", "label"], suffixes=("", "_first"))
        paired = compare_auc(
            both["label"], both["score"], both["score_first"], specimens[both["row"]], fold=both["fold"]
        )
        words = f"{paired.difference:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})"
        ranks = both.groupby("fold")[["score", "score_first"]].rank()
        if (ranks["score"] == ranks["score_first"]).all():
            words = "none: the same ranks"
        rows.append(
            {
                "Way": WAYS.get(name, name).format(reading=outcome.reading),
                "Chosen": f"{choice.layer}, {outcome.reading} = {choice.value:.3g}",
                "Validation AUC": choice.validation_auc,
                "Test AUC": scored_auc(scores, database).estimate,
                "Difference": "" if name == FIRST else words,
            }
        )
    return pd.DataFrame(rows)


def paths_on_an_axis_of_c(outcomes: Sequence[SVMOutcome], choice: LayerChoice) -> dict[str, pd.DataFrame]:
    """A layer's validation AUC along the grid of several studies that read its values as C or as lambda.

    Args:
        outcomes: studies that have the layer.
        choice: its layer is taken.

    Returns:
        By reading: ``value``, ``C`` (1 / (n lambda), n the mean number of training images) and
        ``validation_auc``.
    """
    found = {}
    for outcome in outcomes:
        means = outcome.means().query("layer == @choice.layer")
        found[outcome.reading] = means[["value", "validation_auc"]].assign(
            C=[outcome.as_c(value) for value in means["value"]]
        )
    return found


class Times(NamedTuple):
    """Seconds that the same fits take in two ways.

    Attributes:
        gram: the Gram matrix of all images.
        path: the whole grid on one fold, given the matrix.
        direct: one value of C on one fold, on the features themselves.
        features: number of features.
    """

    gram: float
    path: float
    direct: float
    features: int

    def ratio(self, values: int, folds: int) -> float:
        """How many times as long the direct way would take for all values and folds."""
        return self.direct * values * folds / (self.gram + self.path * folds)


def measured_times(features: Tensor, labels: np.ndarray, fold: Fold) -> Times:
    """Time the way by the Gram matrix, and libsvm on the features themselves, on the same images.

    Args:
        features: N x ..., float32.
        labels: N; 1 is positive.
        fold: rows of the parts.
    """
    rows = features.flatten(1).contiguous()
    start = time.perf_counter()
    gram = gram_matrix(rows)
    given = time.perf_counter()
    svm_path(gram, labels, fold, PAPER_GRID)
    fitted = time.perf_counter()
    train = rows[torch.from_numpy(fold.train)].numpy()
    machine = SVC(kernel="linear", C=PAPER_GRID[15]).fit(train, labels[fold.train])
    machine.decision_function(rows[torch.from_numpy(np.concatenate([fold.validation, fold.test]))].numpy())
    ended = time.perf_counter()
    return Times(given - start, fitted - given, ended - fitted, rows.shape[1])
