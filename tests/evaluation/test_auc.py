"""The AUC against counting; intervals and paired tests: limits, invariants and the awkward cases."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from hep2lib.errors import InputError
from hep2lib.evaluation.auc import (
    ScoreError,
    auc,
    auc_bounds,
    auc_interval,
    compare_auc,
    critical_value,
    difference_across_folds,
    fold_sums,
    holm,
)


def clustered(seed=0, specimens=60, images=3, lift=2.0):
    generator = np.random.default_rng(seed)
    specimen = np.repeat([f"S{k:03d}" for k in range(specimens)], images)
    y = np.repeat(np.arange(specimens) % 3 > 0, images).astype(int)
    score = (
        lift * y + np.repeat(generator.normal(size=specimens), images) + 0.5 * generator.normal(size=y.size)
    )
    return y, score, specimen


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
        ([0, 1], [0.1], "2 images and scores of shape"),
        ([0, 2], [0.1, 0.2], "Row 1 has the label"),
        ([], [], "non-empty"),
    ],
)
def test_auc_refuses(y, score, message):
    with pytest.raises(ScoreError, match=message):
        auc(y, score)
    assert issubclass(ScoreError, InputError)


def test_interval_holds_its_estimate_and_widens_with_the_level():
    y, score, specimen = clustered()
    narrow, wide = (auc_interval(y, score, specimen, level) for level in (0.8, 0.99))
    assert narrow.estimate == auc(y, score)
    assert 0 < wide.low < narrow.low < narrow.estimate < narrow.high < wide.high < 1
    assert narrow.specimens == 60


def test_specimens_make_the_interval_wider_than_images_pretend():
    y, score, specimen = clustered()
    aware, naive = auc_interval(y, score, specimen), auc_interval(y, score, None)
    assert aware.standard_error > 1.3 * naive.standard_error
    assert naive.standard_error == pytest.approx(np.sqrt(fold_sums(y, score, None)[0].variances()))


def test_order_of_images_and_names_of_specimens_do_not_matter():
    y, score, specimen = clustered()
    shuffled = np.random.default_rng(1).permutation(y.size)
    renamed = np.unique(specimen, return_inverse=True)[1] * 7 + 3
    first = auc_interval(y, score, specimen)
    second = auc_interval(y[shuffled], score[shuffled], renamed[shuffled])
    assert second.low == pytest.approx(first.low, rel=1e-12)
    assert second.high == pytest.approx(first.high, rel=1e-12)


def test_logit_interval_mirrors_when_labels_are_exchanged():
    y, score, specimen = clustered()
    one, other = auc_interval(y, score, specimen), auc_interval(1 - y, score, specimen)
    assert other.low == pytest.approx(1 - one.high)
    assert other.high == pytest.approx(1 - one.low)


def test_plain_interval_is_cut_at_one():
    y, score, specimen = clustered(lift=4.5)
    assert auc_bounds(fold_sums(y, score, specimen), 0.999, "plain")[1] == 1.0
    assert auc_interval(y, score, specimen, 0.999).high < 1.0


def test_perfect_separation_is_bounded_by_pairs_of_specimens():
    y, _, specimen = clustered()
    interval = auc_interval(y, y.astype(float), specimen)
    # 20 of the 60 specimens are negative: 20 of 20 disjoint pairs are in order.
    assert (interval.estimate, interval.high, interval.standard_error) == (1.0, 1.0, 0.0)
    assert interval.low == pytest.approx(0.025 ** (1 / 20))
    upside_down = auc_interval(y, -y.astype(float), specimen)
    assert (upside_down.low, upside_down.high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))


def test_equal_scores_are_half_by_definition():
    y, score, specimen = clustered()
    interval = auc_interval(y, np.zeros_like(score), specimen)
    assert (interval.low, interval.estimate, interval.high) == (0.5, 0.5, 0.5)


def test_mean_of_folds_does_not_mind_folds_on_different_scales():
    y, score, specimen = clustered()
    fold = np.repeat(np.arange(60) // 12, 3)
    by_fold = auc_interval(y, score, specimen, fold=fold)
    expected = np.mean([auc(y[fold == k], score[fold == k]) for k in range(5)])
    assert by_fold.estimate == pytest.approx(expected)
    shifted = auc_interval(y, score + 100.0 * fold, specimen, fold=fold)
    assert shifted.low == pytest.approx(by_fold.low)
    assert auc_interval(y, score + 100.0 * fold, specimen).estimate < 0.8


def test_perfect_in_every_fold():
    y, _, specimen = clustered()
    interval = auc_interval(y, y.astype(float), specimen, fold=np.repeat(np.arange(60) // 30, 3))
    assert interval.low == pytest.approx(0.025 ** (1 / 20))


def test_comparison_is_antisymmetric_and_agrees_with_the_intervals():
    y, score, specimen = clustered()
    noisy = score + np.random.default_rng(2).normal(size=y.size)
    one, other = compare_auc(y, score, noisy, specimen), compare_auc(y, noisy, score, specimen)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p == pytest.approx(other.p)
    assert one.difference == pytest.approx(auc(y, score) - auc(y, noisy))


def test_pairing_sees_what_two_intervals_cannot():
    y, score, specimen = clustered(lift=1.0)
    better = score + 0.25 * y
    paired = compare_auc(y, better, score, specimen)
    alone = [auc_interval(y, s, specimen) for s in (better, score)]
    assert alone[1].high > alone[0].low
    assert paired.p < 0.001
    assert paired.low > 0


def test_against_constant_scores_the_other_ones_error_remains():
    y, score, specimen = clustered()
    comparison = compare_auc(y, score, np.ones_like(score), specimen)
    alone = auc_interval(y, score, specimen)
    assert comparison.difference == pytest.approx(alone.estimate - 0.5)
    assert comparison.high - comparison.low == pytest.approx(2 * critical_value(0.95) * alone.standard_error)


def test_same_order_is_no_difference_at_all():
    y, score, specimen = clustered()
    for other in (score, np.exp(score)):
        comparison = compare_auc(y, score, other, specimen)
        assert (comparison.difference, comparison.low, comparison.high, comparison.p) == (0, 0, 0, 1)


def runs(seed=0):
    """Labels, and scores of two classifiers that differ in the order of neighbours of one label alone."""
    draw = np.random.default_rng(seed)
    y = (draw.random(120) < np.linspace(0.1, 0.9, 120)).astype(int)
    run = np.cumsum(np.append(0, y[1:] != y[:-1]))
    first, second = run + draw.random((2, 120)) / 2
    return y, first, second, np.repeat(np.arange(40), 3)[draw.permutation(120)]


def test_images_that_are_all_placed_alike_leave_no_difference():
    y, first, second, specimen = runs()
    assert not np.array_equal(first.argsort(), second.argsort())
    assert 0.6 < auc(y, first) < 0.9
    fold = specimen % 2
    for scores, folds in (
        ((first, second), None),
        ((first, second), fold),
        ((first, np.exp(second) + 10 * fold), fold),
    ):
        found = compare_auc(y, *scores, specimen, fold=folds)
        assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_equal_areas_are_less_than_equal_places():
    # A positive image goes one place down, another one up.
    y, first, _, specimen = runs()
    order = np.argsort(first)
    rank = np.empty(y.size)
    rank[order] = np.arange(y.size)
    falls = next(i for i in range(119) if (y[order[i]], y[order[i + 1]]) == (0, 1))
    rises = next(i for i in range(118, 0, -1) if (y[order[i]], y[order[i + 1]]) == (1, 0))
    other = rank.copy()
    for place in (falls, rises):
        other[order[place]], other[order[place + 1]] = place + 1, place
    found = compare_auc(y, rank, other, specimen)
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert found.low < -1e-4 < 1e-4 < found.high < 0.01


def test_one_pair_among_very_many_is_still_a_difference():
    y = np.tile([0, 1], 20000)
    score = np.arange(y.size) + 20000.0 * y
    other = score.copy()
    misplaced = np.flatnonzero(y == 1)[0]
    other[misplaced] -= 1.5  # past one negative image
    found = compare_auc(y, score, other, None)
    assert found.difference == pytest.approx(1 / 20000**2, rel=1e-3)
    assert found.high - found.low < 1e-7


def test_images_of_a_specimen_that_change_places_tell_nothing_apart():
    """Each specimen counts the same for both, so the variance is 0; the means differ by rounding alone."""
    y, score, specimen = clustered(lift=1.0)
    swapped = score.reshape(-1, 3)[:, [1, 0, 2]].ravel()
    found = compare_auc(y, score, swapped, specimen)
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert (found.low, found.high, found.p, found.same) == (0, 0, 1, False)
    assert compare_auc(y, score, swapped, None).high > 0.01  # images that are independent do tell


def test_folds_whose_differences_cancel_are_not_alike():
    y, _, specimen = clustered()
    fold = np.repeat(np.arange(60) // 30, 3)
    one, other = np.where(fold, y, 0), np.where(fold, 0, y)
    found = compare_auc(y, one, other, specimen, fold=fold)
    assert (found.difference, found.p) == (0, 1)
    assert found.low < -0.1 < 0.1 < found.high


def test_perfect_twins_and_perfect_strangers():
    y, _, specimen = clustered()
    noise, other = np.random.default_rng(0).random((2, y.size))
    fold = np.repeat(np.arange(60) // 30, 3)
    twins = compare_auc(y, y + 0.1 * noise, np.exp(y + 0.1 * noise) + 9 * fold, specimen, fold=fold)
    assert (twins.low, twins.high, twins.p) == (0, 0, 1)
    for sign in (1, -1):
        strangers = compare_auc(y, sign * y + 0.1 * noise, sign * y + 0.1 * other, specimen, fold=fold)
        assert (strangers.difference, strangers.p) == (0, 1)
        assert (strangers.low, strangers.high) == pytest.approx(
            (0.025 ** (1 / 20) - 1, 1 - 0.025 ** (1 / 20))
        )


def test_networks_that_say_the_same_of_every_image_of_a_fold():
    y, _, specimen = clustered()
    fold = np.repeat(np.arange(60) // 30, 3)
    dead, other = np.where(fold, 0.4, 0.7), np.where(fold, 0.9, 0.2)
    interval = auc_interval(y, dead, specimen, fold=fold)
    assert (interval.low, interval.estimate, interval.high) == (0.5, 0.5, 0.5)
    found = compare_auc(y, dead, other, specimen, fold=fold)
    assert (found.low, found.high, found.p) == (0, 0, 1)
    pooled = auc_interval(y, dead, specimen)
    assert pooled.low < pooled.estimate < pooled.high


def test_two_perfect_classifiers_leave_room_for_either():
    y, _, specimen = clustered()
    generator = np.random.default_rng(0)
    comparison = compare_auc(
        y, y + 0.1 * generator.random(y.size), y + 0.1 * generator.random(y.size), specimen
    )
    assert (comparison.difference, comparison.p) == (0, 1)
    assert comparison.low == pytest.approx(0.025 ** (1 / 20) - 1)
    assert comparison.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_perfect_against_constant():
    y, score, specimen = clustered()
    comparison = compare_auc(y, y.astype(float), np.zeros_like(score), specimen)
    assert comparison.difference == 0.5
    assert comparison.p == pytest.approx(2 * 0.5**20)
    assert comparison.low > 0


def test_comparison_over_folds():
    y, score, specimen = clustered()
    noisy = score + np.random.default_rng(2).normal(size=y.size)
    fold = np.repeat(np.arange(60) // 12, 3)
    comparison = compare_auc(y, score, noisy + 10.0 * fold, specimen, fold=fold)
    first, second = (auc_interval(y, one, specimen, fold=fold).estimate for one in (score, noisy))
    assert comparison.difference == pytest.approx(first - second)


def small_folds(seed, areas=(0.98, 0.9), specimens=12, folds=5, alike=0.8):
    """As many positive specimens as negative ones with two images each, and two classifiers of known AUC."""
    draw = np.random.default_rng(seed)
    owner = np.repeat(np.arange(2 * specimens), 2)
    y, fold = owner % 2, owner // 2 % folds
    mix = np.linalg.cholesky([[1, alike], [alike, 1]])
    noise = np.sqrt(0.8) * draw.normal(size=(2, 2 * specimens))[:, owner]
    noise = mix @ (noise + np.sqrt(0.2) * draw.normal(size=(2, y.size)))
    first, second = noise + np.sqrt(2) * norm.ppf(areas)[:, None] * y
    return y, first, second, owner, fold


def test_folds_without_a_mistake_do_not_make_a_difference_certain():
    """Five folds of six are in perfect order or upside down, and have no variance."""
    specimen = np.arange(24)
    y, fold = specimen % 2, specimen // 4
    second = np.where(fold < 5, 1.0 - y, 0.0)
    second[20:] = [0.0, 1.0, 0.6, 0.5]
    found = compare_auc(y, y, second, specimen, fold=fold)
    assert found.difference == pytest.approx(1 - 0.75 / 6)
    assert found.p == pytest.approx(2 * 0.5**12)
    assert 0 < found.low < found.difference < found.high < 1


def test_few_pairs_of_specimens_leave_no_difference_beyond_doubt():
    specimen = np.arange(8)
    y, fold = specimen % 2, specimen // 4
    found = compare_auc(y, y, 1 - y, specimen, fold=fold)  # four pairs: the sign test's p is 1 / 8
    assert (found.difference, found.p) == (1, 0.125)
    assert found.low == 0
    assert compare_auc(y, y, 1 - y, specimen, 0.8, fold=fold).low > 0


@pytest.mark.parametrize("areas", [(0.98, 0.9), (0.98, 0.98)])
def test_a_difference_where_folds_are_perfect_is_held_as_often_as_promised(areas):
    held = 0
    for seed in range(100):
        y, first, second, owner, fold = small_folds(seed, areas)
        found = compare_auc(y, first, second, owner, fold=fold)
        other = compare_auc(y, second, first, owner, fold=fold)
        assert (other.low, other.high, other.p) == pytest.approx((-found.high, -found.low, found.p))
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
        assert found.low <= found.difference <= found.high
        assert found.p >= 2 * 0.5**12
        held += found.low <= areas[0] - areas[1] <= found.high
    assert held >= 95


def test_many_specimens_are_hardly_touched_by_one_perfect_fold():
    """The pairing is kept: the interval is close to what the variance alone gives."""
    y, first, second, owner, fold = small_folds(1, (0.97, 0.95), specimens=200)
    first = np.where(fold == 0, first + 9 * y, first)
    found = compare_auc(y, first, second, owner, fold=fold)
    parts = fold_sums(y, np.stack([first, second]), owner, fold)
    assert parts[0].auc[0] == 1
    assert all(0.9 < part.auc[0] < 1 for part in parts[1:])
    covariance = sum(part.covariance() for part in parts) / 25
    plain = 2 * critical_value(0.95) * np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.high - found.low == pytest.approx(plain, rel=0.25)


def test_folds_that_all_have_mistakes_are_compared_by_their_variance():
    y, first, second, owner, fold = small_folds(3, (0.85, 0.75), specimens=60)
    parts = fold_sums(y, np.stack([first, second]), owner, fold)
    assert all(0 < area < 1 for part in parts for area in part.auc)
    covariance = sum(part.covariance() for part in parts) / 25
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = compare_auc(y, first, second, owner, fold=fold)
    assert found.high - found.low == pytest.approx(2 * critical_value(0.95) * error, rel=1e-12)
    assert found.p == pytest.approx(2 * norm.sf(abs(found.difference) / error), rel=1e-9)


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1, never falling.
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])
    assert holm([]).size == 0
    with pytest.raises(ScoreError, match="between 0 and 1"):
        holm([0.1, np.nan])


def test_refusals():
    y, score, specimen = clustered(specimens=6)
    with pytest.raises(ScoreError, match=r"level is 95; it must lie between 0 and 1"):
        auc_interval(y, score, specimen, 95)
    with pytest.raises(ScoreError, match="no scale 'log'"):
        auc_bounds(fold_sums(y, score, specimen), scale="log")
    with pytest.raises(ScoreError, match="compare on the same images"):
        compare_auc(y, score, score[1:], specimen)
    with pytest.raises(ScoreError, match="row 2"):
        compare_auc(y, score, np.where(np.arange(y.size) == 2, np.nan, score), specimen)
    with pytest.raises(ScoreError, match="All 3 negative images belong to one specimen"):
        auc_interval(y[3:12], score[3:12], specimen[3:12])
    with pytest.raises(ScoreError, match="All 3 images are negative"):
        fold_sums(y[:3], score[:3], None)


@pytest.mark.parametrize("folds", [(3, 3), (3, 5)])
def test_a_difference_across_folds_is_paired_by_specimen(folds):
    y, score, specimen = clustered(specimens=120)
    better = score + 0.1 * y
    both = [np.repeat(np.arange(120) // 3 % count, 3) for count in folds]
    low, high = difference_across_folds(y, better, score, specimen, both)
    apart = [
        auc_interval(y, one, specimen, fold=fold) for one, fold in zip((better, score), both, strict=True)
    ]
    assert low < apart[0].estimate - apart[1].estimate < high
    # Paired: far narrower than if the two had seen other specimens.
    assert high - low < 0.5 * np.hypot(*(one.high - one.low for one in apart))
    other = difference_across_folds(y, score, better, specimen, both[::-1])
    assert other == pytest.approx((-high, -low))
    if folds[0] == folds[1]:
        known = compare_auc(y, better, score, specimen, fold=both[0])
        assert (low, high) == pytest.approx((known.low, known.high), abs=0.005)
