"""What the studies promise: cached training is the same to the last bit, and the SVM is the exact optimum."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from hep2lib.cnn.features import cached_activations
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.data.folds import Fold
from hep2lib.studies.execution import single_thread
from hep2lib.studies.svm import PAPER_GRID, SVMError, centred, fit_svm, gram_matrix, svm_path
from hep2lib.studies.training import CachedActivations, DrawnActivations, LiveActivations, train
from hep2lib.studies.trial import FineTuningTrial

FOLD = Fold(np.arange(0, 6), np.arange(6, 9), np.arange(9, 12))
LABELS = torch.arange(12) % 2


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (12, 3, 64, 64), dtype=torch.uint8, generator=generator)


def trial(freeze: int, rotations: int) -> FineTuningTrial:
    return FineTuningTrial(
        freeze=freeze, batch_size=3, learning_rate=0.01, epochs=2, fold=0, seed=1, rotations=rotations
    )


@pytest.mark.parametrize("rotations", [1, 3])
@pytest.mark.parametrize("freeze", [0, 11, 110, 139])
def test_training_from_the_cache_is_bit_for_bit_training_without(images, freeze, rotations):
    this = trial(freeze, rotations)
    cached, live = GoogLeNet("torchvision"), GoogLeNet("torchvision")
    before = live.split(freeze).prefix.state_digest()
    with single_thread():
        kept = cached_activations(cached, freeze, images, views=this.angles)
        first = list(train(cached, CachedActivations(kept), LABELS, FOLD, this))
        source = LiveActivations(live, live.prefix(freeze), images, this.angles)
        second = list(train(live, source, LABELS, FOLD, this))
    assert cached.state_digest() == live.state_digest()
    assert [epoch.loss for epoch in first] == [epoch.loss for epoch in second]
    assert all((a.test == b.test).all() for a, b in zip(first, second, strict=True))
    assert live.split(freeze).prefix.state_digest() == before
    assert live.state_digest() != GoogLeNet("torchvision").state_digest()


def test_drawing_few_views_trains_as_keeping_all_of_them(images):
    this = replace(trial(11, 3), views_per_epoch=1)
    kept, drawn = GoogLeNet("torchvision"), GoogLeNet("torchvision")
    with single_thread():
        every = CachedActivations(cached_activations(kept, 11, images, views=this.angles))
        still = CachedActivations(cached_activations(drawn, 11, images))
        turned = LiveActivations(drawn, drawn.prefix(11), images, this.angles)
        list(train(kept, every, LABELS, FOLD, this))
        list(train(drawn, DrawnActivations(still, turned), LABELS, FOLD, this))
    assert kept.state_digest() == drawn.state_digest()


def test_iris_reaches_the_optimum_that_matlab_reports():
    features, target = load_iris(return_X_y=True)
    x, y = features[50:], (target[50:] == 2).astype(int)
    rows = np.arange(100)
    kernel = centred(gram_matrix(x), rows)
    machine = fit_svm(kernel, y, C=1.0)  # lambda = 1 / n is C = 1
    dual = machine.dual_coef_[0]
    norm = dual @ kernel[np.ix_(machine.support_, machine.support_)] @ dual
    hinge = np.maximum(0, 1 - (2 * y - 1) * machine.decision_function(kernel)).mean()
    assert hinge + norm / 200 == pytest.approx(0.157599, abs=2e-6)


def test_the_papers_best_value_is_the_sixteenth():
    assert PAPER_GRID[15] == pytest.approx(5.1348, abs=5e-5)
    assert len(PAPER_GRID) == 20


def test_a_common_offset_of_all_features_changes_no_score():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 200)), np.arange(60) % 2
    x[y == 1, :5] += 1
    fold = Fold(np.arange(40), np.arange(40, 50), np.arange(50, 60))
    plain, moved = (svm_path(gram_matrix(values), y, fold, (0.01, 1.0)) for values in (x, x + 100))
    np.testing.assert_allclose(plain[1], moved[1], atol=1e-4)


def test_lambda_is_one_over_n_times_C():
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(30, 50)), np.arange(30) % 2
    fold = Fold(np.arange(20), np.arange(20, 25), np.arange(25, 30))
    gram = gram_matrix(x)
    by_c = svm_path(gram, y, fold, (0.5,), "C")
    by_lambda = svm_path(gram, y, fold, (1 / (20 * 0.5),), "lambda")
    np.testing.assert_allclose(by_c[1], by_lambda[1], rtol=1e-9)


def test_gram_matrix_by_chunks_is_the_product():
    x = np.random.default_rng(2).normal(size=(7, 103)).astype(np.float32)
    np.testing.assert_allclose(gram_matrix(x, chunk=10), x.astype(float) @ x.T.astype(float), rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "C", "message"),
    [
        (np.full((4, 2), np.nan), [0, 1, 0, 1], 1.0, "image 0 are not finite"),
        (np.eye(4), [1, 1, 1, 1], 1.0, "both classes"),
        (np.eye(4), [0, 1, 0, 1], 0.0, "greater than 0"),
    ],
)
def test_what_cannot_be_fitted_is_said(x, y, C, message):
    with pytest.raises(SVMError, match=message):
        fit_svm(gram_matrix(x), y, C)
