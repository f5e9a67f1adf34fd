"""Shares of images: Wilson's values, and what specimens change."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.decisions import compare_shares, share_interval


@pytest.mark.parametrize(("successes", "images"), [(0, 10), (3, 10), (289, 298), (10, 10)])
def test_independent_images_have_wilsons_interval_as_scipy_computes_it(successes, images):
    interval = share_interval([1] * successes + [0] * (images - successes), None)
    expected = binomtest(successes, images).proportion_ci(0.95, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_copies_are_worth_one_image():
    generator = np.random.default_rng(0)
    correct = (generator.random(200) < 0.9).astype(int)
    once = share_interval(correct, np.arange(200))
    four = share_interval(np.repeat(correct, 4), np.repeat(np.arange(200), 4))
    assert four.low == pytest.approx(once.low, abs=1e-12)
    assert four.specimens == 200


def test_all_right_counts_specimens():
    interval = share_interval(np.ones(60, dtype=int), np.repeat(np.arange(20), 3))
    expected = share_interval(np.ones(20, dtype=int), None)
    assert (interval.low, interval.high) == pytest.approx((expected.low, 1.0))


def test_share_interval_covers():
    generator = np.random.default_rng(1)
    specimen = np.repeat(np.arange(80), 3)
    held = 0
    for _ in range(400):
        latent = np.sqrt(0.7) * generator.normal(size=80)[specimen] + np.sqrt(0.3) * generator.normal(
            size=240
        )
        interval = share_interval((latent < norm.ppf(0.9)).astype(int), specimen)
        held += interval.low <= 0.9 <= interval.high
    assert 0.92 <= held / 400 <= 0.98


def test_mcnemars_question_for_independent_images():
    first = np.array([1] * 50 + [1] * 12 + [0] * 4 + [0] * 10)
    second = np.array([1] * 50 + [0] * 12 + [1] * 4 + [0] * 10)
    comparison = compare_shares(first, second, None)
    difference = 8 / 76
    variance = (16 / 76 - difference**2) / 75
    assert comparison.difference == pytest.approx(difference)
    assert comparison.p == pytest.approx(2 * norm.sf(difference / np.sqrt(variance)))
    assert comparison.low == pytest.approx(difference - norm.ppf(0.975) * np.sqrt(variance))


def test_copied_images_do_not_sharpen_a_comparison():
    generator = np.random.default_rng(2)
    first, second = generator.integers(0, 2, (2, 100))
    once = compare_shares(first, second, np.arange(100))
    thrice = compare_shares(np.repeat(first, 3), np.repeat(second, 3), np.repeat(np.arange(100), 3))
    assert thrice.p == pytest.approx(once.p)


def test_equal_hits_leave_room():
    hits = np.array([1, 1, 0, 1] * 10)
    comparison = compare_shares(hits, hits, np.arange(40))
    assert (comparison.difference, comparison.p) == (0.0, 1.0)
    assert comparison.high == pytest.approx(share_interval(np.zeros(40, dtype=int), None).high)
    opposite = compare_shares(np.ones(40, dtype=int), np.zeros(40, dtype=int), np.arange(40))
    assert opposite.p == pytest.approx(2 * 0.5**40)
    assert opposite.high == 1.0


def test_refusals():
    with pytest.raises(ScoreError, match="belong to one specimen"):
        share_interval([1, 0, 1], ["a", "a", "a"])
    with pytest.raises(ScoreError, match=r"There are 2 images and hits or misses of shape \(3,\)"):
        compare_shares([1, 0], [1, 0, 1], None)
    with pytest.raises(ScoreError, match="level is 0"):
        share_interval([1, 0], None, 0)
