"""Fields put together to specimens, and the three zones."""

import numpy as np
import pytest

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.coverage import ClusteredDesign
from hep2lib.evaluation.specimens import (
    Zones,
    choose_zones,
    disagreement,
    routine_day,
    specimen_confusion,
    specimen_correlation,
    specimen_decisions,
    zone_report,
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
    by_mean, by_majority = specimen_confusion(decisions), specimen_confusion(decisions, "majority")
    assert (by_mean.true_positive, by_mean.false_positive, by_mean.images) == (1, 0, 4)
    assert (by_majority.true_positive, by_majority.false_positive) == (1, 1)
    # Of a, b and d (c has one field) all three disagree.
    assert disagreement(decisions) == 1.0
    assert np.isnan(disagreement(specimen_decisions([1, 0], [0.4, -0.4], ["a", "b"])))


def test_a_specimen_with_one_positive_image_is_positive():
    assert specimen_decisions([0, 1], [0.1, 0.1], ["a", "a"])["label"].tolist() == [1]


def test_zones_keep_their_promises_on_validation():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 400)
    score = generator.normal(size=400) + 1.5 * y
    zones = choose_zones(y, score)
    assert zones.low < zones.high
    report = zone_report(y, zones.assign(score))
    assert report.missed <= 0.05
    assert report.false_alarms <= 0.05
    assert report.counts.sum() == 400
    assert report.review_rate == pytest.approx(np.mean((score >= zones.low) & (score < zones.high)))


def test_nothing_to_review_where_one_threshold_does():
    zones = choose_zones([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert zones.low == zones.high == pytest.approx(0.5)
    assert zone_report([0, 0, 1, 1], zones.assign([0.1, 0.2, 0.8, 0.9])).review_rate == 0


def test_zone_report_by_hand():
    zones = Zones(0.3, 0.7)
    assert zones.assign([0.2, 0.3, 0.69, 0.7]).tolist() == [0, 1, 1, 2]
    report = zone_report([1, 1, 1, 0, 0], [0, 1, 2, 0, 2])
    assert report.counts.tolist() == [[1, 0, 1], [1, 1, 1]]
    assert (report.review_rate, report.missed, report.false_alarms) == pytest.approx((0.2, 1 / 3, 0.5))
    assert np.isnan(zone_report([0, 0], [0, 1]).missed)


def test_a_thousand_routine_sera():
    day = routine_day(0.9, 0.8, 0.25)
    assert (day.found, day.missed) == pytest.approx((225, 25))
    assert (day.false_alarms, day.cleared) == pytest.approx((150, 600))
    assert day.positive_predictive_value == pytest.approx(225 / 375)
    assert np.isnan(routine_day(0.0, 1.0, 0.3).positive_predictive_value)
    with pytest.raises(ScoreError, match="prevalence is 72; it must be between 0 and 1"):
        routine_day(0.9, 0.9, 72)


def test_correlation_of_a_specimens_images():
    design = ClusteredDesign(specimens=2000, images_per_specimen=(1, 2, 3), correlation=0.6)
    y, specimen = design.labels()
    (score,) = design.scores(1, np.random.default_rng(0))
    assert specimen_correlation(y, score, specimen) == pytest.approx(0.6, abs=0.04)
    assert specimen_correlation(y, score + 100 * y, specimen) == pytest.approx(
        specimen_correlation(y, score, specimen)
    )
    # Two labels' worth of copies; then one way by hand: means 1, 3 and 5, 1 within, 8 between.
    assert specimen_correlation([1, 1, 0, 0, 1, 1], [1, 1, 2, 2, 3, 3], list("aabbcc")) == pytest.approx(1)
    by_hand = specimen_correlation([1] * 6, [0, 2, 2, 4, 4, 6], list("aabbcc"))
    assert by_hand == pytest.approx((8 - 2) / (8 + 2))
    assert np.isnan(specimen_correlation([1, 0, 1], [1.0, 2, 3], list("abc")))


def test_refusals():
    with pytest.raises(ScoreError, match="no rule 'median'"):
        specimen_confusion(specimen_decisions(LABEL, SCORE, SPECIMEN), "median")
    with pytest.raises(ScoreError, match="Row 1 names no specimen"):
        specimen_decisions([0, 1], [0.1, 0.2], ["a", ""])
    with pytest.raises(ScoreError, match="zone is 0"):
        zone_report([0, 1], [0, 3])
    with pytest.raises(ScoreError, match="All 2 images are negative"):
        choose_zones([0, 0], [0.1, 0.2])
