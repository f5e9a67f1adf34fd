"""Baselines: fitted on training, chosen on validation, scored on test."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hep2lib.data.folds import Fold, specimen_folds
from hep2lib.evaluation.auc import ScoreError, auc
from hep2lib.evaluation.baselines import (
    handmade_features,
    handmade_only,
    image_headers,
    intensity_only,
    mean_green,
    metadata_only,
    metadata_table,
    run_baselines,
)
from hep2lib.evaluation.decisions import choose_threshold


def fields(lift, seed=0, specimens=40):
    """Two fields a specimen, brighter by `lift` grey levels where positive."""
    generator = np.random.default_rng(seed)
    label = np.repeat(np.arange(specimens) % 3 > 0, 2).astype(np.int8)
    level = 60 + lift * label + np.repeat(generator.normal(0, 12, specimens), 2)
    noise = generator.normal(0, 10, (label.size, 3, 24, 24))
    images = np.clip(level[:, None, None, None] + noise, 0, 255).astype(np.uint8)
    database = pd.DataFrame({"label": label, "specimen": np.repeat([f"S{k}" for k in range(specimens)], 2)})
    return database, images


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """Files whose size tells the label in three cases out of four; formats and instruments tell nothing."""
    folder = tmp_path_factory.mktemp("fields")
    database, images = fields(lift=20)
    generator = np.random.default_rng(1)
    paths = []
    for row, (label, pixels) in enumerate(zip(database["label"], images, strict=True)):
        wide = bool(label) == (generator.random() < 0.75)
        path = folder / f"{row:03d}.{'png' if generator.random() < 0.5 else 'bmp'}"
        Image.fromarray(pixels.transpose(1, 2, 0)).resize((40, 30) if wide else (32, 24)).save(path)
        paths.append(str(path))
    database["path"] = paths
    database["instrument"] = generator.choice(["one", "other"], len(database))
    return database, images


def test_out_of_fold_scores_of_all_baselines(on_disk):
    database, images = on_disk
    folds = specimen_folds(database, k=4)
    features = handmade_features(images)
    found = run_baselines(database, features, folds)
    alone = intensity_only(database, mean_green(images), folds)
    np.testing.assert_allclose(found["mean green intensity"].test["score"], alone.test["score"], rtol=1e-12)
    assert found["hand-made features"].test.equals(handmade_only(database, features, folds).test)
    assert list(found) == ["always positive", "metadata only", "mean green intensity", "hand-made features"]
    y = database["label"].to_numpy()
    area = {}
    for name, baseline in found.items():
        tested = baseline.decided().sort_values("row", ignore_index=True)
        np.testing.assert_array_equal(tested["label"], y)
        np.testing.assert_array_equal(tested["specimen"], database["specimen"])
        assert np.isfinite(tested["score"]).all()
        assert set(tested["decision"]) <= {0, 1}
        for number, fold in enumerate(folds):
            part = tested.loc[fold.test]
            assert np.all(part["fold"] == number)
            called = part["decision"] == 1
            highest, lowest = part["score"][~called].max(), part["score"][called].min()
            assert not highest >= lowest  # NaN where all are called the same
        area[name] = auc(y, tested["score"])
    assert area["always positive"] == 0.5
    assert found["always positive"].decided()["decision"].all()
    assert area["metadata only"] > 0.6
    assert area["mean green intensity"] > 0.75


def test_metadata_are_those_of_the_files(on_disk):
    database, _ = on_disk
    table = metadata_table(database)
    assert list(table.columns) == ["width", "height", "format", "instrument"]
    assert set(table["format"]) == {"PNG", "BMP"}
    np.testing.assert_allclose(np.exp(np.unique(table["width"])), [32, 40])
    headers = image_headers(database)
    assert list(headers) == ["width", "height", "format"]
    without = database.drop(columns="path").join(headers)  # where the files are not at hand
    assert metadata_table(without).equals(table)
    assert "instrument" not in metadata_table(database.drop(columns="instrument"))


def test_a_format_that_training_never_saw_is_no_error(on_disk):
    database, _ = on_disk
    png = np.flatnonzero(metadata_table(database)["format"] == "PNG")
    bmp = np.setdiff1d(np.arange(len(database)), png)
    baseline = metadata_only(database, [Fold(png[:-10], png[-10:], bmp)])
    np.testing.assert_array_equal(baseline.test["row"], bmp)
    assert np.isfinite(baseline.test["score"]).all()


def test_nothing_to_learn_is_chance():
    database, images = fields(lift=0, specimens=200)
    folds = specimen_folds(database, k=4)
    found = handmade_only(database, handmade_features(images), folds).test
    assert auc(found["label"], found["score"]) == pytest.approx(0.5, abs=0.1)


def test_choices_do_not_see_the_test_labels():
    database, images = fields(lift=10)
    fold = specimen_folds(database, k=4)[0]
    other = database.copy()
    other.loc[fold.test, "label"] = 1 - other.loc[fold.test, "label"]
    for make, told in ((handmade_only, handmade_features), (intensity_only, mean_green)):
        one, two = (make(which, told(images), [fold]).decided() for which in (database, other))
        np.testing.assert_array_equal(one["score"], two["score"])
        np.testing.assert_array_equal(one["decision"], two["decision"])


def test_validation_chooses_the_threshold():
    database, images = fields(lift=20)
    fold = specimen_folds(database, k=4)[0]
    baseline = intensity_only(database, mean_green(images), [fold])
    y, green = database["label"].to_numpy(), images[:, 1].mean(axis=(1, 2)) / 255
    threshold = choose_threshold(y[fold.validation], green[fold.validation], "youden")
    np.testing.assert_array_equal(baseline.decided()["decision"], green[fold.test] >= threshold)


def test_refusals():
    database, images = fields(lift=10)
    folds = specimen_folds(database, k=4)
    with pytest.raises(ScoreError, match=r"80 images and brightness of shape \(79,\)"):
        intensity_only(database, mean_green(images[1:]), folds)
    with pytest.raises(ScoreError, match=r"80 images and features of shape \(79,\)"):
        handmade_only(database, handmade_features(images[1:]), folds)
    positive = np.flatnonzero(database["label"] == 1)
    lonely = Fold(positive[:20], folds[0].validation, folds[0].test)
    with pytest.raises(ScoreError, match="train part of fold 0 has one label only"):
        handmade_only(database, handmade_features(images), [lonely])


def test_of_strengths_that_separate_validation_the_likeliest_is_taken():
    """Every strength puts these in order; the smallest would say about a half of every image."""
    database, images = fields(lift=100)
    folds = specimen_folds(database, k=4)
    known = handmade_only(database, handmade_features(images), folds).validation
    assert (known[known["label"] == 1]["score"] > 0.9).all()
    assert (known[known["label"] == 0]["score"] < 0.1).all()
