"""Operating points: decided fold by fold, and the rates, intervals and predictive values that follow."""

import numpy as np
import pytest

from hep2lib.evaluation.bootstrap import bootstrap_interval
from hep2lib.evaluation.decisions import RULES, choose_threshold, confusion, share_interval
from hep2lib.evaluation.scores import (
    RULE_NAMES,
    at_prevalence,
    operating_point,
    operating_points,
    run_strategies,
)
from hep2lib.figures.results import RATE_NAMES, predictive_table, rates_table

from .made_outcomes import LABELS, OWNER, folds, svm_outcome, tuning_outcome


@pytest.fixture(scope="module")
def tuned():
    return run_strategies(tuning_outcome(), svm_outcome())["fine-tuning"]


def draw():
    return np.random.default_rng(0)


@pytest.mark.parametrize("rule", RULES)
def test_each_folds_threshold_comes_from_its_validation_images(tuned, rule):
    point = operating_point(tuned, rule, OWNER)
    for number in range(len(folds())):
        known = tuned.validation[tuned.validation["fold"] == number]
        threshold = choose_threshold(known["label"], known["score"], rule, default=0.5)
        tested = (tuned.test["fold"] == number).to_numpy()
        expected = tuned.test["score"].to_numpy()[tested] >= threshold
        np.testing.assert_array_equal(point.decision[tested], expected)
    np.testing.assert_array_equal(point.label, LABELS[point.row])


def test_shares_are_those_of_clustered_images(tuned):
    point = operating_points(tuned, OWNER)["youden"]
    positive = point.label == 1
    expected = share_interval(point.decision[positive] == 1, point.specimen[positive])
    assert point.share("sensitivity") == expected
    assert point.share("accuracy").estimate == point.counts.accuracy
    assert point.share("specificity").specimens == 20


def test_drawn_rates_are_the_bootstraps(tuned):
    point = operating_points(tuned, OWNER)["youden"]
    found = point.drawn("mcc", draw())
    assert found.estimate == point.counts.mcc
    assert found.low < found.estimate < found.high
    assert found == point.drawn("mcc", draw())


@pytest.mark.parametrize("value", ["positive", "negative"])
@pytest.mark.parametrize("prevalence", [0.05, 0.228, 0.9])
def test_predictive_values_of_many_repetitions_follow_bayes(value, prevalence):
    generator = draw()
    y, called = generator.integers(0, 2, 40), generator.integers(0, 2, 40)
    weight = generator.integers(0, 3, (20, 40)).astype(float)
    found = at_prevalence(value, prevalence)(y, called.astype(float), weight)
    for row, one in zip(weight, found, strict=True):
        counts = confusion(np.repeat(y, row.astype(int)), np.repeat(called, row.astype(int)))
        if value == "positive":
            right = counts.sensitivity * prevalence
            wrong = (1 - counts.specificity) * (1 - prevalence)
        else:
            right = counts.specificity * (1 - prevalence)
            wrong = (1 - counts.sensitivity) * prevalence
        assert one == pytest.approx(right / (right + wrong))


def test_at_the_images_own_prevalence_it_is_the_share_that_is_right(tuned):
    point = operating_points(tuned, OWNER)["youden"]
    found = bootstrap_interval(
        at_prevalence("positive", LABELS.mean()),
        point.label,
        point.decision.astype(float),
        None,
        generator=draw(),
    )
    counts = point.counts
    assert found.estimate == pytest.approx(
        counts.true_positive / (counts.true_positive + counts.false_positive)
    )


def test_tables_have_a_row_a_point(tuned):
    points = list(operating_points(tuned, OWNER).values())
    rates = rates_table(points, draw())
    assert list(rates.columns[1:]) == list(RULE_NAMES.values())
    assert rates["Rate"].tolist() == list(RATE_NAMES.values())
    for name in RULE_NAMES.values():
        assert rates[name].str.fullmatch(r"-?\d\.\d\d \(-?\d\.\d\d to -?\d\.\d\d\)").all()
    assert rates["highest sum"][0].startswith(f"{points[1].counts.sensitivity:.2f} (")
    assert rates["highest sum"][4].startswith(f"{points[1].counts.mcc:.2f} (")
    values = predictive_table(points, {"here": 0.7, "routine": 0.2}, draw())
    assert values.iloc[:, 0].tolist() == ["PPV, here", "NPV, here", "PPV, routine", "NPV, routine"]


def test_a_result_that_never_occurs_has_no_value(tuned):
    point = operating_points(tuned, OWNER)["youden"]
    always = type(point)(point.rule, point.row, point.label, np.ones_like(point.label), OWNER)
    positive, negative = predictive_table([always], {"routine": 0.2}, draw())["highest sum"]
    assert positive.startswith("0.20 (")
    assert negative == "–"
