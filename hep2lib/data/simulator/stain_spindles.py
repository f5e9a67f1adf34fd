"""Mitotic patterns: spindle fibres, NuMA-like (ICAP AC-25, AC-26)."""

from collections.abc import Callable

import numpy as np

from hep2lib.data.simulator.anatomy import Anatomy
from hep2lib.data.simulator.stain_cytoplasm import cytoplasm
from hep2lib.data.simulator.stain_nuclei import speckled
from hep2lib.data.simulator.style import Style
from hep2lib.data.simulator.textures import Image


def _spindle_fibres(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-25: the spindle fibres of dividing cells; interphase all but dark."""
    fine = speckled(rng, anatomy, 0.25 * style.grain, 1.5, 0.75, even=True)
    return 1.9 * anatomy.spindle * fine + 0.12 * cytoplasm(anatomy, 0.8)


def _numa(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-26: interphase nuclei finely speckled, in mitosis the poles and the spindle next to them."""
    texture = speckled(rng, anatomy, 0.25 * style.grain, 0.9, 0.15, even=True)
    nucleus = 0.8 * anatomy.depth() * (1 - 0.7 * anatomy.nucleolus)
    return texture * nucleus + 2.0 * anatomy.poles + 0.45 * anatomy.spindle


MITOTIC: dict[str, Callable[[Anatomy, Style, np.random.Generator], Image]] = {
    "AC-25": _spindle_fibres,
    "AC-26": _numa,
}
"""ICAP code to the function that draws the pattern."""
