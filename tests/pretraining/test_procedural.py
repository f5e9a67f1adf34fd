"""Procedural images: drawn from numbers alone, every class as often, and brightness tells none of them."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hep2lib.pretraining.procedural import formulas, procedural_image

SIZE = 32


@pytest.fixture(scope="module")
def thousand() -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*(procedural_image(number, 5, SIZE) for number in range(1280)), strict=True)
    return np.array(images), np.array(labels)


def test_an_image_depends_on_its_number_and_seed_alone():
    first, label = procedural_image(7, 3, 40)
    procedural_image(8, 3, 40)
    again, same = procedural_image(7, 3, 40)
    assert first.dtype == np.uint8
    assert first.shape == (3, 40, 40)
    np.testing.assert_array_equal(first, again)
    assert label == same
    assert not np.array_equal(first, procedural_image(7, 4, 40)[0])


def test_the_formulas_are_128_of_the_families_that_are_named():
    families = [formula.family for formula in formulas()]
    assert len(families) == 128
    assert families.count("fractal") == 48
    assert families.count("leaves") == 40
    assert len(set(families)) == 12


@pytest.mark.parametrize("classes", [4, 128])
def test_every_class_is_shown_as_often(classes):
    labels = [procedural_image(number, 0, SIZE, classes)[1] for number in range(2 * classes)]
    assert np.bincount(labels).tolist() == [2] * classes
    assert np.bincount(labels[:classes]).tolist() == [1] * classes
    assert labels[:classes] != labels[classes:], "the order is drawn anew for each block"


def test_a_class_is_one_formula():
    """The same random numbers give another picture by each formula."""
    pictures = {formula.draw(np.random.default_rng(0), SIZE).tobytes() for formula in formulas()}
    assert len(pictures) == 128


def test_every_formula_draws_something_of_every_size(thousand):
    images, labels = thousand
    for size in (32, 45):
        for formula in formulas():
            planes = formula.draw(np.random.default_rng(1), size)
            assert planes.shape[1:] == (size, size), formula
            assert np.isfinite(planes).all(), formula
            assert (planes.max((1, 2)) > planes.min((1, 2))).any(), formula
    brightest = images.max(1).reshape(len(images), -1).astype(float)
    contrast = np.percentile(brightest, 98, axis=1) - np.percentile(brightest, 2, axis=1)
    assert min(contrast[labels == label].max() for label in range(128)) > 10


def test_images_are_dark_and_bright(thousand):
    means = thousand[0].mean((2, 3)).max(1)
    assert np.quantile(means, 0.05) < 10
    assert np.quantile(means, 0.95) > 90


def test_brightness_does_not_tell_the_class(thousand):
    images, labels = thousand
    brightness = np.log1p(images.mean((1, 2, 3)))
    families = np.array([formulas()[label].family for label in labels])
    for family in ("fractal", "leaves"):
        assert abs(roc_auc_score(families == family, brightness) - 0.5) < 0.06, family
    # Between-class variance is what ten draws of one distribution have: F is about 1.
    groups = np.array([brightness[labels == label] for label in range(128)])
    f = 10 * groups.mean(1).var(ddof=1) / groups.var(1, ddof=1).mean()
    assert 0.6 < f < 1.4
