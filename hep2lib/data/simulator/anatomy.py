"""The parts of the cells of a field, drawn as maps: nuclei, nucleoli, cytoplasm, chromatin, spindles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.cells import ANAPHASE, INTERPHASE, PROMETAPHASE, Cells
from hep2lib.data.simulator.parameters import CellParameters
from hep2lib.data.simulator.textures import Image, enlarged

OUTSIDE = np.float32(9.0)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Maps of one field, all H x W float32 in 0 to 1 unless said otherwise.

    Attributes:
        pixel: width of a pixel in um.
        cells: the cells.
        nucleus: coverage by interphase nuclei.
        radius: distance from the nucleus' centre over that of its outline; 9 outside of nuclei.
        nucleolus: coverage by nucleoli.
        nucleoli: n x 4, of each nucleolus the x and y of its centre in um, its radius in um, its cell.
        cytoplasm: thickness of interphase cytoplasm, nucleus included.
        body: thickness of mitotic cells.
        chromatin: coverage by condensed chromosomes.
        spindle: fibres between the poles of a dividing cell.
        poles: the two ends of those spindles.
        owner: H x W int16, number of the nucleus or mitotic cell that covers a pixel most, -1 for none.
        territory: H x W int16, the same for whole cells.
    """

    pixel: float
    cells: Cells
    nucleus: Image
    radius: Image
    nucleolus: Image
    nucleoli: NDArray[np.float64]
    cytoplasm: Image
    body: Image
    chromatin: Image
    spindle: Image
    poles: Image
    owner: NDArray[np.int16]
    territory: NDArray[np.int16]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.nucleus.shape
        return height, width

    def gains(self) -> Image:
        """H x W float32: each cell's factor on its light, 1 between the cells."""
        table = np.append(self.cells.gain, 1.0).astype(np.float32)
        return table[np.where(self.owner >= 0, self.owner, self.territory)]


class _Patch:
    """The pixels around a cell, in coordinates of that cell."""

    def __init__(
        self, centre: NDArray[np.float64], reach: float, pixel: float, shape: tuple[int, ...]
    ) -> None:
        low = np.floor((centre - reach) / pixel).astype(int)
        high = np.ceil((centre + reach) / pixel).astype(int) + 1
        x = slice(max(low[0], 0), min(high[0], shape[1]))
        y = slice(max(low[1], 0), min(high[1], shape[0]))
        self.window = (y, x)
        self.empty = x.start >= x.stop or y.start >= y.stop
        self.x = ((np.arange(x.start, x.stop) + 0.5) * pixel - centre[0]).astype(np.float32)[None, :]
        self.y = ((np.arange(y.start, y.stop) + 0.5) * pixel - centre[1]).astype(np.float32)[:, None]

    def turned(self, angle: float) -> tuple[Image, Image]:
        """Coordinates in um along and across the direction ``angle``."""
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return self.x * cosine + self.y * sine, self.y * cosine - self.x * sine


def _radius(u: Image, v: Image, waves: NDArray[np.complex128]) -> Image:
    """Distance from the centre of a wavy unit circle, over that of its outline in the same direction."""
    distance = np.sqrt(u * u + v * v)
    np.maximum(distance, np.float32(1e-6), out=distance)
    c, s = u / distance, v / distance
    c2, s2 = c * c - s * s, 2 * c * s
    c3, s3 = c2 * c - s2 * s, s2 * c + c2 * s
    c4, s4 = c2 * c2 - s2 * s2, 2 * c2 * s2
    outline: Image = np.ones_like(c)
    for wave, cosine, sine in zip(waves, (c2, c3, c4), (s2, s3, s4), strict=True):
        outline = outline + np.float32(wave.real) * cosine - np.float32(wave.imag) * sine
    return distance / np.maximum(outline, np.float32(0.5))


def draw_anatomy(
    rng: np.random.Generator,
    cells: Cells,
    shape: tuple[int, int],
    pixel: float,
    parameters: CellParameters,
    nucleolus_size: float = 1.0,
) -> Anatomy:
    """Draw the maps of a field.

    Args:
        rng: the random stream.
        cells: the cells.
        shape: height and width in pixels.
        pixel: um.
        parameters: the cells' geometry.
        nucleolus_size: the specimen's factor on the nucleoli's radius.

    Returns:
        The maps.
    """
    names = ("nucleus", "nucleolus", "body", "chromatin", "spindle", "poles")
    maps = {name: np.zeros(shape, np.float32) for name in names}
    maps["radius"] = np.full(shape, OUTSIDE, np.float32)
    owner = np.full(shape, -1, np.int16)
    nucleoli = _nucleoli(rng, cells, parameters, nucleolus_size)
    for cell in range(len(cells)):
        if cells.phase[cell] == INTERPHASE:
            _draw_nucleus(cells, cell, pixel, maps, owner)
        else:
            _draw_mitosis(rng, cells, cell, pixel, maps, owner)
    for x, y, size, _ in nucleoli:
        _draw_nucleolus(
            np.array([x, y]), size, rng.uniform(0.7, 1.0), rng.uniform(0, np.pi), pixel, maps["nucleolus"]
        )
    maps["nucleolus"] *= maps["nucleus"]
    cytoplasm, territory = _draw_cytoplasm(cells, shape, pixel)
    return Anatomy(
        pixel=pixel,
        cells=cells,
        nucleoli=nucleoli,
        owner=owner,
        territory=territory,
        cytoplasm=cytoplasm,
        **maps,
    )


def _draw_nucleus(
    cells: Cells, cell: int, pixel: float, maps: dict[str, Image], owner: NDArray[np.int16]
) -> None:
    long, short = cells.axes[cell]
    patch = _Patch(cells.centre[cell], 1.2 * long, pixel, owner.shape)
    if patch.empty:
        return
    u, v = patch.turned(cells.angle[cell])
    radius = _radius(u / np.float32(long), v / np.float32(short), cells.outline[cell])
    cover = np.clip((1 - radius) * np.float32(np.sqrt(long * short) / pixel) + np.float32(0.5), 0, 1)
    np.maximum(maps["nucleus"][patch.window], cover, out=maps["nucleus"][patch.window])
    np.minimum(maps["radius"][patch.window], radius, out=maps["radius"][patch.window])
    owner[patch.window][cover > 0.5] = cell


def _nucleoli(
    rng: np.random.Generator, cells: Cells, parameters: CellParameters, size: float
) -> NDArray[np.float64]:
    """Draw centre, radius and cell of the nucleoli, inside two thirds of their nuclei."""
    low, high = parameters.nucleoli
    inter = np.flatnonzero(cells.phase == INTERPHASE)
    cell = np.repeat(inter, rng.integers(int(low), int(high) + 1, len(inter)))
    radius = size * rng.uniform(*parameters.nucleolus_radius, len(cell))
    places = in_nuclei(rng, cells, cell, 0.62)
    return np.column_stack([places, radius, cell])


def in_nuclei(
    rng: np.random.Generator, cells: Cells, cell: NDArray[np.intp], most: float = 0.9
) -> NDArray[np.float64]:
    """Draw points evenly inside nuclei.

    Args:
        rng: the random stream.
        cells: the cells.
        cell: of each point, the number of its cell.
        most: largest distance from the centre over that of the outline.

    Returns:
        Points x 2, x and y in um.
    """
    distance, around = most * np.sqrt(rng.random(len(cell))), rng.uniform(0, 2 * np.pi, len(cell))
    return in_cells(cells, cell, distance * np.cos(around), distance * np.sin(around), cells.axes)


def in_cells(
    cells: Cells,
    cell: NDArray[np.intp],
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    axes: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Turn coordinates along and across each cell's direction, in um or in ``axes``, into x and y in um."""
    if axes is not None:
        u, v = u * axes[cell, 0], v * axes[cell, 1]
    cosine, sine = np.cos(cells.angle[cell]), np.sin(cells.angle[cell])
    return cells.centre[cell] + np.column_stack([u * cosine - v * sine, u * sine + v * cosine])


def _draw_nucleolus(
    centre: NDArray[np.float64], radius: float, ratio: float, angle: float, pixel: float, image: Image
) -> None:
    patch = _Patch(centre, 1.3 * radius, pixel, image.shape)
    if patch.empty:
        return
    u, v = patch.turned(angle)
    distance = np.sqrt((u * np.float32(ratio)) ** 2 + (v / np.float32(ratio)) ** 2)
    cover = np.clip((np.float32(radius) - distance) / np.float32(pixel) + np.float32(0.5), 0, 1)
    np.maximum(image[patch.window], cover, out=image[patch.window])


def _draw_cytoplasm(cells: Cells, shape: tuple[int, int], pixel: float) -> tuple[Image, NDArray[np.int16]]:
    """Draw the thickness of the cytoplasm and whose it is, on a grid of twice the pixel: it is smooth."""
    coarse = (-(-shape[0] // 2), -(-shape[1] // 2))
    thick = np.zeros(coarse, np.float32)
    owner = np.full(coarse, -1, np.int16)
    for cell in np.flatnonzero(cells.phase == INTERPHASE):
        long, short = cells.axes[cell] * cells.reach[cell] * np.array([1.12, 0.95])
        patch = _Patch(cells.centre[cell], 1.3 * long, 2 * pixel, coarse)
        if patch.empty:
            continue
        u, v = patch.turned(cells.angle[cell])
        radius = _radius(u / np.float32(long), v / np.float32(short), cells.cytoplasm[cell])
        depth = np.clip(1 - radius * radius, 0, 1)
        wins = depth > thick[patch.window]
        owner[patch.window][wins] = cell
        np.maximum(thick[patch.window], depth, out=thick[patch.window])
    whole = np.repeat(np.repeat(owner, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]
    return enlarged(np.sqrt(thick), shape), np.ascontiguousarray(whole)


def _draw_mitosis(
    rng: np.random.Generator,
    cells: Cells,
    cell: int,
    pixel: float,
    maps: dict[str, Image],
    owner: NDArray[np.int16],
) -> None:
    """Draw a dividing cell: its plate of chromosomes across, its spindle along the cell's direction."""
    size = float(cells.axes[cell, 0])
    patch = _Patch(cells.centre[cell], 1.25 * size, pixel, owner.shape)
    if patch.empty:
        return
    u, v = patch.turned(cells.angle[cell])
    stretch = np.float32(1.15 if cells.phase[cell] == ANAPHASE else 1.0)
    distance = np.sqrt((u / (size * stretch)) ** 2 + (v * stretch / size) ** 2)
    body = np.sqrt(np.clip(1 - distance**2, 0, 1))
    bend = np.float32(rng.uniform(-0.02, 0.02)) * v * v + np.float32(0.35) * np.sin(
        v * 1.3 + rng.uniform(0, 6)
    )
    half, apart = rng.uniform(5.0, 6.2), rng.uniform(3.0, 5.0)
    spindle, poles = _spindle(u, v, apart + 4.0 if cells.phase[cell] == ANAPHASE else 6.5)
    if cells.phase[cell] == PROMETAPHASE:
        ring = np.sqrt(u * u + v * v) + 0.5 * bend
        chromatin = _box((ring - 3.9) / 1.9, 4)
        spindle, poles = 0.6 * spindle * _box(distance / 0.5, 4), 0.8 * _box(np.sqrt(u * u + v * v) / 1.6, 3)
    elif cells.phase[cell] == ANAPHASE:
        plate = np.abs(u + 0.5 * bend) - apart + np.float32(0.035) * v * v
        chromatin = _box(plate / 1.35, 4) * _box(v / (0.85 * half), 6)
    else:
        chromatin = _box((u + bend) / rng.uniform(1.5, 2.1), 4) * _box(v / half, 6)
    for name, image in (("body", body), ("chromatin", chromatin), ("spindle", spindle), ("poles", poles)):
        np.maximum(maps[name][patch.window], image, out=maps[name][patch.window])
    owner[patch.window][body > 0] = cell


def _box(x: NDArray[np.floating], power: int) -> NDArray[np.floating]:
    """A plateau of height 1 between -1 and 1 with soft edges."""
    return 1 / (1 + np.abs(x) ** (2 * power))


def _spindle(u: Image, v: Image, pole: float) -> tuple[Image, Image]:
    """Fibres that fan out from two poles at +-``pole`` um, thin in the middle, and the poles themselves."""
    along = np.abs(u) / np.float32(pole)
    width = np.float32(0.7) + np.float32(3.6) * np.sqrt(np.clip(1 - along**2, 0, 1))
    fan = np.exp(-((v / width) ** 4)) * _box(along / 1.0, 8)
    fibres = fan * (0.75 + 0.25 * np.cos(v / width * 9.0)) * np.clip(0.25 + 1.1 * along, 0, 1)
    cap = np.exp(-((v / (0.5 * width + 0.6)) ** 4)) * np.exp(
        -(((np.abs(u) - 0.85 * pole) / (0.22 * pole)) ** 2)
    )
    return fibres.astype(np.float32), cap.astype(np.float32)
