from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from hep2lib.simulator.anatomy import draw_anatomy
from hep2lib.simulator.cells import INTERPHASE, TELOPHASE, place_cells
from hep2lib.simulator.physics import CellParameters, SpecimenParameters
from hep2lib.simulator.staining import STAININGS, draw_style, unspecific


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


def test_where_nothing_grows_there_are_no_cells_and_elsewhere_as_many():
    edge = np.array([200.0 + 560.0, 75.0, 600.0])  # covers the right fifth of the field
    found = cells(seed=1, density=1.4e-3, edge=edge)
    assert len(found) > 40
    assert np.hypot(*(found.centre - edge[:2]).T).min() >= 600
    parameters = CellParameters(bare_patches=30.0, bare_radius=(20.0, 20.0))
    patchy = place_cells(np.random.default_rng(2), (200.0, 150.0), 1.4e-3, 0.0, 17.0, parameters)
    assert len(patchy) < 0.9 * len(cells(seed=2, mitotic=0.0))


def test_only_some_cells_show_a_patchy_pattern():
    drawn = anatomy(seed=3, showing=0.4, mitotic=0.1)
    inter = drawn.cells.phase == INTERPHASE
    assert 0.2 < (drawn.cells.shows[inter] == 1).mean() < 0.6
    assert np.all(drawn.cells.shows[~inter] == 1)
    for cell in np.flatnonzero(inter):
        assert np.all(drawn.shows[drawn.owner == cell] == np.float32(drawn.cells.shows[cell]))
    assert np.all(anatomy(seed=3).shows == 1)


def test_a_cell_in_telophase_is_two_daughters_with_their_chromosomes():
    rng, parameters = np.random.default_rng(4), CellParameters(phases=(0.0, 0.0, 0.0, 1.0))
    one = place_cells(rng, (60.0, 60.0), 1e-6, 1.0, 17.0, parameters, 1)
    assert one.phase.tolist() == [TELOPHASE]
    drawn = draw_anatomy(rng, one, (120, 120), 0.5, parameters)
    assert ndimage.label(drawn.chromatin > 0.5)[1] == 2
    halves = drawn.body * ~(drawn.chromatin > 0.5)
    assert ndimage.label(halves > 0.6)[1] >= 2
    assert drawn.spindle.max() > 0.5  # the midbody


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
    light = STAININGS[code](drawn, draw_style(rng, SpecimenParameters()), rng)
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
    light = STAININGS[code](drawn, draw_style(rng, SpecimenParameters()), rng)
    plate, rest = drawn.chromatin > 0.9, (drawn.body > 0.5) & (drawn.chromatin < 0.05)
    assert (light[plate].mean() > 2 * light[rest].mean()) == bright
    assert (light[plate].mean() < 0.5 * light[rest].mean()) != bright


def test_unspecific_light_has_no_sharp_outline():
    rng = np.random.default_rng(6)
    drawn = anatomy(seed=6)
    style = replace(draw_style(rng, SpecimenParameters()), diffusion=1.5, clumping=0.0, granularity=0.0)
    glow, sharp = unspecific(drawn, style, rng), STAININGS["AC-1"](drawn, style, rng)
    glow_step, sharp_step = (np.abs(np.diff(light, axis=1)).max() / light.max() for light in (glow, sharp))
    assert glow_step < 0.5 * sharp_step
