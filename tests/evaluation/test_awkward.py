"""Awkward scores: each function gives the right result or one clear message, never a NaN."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.auc import ScoreError, auc, auc_interval, compare_auc, fold_sums
from hep2lib.evaluation.bootstrap import bootstrap_interval, bootstrap_p, roc_band, weighted_auc
from hep2lib.evaluation.calibration import (
    brier_score,
    decision_curve,
    fit_temperature,
    net_benefit,
    recalibration,
    reliability,
)
from hep2lib.evaluation.claims import MISSING, Claim, judge
from hep2lib.evaluation.decisions import RULES, choose_threshold
from hep2lib.evaluation.scores import Scores
from hep2lib.evaluation.specimens import choose_zone, intraclass_correlation, specimen_decisions

OWNER = np.repeat(np.arange(12), 2)
Y = np.repeat([1, 0, 1] * 4, 2)
PERFECT = 0.1 + 0.8 * Y
TIED = np.full(Y.size, 0.5)
NOISY = np.clip(PERFECT + np.random.default_rng(0).normal(0, 0.4, Y.size), 0, 1)


def draw():
    return np.random.default_rng(0)


def scored(y, score, owner, fold=0):
    test = pd.DataFrame(
        {"row": np.arange(y.size), "fold": fold, "label": y, "score": score, "specimen": owner}
    )
    return Scores("r", "nothing", test, test, probabilities=True)


FUNCTIONS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], object]] = {
    "auc": lambda y, s, o: auc(y, s),
    "auc_interval": lambda y, s, o: auc_interval(y, s, o),
    "compare_auc": lambda y, s, o: compare_auc(y, s, NOISY[: y.size], o),
    "delong": lambda y, s, o: fold_sums(y, s, None)[0].variances(),
    "bootstrap_interval": lambda y, s, o: bootstrap_interval(
        weighted_auc, y, s, o, generator=draw(), repetitions=100
    ),
    "bootstrap_p": lambda y, s, o: bootstrap_p(
        weighted_auc, y, s, NOISY[: y.size], o, generator=draw(), repetitions=100
    ),
    "roc_band": lambda y, s, o: roc_band(y, s, o, generator=draw(), repetitions=100),
    "fit_temperature": lambda y, s, o: fit_temperature(y, s),
    "net_benefit": lambda y, s, o: net_benefit(y, s, [0.2, 0.5]),
    "decision_curve": lambda y, s, o: decision_curve(scored(y, s, o).test),
    "recalibration": lambda y, s, o: recalibration(y, s, o),
    "choose_zone": lambda y, s, o: choose_zone(y, s),
    "Scores.auc": lambda y, s, o: scored(y, s, o).auc(),
    "Scores.fold_aucs": lambda y, s, o: scored(y, s, o).fold_aucs(),
    **{rule: lambda y, s, o, rule=rule: choose_threshold(y, s, rule) for rule in RULES},
}
LENIENT: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], object]] = {
    "brier_score": lambda y, s, o: brier_score(y, s),
    "reliability": lambda y, s, o: reliability(y, s, o),
    "specimen_decisions": lambda y, s, o: specimen_decisions(y, s, o),
    "intraclass_correlation": lambda y, s, o: intraclass_correlation(y, s, o),
}
"""What one label alone does not prevent."""


@pytest.mark.parametrize("name", FUNCTIONS | LENIENT)
def test_scores_that_are_not_numbers_are_named(name):
    broken = np.where(np.arange(Y.size) == 7, np.nan, NOISY)
    with pytest.raises(
        ScoreError, match=r"1 of 24 scores are not finite numbers \(the first is row 7: nan\)"
    ):
        (FUNCTIONS | LENIENT)[name](Y, broken, OWNER)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_label_alone_is_refused_in_words(name):
    kept = Y == 1
    with pytest.raises(ScoreError, match="All 16 images are positive: both labels are needed"):
        FUNCTIONS[name](Y[kept], NOISY[kept], OWNER[kept])


@pytest.mark.parametrize("name", LENIENT)
def test_one_label_alone_is_no_obstacle_to_the_others(name):
    kept = Y == 1
    LENIENT[name](Y[kept], NOISY[kept], OWNER[kept])


@pytest.mark.parametrize("scores", [PERFECT, TIED], ids=["separated", "tied"])
@pytest.mark.parametrize("name", FUNCTIONS | LENIENT)
def test_separation_and_ties_give_a_result(name, scores):
    with np.errstate(all="raise", under="ignore"):
        (FUNCTIONS | LENIENT)[name](Y, scores, OWNER)


def test_perfect_separation_has_a_lower_bound_below_one():
    interval = auc_interval(Y, PERFECT, OWNER)
    assert (interval.estimate, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(0.025 ** (1 / 4))  # four negative specimens: four disjoint pairs
    assert choose_threshold(Y, PERFECT, "youden") == pytest.approx(0.5)
    assert fit_temperature(Y, PERFECT - 0.5).at_limit


def test_ties_are_half_and_tell_nothing_apart():
    interval = auc_interval(Y, TIED, OWNER)
    assert (interval.low, interval.estimate, interval.high) == (0.5, 0.5, 0.5)
    assert compare_auc(Y, TIED, TIED, OWNER).p == 1
    band = roc_band(Y, TIED, OWNER, generator=draw(), repetitions=100)
    np.testing.assert_allclose(band.sensitivity, band.false_positive_rate)


@pytest.mark.parametrize("positive", [True, False])
def test_one_specimen_with_all_of_a_label_is_named(positive):
    y = np.where(OWNER == 3, int(positive), int(not positive))
    word = "positive" if positive else "negative"
    with pytest.raises(ScoreError, match=f"All 2 {word} images belong to one specimen"):
        auc_interval(y, NOISY, OWNER)
    with pytest.raises(ScoreError, match=f"All 2 {word} images belong to one specimen"):
        compare_auc(y, NOISY, PERFECT, OWNER)
    assert 0 <= auc(y, NOISY) <= 1  # the figure itself can be computed


def test_a_fold_with_one_label_is_named():
    fold = np.where(np.isin(OWNER, (0, 2)), 4, 1)
    for function in (
        lambda: auc_interval(Y, NOISY, OWNER, fold=fold),
        lambda: compare_auc(Y, NOISY, PERFECT, OWNER, fold=fold),
        lambda: scored(Y, NOISY, OWNER, fold).fold_aucs(),
    ):
        with pytest.raises(ScoreError, match="In fold 4: All 4 images are positive"):
            function()


@pytest.mark.parametrize(
    ("scores", "fold", "reason"),
    [
        (np.where(np.arange(Y.size) == 7, np.nan, NOISY), np.zeros(Y.size), "not finite"),
        (NOISY, np.where(np.isin(OWNER, (0, 2)), 4, 1), "In fold 4"),
    ],
    ids=["nan", "one label in a fold"],
)
def test_a_claim_on_awkward_scores_is_not_tested_and_says_why(scores, fold, reason):
    claim = Claim(id="c", sentence="It is so.", kind="reaches", first="r", reference=0.9)
    (verdict,) = judge([claim], {"r": scored(Y, scores, OWNER, fold)}, {"r": []}, "").itertuples()
    assert verdict.verdict == "not tested"
    assert reason in verdict.reasons[MISSING]
