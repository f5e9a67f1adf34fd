"""How hard a simulated database is: what brightness alone reaches, and what folds by image hide."""

from pathlib import Path

from hep2lib.data.database import read_database
from hep2lib.data.folds import specimen_folds
from hep2lib.data.images import load_images
from hep2lib.data.simulate import write_database
from hep2lib.evaluation.baselines import intensity_only, metadata_only
from hep2lib.evaluation.handmade import handmade_features
from hep2lib.evaluation.leak import CLASSIFIERS, leak_table
from hep2lib.evaluation.spread import fold_auc

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
