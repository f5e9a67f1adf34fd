"""Nucleoli, and points inside nuclei and dividing cells."""

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.cells import INTERPHASE, Cells
from hep2lib.data.simulator.parameters import CellParameters
from hep2lib.data.simulator.textures import Image

_WITHIN = 0.6  # of a nucleus' radius: where the centres of its nucleoli lie


def in_cells(
    cells: Cells, cell: NDArray[np.intp], u: NDArray[np.floating], v: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Turn coordinates along and across each cell's direction into places in the field, all in um.

    Args:
        cells: the cells.
        cell: n, of each point the number of its cell.
        u: n, along.
        v: n, across.

    Returns:
        n x 2, x and y.
    """
    cosine, sine = np.cos(cells.angle[cell]), np.sin(cells.angle[cell])
    return cells.centre[cell] + np.column_stack([u * cosine - v * sine, u * sine + v * cosine])


def in_nuclei(
    rng: np.random.Generator, cells: Cells, cell: NDArray[np.intp], most: float = 0.9
) -> NDArray[np.float64]:
    """Draw points evenly inside nuclei.

    Args:
        rng: the random stream.
        cells: the cells.
        cell: n, of each point the number of its cell.
        most: largest distance from the centre over that of the outline.

    Returns:
        n x 2, x and y in um.
    """
    distance, around = most * np.sqrt(rng.random(len(cell))), rng.uniform(0, 2 * np.pi, len(cell))
    long, short = cells.axes[cell].T
    return in_cells(cells, cell, distance * np.cos(around) * long, distance * np.sin(around) * short)


def draw_nucleoli(
    rng: np.random.Generator, cells: Cells, parameters: CellParameters, size: float
) -> NDArray[np.float64]:
    """Draw the nucleoli of all interphase nuclei.

    Args:
        rng: the random stream.
        cells: the cells.
        parameters: their geometry.
        size: the specimen's factor on the radius.

    Returns:
        n x 3: x, y and radius in um.
    """
    low, high = parameters.nucleoli
    inter = np.flatnonzero(cells.phase == INTERPHASE)
    cell = np.repeat(inter, rng.integers(int(low), int(high) + 1, len(inter)))
    radius = size * rng.uniform(*parameters.nucleolus_radius, len(cell))
    return np.column_stack([in_nuclei(rng, cells, cell, _WITHIN), radius])


def nucleolus_map(
    rng: np.random.Generator, nucleoli: NDArray[np.float64], shape: tuple[int, int], pixel: float
) -> Image:
    """Draw the coverage of a field by nucleoli, all at once: slightly oval discs.

    Args:
        rng: the random stream.
        nucleoli: n x 3, x, y and radius in um.
        shape: height and width in pixels.
        pixel: um.

    Returns:
        H x W float32, 0 to 1.
    """
    image = np.zeros(shape, np.float32)
    inside = np.all((nucleoli[:, :2] > -3) & (nucleoli[:, :2] < np.array(shape[::-1]) * pixel + 3), axis=1)
    centre, radius = nucleoli[inside, :2].astype(np.float32), nucleoli[inside, 2].astype(np.float32)
    if not len(radius):
        return image
    reach = int(np.ceil(1.25 * radius.max() / pixel)) + 1
    offset = np.arange(-reach, reach + 1)
    corner = np.floor(centre / np.float32(pixel)).astype(np.intp)
    x = corner[:, 0, None, None] + offset[None, None, :]
    y = corner[:, 1, None, None] + offset[None, :, None]
    dx = (x + np.float32(0.5)) * np.float32(pixel) - centre[:, 0, None, None]
    dy = (y + np.float32(0.5)) * np.float32(pixel) - centre[:, 1, None, None]
    stretch = rng.uniform(0.8, 1.25, (len(radius), 1, 1)).astype(np.float32)
    lean = rng.uniform(-0.35, 0.35, (len(radius), 1, 1)).astype(np.float32)
    distance = np.sqrt((dx * stretch) ** 2 + (dy / stretch) ** 2 + lean * dx * dy)
    cover = np.clip((radius[:, None, None] - distance) / np.float32(pixel) + np.float32(0.5), 0, 1)
    x, y = np.broadcast_arrays(x, y)
    drawn = (cover > 0) & (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    np.maximum.at(image.reshape(-1), (y[drawn] * shape[1] + x[drawn]), cover[drawn])
    return image
