"""Operating points: decided fold by fold, and the rates, intervals and predictive values that follow."""

import re

import numpy as np
import pytest

from hep2lib.evaluation.bootstrap import bootstrap_interval
from hep2lib.evaluation.decisions import RULES, choose_threshold, confusion, share, share_interval
from hep2lib.evaluation.scores import run_strategies
from hep2lib.figures.results import RATE_NAMES, at_prevalence, predictive_table, rates_table

from .made_outcomes import DATABASE, LABELS, folds, svm_outcome, tuning_outcome


@pytest.fixture(scope="module")
def tuned():
    return run_strategies(tuning_outcome(), svm_outcome(), DATABASE)["fine-tuning"]


def draw():
    return np.random.default_rng(0)


@pytest.mark.parametrize("rule", RULES)
def test_each_folds_threshold_comes_from_its_validation_images(tuned, rule):
    found = tuned.decided(rule)
    for number in range(len(folds())):
        known = tuned.validation[tuned.validation["fold"] == number]
        threshold = choose_threshold(known["label"], known["score"], rule, default=0.5)
        tested = (tuned.test["fold"] == number).to_numpy()
        expected = tuned.test["score"].to_numpy()[tested] >= threshold
        np.testing.assert_array_equal(found["decision"][tested], expected)
    np.testing.assert_array_equal(found["label"], LABELS[found["row"]])


def test_shares_are_those_of_clustered_images(tuned):
    found = tuned.decided()
    positive = found[found["label"] == 1]
    expected = share_interval(positive["decision"] == 1, positive["specimen"])
    assert share(found, "sensitivity") == expected
    assert share(found, "accuracy").estimate == confusion(found["label"], found["decision"]).accuracy
    assert share(found, "specificity").specimens == 20


@pytest.mark.parametrize("called_one", [True, False])
@pytest.mark.parametrize("prevalence", [0.05, 0.228, 0.9])
def test_predictive_values_of_many_repetitions_follow_bayes(called_one, prevalence):
    generator = draw()
    y, called = generator.integers(0, 2, 40), generator.integers(0, 2, 40)
    weight = generator.integers(0, 3, (20, 40)).astype(float)
    found = at_prevalence(called_one, prevalence)(y, called.astype(float), weight)
    for row, one in zip(weight, found, strict=True):
        counts = confusion(np.repeat(y, row.astype(int)), np.repeat(called, row.astype(int)))
        if called_one:
            right = counts.sensitivity * prevalence
            wrong = (1 - counts.specificity) * (1 - prevalence)
        else:
            right = counts.specificity * (1 - prevalence)
            wrong = (1 - counts.sensitivity) * prevalence
        assert one == pytest.approx(right / (right + wrong))


def test_at_the_images_own_prevalence_it_is_the_share_that_is_right(tuned):
    frame = tuned.decided()
    y, called = frame["label"], frame["decision"]
    found = bootstrap_interval(at_prevalence(1, LABELS.mean()), y, called, None, generator=draw())
    counts = confusion(y, called)
    assert found.estimate == pytest.approx(
        counts.true_positive / (counts.true_positive + counts.false_positive)
    )


def test_tables_have_a_column_a_rule(tuned):
    decided = {name: tuned.decided(rule) for rule, name in RULES.items()}
    rates = rates_table(decided, draw())
    assert rates.equals(rates_table(decided, draw()))
    assert list(rates.columns[1:]) == list(RULES.values())
    assert rates["Rate"].tolist() == list(RATE_NAMES.values())
    for name in RULES.values():
        assert rates[name][:4].str.fullmatch(r"\d+\.\d \(\d+\.\d to \d+\.\d\)").all()
    counts = confusion(decided["Youden"]["label"], decided["Youden"]["decision"])
    assert rates["Youden"][0].startswith(f"{100 * counts.sensitivity:.1f} (")
    assert rates["Youden"][4].startswith(f"{counts.mcc:.2f} (")
    values = predictive_table(decided, {"here": 0.7, "routine": 0.2}, draw())
    assert values.iloc[:, 0].tolist() == [
        f"{one} (%), {where}" for where in ("here", "routine") for one in ("PPV", "NPV")
    ]


def test_a_result_that_never_occurs_has_no_value(tuned):
    always = tuned.decided().assign(decision=1)
    positive, negative = predictive_table({"always": always}, {"routine": 0.2}, draw())["always"]
    assert positive.startswith("20.0 (")
    assert negative == "–"


def test_what_no_drawing_changes_has_no_interval(tuned):
    """All images right: the bootstrap would print 100.0 (100.0 to 100.0), as if that were certain."""
    right = tuned.decided().assign(decision=tuned.test["label"])
    rates = rates_table({"right": right}, draw())["right"].tolist()
    assert rates[3:] == ["100.0 (–)", "1.00 (–)"]
    assert all(
        re.fullmatch(r"100\.0 \(\d\d\.\d to 100\.0\)", text) for text in rates[:3]
    )  # Wilson bounds them
    assert predictive_table({"right": right}, {"routine": 0.2}, draw())["right"].tolist() == ["100.0 (–)"] * 2
