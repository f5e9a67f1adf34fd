"""Spread over folds and seeds, and the two ways of putting folds together."""

import numpy as np
import pytest

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.scores import fold_auc, spread


def test_spread_by_hand():
    described = spread([0.9, 0.8, 1.0])
    assert described.mean == pytest.approx(0.9)
    assert (described.lowest, described.highest, described.count) == (0.8, 1.0, 3)


def test_folds_on_different_scales_lower_the_pooled_auc_alone():
    y = [0, 0, 1, 1, 0, 0, 1, 1]
    score = [1, 2, 3, 4, 11, 12, 13, 14]
    together = fold_auc(y, score, [1, 1, 1, 1, 2, 2, 2, 2])
    assert (together.values.tolist(), together.mean) == ([1.0, 1.0], 1.0)
    # Of 16 pairs, the 4 of a positive of fold 1 with a negative of fold 2 are the wrong way round.
    assert together.pooled == pytest.approx(12 / 16)


def test_refusals():
    with pytest.raises(ScoreError, match="In fold 2: All 2 images are positive"):
        fold_auc([0, 1, 1, 1], [1, 2, 3, 4], [1, 1, 2, 2])
    with pytest.raises(ScoreError, match="finite values"):
        spread([0.9, np.nan])
    with pytest.raises(ScoreError, match="finite values"):
        spread([])
    with pytest.raises(ScoreError, match="fold numbers of shape"):
        fold_auc([0, 1], [1, 2], [0])
