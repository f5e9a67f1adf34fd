"""Calibration: honest, overconfident and impossible probabilities."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, log_loss

from hep2lib.evaluation.auc import ScoreError, auc
from hep2lib.evaluation.calibration import brier_score, calibrated, fit_temperature, log_odds, reliability


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
    curve = reliability([0, 1, 1, 1], [0.2, 0.4, 0.7, 0.9], bins=2)
    np.testing.assert_allclose(curve.predicted, [0.3, 0.8])
    np.testing.assert_allclose(curve.observed, [0.5, 1.0])
    assert curve.error == pytest.approx(0.2)
    assert np.all((curve.low <= curve.observed) & (curve.observed <= curve.high))


def test_bins_hold_as_many_images_each():
    y, odds = honest(1000)
    curve = reliability(y, expit(odds))
    assert curve.predicted.size == 10
    assert np.mean(curve.predicted) == pytest.approx(expit(odds).mean())
    assert np.mean(curve.observed) == pytest.approx(y.mean())
    # Bins without an image are left out.
    assert reliability([0, 1], [0.0, 1.0]).predicted.tolist() == [0, 1]


def test_honest_probabilities_have_a_small_error_and_sure_ones_a_large_one():
    y, odds = honest()
    assert reliability(y, expit(odds)).error < 0.015
    assert reliability(y, expit(3 * odds)).error > 0.08


def test_temperature_finds_the_factor_and_keeps_the_order():
    y, odds = honest()
    found = fit_temperature(y, 3 * odds)
    assert found.value == pytest.approx(3, rel=0.05)
    assert log_loss(y, found.calibrate(3 * odds)) < log_loss(y, expit(3 * odds))
    assert not found.at_limit
    assert auc(y, found.calibrate(3 * odds)) == pytest.approx(auc(y, odds))
    assert reliability(y, found.calibrate(3 * odds)).error < 0.015


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
    alone = reliability(y, values, bins=2)
    aware = reliability(y, values, np.repeat(np.arange(6), 10), bins=2)
    assert np.all(aware.high - aware.low > 1.5 * (alone.high - alone.low))
    np.testing.assert_array_equal(aware.observed, alone.observed)
    single = reliability(y, values, np.repeat([0, 1], 30), bins=2)
    assert (single.low.tolist(), single.high.tolist()) == ([0, 0], [1, 1])


def test_refusals():
    with pytest.raises(ScoreError, match=r"Row 1 has the score -0\.3, which is no probability"):
        brier_score([1, 0], [0.7, -0.3])
    with pytest.raises(ScoreError, match="bins=0"):
        reliability([1, 0], [0.7, 0.3], bins=0)
    with pytest.raises(ScoreError, match="not finite"):
        fit_temperature([1, 0], [np.nan, 0.3])
    with pytest.raises(ScoreError, match="All 2 images are positive"):
        fit_temperature([1, 1], [0.1, 0.3])
