"""Drawn specimens: the weighted forms against counting, intervals against formulas, bands of ROC curves."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from hep2lib.evaluation.auc import ScoreError, auc, auc_interval, compare_auc
from hep2lib.evaluation.bootstrap import (
    at_threshold,
    bootstrap_interval,
    bootstrap_p,
    roc_band,
    specimen_weights,
    weighted_auc,
)


def clustered(seed=0, specimens=60, images=3):
    generator = np.random.default_rng(seed)
    specimen = np.repeat(np.arange(specimens), images)
    y = np.repeat(np.arange(specimens) % 3 > 0, images).astype(int)
    score = (
        1.5 * y + np.repeat(generator.normal(size=specimens), images) + 0.5 * generator.normal(size=y.size)
    )
    return y, np.round(score, 1), specimen


def test_weighted_auc_is_the_auc_of_repeated_images():
    y, score, _ = clustered()
    weight = np.random.default_rng(1).integers(0, 4, (20, y.size)).astype(float)
    repeated = [auc(np.repeat(y, w.astype(int)), np.repeat(score, w.astype(int))) for w in weight]
    np.testing.assert_allclose(weighted_auc(y, score, weight), repeated, rtol=1e-12)


def test_weighted_auc_without_a_label_is_undefined():
    weight = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0]])
    values = weighted_auc(np.array([1, 1, 0, 0]), np.arange(4.0), weight)
    assert np.isnan(values[0])
    assert values[1] == 0.0


def test_drawings_keep_images_together_and_kinds_apart():
    specimen = np.array([0, 0, 1, 1, 1, 2, 3, 4, 4])
    y = np.array([1, 1, 0, 0, 0, 1, 0, 1, 0])
    weight = specimen_weights(y, specimen, 300, np.random.default_rng(0))
    assert np.all(weight[:, 0] == weight[:, 1])
    assert np.all(weight[:, 2] == weight[:, 4])
    # Specimens 0 and 2 are positive, 1 and 3 negative, 4 is of both kinds and alone.
    assert np.all(weight[:, 0] + weight[:, 5] == 2)
    assert np.all(weight[:, 2] + weight[:, 6] == 2)
    assert np.all(weight[:, 7] == 1)
    assert set(np.unique(weight[:, 0])) == {0, 1, 2}


def test_drawings_within_folds():
    y, _, specimen = clustered(specimens=30)
    fold = specimen % 2
    weight = specimen_weights(y, specimen, 50, np.random.default_rng(0), fold)
    for one in (0, 1):
        for label in (0, 1):
            inside = (fold == one) & (y == label)
            assert np.all(weight[:, inside].sum(axis=1) == inside.sum())


def test_bootstrap_agrees_with_the_formula():
    y, score, specimen = clustered()
    drawn = bootstrap_interval(weighted_auc, y, score, specimen, generator=np.random.default_rng(0))
    formula = auc_interval(y, score, specimen)
    assert drawn.estimate == pytest.approx(formula.estimate)
    assert drawn.standard_error == pytest.approx(formula.standard_error, rel=0.1)
    assert drawn.low == pytest.approx(formula.low, abs=0.025)
    assert drawn.specimens == 60


def test_same_generator_same_interval():
    y, score, specimen = clustered()
    first, second = (
        bootstrap_interval(at_threshold(1.0, "mcc"), y, score, specimen, generator=np.random.default_rng(3))
        for _ in range(2)
    )
    assert first == second
    assert first.low < first.estimate < first.high


def test_comparison_draws_the_same_specimens_for_both():
    y, score, specimen = clustered()

    def drawn(other, **options):
        draw = np.random.default_rng(0)
        return bootstrap_p(weighted_auc, y, score, other, specimen, generator=draw, **options)

    other = score + 0.4 * np.random.default_rng(5).normal(size=y.size)
    assert drawn(other) == pytest.approx(compare_auc(y, score, other, specimen).p, abs=0.05)
    fold = specimen // 12
    by_fold = compare_auc(y, score, other, specimen, fold=fold).p
    assert drawn(other + 50.0 * fold, fold=fold) == pytest.approx(by_fold, abs=0.08)
    assert drawn(2 * score) == 1
    assert 0 < drawn(-score) <= 2 / 2001 + 1e-12


def test_band_holds_the_curve_between_its_corners():
    y, score, specimen = clustered()
    band = roc_band(y, score, specimen, generator=np.random.default_rng(0), repetitions=300)
    false_positive_rate, sensitivity, _ = roc_curve(y, score, drop_intermediate=False)
    np.testing.assert_allclose(
        band.sensitivity[1:],
        np.interp(band.false_positive_rate, false_positive_rate, sensitivity)[1:],
    )
    assert np.all(band.low <= band.sensitivity + 1e-12)
    assert np.all(band.high >= band.sensitivity - 1e-12)
    assert np.all(np.diff(band.low) >= -1e-12)
    assert (band.low[-1], band.high[-1]) == (1.0, 1.0)


def test_band_of_copied_images_is_wider_when_specimens_are_known():
    y, score, specimen = clustered()
    widths = [
        np.mean(band.high - band.low)
        for band in (
            roc_band(y, score, owner, generator=np.random.default_rng(0), repetitions=300)
            for owner in (specimen, None)
        )
    ]
    assert widths[0] > 1.2 * widths[1]


def test_perfect_separation_has_a_corner():
    y, _, specimen = clustered()
    band = roc_band(y, y.astype(float), specimen, generator=np.random.default_rng(0), repetitions=100)
    assert np.all(band.low == 1.0)


def test_refusals():
    y, score, specimen = clustered()
    generator = np.random.default_rng(0)
    with pytest.raises(ScoreError, match="repetitions is 10; percentiles need at least 100"):
        bootstrap_interval(weighted_auc, y, score, specimen, generator=generator, repetitions=10)
    with pytest.raises(ScoreError, match="undefined in every repetition"):
        bootstrap_interval(
            lambda y, score, weight: np.full(len(weight), np.nan), y, score, specimen, generator=generator
        )
    with pytest.raises(ScoreError, match="both labels"):
        bootstrap_interval(weighted_auc, np.ones_like(y), score, specimen, generator=generator)
    with pytest.raises(ScoreError, match="repetitions is 10"):
        roc_band(y, score, specimen, generator=generator, repetitions=10)
