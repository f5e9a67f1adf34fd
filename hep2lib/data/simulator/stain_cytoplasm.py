"""Cytoplasmic patterns: dense fine speckled, reticular, Golgi (ICAP AC-19, AC-21, AC-22)."""

from collections.abc import Callable

import numpy as np

from hep2lib.data.simulator.anatomy import Anatomy
from hep2lib.data.simulator.cells import INTERPHASE
from hep2lib.data.simulator.nucleoli import in_cells
from hep2lib.data.simulator.stain_nuclei import mitotic_cytoplasm, speckled
from hep2lib.data.simulator.style import Style
from hep2lib.data.simulator.textures import Image, dots, threads

_GOLGI_GRAINS = 45


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
    net = threads(rng, anatomy.shape, anatomy.pixels(0.75 * style.grain), 0.45)
    texture = speckled(rng, anatomy, 0.34 * style.grain, 0.55, 0.15) * (0.12 + 2.0 * net)
    around = cytoplasm(anatomy, 0.06) ** np.float32(1.9)
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


CYTOPLASMIC: dict[str, Callable[[Anatomy, Style, np.random.Generator], Image]] = {
    "AC-19": _dense_fine,
    "AC-21": _reticular,
    "AC-22": _golgi,
}
"""ICAP code to the function that draws the pattern."""
