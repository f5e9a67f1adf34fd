import numpy as np
import pytest

from hep2lib.simulator.textures import blurred, dots, enlarged, grains, noise, reduced


def test_blurring_keeps_light_and_widens_a_point_as_it_should():
    point = np.zeros((121, 121), np.float32)
    point[60, 60] = 1
    y, x = np.mgrid[:121, :121] - 60
    for sigma in (0.7, 2.0, 3.5, 5.0, 9.0):
        image = blurred(point, sigma)
        assert image.sum() == pytest.approx(1, rel=1e-3)
        assert np.sqrt((image * (x**2 + y**2)).sum() / 2) == pytest.approx(sigma, rel=0.12)
    assert blurred(point, 0.1) is point


def test_enlarging_undoes_reducing_on_a_plane():
    y, x = np.mgrid[:60, :80].astype(np.float32)
    plane = 2 * x + 3 * y
    again = enlarged(reduced(plane, 4), plane.shape, 4)
    assert again[4:-4, 4:-4] == pytest.approx(plane[4:-4, 4:-4], abs=1e-3)


@pytest.mark.parametrize("sigma", [0.5, 2.0, 6.0])
def test_noise_has_mean_zero_and_deviation_one(sigma):
    image = noise(np.random.default_rng(0), (400, 500), sigma)
    assert image.shape == (400, 500)
    assert image.mean() == pytest.approx(0, abs=0.15)
    assert image.std() == pytest.approx(1, abs=0.15)


def test_grains_have_mean_one_and_stand_out_the_more_the_fewer():
    dense = grains(np.random.default_rng(0), (300, 300), 1.0, 0.5)
    sparse = grains(np.random.default_rng(0), (300, 300), 1.0, 0.05)
    assert dense.mean() == pytest.approx(1, rel=0.02)
    assert sparse.mean() == pytest.approx(1, rel=0.05)
    # Campbell's theorem: variance over squared mean is E[a^2] / (4 pi sigma^2 density), here E[a^2] = 1.25.
    assert sparse.var() == pytest.approx(1.25 / (4 * np.pi * 0.05), rel=0.1)
    assert dense.var() == pytest.approx(1.25 / (4 * np.pi * 0.5), rel=0.1)


def test_even_grains_have_mean_one_and_turn_into_an_even_ground_when_blurred():
    even = grains(np.random.default_rng(0), (300, 300), 0.6, 0.1, even=True)
    chance = grains(np.random.default_rng(0), (300, 300), 0.6, 0.1)
    assert even.mean() == pytest.approx(1, rel=0.02)
    assert even.std() == pytest.approx(chance.std(), rel=0.2)
    assert blurred(even, 4.0)[12:-12, 12:-12].std() < 0.6 * blurred(chance, 4.0)[12:-12, 12:-12].std()


def test_a_dot_has_its_peak_at_its_place():
    image = dots((40, 60), np.array([[30.0, 12.0], [-9.0, 5.0]]), np.array([1.5, 9.0]), 2.0)
    assert np.unravel_index(image.argmax(), image.shape) == (12, 30)
    assert image.max() == pytest.approx(1.5, rel=0.03)
    assert image[:, :15].max() < 1e-6
