"""Spread over folds and seeds, and the two ways of putting folds together."""

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.auc import ScoreError, auc
from hep2lib.evaluation.scores import Scores, spread


def of_folds(label, score, fold):
    test = pd.DataFrame({"row": range(len(label)), "fold": fold, "label": label, "score": score})
    return Scores("made", "nothing", test, test, probabilities=False)


def test_spread_by_hand():
    described = spread([0.9, 0.8, 1.0])
    assert described.mean == pytest.approx(0.9)
    assert (described.lowest, described.highest, described.count) == (0.8, 1.0, 3)


def test_folds_on_different_scales_lower_the_pooled_auc_alone():
    y = [0, 0, 1, 1, 0, 0, 1, 1]
    score = [1, 2, 3, 4, 11, 12, 13, 14]
    assert of_folds(y, score, [1, 1, 1, 1, 2, 2, 2, 2]).fold_aucs().tolist() == [1.0, 1.0]
    # Of 16 pairs, the 4 of a positive of fold 1 with a negative of fold 2 are the wrong way round.
    assert auc(y, score) == pytest.approx(12 / 16)


def test_refusals():
    with pytest.raises(ScoreError, match="In fold 2: All 2 images are positive"):
        of_folds([0, 1, 1, 1], [1, 2, 3, 4], [1, 1, 2, 2]).fold_aucs()
    with pytest.raises(ScoreError, match="finite values"):
        spread([0.9, np.nan])
    with pytest.raises(ScoreError, match="finite values"):
        spread([])
