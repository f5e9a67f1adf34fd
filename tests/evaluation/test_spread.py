"""Spread over folds and seeds, and the two ways of putting folds together."""

import numpy as np
import pytest

from hep2lib.evaluation.metrics import ScoreError
from hep2lib.evaluation.spread import fold_auc, seeds_and_folds, spread


def test_spread_by_hand():
    described = spread([0.9, 0.8, 1.0])
    assert described.mean == pytest.approx(0.9)
    assert described.standard_deviation == pytest.approx(0.1)
    assert (described.lowest, described.highest, described.count) == (0.8, 1.0, 3)
    assert np.isnan(spread([0.7]).standard_deviation)


def test_seeds_and_folds_are_told_apart():
    values = np.add.outer([0.0, 0.1], [0.5, 0.6, 0.7])
    parts = seeds_and_folds(values)
    assert parts.over_seeds.standard_deviation == pytest.approx(np.std([0, 0.1], ddof=1))
    assert parts.over_folds.standard_deviation == pytest.approx(0.1)
    assert parts.over_seeds.count == 2
    assert parts.over_folds.count == 3


def test_folds_on_different_scales_lower_the_pooled_auc_alone():
    y = [0, 0, 1, 1, 0, 0, 1, 1]
    score = [1, 2, 3, 4, 11, 12, 13, 14]
    together = fold_auc(y, score, [1, 1, 1, 1, 2, 2, 2, 2])
    assert together.folds == (1, 2)
    assert (together.mean, together.standard_deviation) == (1.0, 0.0)
    # Of 16 pairs, the 4 of a positive of fold 1 with a negative of fold 2 are the wrong way round.
    assert together.pooled == pytest.approx(12 / 16)


def test_refusals():
    with pytest.raises(ScoreError, match="In fold 2: All 2 images are positive"):
        fold_auc([0, 1, 1, 1], [1, 2, 3, 4], [1, 1, 2, 2])
    with pytest.raises(ScoreError, match="finite values"):
        spread([0.9, np.nan])
    with pytest.raises(ScoreError, match="finite values"):
        spread([])
    with pytest.raises(ScoreError, match="table of seeds by folds"):
        seeds_and_folds([0.1, 0.2])
    with pytest.raises(ScoreError, match="fold numbers of shape"):
        fold_auc([0, 1], [1, 2], [0])
