"""Which images to show: chosen by a rule, not by hand."""

import numpy as np
import pandas as pd

from hep2lib.evaluation.metrics import FloatArray

GRADES: tuple[str, ...] = ("0", "+/-", "weak", "1+", "2+", "3+", "4+")
"""Intensity grades, as readers write them, from none to very bright."""

_PATTERNS = 12  # at most in one picture

QUANTILES: tuple[float, ...] = (0.05, 0.35, 0.65, 0.95)


def at_quantiles(
    database: pd.DataFrame, brightness: FloatArray, quantiles: tuple[float, ...] = QUANTILES
) -> dict[int, list[int]]:
    """For each class, the images at given quantiles of its brightness.

    Args:
        database: column ``label``.
        brightness: shape (images,).
        quantiles: each 0 to 1.

    Returns:
        Label to row numbers, one a quantile.
    """
    chosen = {}
    for label in (1, 0):
        rows = np.flatnonzero(database["label"].to_numpy() == label)
        ordered = rows[np.argsort(brightness[rows], kind="stable")]
        chosen[label] = [int(ordered[round(q * (len(ordered) - 1))]) for q in quantiles]
    return chosen


def one_a_pattern(database: pd.DataFrame, brightness: FloatArray) -> dict[str, int]:
    """For each pattern, the image of median brightness; the commonest patterns first, negatives last.

    Args:
        database: columns ``label`` and ``pattern``; images of unknown pattern count as "positive", if they
            are.
        brightness: shape (images,).

    Returns:
        Pattern to row number, 12 at most.
    """
    label = database["label"].to_numpy()
    name = np.where(database["pattern"] == "", "positive", database["pattern"]).astype(object)
    name[(label == 0) & ~pd.Series(name).str.startswith("negative").to_numpy()] = "negative"
    counts = pd.Series(name[label == 1]).value_counts(sort=False)
    positive = sorted(counts.index, key=lambda pattern: (-counts[pattern], pattern))
    negative = sorted(set(name[label == 0]), key=lambda pattern: (len(pattern), pattern))
    wanted = positive[: max(_PATTERNS - len(negative), 1)] + negative
    chosen = {}
    for pattern in wanted[:_PATTERNS]:
        rows = np.flatnonzero(name == pattern)
        chosen[str(pattern)] = int(rows[np.argsort(brightness[rows], kind="stable")[len(rows) // 2]])
    return chosen


def one_a_grade(database: pd.DataFrame, brightness: FloatArray) -> dict[str, int]:
    """For each intensity grade, the image of median brightness; from the dimmest grade to the brightest.

    Args:
        database: columns ``label`` and, where known, ``intensity``; other words than `GRADES` come after
            them, in alphabetical order. Where no intensity is known, the two classes take the grades' place.
        brightness: shape (images,).

    Returns:
        Grade to row number.
    """
    known = "intensity" in database and database["intensity"].ne("").any()
    grade = database["intensity"] if known else database["label"].map({0: "negative", 1: "positive"})
    names = sorted(set(grade) - {""}, key=lambda name: ((*GRADES, name).index(name), name))
    chosen = {}
    for name in names:
        rows = np.flatnonzero(grade == name)
        chosen[str(name)] = int(rows[np.argsort(brightness[rows], kind="stable")[len(rows) // 2]])
    return chosen
