"""How cells stain: the light of each pattern, and what any serum leaves, in the style of one specimen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hep2lib.simulator.anatomy import Anatomy, in_cells, in_nuclei
from hep2lib.simulator.cells import INTERPHASE, METAPHASE, PROMETAPHASE
from hep2lib.simulator.patterns import Pattern
from hep2lib.simulator.physics import SpecimenParameters
from hep2lib.simulator.textures import Image, blurred, dots, grains, noise, rounded, threads


@dataclass(frozen=True, slots=True)
class Style:
    """How a specimen stains beyond label, pattern and light: drawn once for all its fields (assumptions)."""

    grain: float  # factor on the size of speckles and dots
    rim: float  # how much brighter the rim of homogeneous nuclei is
    nucleolus_shade: float  # how dark nucleoli stay where they are spared, 0 to 1
    nucleolus_size: float  # factor on their radius
    diffusion: float  # blur of the unspecific glow, um
    nuclear_haze: float  # unspecific light of the nucleus over that of the cytoplasm
    mitotic_haze: float  # unspecific light of dividing cells
    clumping: float  # unevenness of the unspecific glow
    granularity: float  # contrast of its grains or fibres in the cytoplasm, 0 for an even glow
    fibrous: bool  # whether those are fibres
    dirt: float  # factor on the number of specks, fibres, dead cells and grains: some slides are dirty
    wash: float  # slow variation of all light over the field, standard deviation over the mean
    tilt: tuple[float, float]  # slope of the background across the field, x and y


def draw_style(rng: np.random.Generator, parameters: SpecimenParameters) -> Style:
    """Draw a specimen's style, which says nothing about its label."""
    return Style(
        grain=float(np.exp(0.10 * rng.standard_normal())),
        rim=float(rng.uniform(0.0, 0.35)),
        nucleolus_shade=float(rng.uniform(0.3, 1.0)),
        nucleolus_size=float(rng.uniform(0.85, 1.2)),
        diffusion=float(rng.uniform(0.8, 2.0)),
        nuclear_haze=float(rng.uniform(0.4, 1.15)),
        mitotic_haze=float(rng.uniform(0.3, 1.3)),
        clumping=float(rng.uniform(0.05, 0.22)),
        granularity=float(parameters.granularity * rng.beta(1.5, 3.0) * 3),
        fibrous=bool(rng.random() < 0.4),
        dirt=float(rng.gamma(0.7, 1 / 0.7)),
        wash=float(rng.uniform(*parameters.wash)),
        tilt=(float(rng.normal(0, 0.06)), float(rng.normal(0, 0.06))),
    )


_GOLDEN = 2.399963  # radians: the golden angle, which spreads points evenly over a disc
_GOLGI_GRAINS = 45


def mitotic_cytoplasm(anatomy: Anatomy, light: float) -> Image:
    """Antigen set free at division: the rounded cell glows, its chromosomes stay dark."""
    return np.float32(light) * anatomy.body * (1 - np.float32(0.92) * anatomy.chromatin)


def speckled(
    rng: np.random.Generator,
    anatomy: Anatomy,
    sigma: float,
    density: float,
    ground: float,
    *,
    even: bool = False,
) -> Image:
    """Grains of ``sigma`` um, ``density`` per um2, on an even ground that holds ``ground`` of the light."""
    texture = grains(rng, anatomy.shape, anatomy.pixels(sigma), density * anatomy.pixel**2, even=even)
    return ground + (1 - ground) * texture


def rim(anatomy: Anatomy, place: float, width: float) -> Image:
    """A line around the nuclei at ``place`` of their radius, ``width`` wide: bell-shaped, 1 in its middle."""
    return rounded(np.exp, -np.minimum(((anatomy.radius - np.float32(place)) / np.float32(width)) ** 2, 50))


def _homogeneous(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-1: even nucleoplasm, often a brighter rim; chromosomes bright and even."""
    even = 1 + 0.05 * noise(rng, anatomy.shape, anatomy.pixels(1.5 * style.grain))
    even += np.float32(style.rim) * rim(anatomy, 0.92, 0.09)
    even *= 1 - np.float32(0.3 * style.nucleolus_shade) * anatomy.nucleolus
    return 0.9 * anatomy.depth(0.2) * even + 1.4 * anatomy.chromatin + mitotic_cytoplasm(anatomy, 0.06)


def _dense_fine_speckled(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-2: speckles uneven in size, brightness and spacing; chromosomes speckled and bright."""
    texture = 0.60 * speckled(rng, anatomy, 0.24 * style.grain, 1.8, 0.3, even=True)
    texture += 0.40 * speckled(rng, anatomy, 0.36 * style.grain, 0.40, 0.0)
    nucleus = anatomy.depth() * (1 - 0.4 * anatomy.nucleolus)
    return texture * (nucleus + 1.8 * anatomy.chromatin) + mitotic_cytoplasm(anatomy, 0.10)


def _fine_speckled(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-4: tiny speckles over the nucleoplasm, nucleoli more or less spared; chromosomes dark."""
    texture = speckled(rng, anatomy, 0.25 * style.grain, 0.9, 0.15, even=True)
    nucleus = anatomy.depth() * (1 - np.float32(0.85 * style.nucleolus_shade) * anatomy.nucleolus)
    return texture * (0.9 * nucleus + mitotic_cytoplasm(anatomy, 0.45))


def _coarse_speckled(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-5: coarse speckles, uneven in size and shape, that touch in a mesh; nucleoli, chromosomes dark."""
    mesh = noise(rng, anatomy.shape, anatomy.pixels(0.55 * style.grain))
    mesh = np.clip(np.float32(0.55) + np.float32(0.8) * mesh, 0, 1.9)  # what lies below the mean stays dark
    texture = np.float32(0.12) + np.float32(0.85) * mesh + 0.45 * speckled(rng, anatomy, 0.42, 0.35, 0.0)
    nucleus = anatomy.depth() * (1 - 0.92 * anatomy.nucleolus)
    return texture * nucleus + mitotic_cytoplasm(anatomy, 0.45)


def _centromere(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-3: 40 to 65 discrete dots of one size; in mitosis lined up on the chromosomes."""
    inter = np.flatnonzero(anatomy.cells.phase == INTERPHASE)
    places = np.concatenate([_spread_dots(rng, anatomy, inter), _aligned_dots(rng, anatomy)])
    peaks = 1.7 * np.exp(0.35 * rng.standard_normal(len(places)))
    light = dots(anatomy.shape, places / anatomy.pixel - 0.5, peaks, anatomy.pixels(0.32 * style.grain))
    return light + 0.12 * anatomy.depth()


def _spread_dots(rng: np.random.Generator, anatomy: Anatomy, inter: NDArray[np.intp]) -> NDArray[np.float64]:
    """Spread 40 to 65 dots over each nucleus like a sunflower's seeds, then shake them: they stay apart."""
    counts = rng.integers(40, 66, len(inter))
    cell = np.repeat(inter, counts)
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    distance = 0.92 * np.sqrt((rank + 0.5) / np.repeat(counts, counts))
    around = rank * _GOLDEN + np.repeat(rng.uniform(0, 2 * np.pi, len(inter)), counts)
    shake = rng.normal(0, 0.08, (2, len(cell)))
    long, short = anatomy.cells.axes[cell].T
    u, v = (distance * np.cos(around) + shake[0]) * long, (distance * np.sin(around) + shake[1]) * short
    return in_cells(anatomy.cells, cell, u, v)


def _aligned_dots(rng: np.random.Generator, anatomy: Anatomy) -> NDArray[np.float64]:
    """Line dots up on the chromosomes of dividing cells."""
    cells = anatomy.cells
    cell = np.repeat(np.flatnonzero(cells.phase != INTERPHASE), 64)
    u, v = rng.normal(0, 0.55, len(cell)), rng.uniform(-5.2, 5.2, len(cell))
    side = rng.choice([-1.0, 1.0], len(cell)) * (cells.apart[cell] + 0.6 - 0.04 * v**2)
    u = np.where(cells.phase[cell] > METAPHASE, 0.5 * u + side, u)  # anaphase and telophase
    around, ring = rng.uniform(0, 2 * np.pi, len(cell)), 3.6 + u
    pole = cells.phase[cell] == PROMETAPHASE
    return in_cells(
        cells, cell, np.where(pole, ring * np.cos(around), u), np.where(pole, ring * np.sin(around), v)
    )


def _nuclear_dots(least: int, most: int, sizes: tuple[float, ...]) -> Callable[..., Image]:
    """AC-6, AC-7: a number of round dots of several sizes (um); nothing in mitosis."""

    def staining(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
        inter = np.flatnonzero(anatomy.cells.phase == INTERPHASE)
        cell = np.repeat(inter, rng.integers(least, most + 1, len(inter)))
        places = in_nuclei(rng, anatomy.cells, cell, 0.82) / anatomy.pixel - 0.5
        kind = rng.integers(0, len(sizes), len(cell))
        light = 0.08 * anatomy.depth()
        for number, size in enumerate(sizes):
            chosen = kind == number
            peaks = 2.0 * np.exp(0.3 * rng.standard_normal(int(chosen.sum())))
            light += dots(anatomy.shape, places[chosen], peaks, anatomy.pixels(size * style.grain))
        return light

    return staining


def _smooth_envelope(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-11: an even line around the nucleus, a weaker veil over it; nothing on the chromosomes."""
    line = rim(anatomy, 0.94, 0.075)
    folds = 1 + 0.12 * noise(rng, anatomy.shape, anatomy.pixels(1.2))
    return (1.25 * line + 0.36 * anatomy.depth(0.15)) * folds + mitotic_cytoplasm(anatomy, 0.22)


def _punctate_envelope(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-12: the same line made of beads, a faint finely dotted veil inside; nothing on the chromosomes."""
    beads = speckled(rng, anatomy, 0.33 * style.grain, 0.65, 0.25)
    veil = speckled(rng, anatomy, 0.24 * style.grain, 0.9, 0.45)
    line = rim(anatomy, 0.94, 0.075)
    return 1.1 * beads * line + 0.17 * veil * anatomy.depth(0.15) + mitotic_cytoplasm(anatomy, 0.18)


def _homogeneous_nucleolar(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-8: nucleoli evenly stained, the rest of the nucleus faintly; chromosomes dark."""
    blobs = blurred(anatomy.nucleolus, anatomy.pixels(0.25))
    even = 1 + 0.08 * noise(rng, anatomy.shape, anatomy.pixels(0.6))
    return 1.5 * blobs * even + 0.16 * anatomy.depth() + mitotic_cytoplasm(anatomy, 0.12)


def _in_nucleoli(
    anatomy: Anatomy, rng: np.random.Generator, density: float, spread: float, size: float
) -> Image:
    """Grains in the nucleoli: ``density`` per um2, scattered over ``spread`` radii, ``size`` um wide."""
    nucleoli = anatomy.nucleoli
    counts = np.maximum(rng.poisson(density * np.pi * nucleoli[:, 2] ** 2), 2)
    parent = np.repeat(np.arange(len(nucleoli)), counts)
    places = nucleoli[parent, :2] + spread * nucleoli[parent, 2:3] * rng.normal(0, 1, (len(parent), 2))
    peaks = 1.7 * np.exp(0.25 * rng.standard_normal(len(parent)))
    return dots(anatomy.shape, places / anatomy.pixel - 0.5, peaks, anatomy.pixels(size)) * anatomy.nucleus


def _clumpy_nucleolar(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-9: irregular clumps of grains in the nucleoli; a stained coat around the chromosomes."""
    clumps = np.minimum(_in_nucleoli(anatomy, rng, 0.8, 0.62, 0.36 * style.grain), 2.2)
    plate = blurred(anatomy.chromatin, anatomy.pixels(0.8))
    coat = speckled(rng, anatomy, 0.4, 0.5, 0.4) * (plate - 0.65 * plate * plate * plate)
    return clumps + 0.10 * anatomy.depth() + 1.1 * coat + mitotic_cytoplasm(anatomy, 0.10)


def _punctate_nucleolar(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-10: small separate grains in the nucleoli; a few bright pairs on the chromosomes."""
    light = _in_nucleoli(anatomy, rng, 0.5, 0.8, 0.24 * style.grain)
    cell = np.repeat(np.flatnonzero(anatomy.cells.phase != INTERPHASE), 5)
    straight = anatomy.cells.phase[cell] == METAPHASE
    u = np.where(straight, 0.0, anatomy.cells.apart[cell]) + rng.normal(0, 0.5, len(cell))
    pairs = np.repeat(in_cells(anatomy.cells, cell, u, rng.uniform(-4.5, 4.5, len(cell))), 2, axis=0)
    pairs += rng.normal(0, 0.4, pairs.shape)
    light += dots(anatomy.shape, pairs / anatomy.pixel - 0.5, np.full(len(pairs), 1.6), anatomy.pixels(0.35))
    return light + 0.14 * anatomy.depth() + mitotic_cytoplasm(anatomy, 0.08)


def cytoplasm(anatomy: Anatomy, nucleus: float) -> Image:
    """Thickness of the cytoplasm, with ``nucleus`` of its light left over the nuclei."""
    return anatomy.cytoplasm * (1 - np.float32(1 - nucleus) * anatomy.nucleus)


def _dense_fine(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-19: dense fine grains fill the cytoplasm almost evenly, often the nucleoli too; nuclei dark."""
    texture = speckled(rng, anatomy, 0.25 * style.grain, 1.4, 0.4, even=True)
    light = cytoplasm(anatomy, 0.12) + np.float32(0.4 * style.nucleolus_shade) * anatomy.nucleolus
    return texture * (light + mitotic_cytoplasm(anatomy, 0.9))


def _reticular(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-21: grains strung on threads, densest around the nucleus, thinning out; nuclei dark."""
    net = threads(rng, anatomy.shape, anatomy.pixels(0.9 * style.grain), 0.4)
    texture = speckled(rng, anatomy, 0.30 * style.grain, 0.8, 0.15) * (0.08 + 2.2 * net)
    around = rounded(np.power, cytoplasm(anatomy, 0.06), 1.9)
    return texture * (1.25 * around + mitotic_cytoplasm(anatomy, 0.8))


def _golgi(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-22: a ragged cap of grains at one side of the nucleus; scattered in mitosis."""
    cells = anatomy.cells
    inter = np.flatnonzero(cells.phase == INTERPHASE)
    cell = np.repeat(inter, _GOLGI_GRAINS)
    side = np.repeat(rng.uniform(0, 2 * np.pi, len(inter)), _GOLGI_GRAINS)
    around = side + rng.normal(0, 0.36, len(cell))
    distance = 1.04 + np.abs(rng.normal(0, 0.32, len(cell)))
    long, short = cells.axes[cell].T
    places = in_cells(cells, cell, distance * np.cos(around) * long, distance * np.sin(around) * short)
    peaks = 0.65 * np.exp(0.5 * rng.standard_normal(len(cell)))
    light = dots(anatomy.shape, places / anatomy.pixel - 0.5, peaks, anatomy.pixels(0.42 * style.grain))
    return np.minimum(light, 2.2) + 0.07 * cytoplasm(anatomy, 0.5) + mitotic_cytoplasm(anatomy, 0.15)


def _spindle_fibres(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-25: the spindle fibres of dividing cells; interphase all but dark."""
    fine = speckled(rng, anatomy, 0.25 * style.grain, 1.5, 0.75, even=True)
    return 1.9 * anatomy.spindle * fine + 0.12 * cytoplasm(anatomy, 0.8)


def _numa(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-26: interphase nuclei finely speckled, in mitosis the poles and the spindle next to them."""
    texture = speckled(rng, anatomy, 0.25 * style.grain, 0.9, 0.15, even=True)
    nucleus = 0.8 * anatomy.depth() * (1 - 0.7 * anatomy.nucleolus)
    return texture * nucleus + 2.0 * anatomy.poles + 0.45 * anatomy.spindle


STAININGS: dict[str, Callable[[Anatomy, Style, np.random.Generator], Image]] = {
    "AC-1": _homogeneous,
    "AC-2": _dense_fine_speckled,
    "AC-3": _centromere,
    "AC-4": _fine_speckled,
    "AC-5": _coarse_speckled,
    "AC-6": _nuclear_dots(6, 20, (0.28, 0.38, 0.50)),
    "AC-7": _nuclear_dots(1, 6, (0.40, 0.52, 0.65)),
    "AC-8": _homogeneous_nucleolar,
    "AC-9": _clumpy_nucleolar,
    "AC-10": _punctate_nucleolar,
    "AC-11": _smooth_envelope,
    "AC-12": _punctate_envelope,
    "AC-19": _dense_fine,
    "AC-21": _reticular,
    "AC-22": _golgi,
    "AC-25": _spindle_fibres,
    "AC-26": _numa,
}
"""ICAP code to the function that draws the pattern, 1 being a well stained structure."""


def stain(pattern: Pattern, anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """Draw the specific staining of a pattern: H x W float32, in units of a well stained structure."""
    light = np.zeros(anatomy.shape, np.float32)
    for code, share in pattern.parts:
        light += np.float32(share) * STAININGS[code](anatomy, style, rng)
    light *= anatomy.gain * anatomy.shows
    return light


def unspecific(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """Draw what any serum leaves: a glow, in the cytoplasm grained or fibrous: H x W float32.

    About 1 in mid-cell. Nothing of it follows nuclei, nucleoli or chromosomes sharply, as a pattern does.
    """
    soft = blurred(anatomy.nucleus, anatomy.pixels(style.diffusion))
    glow = blurred(anatomy.cytoplasm * anatomy.gain, anatomy.pixels(style.diffusion))
    glow *= np.float32(0.8)
    if style.fibrous:
        texture = 1.86 * threads(
            rng, anatomy.shape, anatomy.pixels(2.2 * style.grain), 0.9
        )  # soft, in no net
    else:
        texture = grains(rng, anatomy.shape, anatomy.pixels(0.5 * style.grain), 0.18 * anatomy.pixel**2)
    glow *= np.maximum(1 + np.float32(style.granularity) * (texture - 1), 0)
    glow += (np.float32(style.nuclear_haze) - glow) * soft
    glow += np.float32(style.mitotic_haze) * anatomy.body
    glow *= 1 + np.float32(style.clumping) * noise(rng, anatomy.shape, anatomy.pixels(1.6))
    return np.clip(glow, 0, None, out=glow)


def debris(rng: np.random.Generator, anatomy: Anatomy, style: Style, parameters: SpecimenParameters) -> Image:
    """Draw what belongs to no living cell: specks, fibres, dead cells, grains: H x W float32."""
    extent = np.array(anatomy.shape[::-1]) * anatomy.pixel
    light = np.zeros(anatomy.shape, np.float32)
    for _ in range(rng.poisson(style.dirt * parameters.debris)):
        size, parts = rng.uniform(0.4, 1.3), rng.integers(1, 5)
        places = rng.uniform(0, extent) + rng.normal(0, 1.2 * size, (parts, 2))
        _lump(light, anatomy.pixel, places, rng.gamma(2.0, 0.12, parts), size)
    for _ in range(rng.poisson(style.dirt * parameters.dead_cells)):
        # A shrunken nucleus in pieces, and the rest of the cell around it.
        strength, radius = 0.15 * np.exp(0.8 * rng.standard_normal()), rng.uniform(2.0, 4.5)
        places = rng.uniform(0, extent) + radius * rng.normal(0, 0.55, (rng.integers(8, 25), 2))
        peaks = strength * rng.gamma(1.5, 0.5, len(places))
        _lump(light, anatomy.pixel, places, peaks, rng.uniform(0.7, 1.5))
        _lump(light, anatomy.pixel, places[:1], np.array([0.4 * strength]), 1.3 * radius)
    for _ in range(rng.poisson(style.dirt * parameters.fibres)):
        # A walk that turns slowly, in steps shorter than the fibre is wide.
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum(0.06 * rng.standard_normal(rng.integers(60, 400)))
        steps = 0.4 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        places = rng.uniform(0, extent) + np.cumsum(steps, axis=0)
        strength = 0.05 * np.exp(0.6 * rng.standard_normal())
        _lump(light, anatomy.pixel, places, np.full(len(places), strength), rng.uniform(0.4, 0.9))
    count = rng.poisson(style.dirt * parameters.precipitate)
    places = rng.uniform(0, extent, (count, 2)) / anatomy.pixel
    light += dots(anatomy.shape, places, rng.gamma(1.0, 0.06, count), anatomy.pixels(0.35))
    return light


def _lump(
    light: Image, pixel: float, places: NDArray[np.floating], peaks: NDArray[np.floating], size: float
) -> None:
    """Add dots of ``size`` um at ``places`` (n x 2, um), ``peaks`` bright, in a window that holds them."""
    places, size = places / pixel, size / pixel
    edges = light.shape[::-1]
    # A dot ends 3 deviations from its centre, on a coarser grid a bit later.
    left, top = np.clip(places.min(axis=0) - 5 * size - 3, 0, edges).astype(int)
    right, bottom = np.clip(places.max(axis=0) + 5 * size + 3, 0, edges).astype(int)
    if left < right and top < bottom:
        window = light[top:bottom, left:right]
        window += dots(window.shape, places - (left, top), peaks, size)
