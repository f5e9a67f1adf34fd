"""Where it goes wrong: errors by pattern, grade or laboratory, and the images that are furthest off."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hep2lib.evaluation.metrics import FloatArray, IntArray, ScoreError, check_labels, check_scores
from hep2lib.evaluation.proportions import share_interval

GRADES: tuple[str, ...] = ("0", "+/-", "weak", "1+", "2+", "3+", "4+")
"""Grades of fluorescence intensity, from dim to bright."""


def errors_by(
    database: pd.DataFrame, decision: npt.ArrayLike, column: str, *, level: float = 0.95
) -> pd.DataFrame:
    """Count the errors in each group of images.

    Many groups are small: the interval, not the share, says what was learnt of a group. Groups were not
    chosen by their result, yet of many groups some look bad by chance.

    Args:
        database: `label`, `specimen` and `column`, one row an image.
        decision: what the images are called, shape (images,), each 0 or 1.
        column: the one to group by, such as "pattern", "intensity" or "laboratory"; an empty value is
            "unknown".
        level: confidence, between 0 and 1.

    Returns:
        One row a group, most images first, grades of `GRADES` from dim to bright: `group`, `images`,
        `specimens`, `errors`, `missed` (positives called negative), `false_alarms` (negatives called
        positive), `share` (of images in error), `low` and `high` (its interval, `proportions.share_interval`;
        0 and 1 where the group has one specimen).

    Raises:
        ScoreError: no such column, or decisions of another number or value.
    """
    if column not in database:
        raise ScoreError(
            f"The database has no column {column!r}; it has {', '.join(map(str, database.columns))}."
        )
    called = check_labels(decision, both=False)
    y = check_labels(database["label"], both=False)
    if called.shape != y.shape:
        raise ScoreError(
            f"There are {y.size} images and {called.size} decisions; give one decision an image."
        )
    groups = database[column].fillna("").astype(str).replace("", "unknown").to_numpy()
    specimen = database["specimen"].to_numpy()
    rows = []
    for group in np.unique(groups):
        inside = groups == group
        wrong = called[inside] != y[inside]
        several = np.unique(specimen[inside]).size
        interval = share_interval(wrong, specimen[inside], level) if several > 1 else None
        rows.append(
            {
                "group": group,
                "images": int(inside.sum()),
                "specimens": several,
                "errors": int(wrong.sum()),
                "missed": int(np.sum(wrong & (y[inside] == 1))),
                "false_alarms": int(np.sum(wrong & (y[inside] == 0))),
                "share": float(wrong.mean()),
                "low": interval.low if interval else 0.0,
                "high": interval.high if interval else 1.0,
            }
        )
    table = pd.DataFrame(rows)
    if set(groups) <= {"unknown", *GRADES}:
        rank = {grade: number for number, grade in enumerate((*GRADES, "unknown"))}
        return table.sort_values("group", key=lambda group: group.map(rank), ignore_index=True)
    return table.sort_values(["images", "group"], ascending=[False, True], ignore_index=True)


def worst_images(
    database: pd.DataFrame,
    score: npt.ArrayLike,
    threshold: npt.ArrayLike = 0.5,
    *,
    count: int = 12,
    one_a_specimen: bool = False,
) -> pd.DataFrame:
    """The images that are furthest on the wrong side of their threshold, for a gallery.

    Args:
        database: `label`, `specimen`, one row an image; its other columns are kept.
        score: shape (images,), finite, on one scale.
        threshold: one for all images, or each image's own, shape (images,).
        count: most images to return.
        one_a_specimen: take the worst field of a specimen alone, because the others look like it.

    Returns:
        At most `count` rows of the database that are decided wrongly, worst first, with `row` (in the
        database), `score`, `beyond` (distance from the threshold) and `error` ("missed" or "false alarm").

    Raises:
        ScoreError: scores of another number, or not finite.
    """
    y, scores = check_scores(database["label"], score, both=False)
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), scores.shape)
    beyond = np.where(y == 1, limits - scores, scores - limits)
    wrong = (scores >= limits).astype(np.int64) != y
    order = np.flatnonzero(wrong)[np.argsort(-beyond[wrong], kind="stable")]
    if one_a_specimen:
        order = order[~database["specimen"].iloc[order].duplicated().to_numpy()]
    order = order[:count]
    return _described(database, order, scores, beyond)


def hardest_images(
    database: pd.DataFrame, score: npt.ArrayLike, threshold: npt.ArrayLike = 0.5, *, each: int = 3
) -> pd.DataFrame:
    """Of each label the specimens that were called most wrongly, or least surely right, by their worst field.

    Unlike `worst_images` it shows both kinds of error, and something where there is none.

    Args:
        database: `label`, `specimen`, one row an image; its other columns are kept.
        score: shape (images,), finite, on one scale.
        threshold: as in `worst_images`.
        each: most specimens of a label.

    Returns:
        At most 2 `each` rows of the database, positives first, with the columns that `worst_images` adds;
        `error` is "called right" where the image is on the right side.

    Raises:
        ScoreError: as `worst_images`.
    """
    y, scores = check_scores(database["label"], score, both=False)
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), scores.shape)
    beyond = np.where(y == 1, limits - scores, scores - limits)
    order = np.argsort(-beyond, kind="stable")
    order = order[~database["specimen"].iloc[order].duplicated().to_numpy()]
    chosen = np.concatenate([order[y[order] == label][:each] for label in (1, 0)])
    return _described(database, chosen, scores, beyond)


def _described(
    database: pd.DataFrame, order: IntArray, scores: FloatArray, beyond: FloatArray
) -> pd.DataFrame:
    """Rows of the database in an order, with how far and in what way each is on the wrong side."""
    table = database.iloc[order].copy()
    table.insert(0, "row", order)
    table["score"], table["beyond"] = scores[order], beyond[order]
    positive = table["label"] == 1
    wrong = np.where(positive, beyond[order] > 0, beyond[order] >= 0)  # a score on the threshold is positive
    table["error"] = np.where(wrong, np.where(positive, "missed", "false alarm"), "called right")
    return table.reset_index(drop=True)
