"""The fine-tuning study's tables: where each choice comes from, how to choose, what it cost."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hep2lib.evaluation.results import scored_auc
from hep2lib.studies.floor import training_operations
from hep2lib.studies.outcome import FineTuningOutcome
from hep2lib.studies.trial import choices, read_trial

#: Names for a reader of what a trial's fields are called in the code.
NAMES = {
    "freeze": "frozen layers",
    "batch_size": "mini-batch size",
    "learning_rate": "learning rate",
    "epochs": "epochs",
    "fold": "fold",
    "seed": "seed",
    "momentum": "momentum",
    "l2": "weight decay of weights",
    "bias_rate_factor": "learning rate of biases, relative",
    "head_rate_factor": "learning rate of the classifier, relative",
    "class_weights": "class weights",
    "shuffle": "order drawn anew",
    "last_batch": "incomplete last mini-batch",
    "precision": "arithmetic",
    "activations": "frozen layers' values kept as",
    "rotations": "rotated views",
    "views_per_epoch": "views shown in an epoch",
    "batchnorm": "batch normalisation of frozen layers",
}


def choices_table(used: Mapping[str, object]) -> pd.DataFrame:
    """Every choice that a training consists of, with its source and how sure it is that the paper made it.

    Args:
        used: this run's values by field, where they are not the defaults.

    Returns:
        One row a choice, the searched ones first.
    """
    rows = []
    for one in choices():
        default = one["default"]
        value = used.get(one["field"], "searched" if default is None else default)
        rows.append(
            {
                "Choice": NAMES[one["field"]],
                "Here": f"{value:g}" if isinstance(value, float) else str(value),
                "Source": one["source"],
                "Source was read": one["read"],
                "The paper did so": one["used"],
            }
        )
    return pd.DataFrame(rows)


def selection_table(study: FineTuningOutcome, database: pd.DataFrame) -> pd.DataFrame:
    """Test AUC of one configuration for all folds, and of one chosen for each fold alone, at each depth.

    Args:
        study: the fine-tuning study.
        database: its ``specimen`` column says which images belong together.
    """
    depths = sorted(study.means()["freeze"].unique())
    rows = []
    for depth in [*depths, None]:
        one, each = study.best(depth), study.nested(depth)
        aucs = [scored_auc(study.scores(chosen), database) for chosen in (one, each)]
        found = [f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})" for found in aucs]
        rows.append(
            {
                "Frozen layers": "any" if depth is None else str(depth),
                "One for all folds": found[0],
                "One for each fold": found[1],
                "Different ones": len({(c.freeze, c.batch_size, c.learning_rate, c.epoch) for c in each}),
            }
        )
    return pd.DataFrame(rows)


def rotation_table(study: FineTuningOutcome) -> pd.DataFrame:
    """The best configuration without rotations and with them, both trained for as many epochs.

    Returns:
        One row, or two where rotations were tried: the best epoch on validation, and both AUCs there.
    """
    means, best = study.means(), study.best()
    cell = (means["freeze"] == best.freeze) & (means["batch_size"] == best.batch_size)
    mine = means[cell & (means["learning_rate"] == best.learning_rate)]
    rotated = mine[mine["rotations"] > 1]
    longest = rotated["epoch"].max() if len(rotated) else mine["epoch"].max()
    rows = []
    for views, part in mine[mine["epoch"] <= longest].groupby("rotations"):
        top = part.loc[part["validation_auc"].idxmax()]
        rows.append(
            {
                "Views": int(views),
                "Epoch": int(top["epoch"]),
                "Validation AUC": top["validation_auc"],
                "Test AUC": top["test_auc"],
            }
        )
    return pd.DataFrame(rows)


def cost_table(study: FineTuningOutcome, rate: float, *, variant: str, size: int) -> pd.DataFrame:
    """Seconds of a training at each depth beside what its multiplications alone would take.

    Trainings on rotated views have no floor here: part of their views may be computed as they are drawn.

    Args:
        study: the fine-tuning study.
        rate: floating-point operations a second of one core (``hep2lib.studies.floor.best_rate``).
        variant: of the network.
        size: side of an image, pixels.
    """
    rows = []
    for record in study.records:
        trial = read_trial(record["trial"])
        operations = training_operations(trial, study.folds[trial.fold], variant=variant, size=size)
        rows.append((trial.freeze, trial.rotations, record["seconds"], operations / rate))
    frame = pd.DataFrame(rows, columns=["freeze", "views", "seconds", "floor"])
    grouped = frame.groupby(["freeze", "views"], as_index=False).agg(
        count=("seconds", "size"), each=("seconds", "mean"), floor=("floor", "mean"), total=("seconds", "sum")
    )
    grouped.loc[grouped["views"] > 1, "floor"] = np.nan
    grouped["share"] = grouped["floor"] / grouped["each"]
    columns = {
        "freeze": "Frozen layers",
        "views": "Views",
        "count": "Trainings",
        "total": "In all, s",
        "each": "Each, s",
        "floor": "Floor, s",
        "share": "Floor's share",
    }
    return grouped[list(columns)].rename(columns=columns)
