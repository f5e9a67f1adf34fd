"""Scores of several folds: on one scale, decided, and their AUC."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hep2lib.data.folds import Fold
from hep2lib.evaluation.auc import auc
from hep2lib.evaluation.scores import Scores, views, with_specimens
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


def record(freeze, fold, rotations, quality, shown=1):
    labels = np.arange(40) % 4 // 2
    draw = np.random.default_rng([freeze, fold, rotations])
    part = {
        name: (1 / (1 + np.exp(-(quality * labels[rows] + draw.normal(size=20))))).tolist()
        for name, rows in (("validation", FOLDS[fold].validation), ("test", FOLDS[fold].test))
    }
    cell = {"freeze": freeze, "batch_size": 16, "learning_rate": 0.01, "rotations": rotations}
    cell |= {"views_per_epoch": shown, "epochs": 1}
    return {
        "trial": {**cell, "fold": fold, "seed": 0},
        "epochs": [{"epoch": 1, "loss": 0.5, **part}],
        "seconds": 1,
    }


FOLDS = [
    Fold(np.arange(0), np.arange(20, 40), np.arange(20)),
    Fold(np.arange(0), np.arange(20), np.arange(20, 40)),
]


PRINTED = {(11, 1): 0.98, (139, 1): 0.963, (11, 18): 0.984}


def test_table_3_has_the_papers_figure_only_where_depth_and_angles_are_the_papers():
    records = [record(f, k, 1, f / 10) for f in (11, 110) for k in (0, 1)]
    records += [record(f, k, 18, 3) for f in (11, 110) for k in (0, 1)]
    outcome = FineTuningOutcome(records, np.arange(40) % 4 // 2, FOLDS)
    table = table_3(outcome, DATABASE, PRINTED)
    rotated = [f"freeze {depth}, with rotations" for depth in (11, 110)]
    assert table["Training"].tolist() == ["freeze 11", "freeze 110", *rotated]
    assert table["Paper's AUC"].fillna(0).tolist() == [0.98, 0, 0, 0]  # it showed all 18 in every epoch
    assert table["Batch size, rate, epoch"].tolist() == ["16, 0.01, 1"] * 4
    allowed = table[["Configurations searched", "Epochs allowed", "Views an epoch"]]
    assert allowed.to_numpy().tolist() == [[1, 1, 1]] * 4
    for one in records[4:]:
        one["trial"]["views_per_epoch"] = 0
    table = table_3(outcome, DATABASE, PRINTED)
    assert table["Training"][2] == "freeze 11, with rotations"
    assert table["Paper's AUC"].fillna(0).tolist() == [0.98, 0, 0.984, 0]
    assert table["Views an epoch"].tolist() == [1, 1, 18, 18]
    few = [record(11, k, 1, 1) for k in (0, 1)] + [record(11, k, 6, 1, shown=0) for k in (0, 1)]
    table = table_3(FineTuningOutcome(few, outcome.labels, FOLDS), DATABASE, PRINTED)
    assert table["Training"].tolist() == ["freeze 11", "freeze 11, with rotations"]
    assert table["Paper's AUC"].fillna(0).tolist() == [0.98, 0]
    assert table["Views an epoch"].tolist() == [1, 6]


def test_table_3_leaves_out_a_depth_whose_trainings_all_diverged():
    diverged = [record(11, k, 1, 1) | {"epochs": []} for k in (0, 1)]
    outcome = FineTuningOutcome(
        [*diverged, *(record(139, k, 1, 1) for k in (0, 1))], np.arange(40) % 4 // 2, FOLDS
    )
    assert table_3(outcome, DATABASE, PRINTED)["Training"].tolist() == ["freeze 139"]


@pytest.mark.parametrize(
    ("angles", "shown", "words"),
    [
        (18, 1, "one of 18 angles an epoch"),
        (18, 3, "3 of 18 angles an epoch"),
        (18, 0, "all 18 angles in every epoch"),
        (18, 18, "all 18 angles in every epoch"),
        (1, 1, "never rotated"),
    ],
)
def test_views_in_words(angles, shown, words):
    assert views(angles, shown) == words


def test_table_3_takes_the_folds_mean():
    records = [record(f, k, 1, f / 10) for f in (11, 110) for k in (0, 1)]
    table = table_3(FineTuningOutcome(records, np.arange(40) % 4 // 2, FOLDS), DATABASE, PRINTED)
    mean = np.mean([auc(np.arange(20) % 4 // 2, r["epochs"][0]["test"]) for r in records[:2]])
    assert table["Test AUC"][0] == pytest.approx(mean)
