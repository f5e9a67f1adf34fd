"""One against each: the tests that exist for themselves, in one table, corrected."""

import numpy as np
import pytest

from hep2lib.evaluation.auc import ScoreError, compare_auc, holm
from hep2lib.evaluation.claims import against_each
from hep2lib.evaluation.scores import Result, run_strategies, strategy_results

from .made_outcomes import DATABASE, LABELS, OWNER, svm_outcome, tuning_outcome


@pytest.fixture(scope="module")
def found():
    first, *others = strategy_results(run_strategies(tuning_outcome(), svm_outcome()).values())
    return first, others


def test_each_row_is_the_paired_test(found):
    first, others = found
    table = against_each(first, others, DATABASE, generator=np.random.default_rng(0), repetitions=200)
    assert table["against"].tolist() == [other.name for other in others]
    for row, other in zip(table.itertuples(), others, strict=True):
        expected = compare_auc(LABELS, first.score, other.score, OWNER, fold=first.fold)
        assert (row.difference, row.low, row.high) == (expected.difference, expected.low, expected.high)
        assert row.p_specimens == expected.p
        assert row.p_images == compare_auc(LABELS, first.score, other.score, None, fold=first.fold).p
        assert row.specimens == 60
    np.testing.assert_allclose(table["p_holm"], holm(table["p_specimens"]))


def test_specimens_make_a_test_more_careful_than_images(found):
    first, others = found
    table = against_each(first, others, DATABASE, generator=np.random.default_rng(0), repetitions=200)
    differing = table[table["p_specimens"] < 1]
    assert (differing["p_images"] < differing["p_specimens"]).mean() > 0.7
    # Drawn specimens need no formula and say about the same.
    assert (differing["p_drawn"] - differing["p_specimens"]).abs().max() < 0.15


def test_other_images_or_folds_are_refused(found):
    first, _ = found
    shorter = Result("shorter", first.row[1:], first.score[1:], first.decision[1:], first.fold[1:])
    mixed = Result("mixed", first.row, first.score, first.decision, first.fold[::-1].copy())
    for other in (shorter, mixed):
        with pytest.raises(ScoreError, match=f"'{other.name}' were not tested on the same images and folds"):
            against_each(first, [other], DATABASE, generator=np.random.default_rng(0))
