"""One strategy against each of the others on the same images, corrected for the number of comparisons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hep2lib.evaluation.bootstrap import bootstrap_p, weighted_auc
from hep2lib.evaluation.claims import Result
from hep2lib.evaluation.inference import compare_auc, holm
from hep2lib.evaluation.metrics import ScoreError


def against_each(
    first: Result,
    others: Sequence[Result],
    database: pd.DataFrame,
    *,
    generator: np.random.Generator,
    repetitions: int = 2000,
) -> pd.DataFrame:
    """Differences of the AUC (mean of the folds) between one result and each of the others.

    Three p values of the same difference: DeLong's, which takes images for independent and is therefore too
    small where a specimen has several; Obuchowski's, which does not; and that of drawn specimens, which needs
    no formula. Holm's correction is of the second, over all comparisons of the table.

    Args:
        first: the result that is compared.
        others: what it is compared with, each tested on the same rows in the same folds.
        database: `label` and `specimen`, one row an image.
        generator: where the bootstrap's chance comes from.
        repetitions: of the bootstrap.

    Returns:
        One row a comparison: ``against``, ``difference`` (first minus other), ``low``, ``high`` (95 %
        interval over specimens, each for itself), ``p_images``, ``p_specimens``, ``p_drawn``, ``p_holm``,
        ``specimens``.

    Raises:
        ScoreError: as `inference.compare_auc`; rows or folds that differ.
    """
    y = database["label"].to_numpy(dtype=np.int64)[first.row]
    specimen = database["specimen"].to_numpy()[first.row]
    rows = []
    for other in others:
        same = np.array_equal(first.row, other.row)
        if first.fold is not None and other.fold is not None:
            same = same and np.array_equal(first.fold, other.fold)
        if not same:
            raise ScoreError(
                f"{first.name!r} and {other.name!r} were not tested on the same images and folds."
            )
        scores = (first.score, other.score)
        fold = None if other.fold is None else first.fold
        aware = compare_auc(y, *scores, specimen, fold=fold)
        naive = compare_auc(y, *scores, None, fold=fold)
        drawn = bootstrap_p(
            weighted_auc, y, *scores, specimen, generator=generator, repetitions=repetitions, fold=fold
        )
        rows.append(
            {
                "against": other.name,
                "difference": aware.difference,
                "low": aware.low,
                "high": aware.high,
                "p_images": naive.p,
                "p_specimens": aware.p,
                "p_drawn": drawn,
                "specimens": aware.specimens,
            }
        )
    table = pd.DataFrame(rows)
    table.insert(7, "p_holm", holm(table["p_specimens"]))
    return table


def comparison_table(found: pd.DataFrame) -> pd.DataFrame:
    """What `against_each` found, as a reader's table: differences in points, p values as texts.

    Args:
        found: what `against_each` returned.
    """
    ends = [
        f"{100 * low:+.1f} to {100 * high:+.1f}"
        for low, high in zip(found["low"], found["high"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "Fine-tuning against": found["against"],
            "Points": [f"{100 * value:+.1f}".replace("-", "−") for value in found["difference"]],
            "95 % interval": [text.replace("-", "−") for text in ends],
        }
    )
    names = {"p_images": "images", "p_specimens": "specimens", "p_drawn": "drawn", "p_holm": "corrected"}
    for column, name in names.items():
        table[f"p, {name}"] = ["< 0.001" if p < 0.001 else f"{p:.3f}" for p in found[column]]
    return table
