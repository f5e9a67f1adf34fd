"""A feature that names the specimen helps only where folds divide a specimen; the simulator's difficulty."""

import numpy as np
import pandas as pd
import pytest

from hep2lib.data.folds import specimen_folds
from hep2lib.evaluation.leak import (
    CLASSIFIERS,
    FIGURES,
    cross_validated_auc,
    image_folds,
    leak_summary,
    leak_table,
    measure_difficulty,
    shared_share,
)


@pytest.fixture
def database() -> pd.DataFrame:
    """40 specimens with 3 images each; every second one is positive."""
    specimen = np.repeat(np.arange(40), 3)
    return pd.DataFrame(
        {
            "image": [f"{row}.png" for row in range(120)],
            "label": (specimen % 2).astype("int8"),
            "specimen": specimen.astype(str),
        }
    )


@pytest.fixture
def identity(database: pd.DataFrame) -> np.ndarray:
    """Features that tell which specimen an image is of, and nothing of its label."""
    rng = np.random.default_rng(0)
    place = rng.normal(size=(40, 6))
    return place[database["specimen"].astype(int)] + 0.01 * rng.normal(size=(120, 6))


def test_only_folds_by_image_show_the_classifier_the_tested_specimens(database: pd.DataFrame) -> None:
    assert shared_share(specimen_folds(database, 5), database) == 0
    assert shared_share(image_folds(database, 5, 0), database) > 0.9


def test_image_folds_test_every_image_once(database: pd.DataFrame) -> None:
    tested = np.concatenate([fold.test for fold in image_folds(database, 4, seed=3)])
    assert sorted(tested) == list(range(120))


def test_a_feature_that_names_the_specimen_is_worth_nothing_under_folds_by_specimen(
    database: pd.DataFrame, identity: np.ndarray
) -> None:
    frame = leak_summary(leak_table(database, identity, k=5, divisions=2)).set_index("Classifier")
    neighbours = frame.loc["nearest neighbours"]
    assert neighbours["AUC, folds by image"] > 0.95
    assert neighbours["AUC, folds by specimen"] < 0.75
    assert neighbours["Difference"] == pytest.approx(
        neighbours["AUC, folds by image"] - neighbours["AUC, folds by specimen"]
    )


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_feature_that_is_the_label_needs_no_leak(database: pd.DataFrame, classifier: str) -> None:
    y = database["label"].to_numpy(dtype=np.int64)
    assert cross_validated_auc(y[:, None].astype(float), y, specimen_folds(database, 5), classifier) == 1


def test_the_same_seed_gives_the_same_table(database: pd.DataFrame, identity: np.ndarray) -> None:
    first, second = (leak_table(database, identity, k=3, divisions=1, seed=5) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert set(first["folds"]) == {"by image", "by specimen"}


def test_every_figure_is_measured_and_twice_the_same(tmp_path):
    options = {"seed": 1, "specimens": 44, "scale": 0.15, "divisions": 2}
    found = measure_difficulty(tmp_path / "database", **options)
    assert list(found) == list(FIGURES)
    leaks = [name for name in found if name.endswith(", leak")]
    assert len(leaks) == 2
    assert all(0 <= value <= 1 for name, value in found.items() if name not in leaks)
    for name in leaks:
        classifier = name.removesuffix(", leak")
        assert found[name] == found[f"{classifier}, by image"] - found[f"{classifier}, by specimen"]
    assert measure_difficulty(tmp_path / "database", **options) == found
