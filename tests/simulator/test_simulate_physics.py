"""Cells, textures, optics and camera of the simulator: what must hold whatever is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from hep2lib.simulator.anatomy import draw_anatomy
from hep2lib.simulator.cells import INTERPHASE, place_cells
from hep2lib.simulator.microscope import developed, exposed, illuminated, photographed, through_lens
from hep2lib.simulator.physics import CellParameters
from hep2lib.simulator.simulation import Simulation
from hep2lib.simulator.staining import STAININGS, draw_style, unspecific
from hep2lib.simulator.textures import blurred, dots, enlarged, grains, noise, reduced

LABORATORY = Simulation(seed=0).draw()[0][0]


def cells(seed=0, density=1.4e-3, mitotic=0.04, **options):
    field = (200.0, 150.0)
    return place_cells(
        np.random.default_rng(seed), field, density, mitotic, 17.0, CellParameters(), **options
    )


def anatomy(seed=0, shape=(300, 400), **options):
    rng = np.random.default_rng(seed)
    return draw_anatomy(rng, cells(seed, **options), shape, 0.5, CellParameters())


@pytest.mark.parametrize("density", [0.7e-3, 1.4e-3, 2.5e-3])
def test_no_two_nuclei_overlap(density):
    found = cells(seed=1, density=density)
    around = np.linspace(0, 2 * np.pi, 90)
    for one in range(len(found)):
        # A point of the outline of one, in units of the other's axes, lies outside of the other.
        long, short = found.axes[one]
        cosine, sine = np.cos(found.angle[one]), np.sin(found.angle[one])
        u, v = long * np.cos(around), short * np.sin(around)
        x = found.centre[one, 0] + u * cosine - v * sine
        y = found.centre[one, 1] + u * sine + v * cosine
        for other in range(len(found)):
            if other == one:
                continue
            dx, dy = x - found.centre[other, 0], y - found.centre[other, 1]
            c, s = np.cos(found.angle[other]), np.sin(found.angle[other])
            a, b = found.axes[other]
            assert (((dx * c + dy * s) / a) ** 2 + ((dy * c - dx * s) / b) ** 2).min() > 1


def test_density_and_mitotic_share_are_those_asked_for():
    counts = [cells(seed) for seed in range(20)]
    area = (200 + 28) * (150 + 28)
    assert np.mean([len(one) for one in counts]) == pytest.approx(1.4e-3 * area, rel=0.05)
    phases = np.concatenate([one.phase for one in counts])
    assert np.mean(phases != INTERPHASE) == pytest.approx(0.04, abs=0.02)


def test_a_dividing_cell_is_there_if_it_has_to_be():
    for seed in range(5):
        found = cells(seed, mitotic=0.0, least_mitoses=1)
        assert found.phase[0] != INTERPHASE
        assert np.all(found.centre[0] > (40, 30))
        assert np.all(found.centre[0] < (160, 120))


def test_masks_number_the_cells_and_cover_the_nuclei():
    drawn = anatomy(seed=2)
    inside = drawn.owner >= 0
    assert np.all(inside[drawn.nucleus > 0.5])
    assert np.all(inside[drawn.chromatin > 0.5])
    for cell in np.unique(drawn.owner[inside]):
        _, pieces = ndimage.label(drawn.owner == cell)
        assert pieces == 1


def test_nucleus_area_is_that_of_its_ellipse():
    drawn = anatomy(seed=3)
    placed = drawn.cells
    whole = [
        i
        for i in np.flatnonzero(placed.phase == INTERPHASE)
        if np.all(placed.centre[i] > 15) and np.all(placed.centre[i] < (185, 135))
    ]
    assert len(whole) > 10
    for cell in whole:
        area = (drawn.owner == cell).sum() * drawn.pixel**2
        assert area == pytest.approx(np.pi * np.prod(placed.axes[cell]), rel=0.12)


@pytest.mark.parametrize("code", sorted(STAININGS))
def test_every_pattern_gives_light_where_it_says(code):
    rng = np.random.default_rng(4)
    drawn = anatomy(seed=4, mitotic=0.15)
    light = STAININGS[code](drawn, draw_style(rng), rng)
    assert light.dtype == np.float32
    assert light.shape == drawn.shape
    assert light.min() >= -1e-6
    outside = (drawn.cytoplasm == 0) & (drawn.body == 0)
    assert light[outside].mean() < 0.1 * light[~outside].mean()
    interphase, nuclear = drawn.cytoplasm > 0.4, drawn.nucleus > 0.99
    if code in ("AC-19", "AC-21"):
        assert light[interphase & (drawn.nucleus == 0)].mean() > 2 * light[nuclear].mean()
    elif code not in ("AC-22", "AC-25"):
        assert light[nuclear].mean() > 2 * light[interphase & (drawn.nucleus == 0)].mean()


@pytest.mark.parametrize(
    ("code", "bright"),
    [("AC-1", True), ("AC-2", True), ("AC-3", True), ("AC-4", False), ("AC-5", False), ("AC-11", False)],
)
def test_chromosomes_stain_as_the_consensus_says(code, bright):
    rng = np.random.default_rng(5)
    drawn = anatomy(seed=5, mitotic=0.3)
    light = STAININGS[code](drawn, draw_style(rng), rng)
    plate, rest = drawn.chromatin > 0.9, (drawn.body > 0.5) & (drawn.chromatin < 0.05)
    assert (light[plate].mean() > 2 * light[rest].mean()) == bright
    assert (light[plate].mean() < 0.5 * light[rest].mean()) != bright


def test_unspecific_light_has_no_sharp_outline():
    rng = np.random.default_rng(6)
    drawn = anatomy(seed=6)
    glow = unspecific(drawn, replace(draw_style(rng), diffusion=1.5, clumping=0.0), rng)
    sharp = STAININGS["AC-1"](drawn, draw_style(rng), rng)
    glow_step, sharp_step = (np.abs(np.diff(light, axis=1)).max() / light.max() for light in (glow, sharp))
    assert glow_step < 0.4 * sharp_step


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


def test_grey_values_are_clipped_and_follow_the_gamma():
    laboratory = replace(LABORATORY, gamma=2.0, black_level=0.0)
    grey = developed(np.array([[-0.5, 0.0, 0.25, 1.0, 3.0]], np.float32), laboratory)
    assert grey.tolist() == [[0, 0, 128, 255, 255]]
    assert developed(np.zeros((1, 1), np.float32), replace(laboratory, black_level=4.0)).item() == 4


def test_green_dominates():
    laboratory = replace(LABORATORY, red_share=0.1, blue_share=0.2)
    light = np.full((50, 50), 0.5, np.float32)
    picture = photographed(light, None, laboratory, np.random.default_rng(0))
    red, green, blue = picture.reshape(-1, 3).mean(axis=0)
    assert red < blue < 0.5 * green
    stained = photographed(light, light, laboratory, np.random.default_rng(0))
    assert stained[..., 0].mean() > red + 50
