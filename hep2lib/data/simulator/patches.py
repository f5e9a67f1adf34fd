"""Drawing in a small patch: the pixels around one cell, in coordinates of that cell."""

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.textures import Image


class Patch:
    """The pixels around a point.

    Attributes:
        window: rows and columns of the patch in the field.
        empty: whether the patch lies outside of the field.
    """

    def __init__(
        self, centre: NDArray[np.floating], reach: float, pixel: float, shape: tuple[int, ...]
    ) -> None:
        """Cut the patch out of a field.

        Args:
            centre: x and y in um from the field's upper left corner.
            reach: half the patch's width in um.
            pixel: um.
            shape: height and width of the field in pixels.
        """
        across, down = float(centre[0]), float(centre[1])
        left, right = max(int((across - reach) / pixel), 0), min(int((across + reach) / pixel) + 2, shape[1])
        top, bottom = max(int((down - reach) / pixel), 0), min(int((down + reach) / pixel) + 2, shape[0])
        self.window = (slice(top, bottom), slice(left, right))
        self.empty = left >= right or top >= bottom
        self._x = (np.arange(left, right, dtype=np.float32) + np.float32(0.5)) * np.float32(pixel)
        self._x -= np.float32(across)
        self._y = (np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5)) * np.float32(pixel)
        self._y -= np.float32(down)

    def turned(self, angle: float, scale: tuple[float, float] = (1.0, 1.0)) -> tuple[Image, Image]:
        """Give coordinates along and across the direction ``angle`` (radians), in units of ``scale`` um."""
        cosine, sine = np.cos(angle), np.sin(angle)
        along = self._x * np.float32(cosine / scale[0]) + self._y * np.float32(sine / scale[0])
        across = self._y * np.float32(cosine / scale[1]) - self._x * np.float32(sine / scale[1])
        return along, across


def wavy_radius(u: Image, v: Image, waves: NDArray[np.complexfloating]) -> Image:
    """Distance from the centre of a wavy unit circle over that of its outline in the same direction.

    Args:
        u: coordinates.
        v: coordinates.
        waves: amplitude and phase of 2, 3 and 4 waves around the circle.

    Returns:
        0 in the centre, 1 on the outline.
    """
    distance = np.sqrt(u * u + v * v)
    np.maximum(distance, np.float32(1e-6), out=distance)
    # Powers of the direction as a complex number are the cosines and sines of 2, 3 and 4 times its angle.
    direction = np.empty(distance.shape, np.complex64)
    np.divide(u, distance, out=direction.real)
    np.divide(v, distance, out=direction.imag)
    square = direction * direction
    two, three, four = (np.complex64(wave) for wave in waves)
    outline = ((four * square + three * direction + two) * square).real
    np.maximum(outline, np.float32(-0.5), out=outline)
    outline += np.float32(1)
    return distance / outline


def plateau(x: Image, power: int) -> Image:
    """Give 1 between -1 and 1 and 0 elsewhere, with edges the softer the smaller ``power`` is."""
    return 1 / (1 + np.abs(x) ** (2 * power))
