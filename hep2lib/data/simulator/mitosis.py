"""Dividing cells: rounded bodies, condensed chromosomes, spindles."""

import numpy as np

from hep2lib.data.simulator.cells import ANAPHASE, PROMETAPHASE, Cells
from hep2lib.data.simulator.patches import Patch, plateau
from hep2lib.data.simulator.textures import Image

PARTS = ("body", "chromatin", "spindle", "poles")
_POLE = 6.3  # um from the plate to a pole of the metaphase spindle


def draw_mitosis(
    rng: np.random.Generator, cells: Cells, cell: int, pixel: float, maps: dict[str, Image]
) -> None:
    """Draw a dividing cell: its chromosomes across, its spindle along the cell's direction.

    Args:
        rng: the random stream.
        cells: the cells.
        cell: number of the dividing cell.
        pixel: um.
        maps: "body" (thickness), "chromatin", "spindle", "poles" (coverage) of the whole field, drawn into.
    """
    size = float(cells.axes[cell, 0])
    patch = Patch(cells.centre[cell], 1.3 * size, pixel, maps["body"].shape)
    if patch.empty:
        return
    u, v = patch.turned(float(cells.angle[cell]))
    phase = cells.phase[cell]
    long = 1.2 if phase == ANAPHASE else 1.0
    radius = np.sqrt((u / np.float32(size * long)) ** 2 + (v * np.float32(long / size)) ** 2)
    # Along a plate, or (2.5 um a radian) around a ring.
    ragged = _ragged(rng, np.float32(2.5) * np.arctan2(v, u) if phase == PROMETAPHASE else v)
    bend = np.float32(rng.uniform(-0.02, 0.02)) * v * v + ragged
    half = np.float32(rng.uniform(5.0, 6.3))
    if phase == PROMETAPHASE:
        # Seen from a pole: a ring of chromosomes, the fibres and the pole in its middle.
        distance = np.sqrt(u * u + v * v)
        chromatin = plateau((distance + ragged - np.float32(3.9)) / np.float32(1.9), 4)
        spindle, poles = (
            0.5 * plateau(distance / np.float32(4.0), 3),
            0.8 * plateau(distance / np.float32(1.6), 2),
        )
    elif phase == ANAPHASE:
        # The middles of the chromosomes lead to the poles, their arms trail behind.
        apart = np.float32(cells.apart[cell])
        plate = np.abs(u + 0.3 * ragged) - apart + np.float32(0.04) * v * v
        chromatin = plateau(plate / np.float32(1.4), 4) * plateau(v / (np.float32(0.85) * half), 6)
        spindle, poles = _spindle(u, v, float(apart) + 3.5)
        spindle = spindle * (np.abs(u) > apart)
    else:
        chromatin = plateau((u + bend) / np.float32(rng.uniform(1.5, 2.1)), 4) * plateau(v / half, 6)
        spindle, poles = _spindle(u, v, _POLE)
    body = np.sqrt(np.clip(1 - radius**2, 0, 1))
    for name, image in zip(PARTS, (body, chromatin, spindle, poles), strict=True):
        np.maximum(maps[name][patch.window], image, out=maps[name][patch.window])


def _ragged(rng: np.random.Generator, along: Image) -> Image:
    """How far the edge of the chromosomes stands out, in um, ``along`` um from the plate's middle."""
    edge = np.zeros_like(along)
    for wave, start in zip(
        rng.choice([0.4, 0.8, 1.2, 1.6, 2.4, 3.2], 4), rng.uniform(0, 6.3, 4), strict=True
    ):
        edge += np.float32(0.17) * np.sin(along * np.float32(wave) + np.float32(start))
    return edge


def _spindle(u: Image, v: Image, pole: float) -> tuple[Image, Image]:
    """Fibres from two poles, ``pole`` um along, that widen to the middle; and the poles themselves."""
    along = np.abs(u) / np.float32(pole)
    width = np.float32(0.7) + np.float32(3.6) * np.clip(1 - along**2, 0, 1) ** np.float32(0.8)
    shape = np.exp(-((v / width) ** 4)) * plateau(along, 8)
    fibres = shape * (0.75 + 0.25 * np.cos(v / width * 9)) * np.clip(0.25 + 1.1 * along, 0, 1)
    near = np.exp(-(((along - np.float32(0.86)) / np.float32(0.2)) ** 2))
    return fibres, near * np.exp(-((v / (0.5 * width + np.float32(0.7))) ** 4))
