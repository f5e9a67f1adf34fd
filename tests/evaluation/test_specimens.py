"""Fields put together to specimens, and the three zones."""

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.evidence import ClusteredDesign
from hep2lib.evaluation.specimens import (
    choose_zone,
    decision_table,
    disagreement,
    intraclass_correlation,
    routine_day,
    specimen_decisions,
    zone_rates,
)

SPECIMEN = ["b", "b", "a", "a", "a", "c", "d", "d"]
LABEL = [1, 1, 0, 0, 0, 1, 0, 0]
SCORE = np.array([0.9, 0.3, 0.1, 0.2, 0.6, 0.4, 0.45, 0.5]) - 0.5


def test_fields_by_mean_and_by_majority():
    table = specimen_decisions(LABEL, SCORE, SPECIMEN).set_index("specimen")
    assert table.index.tolist() == ["a", "b", "c", "d"]
    assert table["fields"].tolist() == [3, 2, 1, 2]
    assert table["label"].tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(table["mean_score"], [-0.2, 0.1, -0.1, -0.025])
    np.testing.assert_allclose(table["positive_share"], [1 / 3, 0.5, 0.0, 0.5])
    assert table["by_mean"].tolist() == [0, 1, 0, 0]
    # Specimens b and d are ties: positive.
    assert table["by_majority"].tolist() == [0, 1, 0, 1]
    assert table["disagree"].tolist() == [True, True, False, True]


def test_confusion_and_disagreement_of_specimens():
    decisions = specimen_decisions(LABEL, SCORE, SPECIMEN)
    table = decision_table(pd.DataFrame({"label": LABEL, "score": SCORE}), decisions)
    assert table["Of"].tolist() == [8, 4, 4]
    np.testing.assert_allclose(table["Sensitivity"], [1 / 3, 1 / 2, 1 / 2])
    np.testing.assert_allclose(table["Specificity"], [3 / 5, 1, 1 / 2])
    # Of a, b and d (c has one field) all three disagree.
    assert disagreement(decisions) == 1.0
    assert np.isnan(disagreement(specimen_decisions([1, 0], [0.4, -0.4], ["a", "b"])))


def test_a_specimen_with_one_positive_image_is_positive():
    assert specimen_decisions([0, 1], [0.1, 0.1], ["a", "a"])["label"].tolist() == [1]


def test_zones_keep_their_promises_on_validation():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 400)
    score = generator.normal(size=400) + 1.5 * y
    low, high = choose_zone(y, score)
    assert low < high
    rates = zone_rates(pd.DataFrame({"label": y, "zone": np.digitize(score, (low, high))}))
    assert rates["missed"] <= 0.05
    assert rates["false_alarms"] <= 0.05
    assert rates["review_rate"] == pytest.approx(np.mean((score >= low) & (score < high)))


def test_nothing_to_review_where_one_threshold_does():
    low, high = choose_zone([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert low == high == pytest.approx(0.5)
    assert np.digitize([0.1, 0.2, 0.8, 0.9], (low, high)).tolist() == [0, 0, 2, 2]


def test_zone_rates_by_hand():
    rates = zone_rates(pd.DataFrame({"label": [1, 1, 1, 0, 0], "zone": [0, 1, 2, 0, 2]}))
    assert rates == pytest.approx({"review_rate": 0.2, "missed": 1 / 3, "false_alarms": 0.5})
    assert np.isnan(zone_rates(pd.DataFrame({"label": [0, 0], "zone": [0, 1]}))["missed"])


def test_a_thousand_routine_sera():
    day = routine_day(0.9, 0.8, 0.25)
    numbers = {"found": 225, "missed": 25, "false_alarms": 150, "cleared": 600}
    assert day == pytest.approx(numbers | {"predictive_value": 225 / 375})
    assert np.isnan(routine_day(0.0, 1.0, 0.3)["predictive_value"])
    with pytest.raises(ScoreError, match="prevalence is 72; it must be between 0 and 1"):
        routine_day(0.9, 0.9, 72)


def test_correlation_of_a_specimens_images():
    design = ClusteredDesign(specimens=2000, images_per_specimen=(1, 2, 3), correlation=0.6)
    y, specimen = design.labels()
    (score,) = design.scores(1, np.random.default_rng(0))
    assert intraclass_correlation(y, score, specimen) == pytest.approx(0.6, abs=0.04)
    assert intraclass_correlation(y, score + 100 * y, specimen) == pytest.approx(
        intraclass_correlation(y, score, specimen)
    )
    # Two labels' worth of copies; then one way by hand: means 1, 3 and 5, 1 within, 8 between.
    assert intraclass_correlation([1, 1, 0, 0, 1, 1], [1, 1, 2, 2, 3, 3], list("aabbcc")) == pytest.approx(1)
    by_hand = intraclass_correlation([1] * 6, [0, 2, 2, 4, 4, 6], list("aabbcc"))
    assert by_hand == pytest.approx((8 - 2) / (8 + 2))
    assert np.isnan(intraclass_correlation([1, 0, 1], [1.0, 2, 3], list("abc")))


def test_refusals():
    with pytest.raises(ScoreError, match="Row 1 names no specimen"):
        specimen_decisions([0, 1], [0.1, 0.2], ["a", ""])
    with pytest.raises(ScoreError, match="All 2 images are negative"):
        choose_zone([0, 0], [0.1, 0.2])
