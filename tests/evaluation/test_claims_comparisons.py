"""Pairs of strategies: the tests that exist for themselves, in one table, corrected."""

from dataclasses import replace

import numpy as np
import pytest

from hep2lib.evaluation.auc import ScoreError, compare_auc, holm
from hep2lib.evaluation.claims import compare_each
from hep2lib.evaluation.scores import run_strategies
from hep2lib.figures.results import comparison_table

from .made_outcomes import DATABASE, LABELS, OWNER, svm_outcome, tuning_outcome


@pytest.fixture(scope="module")
def found():
    first, *others = run_strategies(tuning_outcome(), svm_outcome(), DATABASE).values()
    return first, others


def test_each_row_is_the_paired_test(found):
    best, others = found
    pairs = [*((best, other) for other in others), (others[0], others[1])]
    table = compare_each(pairs, generator=np.random.default_rng(0), repetitions=200)
    assert table["second"].tolist() == [other.name for _, other in pairs]
    shown = comparison_table(table)
    assert shown["Difference of"].iloc[-1] == f"{others[0].name} − {others[1].name}"
    assert set(shown.columns[3:]) == {f"p, {name}" for name in ("DeLong", "Obuchowski", "bootstrap", "Holm")}
    for row, (first, other) in zip(table.itertuples(), pairs, strict=True):
        own = first.by_row()
        pair = own["score"], other.by_row()["score"]
        expected = compare_auc(LABELS, *pair, OWNER, fold=own["fold"])
        assert (row.difference, row.low, row.high) == (expected.difference, expected.low, expected.high)
        assert row.p_specimens == expected.p
        assert row.p_images == compare_auc(LABELS, *pair, None, fold=own["fold"]).p
        assert row.specimens == 60
    np.testing.assert_allclose(table["p_holm"], holm(table["p_specimens"]))


def test_specimens_make_a_test_more_careful_than_images(found):
    first, others = found
    pairs = [(first, other) for other in others]
    table = compare_each(pairs, generator=np.random.default_rng(0), repetitions=200)
    differing = table[table["p_specimens"] < 1]
    assert (differing["p_images"] < differing["p_specimens"]).mean() > 0.7
    # The bootstrap needs no formula and says about the same.
    assert (differing["p_bootstrap"] - differing["p_specimens"]).abs().max() < 0.15


def test_a_row_without_difference_says_so(found):
    first, others = found
    scaled = replace(first, name="scaled", test=first.test.assign(score=3 * first.test["score"]))
    pairs = [(first, scaled), (first, others[-1])]
    table = compare_each(pairs, generator=np.random.default_rng(0), repetitions=200)
    assert table.loc[0, ["difference", "p_images", "p_specimens", "p_bootstrap"]].tolist() == [0, 1, 1, 1]
    shown = comparison_table(table)["95 % interval"]
    assert shown[0] == "none seen"
    assert " to " in shown[1]


def test_other_images_or_folds_are_refused(found):
    first, _ = found
    shorter = replace(first, name="shorter", test=first.test[1:])
    mixed = replace(first, name="mixed", test=first.test.assign(fold=first.test["fold"].to_numpy()[::-1]))
    for other in (shorter, mixed):
        with pytest.raises(ScoreError, match=f"'{other.name}' were tested on other images or folds"):
            compare_each([(first, other)], generator=np.random.default_rng(0))
