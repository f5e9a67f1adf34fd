"""What the camera makes of the light: electrons, noise, grey values, colour."""

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.laboratories import Laboratory
from hep2lib.data.simulator.textures import Image

_BITS = 12  # of the converter, before the gamma table


def exposed(light: Image, laboratory: Laboratory, rng: np.random.Generator) -> Image:
    """Count photo-electrons: photon noise, read noise.

    The Poisson numbers are drawn through their square root, which is nearly normal with variance 1/4
    (Anscombe 1948): mean and variance are right to within half an electron, and it is far faster.

    Args:
        light: H x W, share of full scale, not negative.
        laboratory: whose camera.
        rng: the random stream.

    Returns:
        H x W, share of full scale, may be below 0 or above 1.
    """
    scale = np.float32(laboratory.full_scale)
    root = np.sqrt(light * scale + np.float32(0.375))
    root += np.float32(0.5) * rng.standard_normal(light.shape, dtype=np.float32)
    electrons = root * root - np.float32(0.625)
    read = np.float32(laboratory.read_noise / 255)
    return electrons / scale + read * rng.standard_normal(light.shape, dtype=np.float32)


def developed(signal: Image, laboratory: Laboratory) -> NDArray[np.uint8]:
    """Turn a signal into grey values: clipped, 12 bits, gamma, black level.

    Args:
        signal: H x W, share of full scale.
        laboratory: whose camera.

    Returns:
        H x W uint8.
    """
    top = 2**_BITS - 1
    steps = np.clip(signal * np.float32(top) + np.float32(0.5), 0, top).astype(np.uint16)
    curve = (np.arange(top + 1) / top) ** (1 / laboratory.gamma)
    black = laboratory.black_level
    table = np.round(black + (255 - black) * curve).astype(np.uint8)
    return table[steps]


def photographed(
    green: Image, red: Image | None, laboratory: Laboratory, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Take the picture. Fluorescein is green; the other channels get a share of it, and any counterstain.

    Args:
        green: H x W, light of the fluorescein, share of full scale.
        red: H x W, light of the counterstain, or None.
        laboratory: whose camera.
        rng: the random stream.

    Returns:
        H x W x 3 uint8, red, green, blue.
    """
    counterstain = np.float32(0) if red is None else red
    channels = (
        np.float32(laboratory.red_share) * green + counterstain,
        green,
        np.float32(laboratory.blue_share) * green,
    )
    return np.stack([developed(exposed(light, laboratory, rng), laboratory) for light in channels], axis=-1)
