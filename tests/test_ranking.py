import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hep2lib.ranking import auc


@pytest.mark.parametrize(
    ("labels", "scores", "area"),
    [
        ([0, 1], [1, 2], 1.0),
        ([0, 1], [2, 1], 0.0),
        ([0, 1, 1], [1, 1, 2], 0.75),
        ([0, 0, 1], [3, 3, 3], 0.5),
        ([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9], 0.875),
    ],
)
def test_the_area_counts_ties_half(labels, scores, area):
    assert auc(labels, scores) == area
    assert roc_auc_score(labels, scores) == area


def test_many_rows_give_scikit_learns_area_each():
    draw = np.random.default_rng(0)
    labels = np.arange(50) % 3 == 0
    scores = np.stack([draw.normal(size=50), draw.integers(0, 4, size=50), np.zeros(50)])
    wanted = [roc_auc_score(labels, row) for row in scores]
    np.testing.assert_allclose(auc(labels, scores), wanted, atol=1e-12)
    assert [auc(labels, row) for row in scores] == auc(labels, scores).tolist()
