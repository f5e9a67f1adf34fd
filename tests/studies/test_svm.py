import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_iris
from sklearn.svm import SVC

from hep2lib.data.folds import Fold
from hep2lib.studies.gram import SVMError, gram_matrix
from hep2lib.studies.svm import PAPER_GRID, centred, early_stopped_path, fit_svm, svm_path


def everywhere(count):
    """A fold whose three parts are all images, so that margins of the training images come back."""
    rows = np.arange(count)
    return Fold(rows, rows, rows)


def objective(X, y, margins, C):
    """1/2 |b|^2 + C sum of hinge losses, the weights b found from the margins; more images than features."""
    weights = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), margins, rcond=None)[0][:-1]
    return 0.5 * weights @ weights + C * np.maximum(0, 1 - (2 * y - 1) * margins).sum()


def dual_optimum(X, y, C):
    """A lower bound of the objective, by another method: its dual, solved by sequential least squares.

    Any feasible point of the dual bounds the primal from below, so the bound holds for any solver.
    """
    signs = 2.0 * y - 1
    Q = (signs[:, None] * X) @ (signs[:, None] * X).T * C
    found = minimize(
        lambda a: 0.5 * a @ Q @ a - a.sum(),
        np.full(len(y), 0.1),
        jac=lambda a: Q @ a - 1,
        method="SLSQP",
        bounds=[(0, 1)] * len(y),
        constraints={"type": "eq", "fun": lambda a: signs @ a, "jac": lambda a: signs},
        options={"ftol": 1e-14, "maxiter": 2000},
    )
    assert abs(signs @ found.x) < 1e-9
    return -C * found.fun


def problem(seed, offset=0.0):
    """Overlapping classes, 26 images, 4 features."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], [9, 17]))
    return rng.normal(size=(26, 4)) + 0.7 * y[:, None] + offset, y


def check_every_optimum(X, y):
    margins, *_ = svm_path(gram_matrix(X), y, everywhere(len(y)))
    for C, values in zip(PAPER_GRID, margins, strict=True):
        reached = objective(X, y, np.array(values), C)
        bound = dual_optimum(X - X.mean(axis=0), y, C)
        assert abs(reached - bound) <= 1e-7 * reached, C


@pytest.mark.parametrize(("seed", "offset"), [(0, 0.0), (1, 0.0), (2, 50.0)])
def test_the_objective_is_the_optimum_for_every_value_of_the_grid(seed, offset):
    check_every_optimum(*problem(seed, offset))


def iris():
    """Versicolor against virginica, four measures."""
    X, species = load_iris(return_X_y=True)
    return X[species > 0], (species[species > 0] == 2).astype(int)


def test_so_it_is_on_iris():
    check_every_optimum(*iris())


def test_iris_has_the_optimum_that_matlab_reports():
    X, y = iris()
    margins, *_ = svm_path(gram_matrix(X), y, everywhere(100), values=(1 / 100,), regularisation="lambda")
    assert objective(X, y, np.array(margins[0]), 1.0) / 100 == pytest.approx(0.157599, abs=1e-6)


def test_the_16th_value_is_the_papers():
    assert len(PAPER_GRID) == 20
    assert round(PAPER_GRID[15], 4) == 5.1348
    assert PAPER_GRID[0] == pytest.approx(1e-6)
    assert PAPER_GRID[-1] == pytest.approx(10**2.5)


def test_lambda_is_the_other_regularisation_of_the_same_problem():
    X, y = problem(3)
    gram = gram_matrix(X)
    as_c = svm_path(gram, y, everywhere(26), values=(0.5, 0.1))
    as_lambda = svm_path(
        gram, y, everywhere(26), values=(1 / (26 * 0.5), 1 / (26 * 0.1)), regularisation="lambda"
    )
    np.testing.assert_allclose(as_c.test, as_lambda.test, rtol=1e-9)


def test_centring_is_taking_the_training_mean_off():
    X, _ = problem(4, offset=100.0)
    train = np.arange(5, 20)
    shifted = X - X[train].mean(axis=0)
    np.testing.assert_allclose(centred(gram_matrix(X), train), shifted @ shifted[train].T, atol=1e-8)


def test_flattened_features_and_gram_matrix_give_the_same_scores():
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(30, 400)), np.arange(30) % 2
    fold = Fold(np.arange(20), np.arange(20, 25), np.arange(25, 30))
    kernel = centred(gram_matrix(X), fold.train)
    shifted = X - X[fold.train].mean(axis=0)
    for C in (1e-4, 1.0, 100.0):
        machine = fit_svm(kernel[fold.train], y[fold.train], C)
        by_features = shifted[fold.test] @ (machine.coefficients @ shifted[fold.train]) + machine.bias
        np.testing.assert_allclose(machine.decision_function(kernel[fold.test]), by_features, rtol=1e-8)
        direct = SVC(kernel="linear", C=C, tol=1e-6).fit(X[fold.train], y[fold.train])
        _, (scores,), _ = svm_path(gram_matrix(X), y, fold, values=(C,))
        np.testing.assert_allclose(scores, direct.decision_function(X[fold.test]), atol=1e-4)


def test_an_image_that_comes_twice_has_the_same_score_twice():
    X, y = problem(5)
    X, y = np.vstack([X, X[:6]]), np.concatenate([y, y[:6]])
    for margins in svm_path(gram_matrix(X), y, everywhere(32))[0]:
        np.testing.assert_allclose(margins[26:], margins[:6], rtol=1e-6)
        assert objective(X, y, np.array(margins), 1.0) < np.inf


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_constant_features_tell_images_apart_nowhere(value):
    margins, *_ = svm_path(gram_matrix(np.full((10, 50), value)), np.arange(10) % 3 == 0, everywhere(10))
    for scores in margins:
        assert np.isfinite(scores).all()
        assert np.ptp(scores) < 1e-6


def test_a_class_with_one_member_is_learned():
    X, y = problem(7)
    y = np.zeros_like(y)
    X[3], y[3] = 10.0, 1
    margins, *_ = svm_path(gram_matrix(X), y, everywhere(26), values=(PAPER_GRID[-1],))
    assert (np.array(margins[0]) > 0).tolist() == (y == 1).tolist()


def test_one_class_has_a_message():
    X, _ = problem(8)
    with pytest.raises(SVMError, match="needs images of both classes to learn from; these have one"):
        svm_path(gram_matrix(X), np.ones(26, dtype=int), everywhere(26))


@pytest.mark.parametrize("C", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_value_of_c_has_a_message(C):
    with pytest.raises(SVMError, match=f"C = {C}: it must be greater than 0"):
        fit_svm(np.eye(2), [0, 1], C)
    with pytest.raises(SVMError, match=f"lambda = {C}: it must be greater than 0"):
        svm_path(np.eye(2), np.array([0, 1]), everywhere(2), values=(1.0, C), regularisation="lambda")


def test_a_solver_that_stops_early_is_on_its_way_to_the_same_order(monkeypatch):
    X, y = problem(10)
    gram = gram_matrix(X - X.mean(axis=0))
    exact = np.array(svm_path(gram, y, everywhere(26), values=(1.0,)).test[0])
    early = np.array(early_stopped_path(gram, y, everywhere(26), (1.0,), "C").test[0])
    assert np.abs(early - exact).max() > 0
    assert np.corrcoef(early, exact)[0, 1] > 0.9
    monkeypatch.setattr("hep2lib.studies.svm.PASSES", 1)
    sooner = np.array(early_stopped_path(gram, y, everywhere(26), (1.0,), "C").test[0])
    assert np.abs(sooner - early).max() > 0
