"""Intervals that hold the truth as often as they say, and those that do not."""

import numpy as np
import pytest
from scipy.stats import norm

from hep2lib.evaluation.auc import ScoreError, compare_auc
from hep2lib.evaluation.evidence import ClusteredDesign, simulate_coverage, specimens_to_decide


def test_made_images_have_the_auc_and_the_correlation_they_should():
    design = ClusteredDesign(specimens=40, images_per_specimen=(2,), area=0.9, correlation=0.6)
    y, specimen = design.labels()
    scores = design.scores(4000, np.random.default_rng(0))
    assert (y.size, specimen.max() + 1, y.mean()) == (80, 40, 0.6)
    above = np.mean(scores[:, y == 1][:, ::2] > scores[:, y == 0][:, :1])
    assert above == pytest.approx(0.9, abs=0.01)
    assert np.corrcoef(scores[:, 0], scores[:, 1])[0, 1] == pytest.approx(0.6, abs=0.03)


def test_the_seed_decides():
    design = ClusteredDesign(specimens=30)
    first, again, other = (simulate_coverage(design, repetitions=50, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert all(0 <= share <= 1 for share in first.values())


@pytest.mark.parametrize("specimens", [100, 200])
@pytest.mark.parametrize("correlation", [0.5, 0.7, 0.95])
def test_specimen_aware_intervals_cover_where_naive_ones_fall_short(specimens, correlation):
    design = ClusteredDesign(specimens=specimens, correlation=correlation)
    found = simulate_coverage(design, repetitions=1000)
    assert 0.93 <= found["specimens"] <= 0.97
    assert found["images"] < 0.90


def test_on_independent_images_both_cover():
    found = simulate_coverage(ClusteredDesign(specimens=200, correlation=0.0), repetitions=1000)
    assert 0.93 <= found["images"] <= 0.97
    assert 0.93 <= found["specimens"] <= 0.97


def test_two_equally_good_classifiers_seldom_differ():
    design = ClusteredDesign(specimens=100, area=0.8)
    y, specimen = design.labels()
    shift = np.sqrt(2) * norm.ppf(design.area)
    made = np.stack([design.scores(400, np.random.default_rng(seed)) for seed in range(3)]) - shift * y
    first, second = (shift * y + np.sqrt(0.7) * made[0] + np.sqrt(0.3) * own for own in made[1:])
    p_values = np.array(
        [
            [compare_auc(y, a, b, owner).p for owner in (specimen, None)]
            for a, b in zip(first, second, strict=True)
        ]
    )
    aware, naive = np.mean(p_values < 0.05, axis=0)
    assert 0.02 <= aware <= 0.08
    assert naive > 0.12


@pytest.mark.parametrize("area", [0.9, 0.95])
def test_the_mean_of_folds_covers_too(area):
    found = simulate_coverage(ClusteredDesign(specimens=100, area=area), repetitions=1000, folds=5)
    assert 0.93 <= found["specimens, mean of folds"] <= 0.97
    assert found["images"] < 0.90


@pytest.mark.slow
def test_specimen_aware_intervals_cover_1000_repetitions_where_the_naive_one_falls_short():
    found = simulate_coverage(ClusteredDesign(specimens=200), repetitions=1000, folds=5)
    for aware in ("specimens", "specimens, mean of folds"):
        assert 0.93 <= found[aware] <= 0.97, aware
    assert found["images"] < 0.90


def test_impossible_designs():
    with pytest.raises(ScoreError, match=r"area from 0\.5 to below 1"):
        simulate_coverage(ClusteredDesign(area=1.0))
    with pytest.raises(ScoreError, match="correlation from 0 to 1"):
        simulate_coverage(ClusteredDesign(correlation=1.5))


def test_the_number_that_decides_is_the_textbooks_for_a_share():
    """n = z^2 p (1 - p) / d^2, the sample size for estimating a proportion to within d."""
    share, border, z = 0.9, 0.93, norm.ppf(0.975)
    half = z * np.sqrt(share * (1 - share) / 100)
    wanted = int(np.ceil(z**2 * share * (1 - share) / (border - share) ** 2))
    assert specimens_to_decide(100, share, share - half, share + half, border) == wanted == 385
    assert specimens_to_decide(100, share, 0.0, share + half, border) == wanted  # the other end has no say
    assert specimens_to_decide(100, share, share - half, 1.0, 0.87) == wanted


@pytest.mark.parametrize("seed", [0, 1])
def test_that_many_specimens_decide_and_fewer_do_not(seed):
    """With every specimen repeated the estimate stays, and the interval is computed anew."""
    draw = np.random.default_rng(seed)
    y, specimen = ClusteredDesign(specimens=60, images_per_specimen=(2,)).labels()
    first, second = draw.normal(size=(2, y.size)) + 2 * y
    border = 0.06

    def compared(times):
        again = (np.tile(each, times) for each in (y, first, second))
        owner = np.concatenate([specimen + 60 * k for k in range(times)])
        return compare_auc(*again, owner)

    one = compared(1)
    assert one.low < border < one.high
    needed = specimens_to_decide(60, one.difference, one.low, one.high, border)
    times = int(np.ceil(needed / 60))
    assert times > 1
    assert compared(times + 1).high < border < compared(times - 1).high


def test_nothing_decides_on_the_border():
    assert specimens_to_decide(100, 0.5, 0.4, 0.6, 0.5) == np.inf
    assert specimens_to_decide(100, 0.0, 0.0, 0.0, 0.1) == np.inf
    assert specimens_to_decide(100, 0.3, 0.2, 0.4, 0.1 + 0.2) == np.inf  # but for rounding
    assert np.isnan(specimens_to_decide(0, np.nan, np.nan, np.nan, 0.1))
