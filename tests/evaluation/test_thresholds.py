"""Operating points: what each rule promises, on validation scores alone."""

import numpy as np
import pytest

from hep2lib.evaluation.metrics import ScoreError, confusion
from hep2lib.evaluation.thresholds import RULES, candidates, choose_threshold, choose_thresholds


def overlapping(seed=0, images=200):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, images)
    return y, np.round(generator.normal(size=images) + 1.5 * y, 1)


def test_default_is_taken_whatever_the_scores():
    threshold = choose_threshold([0, 1, 1], [0.2, 0.4, 0.9], "default")
    assert threshold.value == 0.5
    assert (threshold.sensitivity, threshold.specificity, threshold.images) == (0.5, 1.0, 3)
    assert choose_threshold([0, 1], [-1, 1], "default", default=0).value == 0


def test_a_score_on_the_threshold_is_positive():
    threshold = choose_threshold([0, 1], [0.2, 0.5], "default")
    assert threshold.decide([0.5, np.nextafter(0.5, 0)]).tolist() == [1, 0]


@pytest.mark.parametrize("rule", RULES)
def test_rates_are_those_of_the_decision(rule):
    y, score = overlapping()
    threshold = choose_threshold(y, score, rule)
    counts = confusion(y, threshold.decide(score))
    assert threshold.sensitivity == counts.sensitivity
    assert threshold.specificity == counts.specificity
    assert threshold.apply(y, score) == counts


def test_youden_is_the_best_of_all_thresholds_and_the_lowest_of_equals():
    y, score = overlapping()
    best = max(confusion(y, score >= value).youden for value in candidates(score))
    threshold = choose_threshold(y, score, "youden")
    assert threshold.sensitivity + threshold.specificity - 1 == pytest.approx(best)
    # At 2.5 and at 0.5 the sum is the same; the lower one misses no positive.
    tied = choose_threshold([0, 1, 0, 1], [0, 1, 2, 3], "youden")
    assert tied.value == 0.5


@pytest.mark.parametrize("target", [0.0, 0.5, 0.9, 0.95, 1.0])
def test_targets_are_reached_and_no_threshold_beyond_reaches_them(target):
    y, score = overlapping(3)
    values = candidates(score)
    high = choose_threshold(y, score, "sensitivity", target=target)
    assert high.sensitivity >= target
    assert all(confusion(y, score >= v).sensitivity < target for v in values[values > high.value])
    low = choose_threshold(y, score, "specificity", target=target)
    assert low.specificity >= target
    assert all(confusion(y, score >= v).specificity < target for v in values[values < low.value])


def test_perfect_separation_puts_the_threshold_midway():
    chosen = choose_thresholds([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9])
    assert chosen["youden"].value == pytest.approx(0.4)
    assert chosen["sensitivity"].value == pytest.approx(0.4)
    assert chosen["specificity"].value == pytest.approx(0.4)
    assert set(chosen) == set(RULES)


def test_constant_scores_give_a_finite_threshold():
    threshold = choose_threshold([0, 1, 1], [0.3, 0.3, 0.3], "specificity")
    assert np.isfinite(threshold.value)
    assert (threshold.sensitivity, threshold.specificity) == (0.0, 1.0)


def test_neighbouring_floating_point_scores_stay_apart():
    score = np.array([0.5, np.nextafter(0.5, 1)])
    threshold = choose_threshold([0, 1], score, "youden")
    assert (threshold.sensitivity, threshold.specificity) == (1.0, 1.0)


def test_order_is_all_that_matters():
    y, score = overlapping(5)
    plain, stretched = choose_threshold(y, score), choose_threshold(y, score * 8 + 1)
    assert stretched.value == pytest.approx(plain.value * 8 + 1)


def test_refusals():
    with pytest.raises(ScoreError, match="no threshold rule 'best'"):
        choose_threshold([0, 1], [0, 1], "best")
    with pytest.raises(ScoreError, match="target is 95"):
        choose_threshold([0, 1], [0, 1], "sensitivity", target=95)
    with pytest.raises(ScoreError, match="All 2 images are positive"):
        choose_threshold([1, 1], [0, 1])
