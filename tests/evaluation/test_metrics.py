"""Figures of one set of scores, against values worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef, roc_auc_score

from hep2lib.errors import InputError
from hep2lib.evaluation.auc import ScoreError, auc
from hep2lib.evaluation.decisions import confusion


def test_auc_counts_pairs_and_half_of_ties():
    # Pairs: (3, 1) right, (3, 3) a tie, (2, 1) right, (2, 3) wrong.
    assert auc([1, 1, 0, 0], [3, 2, 1, 3]) == pytest.approx(2.5 / 4)
    assert auc([0, 1], [0.1, 0.2]) == 1.0
    assert auc([1, 0], [0.1, 0.2]) == 0.0
    assert auc([1, 0, 0], [7, 7, 7]) == 0.5


def test_auc_is_that_of_another_implementation():
    generator = np.random.default_rng(1)
    for count in (2, 30, 500):
        y = np.append([0, 1], generator.integers(0, 2, count))
        score = generator.integers(0, 20, count + 2) / 7
        assert auc(y, score) == pytest.approx(roc_auc_score(y, score), abs=1e-12)


def test_auc_knows_order_alone():
    generator = np.random.default_rng(0)
    y, score = generator.integers(0, 2, 50), generator.normal(size=50)
    assert auc(y, np.exp(3 * score)) == auc(y, score)
    assert auc(1 - y, -score) == pytest.approx(auc(y, score))


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([1, 1], [0.1, 0.2], "All 2 images are positive: both labels are needed"),
        ([0, 0, 0], [0.1, 0.2, 0.3], "All 3 images are negative"),
        ([0, 1], [0.1, np.nan], r"1 of 2 scores are not finite numbers \(the first is row 1: nan\)"),
        ([0, 1], [np.inf, 0], "row 0: inf"),
        ([0, 1], [0.1], "2 labels and scores of shape"),
        ([0, 2], [0.1, 0.2], "Row 1 has the label"),
        ([], [], "non-empty"),
    ],
)
def test_auc_refuses(y, score, message):
    with pytest.raises(ScoreError, match=message):
        auc(y, score)
    assert issubclass(ScoreError, InputError)


def test_confusion_of_ten_images():
    y = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    called = [1, 1, 1, 1, 0, 0, 1, 0, 0, 0]
    counts = confusion(y, called)
    assert (counts.true_positive, counts.false_positive) == (4, 1)
    assert (counts.true_negative, counts.false_negative) == (3, 2)
    assert counts.images == 10
    assert counts.accuracy == pytest.approx(0.7)
    assert counts.sensitivity == pytest.approx(4 / 6)
    assert counts.specificity == pytest.approx(3 / 4)
    assert counts.balanced_accuracy == pytest.approx(balanced_accuracy_score(y, called))
    assert counts.mcc == pytest.approx(matthews_corrcoef(y, called))


def test_always_positive_is_worth_nothing():
    counts = confusion([1, 1, 0], [1, 1, 1])
    assert counts.balanced_accuracy == 0.5
    assert counts.mcc == 0.0


def test_one_label_alone_can_be_counted():
    counts = confusion([0, 0, 0], [0, 1, 0])
    assert counts.specificity == pytest.approx(2 / 3)
    assert np.isnan(counts.sensitivity)


def test_weights_count_images_as_often_as_they_say():
    generator = np.random.default_rng(1)
    y, called = generator.integers(0, 2, 30), generator.integers(0, 2, 30)
    weight = generator.integers(0, 4, (5, 30))
    weighted = confusion(y, called, weight)
    for row in range(5):
        plain = confusion(np.repeat(y, weight[row]), np.repeat(called, weight[row]))
        assert weighted.true_positive[row] == plain.true_positive
        assert weighted.mcc[row] == pytest.approx(plain.mcc)
        assert weighted.specificity[row] == pytest.approx(plain.specificity)


def test_confusion_refuses_scores_in_place_of_decisions():
    with pytest.raises(ScoreError, match="Row 0 has the label"):
        confusion([1, 0], [0.7, 0.2])
    with pytest.raises(ScoreError, match="2 labels and 3 decisions"):
        confusion([1, 0], [1, 0, 1])
