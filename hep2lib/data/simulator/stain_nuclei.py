"""Nuclear patterns: homogeneous, speckled, centromere, dots, envelope (ICAP AC-1 to AC-7, AC-11, AC-12)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.anatomy import Anatomy
from hep2lib.data.simulator.cells import ANAPHASE, INTERPHASE, PROMETAPHASE
from hep2lib.data.simulator.nucleoli import in_cells, in_nuclei
from hep2lib.data.simulator.style import Style
from hep2lib.data.simulator.textures import Image, dots, grains, noise

_GOLDEN = 2.399963  # radians: the golden angle, which spreads points evenly over a disc


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


def _homogeneous(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-1: even nucleoplasm, often a brighter rim; chromosomes bright and even."""
    even = 1 + 0.05 * noise(rng, anatomy.shape, anatomy.pixels(1.5 * style.grain))
    even += np.float32(style.rim) * np.exp(-(((anatomy.radius - 0.92) / np.float32(0.09)) ** 2))
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
    """AC-5: coarse, dense, bright speckles, nucleoli dark; chromosomes dark."""
    texture = np.minimum(speckled(rng, anatomy, 0.48 * style.grain, 0.27, 0.12), 3.2)
    nucleus = anatomy.depth() * (1 - 0.92 * anatomy.nucleolus)
    return texture * nucleus + mitotic_cytoplasm(anatomy, 0.45)


def _centromere(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-3: 40 to 65 discrete dots of one size; in mitosis lined up on the chromosomes."""
    inter = np.flatnonzero(anatomy.cells.phase == INTERPHASE)
    places = np.concatenate([_spread_dots(rng, anatomy, inter), _aligned_dots(rng, anatomy)])
    peaks = 1.7 * np.exp(0.25 * rng.standard_normal(len(places)))
    light = dots(anatomy.shape, places / anatomy.pixel - 0.5, peaks, anatomy.pixels(0.32 * style.grain))
    return light + 0.12 * anatomy.depth()


def _spread_dots(rng: np.random.Generator, anatomy: Anatomy, inter: NDArray[np.intp]) -> NDArray[np.float64]:
    """Spread 40 to 65 dots over each nucleus like a sunflower's seeds, then shake them: they stay apart."""
    counts = rng.integers(40, 66, len(inter))
    cell = np.repeat(inter, counts)
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    distance = 0.92 * np.sqrt((rank + 0.5) / np.repeat(counts, counts))
    around = rank * _GOLDEN + np.repeat(rng.uniform(0, 2 * np.pi, len(inter)), counts)
    shake = rng.normal(0, 0.05, (2, len(cell)))
    long, short = anatomy.cells.axes[cell].T
    u, v = (distance * np.cos(around) + shake[0]) * long, (distance * np.sin(around) + shake[1]) * short
    return in_cells(anatomy.cells, cell, u, v)


def _aligned_dots(rng: np.random.Generator, anatomy: Anatomy) -> NDArray[np.float64]:
    """Line dots up on the chromosomes of dividing cells."""
    cells = anatomy.cells
    cell = np.repeat(np.flatnonzero(cells.phase != INTERPHASE), 64)
    u, v = rng.normal(0, 0.55, len(cell)), rng.uniform(-5.2, 5.2, len(cell))
    side = rng.choice([-1.0, 1.0], len(cell)) * (cells.apart[cell] + 0.6 - 0.04 * v**2)
    u = np.where(cells.phase[cell] == ANAPHASE, 0.5 * u + side, u)
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
    line = np.exp(-(((anatomy.radius - 0.94) / np.float32(0.075)) ** 2))
    folds = 1 + 0.12 * noise(rng, anatomy.shape, anatomy.pixels(1.2))
    return (1.25 * line + 0.36 * anatomy.depth(0.15)) * folds + mitotic_cytoplasm(anatomy, 0.22)


def _punctate_envelope(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-12: the same line made of dots, the veil too; nothing on the chromosomes."""
    beads = speckled(rng, anatomy, 0.30 * style.grain, 0.55, 0.10)
    line = np.exp(-(((anatomy.radius - 0.94) / np.float32(0.08)) ** 2))
    return beads * (0.95 * line + 0.24 * anatomy.depth(0.15)) + mitotic_cytoplasm(anatomy, 0.18)


NUCLEAR: dict[str, Callable[[Anatomy, Style, np.random.Generator], Image]] = {
    "AC-1": _homogeneous,
    "AC-2": _dense_fine_speckled,
    "AC-3": _centromere,
    "AC-4": _fine_speckled,
    "AC-5": _coarse_speckled,
    "AC-6": _nuclear_dots(6, 20, (0.28, 0.38, 0.50)),
    "AC-7": _nuclear_dots(1, 6, (0.40, 0.52, 0.65)),
    "AC-11": _smooth_envelope,
    "AC-12": _punctate_envelope,
}
"""ICAP code to the function that draws the pattern."""
