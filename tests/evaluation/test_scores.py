"""Scores of several folds: on one scale, decided, and their AUC."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hep2lib.data.folds import Fold
from hep2lib.evaluation.auc import auc
from hep2lib.evaluation.scores import Scores, with_specimens
from hep2lib.figures.tuning import table_3
from hep2lib.studies.outcomes import FineTuningOutcome

DATABASE = pd.DataFrame({"specimen": [f"s{row // 2}" for row in range(40)]})


def scores(rows, fold, shift, seed):
    draw = np.random.default_rng(seed)
    label = rows % 4 // 2
    score = 1 / (1 + np.exp(-(draw.normal(size=len(rows)) + 2 * label + shift)))
    return pd.DataFrame({"row": rows, "fold": fold, "label": label, "score": score})


@pytest.fixture
def two_folds():
    """Two folds whose models are equally good and mean something else by 0.5."""
    validation = pd.concat([scores(np.arange(20), 0, -4, 0), scores(np.arange(20), 1, 3, 1)])
    test = pd.concat([scores(np.arange(0, 20), 0, -4, 2), scores(np.arange(20, 40), 1, 3, 3)])
    parts = (with_specimens(part, DATABASE) for part in (validation, test))
    return Scores("made", "nothing", *parts, probabilities=True)


def test_one_scale_keeps_each_folds_auc_and_mends_the_pooled_one(two_folds):
    test, found = two_folds.test, two_folds.one_scale()
    for fold in (0, 1):
        before, after = test[test["fold"] == fold], found[found["fold"] == fold]
        assert auc(before["label"], before["score"]) == auc(after["label"], after["score"])
    assert auc(found["label"], found["score"]) > auc(test["label"], test["score"]) + 0.1


def test_decisions_are_the_sign_of_the_scores_on_one_scale(two_folds):
    assert (two_folds.decided()["decision"] == (two_folds.one_scale()["score"] >= 0)).all()


def test_test_labels_change_no_decision(two_folds):
    other = replace(two_folds, test=two_folds.test.assign(label=1 - two_folds.test["label"]))
    assert two_folds.decided()["decision"].equals(other.decided()["decision"])


def test_the_auc_is_the_mean_of_the_folds(two_folds):
    by_fold = [auc(part["label"], part["score"]) for _, part in two_folds.test.groupby("fold")]
    found = two_folds.auc()
    assert found.estimate == pytest.approx(np.mean(by_fold))
    assert found.low < found.estimate < found.high


def record(freeze, fold, rotations, quality):
    labels = np.arange(40) % 4 // 2
    draw = np.random.default_rng([freeze, fold, rotations])
    part = {
        name: (1 / (1 + np.exp(-(quality * labels[rows] + draw.normal(size=20))))).tolist()
        for name, rows in (("validation", FOLDS[fold].validation), ("test", FOLDS[fold].test))
    }
    cell = {"freeze": freeze, "batch_size": 16, "learning_rate": 0.01, "rotations": rotations}
    return {
        "trial": {**cell, "fold": fold, "seed": 0},
        "epochs": [{"epoch": 1, "loss": 0.5, **part}],
        "seconds": 1,
    }


FOLDS = [
    Fold(np.arange(0), np.arange(20, 40), np.arange(20)),
    Fold(np.arange(0), np.arange(20), np.arange(20, 40)),
]


def test_table_3_has_a_row_a_depth_and_one_for_rotations():
    records = [record(f, k, 1, f / 10) for f in (11, 110) for k in (0, 1)]
    records += [record(110, k, 18, 3) for k in (0, 1)]
    outcome = FineTuningOutcome(records, np.arange(40) % 4 // 2, FOLDS)
    table = table_3(outcome, DATABASE, {11: 0.98}, 0.984)
    assert table["Training"].tolist() == ["freeze 11", "freeze 110", "freeze 110, x18 rotations"]
    assert table["Paper's AUC"].tolist()[0] == 0.98
    assert np.isnan(table["Paper's AUC"][1])
    assert table["Paper's AUC"][2] == 0.984
    assert table["Batch size, rate, epoch"].tolist() == ["16, 0.01, 1"] * 3
    mean = np.mean([auc(np.arange(20) % 4 // 2, r["epochs"][0]["test"]) for r in records[:2]])
    assert table["Test AUC"][0] == pytest.approx(mean)
