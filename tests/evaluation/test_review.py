"""From fields to specimens and zones, fold by fold."""

import numpy as np
import pytest

from hep2lib.evaluation.scores import run_strategies
from hep2lib.evaluation.specimens import review_specimens, specimen_decisions

from .made_outcomes import OWNER, SPECIMENS, folds, svm_outcome, tuning_outcome


@pytest.fixture(scope="module")
def svm():
    return run_strategies(tuning_outcome(), svm_outcome())["SVM"]


def test_every_specimen_is_decided_once(svm):
    review = review_specimens(svm, OWNER)
    assert sorted(review.decisions["specimen"]) == sorted(np.unique(OWNER))
    assert review.report.counts.sum() == SPECIMENS
    assert set(review.decisions["zone"]) <= {0, 1, 2}
    scores = svm.one_scale()
    whole = specimen_decisions(scores["label"], scores["score"], OWNER[scores["row"]])
    merged = review.decisions.merge(whole, on="specimen")
    np.testing.assert_array_equal(merged["by_mean_x"], merged["by_mean_y"])


def test_zone_is_the_mean_of_the_folds(svm):
    review = review_specimens(svm, OWNER)
    assert review.decisions["fold"].nunique() == len(folds())
    assert review.zone[0] <= review.zone[1]


def test_the_table_compares_fields_with_specimens(svm):
    table = review_specimens(svm, OWNER).table()
    assert table["Of"].tolist() == [120, 60, 60]
    assert table["Sensitivity"].between(0, 1).all()
    positive = svm.one_scale().query("label == 1")
    assert table["Sensitivity"][0] == pytest.approx((positive["score"] >= 0).mean())
