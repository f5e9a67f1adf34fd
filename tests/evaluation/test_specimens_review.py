"""From fields to specimens and zones, fold by fold."""

import numpy as np
import pytest

from hep2lib.evaluation.scores import run_strategies
from hep2lib.evaluation.specimens import decision_table, review_specimens, specimen_decisions

from .made_outcomes import DATABASE, OWNER, SPECIMENS, folds, svm_outcome, tuning_outcome


@pytest.fixture(scope="module")
def svm():
    return run_strategies(tuning_outcome(), svm_outcome(), DATABASE)["SVM"]


def test_every_specimen_is_decided_once(svm):
    review = review_specimens(svm)
    assert sorted(review["specimen"]) == sorted(np.unique(OWNER))
    assert len(review) == SPECIMENS
    assert set(review["zone"]) <= {0, 1, 2}
    scores = svm.one_scale()
    whole = specimen_decisions(scores["label"], scores["score"], OWNER[scores["row"]])
    merged = review.merge(whole, on="specimen")
    np.testing.assert_array_equal(merged["by_mean_x"], merged["by_mean_y"])


def test_each_fold_has_its_zone(svm):
    review = review_specimens(svm)
    ends = review[["fold", "low", "high"]].drop_duplicates()
    assert len(ends) == len(folds())
    assert (review["low"] <= review["high"]).all()


def test_the_table_compares_fields_with_specimens(svm):
    table = decision_table(svm.one_scale(), review_specimens(svm))
    assert table["Of"].tolist() == [120, 60, 60]
    assert table["Sensitivity"].between(0, 1).all()
    positive = svm.one_scale().query("label == 1")
    assert table["Sensitivity"][0] == pytest.approx((positive["score"] >= 0).mean())
