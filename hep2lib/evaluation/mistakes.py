"""Where it goes wrong: errors by pattern, grade or laboratory, and the images that are furthest off."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hep2lib.evaluation.examples import GRADES
from hep2lib.evaluation.metrics import ScoreError, check_labels, check_scores
from hep2lib.evaluation.proportions import share_interval


def errors_by(database: pd.DataFrame, decision: npt.ArrayLike, column: str) -> pd.DataFrame:
    """Count the errors in each group of images.

    Many groups are small: the interval, not the share, says what was learnt of a group. Groups were not
    chosen by their result, yet of many groups some look bad by chance.

    Args:
        database: `label`, `specimen` and `column`, one row an image.
        decision: what the images are called, shape (images,), each 0 or 1.
        column: the one to group by, such as "pattern", "intensity" or "laboratory"; an empty value is
            "unknown".

    Returns:
        One row a group, most images first, grades of `GRADES` from dim to bright: `group`, `images`,
        `specimens`, `errors`, `missed` (positives called negative), `false_alarms` (negatives called
        positive), `share` (of images in error), `low` and `high` (its 95 % interval,
        `proportions.share_interval`; 0 and 1 where the group has one specimen).

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
        interval = share_interval(wrong, specimen[inside]) if several > 1 else None
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


def hardest_images(database: pd.DataFrame, score: npt.ArrayLike) -> pd.DataFrame:
    """Of each label the three specimens that were called most wrongly, or least surely right.

    Args:
        database: `label`, `specimen`, one row an image; its other columns are kept.
        score: shape (images,), finite, on one scale, 0 being the threshold.

    Returns:
        At most 6 rows of the database, each its specimen's worst field, positives first and the worst of a
        label first, with `row` (in the database), `score`, `beyond` (how far on the wrong side of the
        threshold) and `error` ("missed", "false alarm" or "called right").

    Raises:
        ScoreError: scores of another number, or not finite.
    """
    y, scores = check_scores(database["label"], score, both=False)
    beyond = np.where(y == 1, -scores, scores)
    order = np.argsort(-beyond, kind="stable")
    order = order[~database["specimen"].iloc[order].duplicated().to_numpy()]
    chosen = np.concatenate([order[y[order] == label][:3] for label in (1, 0)])
    table = database.iloc[chosen].copy()
    table.insert(0, "row", chosen)
    table["score"], table["beyond"] = scores[chosen], beyond[chosen]
    positive = table["label"] == 1
    wrong = np.where(positive, table["beyond"] > 0, table["beyond"] >= 0)  # on the threshold is positive
    table["error"] = np.where(wrong, np.where(positive, "missed", "false alarm"), "called right")
    return table.reset_index(drop=True)
