"""What microscope and camera make of the light of a field: blur, haze, vignetting, noise, grey values."""

import numpy as np
from numpy.typing import NDArray

from hep2lib.simulator.cohort import Laboratory
from hep2lib.simulator.textures import Image, blurred


def through_lens(light: Image, laboratory: Laboratory, pixel: float, defocus: float) -> Image:
    """Blur a sharp share of the light by point spread and focus error, the rest to a wide haze.

    ``pixel`` and the further blur ``defocus`` are in um. H x W, float32, as much light as before.
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


def exposed(light: Image, laboratory: Laboratory, rng: np.random.Generator) -> Image:
    """Count photo-electrons, with photon noise (Poisson) and read noise (normal).

    The sum of both is drawn through its square root, which is nearly normal with variance 1/4 whatever the
    light (Anscombe 1948; with read noise: Murtagh, Starck and Bijaoui 1995). Mean and variance are right to
    within half an electron, and one normal number a pixel is enough. Light is not negative, H x W, a share of
    full scale; so is the signal returned, which may be below 0 or above 1.
    """
    scale = np.float32(laboratory.full_scale)
    read = np.float32((laboratory.read_noise / 255 * laboratory.full_scale) ** 2)
    root = light * scale
    root += np.float32(0.375) + read
    np.sqrt(root, out=root)
    half_normal = rng.standard_normal(light.shape, dtype=np.float32)
    half_normal *= np.float32(0.5)
    root += half_normal
    root *= root
    root -= np.float32(0.625) + read
    root /= scale
    return root


def developed(signal: Image, laboratory: Laboratory) -> NDArray[np.uint8]:
    """Turn a signal (share of full scale) into grey values, uint8: clipped, 12 bits, gamma, black level."""
    top = 2**12 - 1  # of the converter, before the gamma table
    steps = signal * np.float32(top)
    steps += np.float32(0.5)
    np.clip(steps, 0, top, out=steps)
    curve = (np.arange(top + 1) / top) ** (1 / laboratory.gamma)
    black = laboratory.black_level
    table = np.round(black + (255 - black) * curve).astype(np.uint8)
    return table[steps.astype(np.uint16)]


def photographed(
    green: Image, red: Image | None, laboratory: Laboratory, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Take the picture: H x W x 3 uint8. Fluorescein is green; the other channels get a share of it.

    ``green`` and, of the counterstain, ``red`` are light, H x W, share of full scale.
    """
    picture = np.empty((*green.shape, 3), np.uint8)
    for channel, share in enumerate((laboratory.red_share, 1.0, laboratory.blue_share)):
        light = np.float32(share) * green
        if channel == 0 and red is not None:
            light += red
        picture[..., channel] = developed(exposed(light, laboratory, rng), laboratory)
    return picture
