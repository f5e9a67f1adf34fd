"""What printed figures can bear: against draws, published standard errors and the limits."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from hep2lib.evaluation.auc import ScoreError, auc
from hep2lib.evaluation.evidence import (
    agreement_needed,
    area_interval,
    claim_curves,
    false_claim,
    told_apart,
)
from hep2lib.runs.paper import printed

ACCURACIES = (printed("best.accuracy"), printed("table4.cascio.accuracy"))
UNITS = {"images": printed("database.images"), "specimens": printed("aida.records")}


@pytest.mark.parametrize("both", [1784, 1850, 1900, 1925, 1930])
def test_the_exact_probability_is_that_of_the_drawn_posterior(both):
    first, second, images = 1934, 1930, 2080
    cells = [both, first - both, second - both, images - first - second + both]
    drawn = np.random.default_rng(0).dirichlet(np.add(cells, 1), size=400_000)
    share = np.mean(drawn[:, 0] + drawn[:, 2] >= drawn[:, 0] + drawn[:, 1])
    assert false_claim(first, second, both) == pytest.approx(share, abs=0.0035)  # over 4 standard errors


@pytest.mark.parametrize(("unit", "low", "high"), [("images", 0.21, 0.40), ("specimens", 0.29, 0.44)])
def test_the_paper_s_claim_over_the_method_before_it(unit, low, high):
    """An independent computation, by draws, from agreement by chance up to 92.3 %."""
    ((_, units),) = claim_curves([ACCURACIES], {unit: UNITS[unit]}).items()
    ((name, curve),) = units.items()
    assert name == f"{UNITS[unit]:,} {unit}"
    ends = np.interp([0.923, np.prod(ACCURACIES)], curve["both"], curve["false"])
    assert ends == pytest.approx([low, high], abs=0.015)


def test_the_curve_runs_over_what_is_possible():
    curves = claim_curves([ACCURACIES, (0.5, 0.5)], {"images": 2080})
    assert list(curves) == ["93.0 % over 92.8 %", "50.0 % over 50.0 %"]
    curve = curves["93.0 % over 92.8 %"]["2,080 images"]
    assert (curve["apart"].iloc[0], curve["apart"].iloc[-1]) == (1934 + 1930 - 2 * 1784, 4)
    assert curve["both"].iloc[-1] == 1930 / 2080
    assert (np.diff(curve["false"]) < 0).all()
    equal = curves["50.0 % over 50.0 %"]["2,080 images"]
    assert (equal["both"].iloc[0], equal["both"].iloc[-1]) == (0, 0.5)
    assert equal["false"].to_numpy() == pytest.approx(0.5)
    assert agreement_needed(equal) is None


def test_four_images_for_the_first_and_none_for_the_second():
    assert false_claim(4, 0, 0) == pytest.approx(1 / 32)  # five beta(1) variables: (1 / 2) ** 5
    assert false_claim(0, 4, 0) == pytest.approx(31 / 32)
    assert false_claim(7, 7, 7) == pytest.approx(0.5)
    images, specimens = claim_curves([ACCURACIES], UNITS)["93.0 % over 92.8 %"].values()
    assert agreement_needed(images) == 4
    assert agreement_needed(specimens) is None
    assert specimens["false"].iloc[-1] == pytest.approx(1 / 8)


def test_what_cannot_be_is_refused():
    with pytest.raises(ScoreError, match="both must lie between 0 and 3"):
        false_claim(5, 3, [3, 4])
    for accuracies, count in (((93.0, 0.9), 10), ((0.9, -0.1), 10), ((0.9, 0.8), 0)):
        with pytest.raises(ScoreError, match="accuracies are shares"):
            claim_curves([accuracies], {"images": count})
    for area, positive, specimen, correlation in (
        (1, 9, 1, 0),
        (0.9, 0, 1, 0),
        (0.9, 9, 0.5, 0),
        (0.9, 9, 1, 2),
    ):
        with pytest.raises(ScoreError, match="lie between 0 and 1"):
            area_interval(area, positive, 9, specimen, correlation)


@pytest.mark.parametrize(("count", "error"), [(40, 0.0437), (60, 0.0356)])
def test_hanley_and_mcneil_s_own_example(count, error):
    """Their standard errors at an AUC of 0.85, as the tests of the R package presize quote them."""
    assert area_interval(0.85, count, count).standard_error == pytest.approx(error, abs=5e-5)


def test_the_standard_error_of_exponential_scores_and_of_copies():
    draw = np.random.default_rng(1)
    y = np.repeat([1, 0], [60, 40])
    scale = 0.9 / 0.1  # P(positive above negative) of exponential scores is scale / (1 + scale)
    seen = [auc(y, draw.exponential(np.where(y == 1, scale, 1.0))) for _ in range(3000)]
    found = area_interval(0.9, 60, 40)
    assert np.mean(seen) == pytest.approx(0.9, abs=0.003)
    assert found.standard_error == pytest.approx(np.std(seen), rel=0.05)
    copies = area_interval(0.9, 120, 80, images_per_specimen=2, correlation=1)
    assert copies.standard_error == pytest.approx(found.standard_error, rel=0.01)
    assert found.low < 0.9 < found.high < 1
    assert copies.specimens == found.specimens == 100


def test_the_paper_s_aucs_against_each_other():
    sizes = printed("database.positive"), printed("database.negative"), UNITS["images"] / UNITS["specimens"]
    best, shallow, svm = (
        [area_interval(printed(key), *sizes, correlation) for correlation in (0, 1)]
        for key in ("table3.freeze_11_rotations.auc", "table3.freeze_11.auc", "svm.auc")
    )
    assert (best[0].low, best[0].high) == pytest.approx((0.9786, 0.9880), abs=1e-4)
    assert (best[1].low, best[1].high) == pytest.approx((0.9757, 0.9895), abs=1e-4)
    (p, needed), (p_copies, needed_copies) = map(told_apart, best, shallow)
    assert (p, p_copies) == pytest.approx((0.263, 0.438), abs=1e-3)
    assert (needed, needed_copies) == pytest.approx((0.679, 0.849), abs=1e-3)
    (p, needed), (p_copies, needed_copies) = map(told_apart, best, svm)
    assert p < 0.01 < 0.05 < p_copies < 0.06
    assert needed < 0 < needed_copies < 0.03


def test_the_correlation_that_is_needed_brings_p_to_five_per_cent():
    one, other = area_interval(0.984, 1498, 582), area_interval(0.98, 1498, 582)
    a, b, needed = one.standard_error, other.standard_error, told_apart(one, other)[1]
    assert 0.004 / np.sqrt(a**2 + b**2 - 2 * needed * a * b) == pytest.approx(1.95996, abs=1e-4)
    assert told_apart(one, one) == pytest.approx((1, 1))


@pytest.mark.parametrize("both", [1784, 1850, 1925, 1930])
def test_the_exact_probability_is_a_tail_of_the_binomial(both):
    """The same as so many heads of as many fair coins, and one more."""
    first, second = 1934 - both, 1930 - both
    tail = binom.sf(first, first + second + 1, 0.5)
    assert false_claim(1934, 1930, both) == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("area", [0.6, 0.85, 0.984])
def test_the_standard_error_is_that_of_exponential_scores_by_integration(area):
    """Bamber's variance of the AUC; its two probabilities are integrated, with scores of rates 1 and r."""
    rate = 1 / area - 1  # of the positive scores: they exceed a negative one with probability 1 / (1 + r)
    two_above, _ = quad(lambda x: np.exp(-2 * rate * x) * np.exp(-x), 0, np.inf, epsabs=1e-12)
    two_below, _ = quad(lambda x: (1 - np.exp(-x)) ** 2 * rate * np.exp(-rate * x), 0, np.inf, epsabs=1e-12)
    m, n = 1498, 582
    variance = area * (1 - area) + (m - 1) * (two_above - area**2) + (n - 1) * (two_below - area**2)
    assert area_interval(area, m, n).standard_error == pytest.approx(np.sqrt(variance / (m * n)), rel=1e-6)
