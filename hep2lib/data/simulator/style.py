"""How one specimen's cells stain: what its fields share beyond label, pattern and light."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Style:
    """Drawn once a specimen (all ranges are assumptions).

    Attributes:
        grain: factor on the size of speckles and dots.
        rim: how much brighter the rim of homogeneous nuclei is.
        nucleolus_shade: how dark nucleoli stay where they are spared, 0 to 1.
        nucleolus_size: factor on their radius.
        diffusion: blur of the unspecific glow, um.
        nuclear_haze: unspecific light of the nucleus over that of the cytoplasm.
        mitotic_haze: unspecific light of dividing cells.
        clumping: unevenness of the unspecific glow.
        debris: factor on the number of bright specks: some slides are dirty.
        tilt: slope of the background across the field, x and y.
    """

    grain: float
    rim: float
    nucleolus_shade: float
    nucleolus_size: float
    diffusion: float
    nuclear_haze: float
    mitotic_haze: float
    clumping: float
    debris: float
    tilt: tuple[float, float]


def draw_style(rng: np.random.Generator) -> Style:
    """Draw a specimen's style."""
    return Style(
        grain=float(np.exp(0.10 * rng.standard_normal())),
        rim=float(rng.uniform(0.0, 0.35)),
        nucleolus_shade=float(rng.uniform(0.3, 1.0)),
        nucleolus_size=float(rng.uniform(0.85, 1.2)),
        diffusion=float(rng.uniform(0.8, 2.0)),
        nuclear_haze=float(rng.uniform(0.45, 1.35)),
        mitotic_haze=float(rng.uniform(0.3, 1.3)),
        clumping=float(rng.uniform(0.05, 0.22)),
        debris=float(rng.gamma(0.7, 1 / 0.7)),
        tilt=(float(rng.normal(0, 0.06)), float(rng.normal(0, 0.06))),
    )
