"""The leak: what a simple classifier seems to reach when a specimen stands on both sides of a fold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hep2lib.data.folds import Fold, specimen_folds
from hep2lib.evaluation.metrics import FloatArray, IntArray
from hep2lib.evaluation.spread import fold_auc

CLASSIFIERS: tuple[str, ...] = ("logistic regression", "nearest neighbours")
"""One that keeps a few numbers of what it was shown, and one that keeps every image."""

NEIGHBOURS = 3


def image_folds(database: pd.DataFrame, k: int = 5, seed: int = 0) -> list[Fold]:
    """Divide a database as if every image were a specimen of its own: the wrong way, to measure what it does.

    Args:
        database: columns ``image`` and ``label``.
        k: number of folds, at least 2.
        seed: of the shuffle.

    Raises:
        FoldError: a class has too few images.
    """
    return specimen_folds(database[["image", "label"]].assign(specimen=database["image"]), k, seed)


def shared_share(folds: Sequence[Fold], database: pd.DataFrame) -> float:
    """Share of the tested images, 0 to 1, whose specimen the classifier was shown too.

    Args:
        folds: any division; training and validation parts count as shown.
        database: column ``specimen``.
    """
    specimen = database["specimen"].to_numpy()
    known = [np.isin(specimen[fold.test], specimen[_shown(fold)]) for fold in folds]
    return float(np.concatenate(known).mean())


def cross_validated_auc(feature: FloatArray, y: IntArray, folds: Sequence[Fold], classifier: str) -> float:
    """Mean over the folds of the test AUC of a classifier that has nothing to choose.

    It is fitted on a fold's training and validation parts together, on standardised features.

    Args:
        feature: shape (images, features).
        y: labels, shape (images,), each 0 or 1.
        folds: any division.
        classifier: one of `CLASSIFIERS`.

    Raises:
        ScoreError: a test part with one label only.
    """
    score, number = np.zeros(y.size), np.zeros(y.size, dtype=np.int64)
    for index, fold in enumerate(folds):
        shown = _shown(fold)
        model = make_pipeline(StandardScaler(), _model(classifier, shown.size))
        model.fit(feature[shown], y[shown])
        score[fold.test], number[fold.test] = model.predict_proba(feature[fold.test])[:, 1], index
    return fold_auc(y, score, number).mean


def leak_table(
    database: pd.DataFrame, feature: FloatArray, k: int = 5, divisions: int = 10, seed: int = 0
) -> pd.DataFrame:
    """AUC of the same classifiers under folds by image and by specimen, for several divisions of each kind.

    Args:
        database: columns ``image``, ``label``, ``specimen``.
        feature: hand-made features, shape (images, features), row i being the database's.
        k: number of folds.
        divisions: how many divisions of each kind; their spread shows what chance does.
        seed: of the first division; the others follow.

    Returns:
        Columns ``classifier``, ``folds`` ("by image" or "by specimen"), ``division``, ``shared`` (see
        `shared_share`) and ``auc``.

    Raises:
        FoldError: too few specimens of a class.
    """
    y = database["label"].to_numpy(dtype=np.int64)
    rows = []
    for division in range(divisions):
        kinds = {
            "by image": image_folds(database, k, seed + division),
            "by specimen": specimen_folds(database, k, seed + division),
        }
        for kind, folds in kinds.items():
            about = {"folds": kind, "division": division, "shared": shared_share(folds, database)}
            for classifier in CLASSIFIERS:
                area = cross_validated_auc(feature, y, folds, classifier)
                rows.append({"classifier": classifier, **about, "auc": area})
    return pd.DataFrame(rows)


def leak_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the divisions, one row a classifier.

    Args:
        table: as `leak_table` returns it.

    Returns:
        Columns ``Classifier``, ``AUC, folds by image``, ``AUC, folds by specimen`` and ``Difference``.
    """
    means = table.pivot_table(index="classifier", columns="folds", values="auc", sort=False)
    frame = pd.DataFrame(
        {
            "Classifier": means.index,
            "AUC, folds by image": means["by image"].to_numpy(),
            "AUC, folds by specimen": means["by specimen"].to_numpy(),
        }
    )
    frame["Difference"] = frame["AUC, folds by image"] - frame["AUC, folds by specimen"]
    return frame


def _shown(fold: Fold) -> IntArray:
    return np.concatenate([fold.train, fold.validation])


def _model(classifier: str, shown: int) -> LogisticRegression | KNeighborsClassifier:
    if classifier == CLASSIFIERS[0]:
        return LogisticRegression(max_iter=5000)
    return KNeighborsClassifier(min(NEIGHBOURS, shown), weights="distance")
