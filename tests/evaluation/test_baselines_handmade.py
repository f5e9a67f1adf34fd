"""Hand-made features: closed forms on small fields."""

import numpy as np
import pytest
import torch

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.baselines import HANDMADE, handmade_features, mean_green


def green(field):
    image = np.zeros((1, 3, *np.shape(field)), dtype=np.uint8)
    image[0, 1] = field
    return image


def named(images):
    return dict(zip(HANDMADE, handmade_features(images).T, strict=True))


def test_even_field():
    found = named(green(np.full((20, 24), 51)))
    for name in ("mean", "median", "bright", "brightest", "background"):
        assert found[name][0] == pytest.approx(0.2, abs=1e-6)
    for name in ("deviation", "skewness", "entropy", "fine", "coarse"):
        assert found[name][0] == pytest.approx(0, abs=1e-5)


def test_half_dark_half_bright():
    field = np.zeros((30, 30))
    field[:, 15:] = 255
    found = named(green(field))
    assert found["mean"][0] == pytest.approx(0.5)
    assert found["deviation"][0] == pytest.approx(0.5)
    assert found["entropy"][0] == pytest.approx(1.0)
    assert found["skewness"][0] == pytest.approx(0, abs=1e-6)
    assert (found["background"][0], found["bright"][0]) == (0, 1)
    # Only the two columns at the edge differ from their 3 x 3 mean, by one third.
    assert found["fine"][0] == pytest.approx(np.sqrt(2 / 30) / 3)


def test_speckles_are_fine_and_blobs_are_coarse():
    row, column = np.indices((60, 60))
    speckles, blobs = (
        named(green(255 * ((row + column) % 2))),
        named(green(255 * ((row // 6 + column // 6) % 2))),
    )
    assert speckles["fine"][0] > 1.5 * blobs["fine"][0]
    assert blobs["coarse"][0] > 3 * speckles["coarse"][0]


def test_red_and_blue_do_not_matter_and_images_do_not_mix():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (70, 3, 16, 18), dtype=np.uint8)
    other = images.copy()
    other[:, [0, 2]] = 9
    np.testing.assert_array_equal(handmade_features(images), handmade_features(other))
    np.testing.assert_allclose(handmade_features(images)[66:], handmade_features(images[66:]), rtol=1e-5)
    np.testing.assert_allclose(mean_green(images), images[:, 1].mean(axis=(1, 2)) / 255)
    np.testing.assert_allclose(
        mean_green(torch.from_numpy(images)), handmade_features(images)[:, 0], rtol=1e-5
    )


def test_no_images():
    assert handmade_features(np.empty((0, 3, 16, 16), dtype=np.uint8)).shape == (0, len(HANDMADE))


def test_refusals():
    with pytest.raises(ScoreError, match="Images must be uint8"):
        mean_green(np.zeros((1, 3, 16, 16)))
    with pytest.raises(ScoreError, match=r"shape \(1, 16, 16\)"):
        handmade_features(np.zeros((1, 16, 16), dtype=np.uint8))
