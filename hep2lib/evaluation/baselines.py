"""What needs no network: classifiers that any result must beat, under the same folds and the same rules.

Each is fitted on a fold's training part, chooses (the strength of its regularisation, its threshold) on the
validation part, and is scored on the test part, which nothing else sees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hep2lib.data.decoding import read_header
from hep2lib.data.folds import Fold
from hep2lib.evaluation.handmade import as_images, handmade_features, mean_green
from hep2lib.evaluation.metrics import FloatArray, IntArray, ScoreError, auc
from hep2lib.evaluation.thresholds import choose_threshold
from hep2lib.progress import progress

STRENGTHS: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
"""Values of C, the inverse of the ridge penalty, among which validation chooses; of equals the smallest."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Out-of-fold test scores of one baseline.

    Attributes:
        name: a few words, as in the tables.
        score: P(positive), or the quantity itself, shape (images,); NaN where no fold tested the image.
        decision: 1 or 0 at its fold's threshold, shape (images,); -1 where no fold tested the image.
        fold: number of the fold that tested the image, shape (images,); -1 where none did.
    """

    name: str
    score: FloatArray
    decision: IntArray
    fold: IntArray


class _FoldScores(NamedTuple):
    """Scores of one fold's validation and test parts."""

    validation: FloatArray
    test: FloatArray


def metadata_table(database: pd.DataFrame) -> pd.DataFrame:
    """What is known of an image without looking at it.

    Args:
        database: as `hep2lib.data.database.read_database` returns it: `path`, and `instrument` where known.

    Returns:
        One row an image: `width` and `height` (natural logarithms of pixels, float), `format` (str) and
            perhaps
        `instrument` (str).

    Raises:
        DatabaseError: a file that cannot be read.
    """
    paths = progress(database["path"], "reading image headers", total=len(database), unit="image")
    headers = [read_header(Path(path)) for path in paths]
    table = pd.DataFrame(
        {
            "width": np.log([float(header.width) for header in headers]),
            "height": np.log([float(header.height) for header in headers]),
            "format": [header.format for header in headers],
        },
        index=database.index,
    )
    if "instrument" in database:
        table["instrument"] = database["instrument"].fillna("").astype(str)
    return table


def _one_hot(table: pd.DataFrame, train: IntArray) -> FloatArray:
    """Numbers as they are, words as indicator columns of those that occur in training; others get zeros."""
    columns = []
    for name in table:
        column = table[name].to_numpy()
        if np.issubdtype(column.dtype, np.number):
            columns.append(column[:, None].astype(np.float64))
        else:
            words = np.unique(column[train].astype(str))
            columns.append((column.astype(str)[:, None] == words).astype(np.float64))
    return np.hstack(columns)


def _logistic(feature: FloatArray, y: IntArray, fold: Fold) -> _FoldScores:
    """Logistic regression on standardised features; C with the best validation AUC."""
    standard = StandardScaler().fit(feature[fold.train]).transform(feature)
    best, area = None, -1.0
    for strength in STRENGTHS:
        # Newton's method: with ten features it needs a tenth of the time of the default solver.
        model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=1000)
        model.fit(standard[fold.train], y[fold.train])
        validation = model.predict_proba(standard[fold.validation])[:, 1]
        if (found := auc(y[fold.validation], validation)) > area + 1e-12:
            best, area = _FoldScores(validation, model.predict_proba(standard[fold.test])[:, 1]), found
    assert best is not None  # an AUC is never below 0
    return best


def _assembled(name: str, y: IntArray, folds: Sequence[Fold], parts: list[_FoldScores]) -> Baseline:
    score, decision = np.full(y.size, np.nan), np.full(y.size, -1, dtype=np.int64)
    number = np.full(y.size, -1, dtype=np.int64)
    for index, (fold, part) in enumerate(zip(folds, parts, strict=True)):
        threshold = choose_threshold(y[fold.validation], part.validation, "youden")
        score[fold.test], number[fold.test] = part.test, index
        decision[fold.test] = part.test >= threshold
    return Baseline(name, score, decision, number)


def always_positive(database: pd.DataFrame, folds: Sequence[Fold]) -> Baseline:
    """Call every image positive: its accuracy is the share of positives, its AUC 0.5.

    Args:
        database: `label`, one row an image.
        folds: as in `hep2lib.data.folds`.
    """
    y = _labels(database, folds)
    parts = [_FoldScores(np.ones(fold.validation.size), np.ones(fold.test.size)) for fold in folds]
    return _assembled("always positive", y, folds, parts)


def metadata_only(database: pd.DataFrame, folds: Sequence[Fold]) -> Baseline:
    """Logistic regression on width, height, format and instrument: what a shortcut alone would reach.

    Args:
        database: `label`, `path`, and `instrument` where known; one row an image.
        folds: as in `hep2lib.data.folds`.

    Raises:
        DatabaseError: a file that cannot be read.
        ScoreError: one label only in a fold's part.
    """
    y = _labels(database, folds)
    table = metadata_table(database)
    parts = [_logistic(_one_hot(table, fold.train), y, fold) for fold in folds]
    return _assembled("metadata only", y, folds, parts)


def intensity_only(
    database: pd.DataFrame, images: npt.ArrayLike | torch.Tensor, folds: Sequence[Fold]
) -> Baseline:
    """The mean of the green channel as the score, brighter being more positive; only the threshold is chosen.

    Args:
        database: `label`, one row an image.
        images: uint8, shape (images, 3, height, width), row i being the database's.
        folds: as in `hep2lib.data.folds`.

    Raises:
        ScoreError: images of another type, shape or number; one label only in a fold's validation part.
    """
    y = _labels(database, folds)
    green = mean_green(_matching(images, y))
    parts = [_FoldScores(green[fold.validation], green[fold.test]) for fold in folds]
    return _assembled("mean green intensity", y, folds, parts)


def handmade_only(
    database: pd.DataFrame, images: npt.ArrayLike | torch.Tensor, folds: Sequence[Fold]
) -> Baseline:
    """Logistic regression on the ten features of `hep2lib.evaluation.handmade`.

    Args:
        database: `label`, one row an image.
        images: uint8, shape (images, 3, height, width), row i being the database's.
        folds: as in `hep2lib.data.folds`.

    Raises:
        ScoreError: images of another type, shape or number; one label only in a fold's part.
    """
    y = _labels(database, folds)
    feature = handmade_features(_matching(images, y))
    parts = [_logistic(feature, y, fold) for fold in folds]
    return _assembled("hand-made features", y, folds, parts)


def run_baselines(
    database: pd.DataFrame, images: npt.ArrayLike | torch.Tensor, folds: Sequence[Fold]
) -> list[Baseline]:
    """All four baselines, from the least to the most that is looked at; arguments as in `handmade_only`."""
    return [
        always_positive(database, folds),
        metadata_only(database, folds),
        intensity_only(database, images, folds),
        handmade_only(database, images, folds),
    ]


def _labels(database: pd.DataFrame, folds: Sequence[Fold]) -> IntArray:
    y = database["label"].to_numpy(dtype=np.int64)
    for number, fold in enumerate(folds):
        for part in ("train", "validation"):
            if np.unique(y[getattr(fold, part)]).size < 2:
                raise ScoreError(
                    f"The {part} part of fold {number} has one label only; use fewer folds or more specimens."
                )
    return y


def _matching(images: npt.ArrayLike | torch.Tensor, y: IntArray) -> torch.Tensor:
    tensor = as_images(images)
    if len(tensor) != y.size:
        raise ScoreError(
            f"There are {len(tensor)} images and {y.size} rows in the database; they must correspond."
        )
    return tensor
