"""What the microscope does to the light of a field: blur, light out of focus, uneven illumination."""

import numpy as np

from hep2lib.data.simulator.laboratories import Laboratory
from hep2lib.data.simulator.textures import Image, blurred


def through_lens(light: Image, laboratory: Laboratory, pixel: float, defocus: float) -> Image:
    """Blur a sharp share of the light by point spread and focus error, the rest to a wide haze.

    Args:
        light: H x W.
        laboratory: whose microscope.
        pixel: um.
        defocus: further blur by focus error, um.

    Returns:
        H x W, as much light as before.
    """
    sharp = blurred(light, float(np.hypot(laboratory.blur, defocus)) / pixel)
    haze = blurred(light, laboratory.haze_blur / pixel)
    share = np.float32(laboratory.haze_share)
    return sharp * (1 - share) + haze * share


def illuminated(light: Image, laboratory: Laboratory) -> Image:
    """Weaken the light away from the illumination's centre (vignetting), by ``falloff`` in the corners."""
    height, width = light.shape
    x = ((np.arange(width) + 0.5) / width * 2 - 1 - laboratory.centre[0]).astype(np.float32)[None, :]
    y = ((np.arange(height) + 0.5) / height * 2 - 1 - laboratory.centre[1]).astype(np.float32)[:, None]
    return light * (1 - np.float32(laboratory.falloff / 2) * (x * x + y * y))
