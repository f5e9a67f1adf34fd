"""Nucleolar patterns: homogeneous, clumpy, punctate (ICAP AC-8 to AC-10)."""

from collections.abc import Callable

import numpy as np

from hep2lib.data.simulator.anatomy import Anatomy
from hep2lib.data.simulator.cells import INTERPHASE, METAPHASE
from hep2lib.data.simulator.nucleoli import in_cells
from hep2lib.data.simulator.stain_nuclei import mitotic_cytoplasm, speckled
from hep2lib.data.simulator.style import Style
from hep2lib.data.simulator.textures import Image, blurred, dots, noise


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
    clumps = np.minimum(_in_nucleoli(anatomy, rng, 0.9, 0.5, 0.38 * style.grain), 2.2)
    plate = blurred(anatomy.chromatin, anatomy.pixels(0.8))
    coat = speckled(rng, anatomy, 0.4, 0.5, 0.4) * (plate - 0.65 * plate**3)
    return clumps + 0.10 * anatomy.depth() + 1.1 * coat + mitotic_cytoplasm(anatomy, 0.10)


def _punctate_nucleolar(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-10: small separate grains in the nucleoli; a few bright pairs on the chromosomes."""
    light = _in_nucleoli(anatomy, rng, 0.8, 0.65, 0.25 * style.grain)
    cell = np.repeat(np.flatnonzero(anatomy.cells.phase != INTERPHASE), 5)
    straight = anatomy.cells.phase[cell] == METAPHASE
    u = np.where(straight, 0.0, anatomy.cells.apart[cell]) + rng.normal(0, 0.5, len(cell))
    pairs = np.repeat(in_cells(anatomy.cells, cell, u, rng.uniform(-4.5, 4.5, len(cell))), 2, axis=0)
    pairs += rng.normal(0, 0.4, pairs.shape)
    light += dots(anatomy.shape, pairs / anatomy.pixel - 0.5, np.full(len(pairs), 1.6), anatomy.pixels(0.35))
    return light + 0.14 * anatomy.depth() + mitotic_cytoplasm(anatomy, 0.08)


NUCLEOLAR: dict[str, Callable[[Anatomy, Style, np.random.Generator], Image]] = {
    "AC-8": _homogeneous_nucleolar,
    "AC-9": _clumpy_nucleolar,
    "AC-10": _punctate_nucleolar,
}
"""ICAP code to the function that draws the pattern."""
