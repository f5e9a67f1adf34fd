"""The leak: what a simple classifier seems to reach when a specimen stands on both sides of a fold."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from hep2lib.data.database import read_database
from hep2lib.data.folds import Fold, specimen_folds
from hep2lib.data.images import load_images
from hep2lib.evaluation.auc import FloatArray, IntArray, auc
from hep2lib.evaluation.baselines import handmade_features, intensity_only, metadata_only
from hep2lib.evaluation.scores import fold_auc
from hep2lib.simulator.writing import write_database

CLASSIFIERS: tuple[str, ...] = ("logistic regression", "nearest neighbours")
"""One that keeps a few numbers of what it was shown, and one that keeps every image."""


NEIGHBOURS = 3


def image_folds(database: pd.DataFrame, k: int, seed: int) -> list[Fold]:
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
    areas = []
    # Features and labels are checked by whoever made them; checking anew takes longer than fitting.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for fold in folds:
            shown = _shown(fold)
            mean, deviation = feature[shown].mean(axis=0), feature[shown].std(axis=0)
            standard = (feature - mean) / np.where(deviation > 0, deviation, 1)
            model = _model(classifier, shown.size).fit(standard[shown], y[shown])
            areas.append(auc(y[fold.test], model.predict_proba(standard[fold.test])[:, 1]))
    return float(np.mean(areas))


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
    kinds = {"by image": image_folds, "by specimen": specimen_folds}
    rows = []
    # On so few numbers a second thread only waits for the first; where other work wants the core, for long.
    with threadpool_limits(1):
        for division, (kind, divide) in itertools.product(range(divisions), kinds.items()):
            folds = divide(database, k, seed + division)
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


_KINDS = ("by image", "by specimen")


FIGURES: dict[str, str] = {
    "intensity": "AUC of the mean of the green channel, nothing trained",
    "metadata": "AUC of logistic regression on size, format and instrument",
    **{f"{name}, {kind}": f"AUC of {name}, folds {kind}" for name in CLASSIFIERS for kind in _KINDS},
    **{f"{name}, leak": f"AUC of {name}, folds by image less folds by specimen" for name in CLASSIFIERS},
}
"""The figures that state the difficulty, and what each one is: means of five folds, by specimen unless said
otherwise; of the classifiers also of several divisions into folds, on hand-made features."""


def measure_difficulty(
    folder: Path, seed: int, specimens: int = 100, *, scale: float = 1.0, divisions: int = 10
) -> dict[str, float]:
    """Write a simulated database and measure how hard it is.

    Args:
        folder: where the database is written; does not exist, or holds this very database.
        seed: of the database, and of the folds.
        specimens: number of specimens.
        scale: factor on the pictures' width and height.
        divisions: of the images into folds of each kind.

    Returns:
        The figures of `FIGURES`, in its order.

    Raises:
        SimulationError: an impossible parameter, or a folder that holds something else.
        FoldError: too few specimens of a class.
    """
    write_database(folder, specimens, seed, scale=scale)
    database = read_database(folder)
    images, folds = load_images(database), specimen_folds(database, seed=seed)
    baselines = {
        "intensity": intensity_only(database, images, folds),
        "metadata": metadata_only(database, folds),
    }
    area = {
        name: fold_auc(database["label"], found.score, found.fold).mean for name, found in baselines.items()
    }
    leak = leak_table(database, handmade_features(images), divisions=divisions, seed=seed)
    means = leak.groupby(["classifier", "folds"])["auc"].mean()
    for name in CLASSIFIERS:
        by_image, by_specimen = (float(means[name, kind]) for kind in _KINDS)
        area |= {f"{name}, by image": by_image, f"{name}, by specimen": by_specimen}
        area[f"{name}, leak"] = by_image - by_specimen
    return {name: area[name] for name in FIGURES}
