"""Nothing is chosen on test images: both studies run twice, the second time with other test labels."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weights import load_weights
from hep2lib.data.folds import Fold
from hep2lib.evaluation.auc import auc
from hep2lib.evaluation.baselines import handmade_features, handmade_only, intensity_only, mean_green
from hep2lib.evaluation.calibration import calibrated
from hep2lib.evaluation.decisions import RULES
from hep2lib.evaluation.scores import run_strategies
from hep2lib.evaluation.specimens import review_specimens
from hep2lib.studies.fine_tuning import Grid, Rotation, fine_tuning_study
from hep2lib.studies.inputs import StudyInputs
from hep2lib.studies.svm_study import svm_study
from hep2lib.studies.trial import TrialStore

LABELS = np.tile([1, 1, 0], 20)
SPECIMEN = np.array([f"S{row // 3 * 2 + (row % 3 == 2)}" for row in range(60)])  # two fields, then one
# Two folds that test the same rows, so that these have no other part to play anywhere.
TEST = np.arange(40, 60)
FOLDS = [Fold(np.arange(24), np.arange(24, 40), TEST), Fold(np.arange(16, 40), np.arange(16), TEST)]


def shuffled_labels():
    """Other labels for some test specimens, the same for all images of one."""
    labels = LABELS.copy()
    draw = np.random.default_rng(1)
    for name in np.unique(SPECIMEN[TEST]):
        if draw.random() < 0.5:
            labels[name == SPECIMEN] = draw.integers(0, 2)
    labels[:40] = LABELS[:40]
    return labels


@pytest.fixture(scope="module")
def images():
    draw = torch.Generator().manual_seed(5)
    noise = torch.randint(0, 120, (60, 3, 64, 64), generator=draw)
    brightness = torch.randint(0, 90, (60, 1, 1, 1), generator=draw)
    return (noise + brightness + 30 * torch.tensor(LABELS)[:, None, None, None]).to(torch.uint8)


@pytest.fixture(scope="module")
def network(images):
    start = GoogLeNet(variant="torchvision", classes=2)
    load_weights(start, "random", seed=0, images=images[:8])
    return start


def run(labels, images, network, folder):
    """Both studies from scratch, and everything that is chosen after them."""
    inputs = StudyInputs(
        images=images, labels=labels, folds=FOLDS, network=network, cache=folder / "cache", workers=1
    )
    grids = [Grid((110, 139), (8,), (0.01, 0.001), epochs=2)]
    tuning = fine_tuning_study(inputs, TrialStore(folder / "tuning"), grids, Rotation(2, 1))
    layers = ("inception_3a-output", "pool5-7x7_s1")
    svm = svm_study(inputs, TrialStore(folder / "svm"), layers, (1e-4, 1e-2, 1.0))
    return tuning, svm, pd.DataFrame({"label": labels, "specimen": SPECIMEN})


@pytest.fixture(scope="module")
def twice(images, network, tmp_path_factory):
    return [
        run(labels, images, network, tmp_path_factory.mktemp("run")) for labels in (LABELS, shuffled_labels())
    ]


def per_fold(strategy, number):
    """A strategy as one fold sees it: each image may be tested in one fold only."""
    validation = strategy.validation[strategy.validation["fold"] == number]
    return dataclasses.replace(
        strategy, validation=validation, test=strategy.test[strategy.test["fold"] == number]
    )


def test_the_test_labels_were_shuffled_and_no_others():
    changed = np.flatnonzero(shuffled_labels() != LABELS)
    assert changed.size > 4
    assert set(changed) <= set(TEST)


def test_cell_epoch_layer_and_c_are_the_same(twice):
    first, second = (run_strategies(*one) for one in twice)
    assert {name: one.choice for name, one in first.items()} == {n: one.choice for n, one in second.items()}
    assert "freeze 110, with rotations" in first  # the shallowest depth
    assert len(first) == 10 + ("freeze 139, with rotations" in first)
    for name in first:
        for part in ("validation", "test"):
            before, after = getattr(first[name], part), getattr(second[name], part)
            np.testing.assert_array_equal(before["score"], after["score"])


def test_what_was_searched_and_allowed_is_the_same(twice):
    first, second = (
        [tuning.nested(depth, rotated=None) for depth in tuning.depths()] for tuning, *_ in twice
    )
    assert first == second
    allowed = {
        tuning.budget(depth, rotated=rotated)
        for tuning, *_ in twice
        for rotated in (False, True)
        for depth in tuning.depths(rotated=rotated)
    }
    assert allowed == {(2, 2, 1)}  # at both depths, without rotations and with one angle an epoch


def test_thresholds_temperatures_and_zones_are_the_same(twice):
    first, second = (run_strategies(*one) for one in twice)
    for name in ("fine-tuning", "SVM"):
        for number in (0, 1):
            pair = [per_fold(one[name], number) for one in (first, second)]
            for rule in RULES:
                before, after = (one.decided(rule)["decision"] for one in pair)
                np.testing.assert_array_equal(before, after)
            scaled = [calibrated(one.validation, one.test, probabilities=one.probabilities) for one in pair]
            assert scaled[0][1] == scaled[1][1]
            np.testing.assert_array_equal(scaled[0][0]["score"], scaled[1][0]["score"])
            reviewed = [review_specimens(one)[["low", "high", "zone"]] for one in pair]
            assert reviewed[0].equals(reviewed[1])


def test_baselines_choose_the_same(twice, images):
    for make, told in ((handmade_only, handmade_features(images)), (intensity_only, mean_green(images))):
        before, after = (make(database, told, FOLDS).decided() for _, _, database in twice)
        np.testing.assert_array_equal(before["score"], after["score"])
        np.testing.assert_array_equal(before["decision"], after["decision"])


def test_only_what_is_reported_changes(twice):
    aucs = []
    for one in twice:
        test = per_fold(run_strategies(*one)["fine-tuning"], 0).test
        aucs.append(auc(test["label"], test["score"]))
    assert aucs[0] != aucs[1]
