"""The four counts of a decision and their rates, against values worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.decisions import confusion


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
    with pytest.raises(ScoreError, match=r"2 images and decisions of shape \(3,\)"):
        confusion([1, 0], [1, 0, 1])
