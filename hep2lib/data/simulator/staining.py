"""The light of a field: what the antibodies stain, and what any serum leaves."""

from collections.abc import Callable, Mapping

import numpy as np

from hep2lib.data.simulator.anatomy import Anatomy
from hep2lib.data.simulator.patterns import Pattern
from hep2lib.data.simulator.stain_cytoplasm import CYTOPLASMIC
from hep2lib.data.simulator.stain_nuclei import NUCLEAR
from hep2lib.data.simulator.stain_nucleoli import NUCLEOLAR
from hep2lib.data.simulator.stain_spindles import MITOTIC
from hep2lib.data.simulator.style import Style
from hep2lib.data.simulator.textures import Image, blurred, dots, noise

Staining = Callable[[Anatomy, Style, np.random.Generator], Image]

STAININGS: Mapping[str, Staining] = {**NUCLEAR, **NUCLEOLAR, **CYTOPLASMIC, **MITOTIC}
"""ICAP code to the function that draws the pattern, 1 being a well stained structure."""


def stain(pattern: Pattern, anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """Draw the specific staining of a pattern.

    Args:
        pattern: single or mixed.
        anatomy: the field.
        style: the specimen's way of staining.
        rng: the random stream.

    Returns:
        H x W float32, light in units of a well stained structure.
    """
    light = np.zeros(anatomy.shape, np.float32)
    for code, share in pattern.parts:
        light += np.float32(share) * STAININGS[code](anatomy, style, rng)
    light *= anatomy.gain
    return light


def unspecific(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """Draw what any serum leaves: a diffuse glow of the cells without structure or sharp outline.

    Returns:
        H x W float32, about 1 in the middle of a cell.
    """
    soft = blurred(anatomy.nucleus, anatomy.pixels(style.diffusion))
    glow = blurred(anatomy.cytoplasm * anatomy.gain, anatomy.pixels(style.diffusion))
    glow *= np.float32(0.8)
    glow += (np.float32(style.nuclear_haze) - glow) * soft
    glow += np.float32(style.mitotic_haze) * anatomy.body
    glow *= 1 + np.float32(style.clumping) * noise(rng, anatomy.shape, anatomy.pixels(1.6))
    return np.clip(glow, 0, None, out=glow)


def debris(rng: np.random.Generator, anatomy: Anatomy, mean: float) -> Image:
    """Draw a few bright specks that belong to no cell, ``mean`` of them on average; their light is about 0.3.

    Returns:
        H x W float32, share of full scale.
    """
    height, width = anatomy.shape
    light = np.zeros(anatomy.shape, np.float32)
    for _ in range(rng.poisson(mean)):
        parts = rng.integers(1, 5)
        size = anatomy.pixels(rng.uniform(0.4, 1.3))
        centre = rng.uniform(0, (width, height))
        places = centre + rng.normal(0, 1.2 * size, (parts, 2))
        light += dots(anatomy.shape, places, rng.gamma(2.0, 0.12, parts), size)
    return light
