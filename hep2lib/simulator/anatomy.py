"""The parts of a field's cells drawn as maps: nuclei, nucleoli, cytoplasm, chromosomes, spindles.

Each cell is drawn in a small patch of pixels around it, in coordinates along and across its own direction.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hep2lib.simulator.cells import ANAPHASE, INTERPHASE, PROMETAPHASE, TELOPHASE, Cells
from hep2lib.simulator.physics import CellParameters
from hep2lib.simulator.textures import Image, enlarged, rounded


class Patch:
    """The pixels around a point: ``window``, their rows and columns; ``empty`` if outside of the field."""

    def __init__(
        self, centre: NDArray[np.floating], reach: float, pixel: float, shape: tuple[int, ...]
    ) -> None:
        """Take the pixels (``pixel`` um) of a field of ``shape`` up to ``reach`` um from ``centre`` (um)."""
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

    ``waves`` are amplitude and phase of 2, 3 and 4 waves around the circle.
    """
    distance = np.sqrt(u * u + v * v)
    np.maximum(distance, np.float32(1e-6), out=distance)
    # Powers of the direction z = x + iy are the cosines and sines of 2, 3 and 4 times its angle. This is the
    # real part of (four z^2 + three z + two) z^2; NumPy's complex product differs between processors.
    x, y = u / distance, v / distance
    square, twice = x * x - y * y, np.float32(2) * x * y  # real and imaginary part of z^2
    (a, b, c), (d, e, f) = waves.real.astype(np.float32), waves.imag.astype(np.float32)
    real = c * square - f * twice + (b * x - e * y) + a
    outline = real * square - (c * twice + f * square + (b * y + e * x) + d) * twice
    np.maximum(outline, np.float32(-0.5), out=outline)
    outline += np.float32(1)
    return distance / outline


def plateau(x: Image, power: int) -> Image:
    """Give 1 between -1 and 1 and 0 elsewhere, with edges the softer the smaller ``power`` is."""
    return 1 / (1 + reduce(np.multiply, [x * x] * power))


PARTS = ("body", "chromatin", "spindle", "poles")
_POLE = 6.3  # um from the plate to a pole of the metaphase spindle


def draw_mitosis(
    rng: np.random.Generator, cells: Cells, cell: int, pixel: float, maps: dict[str, Image]
) -> None:
    """Draw a dividing cell into the maps `PARTS`: chromosomes across, spindle along its direction."""
    size, width = (float(axis) for axis in cells.axes[cell])
    patch = Patch(cells.centre[cell], 1.3 * size, pixel, maps["body"].shape)
    if patch.empty:
        return
    u, v = patch.turned(float(cells.angle[cell]))
    phase = cells.phase[cell]
    long = 1.2 if phase == ANAPHASE else 1.0
    apart = np.float32(cells.apart[cell])
    radius = np.sqrt((u / np.float32(size * long)) ** 2 + (v * np.float32(long / width)) ** 2)
    # Along a plate, or (2.5 um a radian) around a ring.
    ragged = _ragged(rng, np.float32(2.5) * rounded(np.arctan2, v, u) if phase == PROMETAPHASE else v)
    bend = np.float32(rng.uniform(-0.035, 0.035)) * v * v + ragged
    half = np.float32(rng.uniform(5.0, 6.3))
    if phase == PROMETAPHASE:
        # Seen from a pole: a ring of chromosomes, the fibres and the pole in its middle.
        distance = np.sqrt(u * u + v * v)
        chromatin = plateau((distance + ragged - np.float32(3.9)) / np.float32(1.9), 4)
        spindle = 0.5 * plateau(distance / np.float32(4.0), 3)
        poles = 0.8 * plateau(distance / np.float32(1.6), 2)
    elif phase == ANAPHASE:
        # The middles of the chromosomes lead to the poles, their arms trail behind.
        plate = np.abs(u + 0.3 * ragged) - apart + np.float32(0.04) * v * v
        chromatin = plateau(plate / np.float32(1.4), 4) * plateau(v / (np.float32(0.85) * half), 6)
        spindle, poles = _spindle(u, v, float(apart) + 3.5)
        spindle = spindle * (np.abs(u) > apart)
    elif phase == TELOPHASE:
        # Two daughters, still tied by the fibres of the midbody; their chromosomes are two short thick bars.
        daughter = (np.abs(u) - np.float32(0.5 * size)) / np.float32(0.52 * size)
        radius = np.sqrt(daughter**2 + (v / np.float32(width)) ** 2)
        bars = plateau((np.abs(u + 0.3 * ragged) - apart) / np.float32(1.3), 4)
        chromatin = bars * plateau(v / (np.float32(0.62) * half), 6)
        spindle = plateau(u / (np.float32(0.8) * apart), 6) * rounded(np.exp, -((v / np.float32(0.9)) ** 2))
        poles = np.zeros_like(u)
    else:
        chromatin = plateau((u + bend) / np.float32(rng.uniform(1.5, 2.1)), 4) * plateau(v / half, 6)
        spindle, poles = _spindle(u, v, _POLE)
    body = np.sqrt(np.clip(1 - radius**2, 0, 1))
    for name, image in zip(PARTS, (body, chromatin, spindle, poles), strict=True):
        np.maximum(maps[name][patch.window], image, out=maps[name][patch.window])


def _ragged(rng: np.random.Generator, along: Image) -> Image:
    """How far the edge of the chromosomes stands out, in um, ``along`` um from the plate's middle."""
    edge = np.zeros_like(along)
    waves, starts = rng.choice([0.4, 0.8, 1.2, 1.6, 2.4, 3.2], 4), rng.uniform(0, 6.3, 4)
    for wave, start in zip(waves, starts, strict=True):
        edge += np.float32(0.20) * rounded(np.sin, along * np.float32(wave) + np.float32(start))
    return edge


def _spindle(u: Image, v: Image, pole: float) -> tuple[Image, Image]:
    """Fibres from two poles, ``pole`` um along, that widen to the middle; and the poles themselves."""
    along = np.abs(u) / np.float32(pole)
    width = np.float32(0.7) + np.float32(3.6) * rounded(np.power, np.clip(1 - along**2, 0, 1), 0.8)
    shape = rounded(np.exp, -(((v / width) ** 2) ** 2)) * plateau(along, 8)
    fibres = shape * (0.75 + 0.25 * rounded(np.cos, v / width * 9)) * np.clip(0.25 + 1.1 * along, 0, 1)
    near = rounded(np.exp, -(((along - np.float32(0.86)) / np.float32(0.2)) ** 2))
    return fibres, near * rounded(np.exp, -(((v / (0.5 * width + np.float32(0.7))) ** 2) ** 2))


def in_cells(
    cells: Cells, cell: NDArray[np.intp], u: NDArray[np.floating], v: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Turn n coordinates along (u) and across (v) the directions of cells into places: n x 2, all in um."""
    cosine, sine = np.cos(cells.angle[cell]), np.sin(cells.angle[cell])
    return cells.centre[cell] + np.column_stack([u * cosine - v * sine, u * sine + v * cosine])


def in_nuclei(
    rng: np.random.Generator, cells: Cells, cell: NDArray[np.intp], most: float = 0.9
) -> NDArray[np.float64]:
    """Draw a point evenly inside the nucleus of each of n cells: n x 2, in um.

    ``most`` is the largest distance from the centre over that of the outline.
    """
    distance, around = most * np.sqrt(rng.random(len(cell))), rng.uniform(0, 2 * np.pi, len(cell))
    long, short = cells.axes[cell].T
    return in_cells(cells, cell, distance * np.cos(around) * long, distance * np.sin(around) * short)


def draw_nucleoli(
    rng: np.random.Generator, cells: Cells, parameters: CellParameters, size: float
) -> NDArray[np.float64]:
    """Draw the nucleoli of all interphase nuclei, ``size`` times as large: n x 3, x, y and radius in um."""
    low, high = parameters.nucleoli
    inter = np.flatnonzero(cells.phase == INTERPHASE)
    cell = np.repeat(inter, rng.integers(int(low), int(high) + 1, len(inter)))
    radius = size * rng.uniform(*parameters.nucleolus_radius, len(cell))
    return np.column_stack([in_nuclei(rng, cells, cell, 0.6), radius])


def nucleolus_map(
    rng: np.random.Generator, nucleoli: NDArray[np.float64], shape: tuple[int, int], pixel: float
) -> Image:
    """Draw the coverage of a field by nucleoli, all at once: slightly oval discs. H x W, 0 to 1."""
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


_COARSE = 3  # pixels of the grid on which cytoplasm is drawn: it has no sharp edges


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Maps of one field, all H x W float32 in 0 to 1 unless said otherwise."""

    pixel: float  # width of a pixel in um
    cells: Cells  # the cells
    nucleus: Image  # coverage by interphase nuclei
    radius: Image  # distance from the nucleus' centre over that of its outline; 9 outside of nuclei
    nucleolus: Image  # coverage by nucleoli
    nucleoli: NDArray[np.float64]  # n x 3, of each nucleolus the x and y of its centre and its radius in um
    cytoplasm: Image  # thickness of interphase cells, nucleus included
    body: Image  # thickness of dividing cells
    chromatin: Image  # coverage by condensed chromosomes
    spindle: Image  # fibres between the poles of a dividing cell
    poles: Image  # the two ends of those spindles
    gain: Image  # each cell's factor on its light, about 1
    shows: Image  # each cell's factor on the light of the pattern, 0 to 1
    owner: NDArray[np.int16]  # H x W int16, number of the nucleus or dividing cell at a pixel, -1 for none

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.nucleus.shape
        return height, width

    def pixels(self, length: float) -> float:
        """Turn um into pixels."""
        return length / self.pixel

    def depth(self, power: float = 0.3) -> Image:
        """Thickness of the nuclei, 1 in the middle: the smaller ``power``, the flatter with steeper edges."""
        thick = np.clip(1 - self.radius * self.radius, 0, 1)
        return rounded(np.power, thick, power) * self.nucleus


def draw_anatomy(
    rng: np.random.Generator,
    cells: Cells,
    shape: tuple[int, int],
    pixel: float,
    parameters: CellParameters,
    nucleolus_size: float = 1.0,
) -> Anatomy:
    """Draw the maps of a field of ``shape`` (height, width) in pixels of ``pixel`` um.

    ``nucleolus_size`` is the specimen's factor on the radius of nucleoli.
    """
    maps: dict[str, Image] = {name: np.zeros(shape, np.float32) for name in ("nucleus", *PARTS)}
    maps["radius"] = np.full(shape, 9.0, np.float32)
    cytoplasm, gain, shows = _draw_cytoplasm(cells, shape, pixel)
    owner = np.full(shape, -1, np.int16)
    for cell in range(len(cells)):
        if cells.phase[cell] == INTERPHASE:
            _draw_nucleus(cells, cell, pixel, maps, owner)
        else:
            before = maps["body"].copy()
            draw_mitosis(rng, cells, cell, pixel, maps)
            owner[maps["body"] > before] = cell
    inside = owner >= 0
    gain[inside], shows[inside] = cells.gain[owner[inside]], cells.shows[owner[inside]]
    nucleoli = draw_nucleoli(rng, cells, parameters, nucleolus_size)
    nucleolus = nucleolus_map(rng, nucleoli, shape, pixel) * maps["nucleus"]
    maps |= {"nucleolus": nucleolus, "cytoplasm": cytoplasm, "gain": gain, "shows": shows}
    return Anatomy(pixel=pixel, cells=cells, nucleoli=nucleoli, owner=owner, **maps)


def _draw_nucleus(
    cells: Cells, cell: int, pixel: float, maps: dict[str, Image], owner: NDArray[np.int16]
) -> None:
    long, short = (float(axis) for axis in cells.axes[cell])
    patch = Patch(cells.centre[cell], 1.15 * long, pixel, owner.shape)
    if patch.empty:
        return
    u, v = patch.turned(float(cells.angle[cell]), (long, short))
    radius = wavy_radius(u, v, cells.outline[cell])
    cover = np.clip((1 - radius) * np.float32(np.sqrt(long * short) / pixel) + np.float32(0.5), 0, 1)
    np.maximum(maps["nucleus"][patch.window], cover, out=maps["nucleus"][patch.window])
    np.minimum(maps["radius"][patch.window], radius, out=maps["radius"][patch.window])
    owner[patch.window][cover > 0.5] = cell


def _draw_cytoplasm(cells: Cells, shape: tuple[int, int], pixel: float) -> tuple[Image, Image, Image]:
    """Draw the thickness of the cytoplasm, and both factors of the cell that each part of it belongs to."""
    coarse = (-(-shape[0] // _COARSE), -(-shape[1] // _COARSE))
    thick = np.zeros(coarse, np.float32)
    gain, shows = np.ones(coarse, np.float32), np.ones(coarse, np.float32)
    for cell in np.flatnonzero(cells.phase == INTERPHASE):
        long, short = (float(axis) for axis in cells.axes[cell] * cells.reach[cell] * np.array([1.12, 0.95]))
        patch = Patch(cells.centre[cell], 1.3 * long, _COARSE * pixel, coarse)
        if patch.empty:
            continue
        u, v = patch.turned(float(cells.angle[cell]), (long, short))
        radius = wavy_radius(u, v, cells.cytoplasm[cell])
        depth = np.clip(1 - radius * radius, 0, 1)
        here = thick[patch.window]
        own = depth > here
        gain[patch.window][own], shows[patch.window][own] = cells.gain[cell], cells.shows[cell]
        np.maximum(here, depth, out=here)
    cover = enlarged(rounded(np.power, thick, 0.7), shape, _COARSE)
    return cover, enlarged(gain, shape, _COARSE), enlarged(shows, shape, _COARSE)
