"""Calibration: honest, overconfident and impossible probabilities."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from hep2lib.evaluation.auc import ScoreError, auc
from hep2lib.evaluation.calibration import (
    brier_score,
    calibrated,
    decision_curve,
    fit_temperature,
    log_odds,
    net_benefit,
    recalibration,
    reliability,
)
from hep2lib.evaluation.decisions import share_interval
from hep2lib.evaluation.evidence import ClusteredDesign

# Twelve images of seven specimens, with ties at 0.5, for comparison with other packages.
LABELS = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1])
CHANCES = np.array([0.9, 0.2, 0.35, 0.8, 0.5, 0.1, 0.65, 0.45, 0.05, 0.5, 0.7, 0.95])
OWNERS = np.array([0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 6])
THRESHOLDS = [0.05, 0.2, 0.35, 0.5, 0.65, 0.9]


def honest(images=20000, seed=0):
    generator = np.random.default_rng(seed)
    odds = 2 * generator.normal(size=images)
    return (generator.random(images) < expit(odds)).astype(int), odds


def test_brier_score():
    assert brier_score([1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)
    y, odds = honest(100)
    assert brier_score(y, expit(odds)) == pytest.approx(brier_score_loss(y, expit(odds)))
    assert brier_score([1, 1], [1, 1]) == 0


def test_reliability_by_hand():
    curve = reliability([0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9], range(4), bins=2)
    np.testing.assert_allclose(curve.predicted, [0.3, 0.8])
    np.testing.assert_allclose(curve.observed, [0.5, 1.0])
    assert curve.lowest.tolist() == [0.2, 0.7]
    assert curve.highest.tolist() == [0.4, 0.9]
    assert curve.images.tolist() == [2, 2]
    assert curve.error == pytest.approx(0.2)
    assert np.all((curve.low <= curve.observed) & (curve.observed <= curve.high))


def test_bins_hold_as_many_images_each():
    y, odds = honest(1000)
    curve = reliability(y, expit(odds), np.arange(1000))
    assert curve.predicted.size == 10
    assert np.mean(curve.predicted) == pytest.approx(expit(odds).mean())
    assert np.mean(curve.observed) == pytest.approx(y.mean())
    # Bins without an image are left out.
    assert reliability([0, 1], [0.0, 1.0], [0, 1]).predicted.tolist() == [0, 1]


def test_honest_probabilities_have_a_small_error_and_sure_ones_a_large_one():
    y, odds = honest()
    owner = np.arange(y.size)
    assert reliability(y, expit(odds), owner).error < 0.015
    assert reliability(y, expit(3 * odds), owner).error > 0.08


def test_temperature_finds_the_factor_and_keeps_the_order():
    y, odds = honest()
    found = fit_temperature(y, 3 * odds)
    assert found.value == pytest.approx(3, rel=0.05)
    assert log_loss(y, found.calibrate(3 * odds)) < log_loss(y, expit(3 * odds))
    assert not found.at_limit
    assert auc(y, found.calibrate(3 * odds)) == pytest.approx(auc(y, odds))
    assert reliability(y, found.calibrate(3 * odds), np.arange(y.size)).error < 0.015


def test_temperature_of_a_perfect_validation_ends_at_the_limit():
    found = fit_temperature([0, 0, 1, 1], [-2, -1, 1, 2])
    assert found.at_limit
    assert found.value == pytest.approx(1 / 20, rel=0.01)


def test_log_odds_are_finite_and_undo_the_softmax():
    assert np.all(np.isfinite(log_odds([0.0, 1.0])))
    np.testing.assert_allclose(expit(log_odds([0.1, 0.5, 0.99])), [0.1, 0.5, 0.99])


def test_each_fold_is_scaled_by_its_own_validation_images():
    y, odds = honest()
    rows = np.arange(y.size)
    frame = pd.DataFrame(
        {"row": rows, "fold": rows % 2, "label": y, "score": expit(odds * (1 + 2 * (rows % 2)))}
    )
    validation, test = frame[rows % 4 < 2], frame[rows % 4 >= 2]
    found, temperatures = calibrated(validation, test, probabilities=True)
    assert [one.value for one in temperatures] == pytest.approx([1, 3], rel=0.1)
    np.testing.assert_allclose(found["score"], expit(odds[rows % 4 >= 2]), atol=0.03)
    margins = validation.assign(score=log_odds(validation["score"]))
    again, _ = calibrated(margins, test.assign(score=log_odds(test["score"])), probabilities=False)
    np.testing.assert_allclose(again["score"], found["score"])
    flipped, same = calibrated(validation, test.assign(label=1 - test["label"]), probabilities=True)
    assert same == temperatures
    np.testing.assert_array_equal(flipped["score"], found["score"])


def test_bins_of_few_specimens_have_wider_intervals():
    y = np.repeat([0, 1, 0, 1, 1, 0], 10)
    values = np.repeat([0.2, 0.2, 0.2, 0.8, 0.8, 0.8], 10)
    alone = reliability(y, values, np.arange(60), bins=2)
    aware = reliability(y, values, np.repeat(np.arange(6), 10), bins=2)
    assert np.all(aware.high - aware.low > 1.5 * (alone.high - alone.low))
    np.testing.assert_array_equal(aware.observed, alone.observed)
    single = reliability(y, values, np.repeat([0, 1], 30), bins=2)
    assert (single.low.tolist(), single.high.tolist()) == ([0, 0], [1, 1])


def test_refusals():
    with pytest.raises(ScoreError, match=r"Row 1 has the score -0\.3, which is no probability"):
        brier_score([1, 0], [0.7, -0.3])
    with pytest.raises(ScoreError, match="bins=0"):
        reliability([1, 0], [0.7, 0.3], [0, 1], bins=0)
    with pytest.raises(ScoreError, match="not finite"):
        fit_temperature([1, 0], [np.nan, 0.3])
    with pytest.raises(ScoreError, match="All 2 images are positive"):
        fit_temperature([1, 1], [0.1, 0.3])


def test_net_benefit_is_that_of_dcurves():
    """Of dcurves 1.1.7, by the authors of the method: dca(..., thresholds=THRESHOLDS, prevalence=...)."""
    here = [0.561403509, 0.416666667, 0.365384615, 0.250000000, 0.178571429, 0.166666667]
    routine = [0.187368421, 0.041028571, -0.053986813, -0.145942857, -0.156457143, 0.065142857]
    np.testing.assert_allclose(net_benefit(LABELS, CHANCES, THRESHOLDS), here, atol=1e-6)
    np.testing.assert_allclose(net_benefit(LABELS, CHANCES, THRESHOLDS, 0.228), routine, atol=1e-6)
    for prevalence, everyone in (
        (None, [0.561403509, 0.479166667, 0.358974359, 0.166666667, -0.190476190, -3.166666667]),
        (0.228, [0.187368421, 0.035000000, -0.187692308, -0.544000000, -1.205714286, -6.720000000]),
    ):
        found = net_benefit(LABELS, np.ones(12), THRESHOLDS, prevalence)
        np.testing.assert_allclose(found, everyone, atol=1e-6)
    np.testing.assert_array_equal(net_benefit(LABELS, np.zeros(12), THRESHOLDS), 0)


def test_net_benefit_by_its_definition():
    # Of ten images three are found and two are false alarms: 3/10 - 2/10 * 0.2/0.8 (Vickers & Elkin 2006).
    y, p = [1] * 4 + [0] * 6, [0.9, 0.8, 0.2, 0.1, 0.3, 0.2, 0.1, 0.1, 0.0, 0.0]
    assert net_benefit(y, p, 0.2) == pytest.approx(0.3 - 0.2 * 0.25)
    assert net_benefit(y, p, 0.2, 0.25) == pytest.approx(0.25 * 3 / 4 - 0.75 * 2 / 6 * 0.25)


def curve_of(y, p, owner, prevalence=None, **thresholds):
    frame = pd.DataFrame({"label": y, "score": p, "specimen": owner})
    return decision_curve(frame, prevalence, **thresholds).set_index("threshold")


def test_a_decision_curve_with_its_band_over_specimens():
    curve = curve_of(LABELS, CHANCES, OWNERS)
    assert curve.index.tolist() == pytest.approx([n / 100 for n in range(1, 100)])
    np.testing.assert_allclose(curve["benefit"], net_benefit(LABELS, CHANCES, curve.index))
    assert curve["all"].loc[0.5] == pytest.approx(LABELS.mean() - (1 - LABELS.mean()))
    assert np.all((curve["low"] < curve["benefit"]) & (curve["benefit"] <= curve["high"]))
    assert curve["high"].max() <= LABELS.mean() + 1e-12
    # At prevalence 1 it is the sensitivity, at 0 the false alarms at their price, each with its own interval.
    positive, negative = LABELS == 1, LABELS == 0
    sensitivity = share_interval(CHANCES[positive] >= 0.6, OWNERS[positive])
    ends = (sensitivity.estimate, sensitivity.low, sensitivity.high)
    names = ["benefit", "low", "high"]
    np.testing.assert_allclose(curve_of(LABELS, CHANCES, OWNERS, 1.0).loc[0.6, names], ends)
    alarms = share_interval(CHANCES[negative] >= 0.6, OWNERS[negative])
    ends = (-1.5 * alarms.estimate, -1.5 * alarms.high, -1.5 * alarms.low)
    np.testing.assert_allclose(curve_of(LABELS, CHANCES, OWNERS, 0.0).loc[0.6, names], ends)
    # Copies of an image are no further evidence.
    copied = curve_of(np.repeat(LABELS, 9), np.repeat(CHANCES, 9), np.repeat(OWNERS, 9))
    np.testing.assert_allclose(copied["benefit"], curve["benefit"])
    assert np.mean((copied["high"] - copied["low"]) / (curve["high"] - curve["low"])) > 0.8


def test_decision_curves_of_perfect_and_of_equal_probabilities():
    perfect = curve_of(LABELS, 0.2 + 0.6 * LABELS, OWNERS, 0.3)
    inside = perfect.loc[0.21:0.8]
    np.testing.assert_allclose(inside[["benefit", "high"]], 0.3)
    assert inside["low"].max() < 0.25  # no mistake among seven specimens is no certainty
    np.testing.assert_allclose(perfect["benefit"].loc[:0.2], perfect["all"].loc[:0.2])
    equal = curve_of(LABELS, np.full(12, 0.5), OWNERS)
    np.testing.assert_allclose(equal["benefit"].loc[:0.5], equal["all"].loc[:0.5])
    np.testing.assert_array_equal(equal["benefit"].loc[0.51:], 0)
    # Where one specimen has all images of a label, its share could be anything.
    single = curve_of(LABELS, CHANCES, LABELS, 0.3).loc[0.5]
    assert (single["low"], single["high"]) == pytest.approx(
        (
            single["benefit"] - np.hypot(0.3 * 5 / 7, 0.7 * 3 / 5),
            single["benefit"] + np.hypot(0.3 * 2 / 7, 0.7 * 2 / 5),
        )
    )


def true_benefit(design, thresholds):
    """Net benefit of right probabilities, when scores are normal as in `designed`."""
    shift = np.sqrt(2) * norm.ppf(design.area)
    place = (logit(thresholds) - logit(design.positive) + shift**2 / 2) / shift
    price = thresholds / (1 - thresholds)
    return design.positive * norm.sf(place - shift) - (1 - design.positive) * norm.sf(place) * price


def designed(design, draw):
    """Labels, log odds that are right, and specimens; whether a specimen is positive is left to chance."""
    _, owner = design.labels()
    y = (draw.random(design.specimens) < design.positive).astype(int)[owner]
    shared, own = draw.normal(size=design.specimens)[owner], draw.normal(size=owner.size)
    shift = np.sqrt(2) * norm.ppf(design.area)
    score = shift * y + np.sqrt(design.correlation) * shared + np.sqrt(1 - design.correlation) * own
    return y, logit(design.positive) + shift * score - shift**2 / 2, owner


@pytest.mark.parametrize(("specimens", "area"), [(30, 0.9), (100, 0.97)])
def test_the_band_of_net_benefit_holds_the_truth_as_often_as_it_says(specimens, area):
    design, draw = ClusteredDesign(specimens=specimens, area=area), np.random.default_rng(0)
    steps = np.array([0.05, 0.2, 0.5, 0.7, 0.9])
    true, held = true_benefit(design, steps), []
    for _ in range(200):
        y, odds, owner = designed(design, draw)
        band = curve_of(y, expit(odds), owner, design.positive, thresholds=steps)
        held.append((band["low"] <= true) & (true <= band["high"]))
    shares = np.mean(held, axis=0)
    assert np.all((shares >= 0.90) & (shares <= 0.995)), shares


def test_calibration_intercept_and_slope_are_those_of_statsmodels():
    """Of statsmodels 0.15.0: GLM(y, X, Binomial(), offset=...).fit()."""
    found = recalibration(LABELS, CHANCES, OWNERS)
    assert found["intercept"].estimate == pytest.approx(0.428837238, abs=1e-6)
    assert found["slope"].estimate == pytest.approx(0.446580390, abs=1e-6)
    assert (found["intercept"].specimens, found["slope"].specimens) == (7, 7)


def test_the_slope_is_that_of_scikit_learn():
    y, odds = honest(3000)
    model = LogisticRegression(C=1e12, solver="newton-cholesky", tol=1e-12).fit(3 * odds[:, None] + 1, y)
    slope = recalibration(y, expit(3 * odds + 1), None)["slope"]
    assert slope.estimate == pytest.approx(model.coef_[0, 0], abs=1e-6)
    assert slope.low < 1 / 3 < slope.high


def test_the_standard_errors_are_those_of_leaving_out_specimens_one_by_one():
    y, odds = honest(2000)
    owner = np.arange(2000) // 40
    found = recalibration(y, expit(2 * odds - 1), owner)
    left = [recalibration(y[owner != k], expit(2 * odds - 1)[owner != k], None) for k in range(50)]
    for name, one in found.items():
        values = np.array([each[name].estimate for each in left])
        error = np.sqrt(49 / 50 * np.sum((values - values.mean()) ** 2))
        assert one.standard_error == pytest.approx(error, rel=0.02)


def test_intercept_and_slope_say_what_is_wrong():
    y, odds = honest()
    right = recalibration(y, expit(odds), None)
    for name, value in (("intercept", 0), ("slope", 1)):
        assert right[name].low < value < right[name].high
    assert recalibration(y, expit(odds + 0.5), None)["intercept"].estimate == pytest.approx(-0.5, abs=0.08)
    assert recalibration(y, expit(2 * odds), None)["slope"].estimate == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("area", "correlation"), [(0.8, 0.7), (0.95, 0.0), (0.95, 0.7)])
def test_intervals_of_intercept_and_slope_hold_the_truth_as_often_as_they_say(area, correlation):
    design, draw = (
        ClusteredDesign(specimens=100, area=area, correlation=correlation),
        np.random.default_rng(0),
    )
    held, naive = [], []
    for _ in range(150):
        y, odds, owner = designed(design, draw)
        found = recalibration(y, expit(odds), owner)
        held.append([one.low <= value <= one.high for value, one in zip((0, 1), found.values(), strict=True)])
        alone = recalibration(y, expit(odds), None)["intercept"]
        naive.append(alone.low <= 0 <= alone.high)
    shares = np.mean(held, axis=0)
    assert np.all((shares >= 0.91) & (shares <= 0.985)), shares
    if correlation:
        assert np.mean(naive) < 0.90


def test_where_there_is_no_intercept_or_slope_the_reason_is_given():
    equal = recalibration(LABELS, np.full(12, 0.5), OWNERS)
    assert equal["slope"] == "all probabilities are equal"
    assert equal["intercept"].estimate == pytest.approx(logit(7 / 12))
    for apart in (0.1 + 0.8 * LABELS, 0.9 - 0.8 * LABELS, np.where(LABELS == 1, CHANCES / 2 + 0.5, 0.5)):
        assert recalibration(LABELS, apart, OWNERS)["slope"] == "the probabilities separate the labels"
    sure = recalibration(LABELS, np.where(CHANCES > 0.85, 1.0, CHANCES), OWNERS)
    assert set(sure.values()) == {"2 probabilities are 0 or 1 to rounding"}
    one = recalibration(LABELS, CHANCES, np.zeros(12))
    assert set(one.values()) == {"too few images have a say in it"}
    few = recalibration(LABELS[:4], CHANCES[:4], [0, 0, 1, 1])
    assert few["slope"] == "the probabilities separate the labels"


def test_refusals_of_net_benefit_and_recalibration():
    for threshold, prevalence in ((1.0, None), (-0.1, None), (np.nan, None), (0.5, 22.8)):
        with pytest.raises(ScoreError, match=r"threshold=.*prevalence=.*use 0 to 1, of thresholds below 1"):
            net_benefit(LABELS, CHANCES, threshold, prevalence)
    with pytest.raises(ScoreError, match="which is no probability"):
        net_benefit(LABELS, 2 * CHANCES, 0.5)
    with pytest.raises(ScoreError, match="All 2 images are positive"):
        net_benefit([1, 1], [0.2, 0.3], 0.5)
    with pytest.raises(ScoreError, match="All 2 images are positive"):
        recalibration([1, 1], [0.2, 0.3], None)
