"""Bands around ROC curves."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.bootstrap import roc_band


def clustered(seed=0, specimens=60, images=3):
    generator = np.random.default_rng(seed)
    specimen = np.repeat(np.arange(specimens), images)
    y = np.repeat(np.arange(specimens) % 3 > 0, images).astype(int)
    score = (
        1.5 * y + np.repeat(generator.normal(size=specimens), images) + 0.5 * generator.normal(size=y.size)
    )
    return y, np.round(score, 1), specimen


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
    with pytest.raises(ScoreError, match="repetitions is 10"):
        roc_band(y, score, specimen, generator=generator, repetitions=10)
