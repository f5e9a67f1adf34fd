import numpy as np
import pytest
from sklearn.svm import SVC

from hep2lib.studies import svm
from hep2lib.studies.svm import PAPER_GRID, hinge_path, interior_point


def problem(seed, kind):
    """A centred kernel and signs; the kinds are what real features can be like at their worst."""
    draw = np.random.default_rng(seed)
    count, width = int(draw.integers(8, 40)), int(draw.choice([1, 2, 20, 100]))
    signs = np.where(draw.random(count) < 0.6, 1.0, -1.0)
    signs[:2] = 1, -1
    X = draw.normal(size=(count, width)) + draw.choice([0, 1, 4]) * (signs > 0)[:, None]
    half = count // 2
    if kind == "images that come twice":
        X[half:], signs[half:] = X[: count - half], signs[: count - half]
    if kind == "images that come twice with both labels":
        X[half:] = X[: count - half]
    if kind == "whole numbers":
        X = np.round(X)
    if kind == "constant features":
        X[:] = 3.0
    if kind == "a class with one member":
        signs[:] = -1
        signs[3] = 1
    if kind == "large features":
        X *= 30
    if kind == "a large offset":
        X += 100
    X = X - X.mean(axis=0)
    return X @ X.T, signs


KINDS = (
    "plain",
    "images that come twice",
    "images that come twice with both labels",
    "whole numbers",
    "constant features",
    "a class with one member",
    "large features",
    "a large offset",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_every_machine_of_the_grid_comes_with_a_proof(kind, seed):
    kernel, signs = problem(seed, kind)
    for C, machine in zip(PAPER_GRID, hinge_path(kernel, signs, PAPER_GRID), strict=True):
        weights = machine.coefficients * signs
        assert weights.min() >= 0
        assert weights.max() <= C * (1 + 1e-9)
        assert abs(machine.coefficients.sum()) <= 1e-9 * C
        scores = kernel @ machine.coefficients
        primal = (
            0.5 * machine.coefficients @ scores + C * np.maximum(0, 1 - signs * (scores + machine.bias)).sum()
        )
        dual = weights.sum() - 0.5 * machine.coefficients @ scores
        assert machine.objective == pytest.approx(primal, rel=1e-6)
        assert (primal - dual) / primal <= 1e-6
        assert machine.gap <= 1e-6


def test_libsvm_in_double_precision_finds_the_same():
    """Its kernel is exact in single precision here, so that both solve one problem."""
    draw = np.random.default_rng(5)
    X = draw.integers(-3, 4, size=(30, 6)).astype(float)
    signs = np.where(X[:, 0] + draw.normal(size=30) > 0, 1.0, -1.0)
    for C in (0.01, 0.1, 1.0):
        theirs = SVC(kernel="precomputed", C=C, tol=1e-9).fit(X @ X.T, signs)
        ours = hinge_path(X @ X.T, signs, (C,))[0]
        assert ours.settled
        np.testing.assert_allclose(
            ours.decision_function(X @ X.T), theirs.decision_function(X @ X.T), atol=1e-6
        )


def test_the_order_of_the_values_does_not_matter():
    kernel, signs = problem(1, "plain")
    upwards = hinge_path(kernel, signs, (0.01, 1.0, 100.0))
    downwards = hinge_path(kernel, signs, (100.0, 1.0, 0.01))
    for one, other in zip(upwards, reversed(downwards), strict=True):
        assert (one.C, one.objective) == (other.C, other.objective)
    alone = hinge_path(kernel, signs, (1.0,))[0]
    assert alone.objective == pytest.approx(upwards[1].objective, rel=1e-9)


def test_once_separated_no_larger_c_changes_anything(monkeypatch):
    kernel, signs = np.diag([1.0, 1.0, 1.0, 1.0]) + 0.1, np.array([1.0, 1.0, -1.0, -1.0])
    first = hinge_path(kernel, signs, (100.0,))[0]
    assert first.coefficients.max() < 100
    calls = []
    search = svm.search
    monkeypatch.setattr(svm, "search", lambda *given: calls.append(given[2]) or search(*given))
    machines = hinge_path(kernel, signs, (100.0, 200.0, 1e6))
    assert len(set(calls)) == 1
    for machine in machines:
        np.testing.assert_array_equal(machine.coefficients, machines[0].coefficients)


@pytest.mark.parametrize("kind", ["plain", "images that come twice with both labels", "large features"])
def test_without_libsvm_and_active_sets_the_interior_point_method_arrives(kind, monkeypatch):
    kernel, signs = problem(2, kind)
    usual = hinge_path(kernel, signs, PAPER_GRID[::4])
    monkeypatch.setattr(svm, "search", lambda *given: None)
    monkeypatch.setattr(svm._Problem, "libsvm", lambda self, C: np.zeros(len(self.signs)))
    for machine, reference in zip(hinge_path(kernel, signs, PAPER_GRID[::4]), usual, strict=True):
        assert machine.gap <= 1e-6
        assert machine.objective == pytest.approx(reference.objective, rel=1e-6)


def test_two_images_have_the_weights_that_follow_by_hand():
    """At -1 and 1 the widest margin is 1 on each side, with weights of 1/2; a smaller C allows no more."""
    import torch

    kernel, signs = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([-1.0, 1.0])
    for C, weight in ((0.1, 0.1), (0.5, 0.5), (10.0, 0.5)):
        assert np.abs(hinge_path(kernel, signs, (C,))[0].coefficients) == pytest.approx(
            [weight] * 2, rel=1e-9
        )
        found = interior_point(torch.from_numpy(kernel), signs, C)
        assert found == pytest.approx([weight] * 2, rel=1e-5)
