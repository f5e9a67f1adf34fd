"""Outcomes of both studies as they would be kept, with made-up scores: no network is trained."""

import numpy as np
import pandas as pd

from hep2lib.data.folds import Fold
from hep2lib.studies.outcomes import FineTuningOutcome, SVMOutcome

SPECIMENS, FIELDS = 60, 2
LABELS = np.repeat((np.arange(SPECIMENS) % 3 > 0).astype(int), FIELDS)
OWNER = np.repeat([f"S{number:02d}" for number in range(SPECIMENS)], FIELDS)
DATABASE = pd.DataFrame({"label": LABELS, "specimen": OWNER})
DATABASE.attrs.update(name="simulated database (60 specimens, seed 0)", simulated=True)


def folds() -> list[Fold]:
    place = np.repeat(np.arange(SPECIMENS) // 3 % 3, FIELDS)
    rows = np.arange(LABELS.size)
    return [Fold(rows[place == (k + 2) % 3], rows[place == (k + 1) % 3], rows[place == k]) for k in range(3)]


def scores(quality: float, seed: int) -> np.ndarray:
    """Margins, alike within a specimen, shifted by ``quality`` for positives."""
    draw = np.random.default_rng(seed)
    shared = np.repeat(draw.normal(size=SPECIMENS), FIELDS)
    return quality * (LABELS - 0.5) + shared + 0.4 * draw.normal(size=LABELS.size)


def parts(fold: Fold, values: np.ndarray) -> dict[str, list[float]]:
    return {name: values[getattr(fold, name)].tolist() for name in ("validation", "test")}


def tuning_outcome(seed: int = 0, seeds: tuple[int, ...] = (0,), rotations: bool = True) -> FineTuningOutcome:
    """Depths 11, 110 and 139, two epochs each, and the best depth at 18 angles, one an epoch, as long."""
    records = []
    cells = [(11, 1, 2.0), (110, 1, 1.5), (139, 1, 1.0)] + ([(11, 18, 2.5)] if rotations else [])
    for freeze, views, quality in cells:
        for one in seeds:
            for number, fold in enumerate(folds()):
                epochs = []
                for epoch in (1, 2):
                    drawn = scores(
                        quality - 0.3 * (epoch == 2), 1000 * seed + 100 * one + freeze + views + epoch
                    )
                    values = 1 / (1 + np.exp(-drawn))
                    epochs.append({"epoch": epoch, "loss": 0.5, **parts(fold, values)})
                trial = {"freeze": freeze, "batch_size": 16, "learning_rate": 0.01, "rotations": views}
                trial |= {"views_per_epoch": int(views > 1), "epochs": 2}
                records.append(
                    {"trial": {**trial, "fold": number, "seed": one}, "epochs": epochs, "seconds": 1.0}
                )
    return FineTuningOutcome(records, LABELS, folds())


def svm_outcome(seed: int = 0) -> SVMOutcome:
    """Two layers, two values of C."""
    records = []
    for layer, quality in (("inception_3a-output", 2.2), ("pool5-7x7_s1", 1.6)):
        drawn = [scores(quality - less, 1000 * seed + len(layer)) for less in (0.5, 0.0)]
        for number, fold in enumerate(folds()):
            both = [parts(fold, values) for values in drawn]
            records.append(
                {
                    "trial": {"layer": layer, "fold": number, "values": [0.01, 1.0]},
                    "validation": [one["validation"] for one in both],
                    "test": [one["test"] for one in both],
                }
            )
    return SVMOutcome(records, LABELS, folds())


def separated_outcome() -> SVMOutcome:
    """Three layers and two values of C that all separate the labels; what differs is how wide.

    Margins of y are y times a width, so that the hinge loss is 1 - width (0 from 1 on). Mean losses:
    data 0.57 and 0.40, inception_3a-output 0.80 and 0.30, pool5 0.33 and 0.70.
    """
    widths = {
        "data": [(0.1, 0.9), (0.6, 0.4), (0.6, 0.5)],
        "inception_3a-output": [(0.2, 0.8), (0.2, 0.7), (0.2, 0.6)],
        "pool5-7x7_s1": [(0.7, 0.3), (0.6, 0.3), (0.7, 0.3)],
    }
    draw = np.random.default_rng(0)
    records = []
    for layer, by_fold in widths.items():
        for number, (fold, pair) in enumerate(zip(folds(), by_fold, strict=True)):
            signs = 2 * LABELS[fold.validation] - 1
            trial = {"layer": layer, "fold": number, "values": [0.01, 1.0]}
            test = draw.normal(size=(2, fold.test.size)).tolist()
            validation = [(width * signs).tolist() for width in pair]
            records.append({"trial": trial, "validation": validation, "test": test})
    return SVMOutcome(records, LABELS, folds())
