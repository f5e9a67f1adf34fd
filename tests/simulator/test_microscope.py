from dataclasses import replace

import numpy as np
import pytest

from hep2lib.simulator.microscope import developed, exposed, illuminated, photographed, through_lens
from hep2lib.simulator.simulation import Simulation

LABORATORY = Simulation(seed=0).draw()[0][0]


def test_the_lens_keeps_an_even_field_and_the_illumination_falls_off_to_the_corners():
    even = np.full((120, 160), 0.4, np.float32)
    assert through_lens(even, LABORATORY, 0.3, 0.5) == pytest.approx(even, rel=1e-4)
    lit = illuminated(even, replace(LABORATORY, falloff=0.3, centre=(0.0, 0.0)))
    assert lit[60, 80] == pytest.approx(0.4, rel=1e-3)
    assert lit[0, 0] == pytest.approx(0.4 * 0.7, rel=0.01)


@pytest.mark.parametrize("light", [0.01, 0.2, 0.8])
def test_noise_is_that_of_photons_and_reading(light):
    laboratory = replace(LABORATORY, full_scale=500.0, read_noise=2.0)
    signal = exposed(np.full((300, 300), light, np.float32), laboratory, np.random.default_rng(0))
    assert signal.mean() == pytest.approx(light, abs=0.001)
    # Photons: variance = mean in electrons; reading: 2 of 255 grey levels; half an electron is allowed.
    expected = light / 500 + (2 / 255) ** 2
    assert signal.var() == pytest.approx(expected, abs=0.6 / 500**2, rel=0.03)


def test_green_dominates():
    laboratory = replace(LABORATORY, red_share=0.1, blue_share=0.2)
    light = np.full((50, 50), 0.5, np.float32)
    picture = photographed(light, None, laboratory, np.random.default_rng(0))
    red, green, blue = picture.reshape(-1, 3).mean(axis=0)
    assert red < blue < 0.5 * green
    stained = photographed(light, light, laboratory, np.random.default_rng(0))
    assert stained[..., 0].mean() > red + 50


def test_grey_values_are_clipped_and_follow_the_gamma():
    laboratory = replace(LABORATORY, gamma=2.0, black_level=0.0)
    grey = developed(np.array([[-0.5, 0.0, 0.25, 1.0, 3.0]], np.float32), laboratory)
    assert grey.tolist() == [[0, 0, 128, 255, 255]]
    assert developed(np.zeros((1, 1), np.float32), replace(laboratory, black_level=4.0)).item() == 4
