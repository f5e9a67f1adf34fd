"""The paper's tables with what a run obtained beside what was printed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hep2lib.evaluation.calibration import log_odds
from hep2lib.evaluation.inference import Interval, auc_interval
from hep2lib.evaluation.metrics import Confusion, confusion
from hep2lib.evaluation.thresholds import choose_threshold
from hep2lib.studies.outcome import Configuration, FineTuningOutcome


def scored_auc(scores: pd.DataFrame, database: pd.DataFrame) -> Interval:
    """Mean of the folds' test AUCs with its interval over specimens.

    Args:
        scores: columns ``row``, ``fold``, ``label``, ``score`` (``hep2lib.studies.outcome.out_of_fold``).
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


def table_3(
    outcome: FineTuningOutcome, database: pd.DataFrame, printed: Mapping[int, float], printed_rotated: float
) -> pd.DataFrame:
    """The paper's Table 3: the best AUC at each freezing depth, and of the best depth with rotations.

    Args:
        outcome: the fine-tuning study.
        database: the database's table.
        printed: the paper's AUC by freezing depth, where it gives one.
        printed_rotated: the paper's AUC with rotations.

    Returns:
        One row a depth, then the rotated one: what was chosen on validation, AUC and interval, the paper's.
    """
    rows = []
    depths = sorted({record["trial"]["freeze"] for record in outcome.records})
    choices = [outcome.best(depth) for depth in depths]
    if any(record["trial"]["rotations"] > 1 for record in outcome.records):
        choices.append(outcome.best(rotated=True))
    for choice in choices:
        found = scored_auc(outcome.scores(choice), database)
        paper = printed_rotated if choice.rotations > 1 else printed.get(choice.freeze)
        rows.append(
            {
                "Training": _name(choice),
                "Batch size, rate, epoch": f"{choice.batch_size}, {choice.learning_rate:g}, {choice.epoch}",
                "Validation AUC": choice.validation_auc,
                "Test AUC": found.estimate,
                "95 % interval": f"{found.low:.3f} to {found.high:.3f}",
                "Paper's AUC": np.nan if paper is None else paper,
            }
        )
    return pd.DataFrame(rows)


def _name(choice: Configuration) -> str:
    rotations = f", x{choice.rotations} rotations" if choice.rotations > 1 else ""
    return f"freeze {choice.freeze}{rotations}"
