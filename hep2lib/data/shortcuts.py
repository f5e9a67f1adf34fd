"""What the files alone give away: how well size, format and instrument tell the classes apart, unseen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from hep2lib.data.decoding import Header
from hep2lib.data.simulate import Simulation, planned_images

SUSPICIOUS_AUC = 0.6
_FOLDS = 10
_REPEATS = 5
_SHUFFLES = 200
_MOST_SIZES = 20
_MOST_VALUES = 12


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What one attribute of the files, or all of them together, tells of the label.

    Attributes:
        attribute: "size", "format", "instrument", "laboratory" or "all together".
        table: value to (negative images, positive images), the commonest values first and the rest as
            "others"; empty for all together.
        auc: area under the ROC curve of a classifier that sees nothing but the attribute, on specimens that
            it has not seen. An attribute that tells nothing is at 0.5 or, in a small database, below.
        chance: what the same classifier reaches in one of twenty shuffles of the specimens' labels.
    """

    attribute: str
    table: Mapping[str, tuple[int, int]]
    auc: float
    chance: float

    @property
    def suspicious(self) -> bool:
        """Whether the attribute alone reaches an AUC above 0.6, and more than chance would."""
        return self.auc > max(SUSPICIOUS_AUC, self.chance)


def planned_files(simulation: Simulation) -> tuple[pd.DataFrame, list[Header]]:
    """Say of a simulated database, without drawing it, what `find_shortcuts` looks at.

    Returns:
        A table with the columns ``image``, ``label``, ``specimen`` and ``instrument``, and the headers of its
        image files, one a row.
    """
    plan = planned_images(simulation)
    files = zip(plan["format"], plan["width"], plan["height"], strict=True)
    return plan[["image", "label", "specimen", "instrument"]], [Header(*file, "RGB", 8, 1) for file in files]


def find_shortcuts(database: pd.DataFrame, headers: Sequence[Header]) -> list[Shortcut]:
    """Measure what each attribute of the files, and all together, tell of the label.

    The classifier is naive Bayes: a value's score is the logarithm of how often it went with positive rather
    than with negative images of other specimens, and the scores of several attributes are added.

    Args:
        database: columns ``label`` (both 0 and 1), ``specimen`` and, where known, ``instrument`` and
            ``laboratory``.
        headers: of the images, one a row.

    Returns:
        One shortcut for each attribute that has more than one value, then all together if there are several.
    """
    names: dict[str, list[str]] = {
        "size": [f"{header.width} x {header.height}" for header in headers],
        "format": [f"{header.format}, {header.mode}" for header in headers],
    }
    for column in ("instrument", "laboratory"):
        if column in database:
            names[column] = [value or "unknown" for value in database[column]]
    names = {attribute: values for attribute, values in names.items() if len(set(values)) > 1}
    codes = {attribute: np.unique(values, return_inverse=True)[1] for attribute, values in names.items()}
    if "size" in codes and codes["size"].max() >= _MOST_SIZES:
        codes["size"] = _tenths(np.array([header.width * header.height for header in headers]))
    found = []
    for attribute, values in names.items():
        auc, chance = _judged(database, [codes[attribute]])
        found.append(Shortcut(attribute, _counts(values, database["label"]), auc, chance))
    if len(codes) > 1:
        found.append(Shortcut("all together", {}, *_judged(database, list(codes.values()))))
    return found


def _tenths(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort numbers into ten drawers of about equally many."""
    edges = np.quantile(numbers, np.linspace(0.1, 0.9, 9))
    return np.searchsorted(edges, numbers).astype(np.int64)


def _counts(values: Sequence[str], labels: pd.Series) -> dict[str, tuple[int, int]]:
    """Count the images of each class by value."""
    table = pd.crosstab(pd.Series(values, name="value"), labels.to_numpy()).reindex(
        columns=[0, 1], fill_value=0
    )
    order = sorted(table.index, key=lambda value: (-int(table.loc[value].sum()), value))
    counts = {value: (int(table.loc[value, 0]), int(table.loc[value, 1])) for value in order[:_MOST_VALUES]}
    rest = table.loc[order[_MOST_VALUES:]]
    if len(rest):
        counts[f"{len(rest)} others"] = (int(rest[0].sum()), int(rest[1].sum()))
    return counts


def _judged(database: pd.DataFrame, codes: Sequence[NDArray[np.int64]]) -> tuple[float, float]:
    """Give the AUC on unseen specimens, and the 95th percentile of the same with the labels shuffled."""
    generator = np.random.default_rng(0)
    labels = database["label"].to_numpy(dtype=np.int64)
    specimen = np.unique(database["specimen"].to_numpy(dtype=object), return_inverse=True)[1]
    count = int(specimen.max()) + 1
    folds = [generator.permutation(count)[specimen] % min(_FOLDS, count) for _ in range(_REPEATS)]
    auc = float(np.mean([_auc(labels, _unseen_scores(labels, codes, fold)) for fold in folds]))
    of_specimen = np.zeros(count)
    np.add.at(of_specimen, specimen, labels)
    shares = of_specimen / np.bincount(specimen)
    by_chance = []
    for number in range(_SHUFFLES):
        # A specimen gets the share of positive images of another, so that its images stay together.
        share = generator.permutation(shares)[specimen]
        shuffled = (share > generator.random(len(share))).astype(np.int64)
        if 0 < shuffled.sum() < len(shuffled):
            by_chance.append(_auc(shuffled, _unseen_scores(shuffled, codes, folds[number % _REPEATS])))
    return auc, float(np.quantile(by_chance, 0.95)) if by_chance else 1.0


def _unseen_scores(
    labels: NDArray[np.int64], codes: Sequence[NDArray[np.int64]], fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score every image by how its values went with the labels in the other folds: n_images."""
    scores = np.zeros(len(labels))
    for code in codes:
        counted = np.zeros((int(fold.max()) + 1, 2, int(code.max()) + 1))
        np.add.at(counted, (fold, labels, code), 1.0)
        others = counted.sum(axis=0) - counted
        of_class = np.maximum(others.sum(axis=2, keepdims=True), 1.0)
        # Both frequencies are smoothed by the same amount, so that a value never seen before scores 0.
        frequency = others / of_class + 1.0 / len(labels)
        scores += np.log(frequency[fold, 1, code] / frequency[fold, 0, code])
    return scores


def _auc(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Give the probability that a positive image scores above a negative one, ties counting half."""
    positives = int(labels.sum())
    ranks = rankdata(scores)[labels == 1].sum() - positives * (positives + 1) / 2
    return float(ranks / (positives * (len(labels) - positives)))
