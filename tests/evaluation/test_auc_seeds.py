"""Two kinds of classifier with several seeds each: what seeds and specimens add to the interval."""

import numpy as np
import pytest

from hep2lib.evaluation.auc import ScoreError, auc, compare_auc, compare_seeds


def sample(generator, *, specimens=60, seeds=(3, 3), lift=(1.2, 1.2), shift=None):
    """Draw labels, the scores of both kinds, specimens and two folds; ``shift`` moves each seed's skill."""
    specimen = np.repeat(np.arange(specimens), 2)
    y, fold = (specimen % 3 > 0).astype(int), specimen // 3 % 2
    shared = np.repeat(generator.normal(size=specimens), 2)
    shift = shift or [np.zeros(count) for count in seeds]
    kinds = [
        np.stack([(one + move) * y + shared + 0.5 * generator.normal(size=y.size) for move in moves])
        for one, moves in zip(lift, shift, strict=True)
    ]
    return y, *kinds, specimen, fold


def test_one_seed_a_side_is_the_paired_comparison():
    y, first, second, specimen, fold = sample(np.random.default_rng(0), seeds=(1, 1), lift=(1.5, 0.8))
    found = compare_seeds([(y, first, second, specimen, fold)])
    paired = compare_auc(y, first[0], second[0], specimen, fold=fold)
    assert found.difference == pytest.approx(paired.difference)
    # Student's quantile with 59 degrees of freedom instead of the normal one.
    assert found.high - found.low == pytest.approx((paired.high - paired.low) * 2.001 / 1.960, rel=1e-3)
    assert found.seeds_error == 0


def test_the_difference_is_that_of_the_means_over_seeds_folds_and_databases():
    samples = [sample(np.random.default_rng(k), seeds=(3, 2), lift=(1.5, 0.8)) for k in range(3)]
    found = compare_seeds(samples)

    def mean(side, seed):
        areas = [
            auc(one[0][one[4] == fold], one[side][seed][one[4] == fold]) for one in samples for fold in (0, 1)
        ]
        return np.mean(areas)

    assert found.areas[0] == pytest.approx([mean(1, seed) for seed in range(3)])
    assert found.areas[1] == pytest.approx([mean(2, seed) for seed in range(2)])
    assert found.difference == pytest.approx(found.areas[0].mean() - found.areas[1].mean())
    assert found.seeds_error**2 == pytest.approx(
        found.areas[0].var(ddof=1) / 3 + found.areas[1].var(ddof=1) / 2
    )
    assert found.low < found.difference < found.high


def test_equal_scores_differ_by_nothing():
    y, first, _, specimen, fold = sample(np.random.default_rng(1), seeds=(1, 1))
    found = compare_seeds([(y, first, first, specimen, fold)])
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_intervals_cover_zero_as_often_as_they_say_where_seeds_differ():
    generator, covered, narrow = np.random.default_rng(2), 0, 0
    for _ in range(150):
        shift = [0.3 * generator.normal(size=3) for _ in range(2)]  # the same seeds on both databases
        found = compare_seeds([sample(generator, shift=shift) for _ in range(2)])
        covered += found.low <= 0 <= found.high
        narrow += abs(found.difference) <= 1.96 * found.specimens_error
    assert covered >= 135  # 95 % of 150 are 142.5, with a standard deviation of 2.7
    assert narrow < covered - 15  # specimens alone would promise too much


def test_other_seeds_on_another_database_are_refused():
    generator = np.random.default_rng(3)
    with pytest.raises(ScoreError, match="the same seeds on all"):
        compare_seeds([sample(generator), sample(generator, seeds=(2, 3))])
