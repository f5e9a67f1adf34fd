"""The leak: what a simple classifier seems to reach when a specimen stands on both sides of a fold."""

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
from hep2lib.evaluation import baselines
from hep2lib.evaluation.auc import FloatArray, IntArray, auc
from hep2lib.evaluation.decisions import share
from hep2lib.simulator.writing import write_database

CLASSIFIERS: tuple[str, ...] = ("logistic regression", "nearest neighbours")
"""One that keeps a few numbers of what it was shown, and one that keeps every image."""

_KINDS = ("by image", "by specimen")

FIGURES: dict[str, str] = {
    "intensity": "AUC of the mean of the green channel, nothing trained",
    "metadata": "AUC of logistic regression on size, format and instrument",
    "hand-made": "AUC of logistic regression on ten hand-made features, chosen on validation images",
    "hand-made accuracy": "Its accuracy at the threshold that validation images choose",
    **{f"{name}, {kind}": f"AUC of {name}, folds {kind}" for name in CLASSIFIERS for kind in _KINDS},
    **{f"{name}, leak": f"AUC of {name}, folds by image less folds by specimen" for name in CLASSIFIERS},
}
"""The figures that state the difficulty, and what each one is: means of five folds, by specimen unless said
otherwise; of the classifiers also of several divisions into folds, on hand-made features."""

TARGETS: dict[str, tuple[float, float]] = {
    "intensity": (0.80, 0.92),
    "metadata": (0.0, 0.60),
    "hand-made accuracy": (0.83, 0.88),
}
"""Between what the means over the seeds lie: the simulator was calibrated to that, without any network.

Hand-made features reached an accuracy of 0.855 (Benammar 2016) and 0.857 (Di Cataldo 2016) on real fields."""


def image_folds(database: pd.DataFrame, k: int, seed: int) -> list[Fold]:
    """`specimen_folds` as if each image were a specimen of its own: the wrong way, to see what it does."""
    return specimen_folds(database[["image", "label"]].assign(specimen=database["image"]), k, seed)


def _shown(fold: Fold) -> IntArray:
    """Rows that a classifier is fitted on: there is nothing to choose on validation images."""
    return np.concatenate([fold.train, fold.validation])


def shared_share(folds: Sequence[Fold], database: pd.DataFrame) -> float:
    """Share of the tested images, 0 to 1, whose specimen stands in the training or validation part too."""
    specimen = database["specimen"].to_numpy()
    known = [np.isin(specimen[fold.test], specimen[_shown(fold)]) for fold in folds]
    return float(np.concatenate(known).mean())


def cross_validated_auc(feature: FloatArray, y: IntArray, folds: Sequence[Fold], classifier: str) -> float:
    """Mean over the folds of the test AUC of a classifier (of `CLASSIFIERS`) on standardised features.

    ``feature`` is of shape (images, features), ``y`` of shape (images,), each 0 or 1.
    """
    areas = []
    # Features and labels are checked by whoever made them; checking anew takes longer than fitting.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for fold in folds:
            shown = _shown(fold)
            mean, deviation = feature[shown].mean(axis=0), feature[shown].std(axis=0)
            standard = (feature - mean) / np.where(deviation > 0, deviation, 1)
            if classifier == "logistic regression":
                model = LogisticRegression(max_iter=5000)
            else:
                model = KNeighborsClassifier(min(3, shown.size), weights="distance")
            model.fit(standard[shown], y[shown])
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
    rows = []
    # On so few numbers a second thread only waits for the first; where other work wants the core, for long.
    with threadpool_limits(1):
        for division in range(divisions):
            for kind, divide in zip(_KINDS, (image_folds, specimen_folds), strict=True):
                folds = divide(database, k, seed + division)
                about = {"folds": kind, "division": division, "shared": shared_share(folds, database)}
                for classifier in CLASSIFIERS:
                    area = cross_validated_auc(feature, y, folds, classifier)
                    rows.append({"classifier": classifier, **about, "auc": area})
    return pd.DataFrame(rows)


def leak_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means of a `leak_table` over the divisions, one row a classifier, as a reader's table."""
    means = table.pivot_table(index="classifier", columns="folds", values="auc", sort=False)
    frame = means[list(_KINDS)].add_prefix("AUC, folds ").rename_axis(index="Classifier", columns=None)
    frame["Difference"] = means["by image"] - means["by specimen"]
    return frame.reset_index()


def measure_difficulty(
    folder: Path, seed: int, specimens: int = 100, *, scale: float = 1.0, divisions: int = 10
) -> dict[str, float]:
    """Write a simulated database and measure how hard it is: the figures of `FIGURES`, in its order.

    Args:
        folder: where the database is written; does not exist, or holds this very database.
        seed: of the database, and of the folds.
        specimens: number of specimens.
        scale: factor on the pictures' width and height.
        divisions: of the images into folds of each kind.

    Raises:
        SimulationError: an impossible parameter, or a folder that holds something else.
        FoldError: too few specimens of a class.
    """
    write_database(folder, specimens, seed, scale=scale)
    database = read_database(folder)
    images, folds = load_images(database), specimen_folds(database, seed=seed)
    features = baselines.handmade_features(images)
    alone = {
        "intensity": baselines.intensity_only(database, baselines.mean_green(images), folds),
        "metadata": baselines.metadata_only(database, folds),
        "hand-made": baselines.handmade_only(database, features, folds),
    }
    area = {name: float(one.fold_aucs().mean()) for name, one in alone.items()}
    area["hand-made accuracy"] = share(alone["hand-made"].decided(), "accuracy").estimate
    leak = leak_table(database, features, divisions=divisions, seed=seed)
    means = leak.groupby(["classifier", "folds"])["auc"].mean()
    for name in CLASSIFIERS:
        area |= {f"{name}, {kind}": float(means[name, kind]) for kind in _KINDS}
        area[f"{name}, leak"] = area[f"{name}, by image"] - area[f"{name}, by specimen"]
    return {name: area[name] for name in FIGURES}
