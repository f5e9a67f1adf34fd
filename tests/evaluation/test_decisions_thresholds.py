"""Operating points: what each rule promises, on validation scores alone."""

import numpy as np
import pytest

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.decisions import RULES, TARGET, candidates, choose_threshold, confusion


def overlapping(seed=0, images=200):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, images)
    return y, np.round(generator.normal(size=images) + 1.5 * y, 1)


def youden(y, score, threshold):
    counts = confusion(y, score >= threshold)
    return counts.sensitivity + counts.specificity - 1


def test_default_is_taken_whatever_the_scores():
    assert choose_threshold([0, 1, 1], [0.2, 0.4, 0.9], "default") == 0.5
    assert choose_threshold([0, 1], [-1, 1], "default", default=0) == 0


def test_youden_is_the_best_of_all_thresholds_and_the_lowest_of_equals():
    y, score = overlapping()
    best = max(youden(y, score, value) for value in candidates(score))
    assert youden(y, score, choose_threshold(y, score, "youden")) == pytest.approx(best)
    # At 2.5 and at 0.5 the sum is the same; the lower one misses no positive.
    tied = choose_threshold([0, 1, 0, 1], [0, 1, 2, 3], "youden")
    assert tied == 0.5


@pytest.mark.parametrize("images", [30, 200, 1000])
def test_targets_are_reached_and_no_threshold_beyond_reaches_them(images):
    y, score = overlapping(3, images)
    values = candidates(score)
    high = choose_threshold(y, score, "sensitivity")
    assert confusion(y, score >= high).sensitivity >= TARGET
    assert all(confusion(y, score >= v).sensitivity < TARGET for v in values[values > high])
    low = choose_threshold(y, score, "specificity")
    assert confusion(y, score >= low).specificity >= TARGET
    assert all(confusion(y, score >= v).specificity < TARGET for v in values[values < low])


def test_perfect_separation_puts_the_threshold_midway():
    for rule in list(RULES)[1:]:
        assert choose_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9], rule) == pytest.approx(0.4)


def test_constant_scores_give_a_finite_threshold():
    threshold = choose_threshold([0, 1, 1], [0.3, 0.3, 0.3], "specificity")
    assert np.isfinite(threshold)
    assert threshold > 0.3


def test_neighbouring_floating_point_scores_stay_apart():
    score = np.array([0.5, np.nextafter(0.5, 1)])
    assert (score >= choose_threshold([0, 1], score, "youden")).tolist() == [False, True]


def test_order_is_all_that_matters():
    y, score = overlapping(5)
    plain, stretched = choose_threshold(y, score), choose_threshold(y, score * 8 + 1)
    assert stretched == pytest.approx(plain * 8 + 1)


def test_refusals():
    with pytest.raises(ScoreError, match="no threshold rule 'best'"):
        choose_threshold([0, 1], [0, 1], "best")
    with pytest.raises(ScoreError, match="All 2 images are positive"):
        choose_threshold([1, 1], [0, 1])
