"""The parts of the cells of a field as maps: nuclei, nucleoli, cytoplasm, chromosomes, spindles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.cells import INTERPHASE, Cells
from hep2lib.data.simulator.mitosis import PARTS, draw_mitosis
from hep2lib.data.simulator.nucleoli import draw_nucleoli, nucleolus_map
from hep2lib.data.simulator.parameters import CellParameters
from hep2lib.data.simulator.patches import Patch, wavy_radius
from hep2lib.data.simulator.textures import Image, enlarged

OUTSIDE = np.float32(9.0)
_COARSE = 3  # pixels of the grid on which cytoplasm is drawn: it has no sharp edges


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Maps of one field, all H x W float32 in 0 to 1 unless said otherwise.

    Attributes:
        pixel: width of a pixel in um.
        cells: the cells.
        nucleus: coverage by interphase nuclei.
        radius: distance from the nucleus' centre over that of its outline; 9 outside of nuclei.
        nucleolus: coverage by nucleoli.
        nucleoli: n x 3, of each nucleolus the x and y of its centre and its radius in um.
        cytoplasm: thickness of interphase cells, nucleus included.
        body: thickness of dividing cells.
        chromatin: coverage by condensed chromosomes.
        spindle: fibres between the poles of a dividing cell.
        poles: the two ends of those spindles.
        gain: each cell's factor on its light, about 1.
        owner: H x W int16, number of the nucleus or dividing cell at a pixel, -1 for none.
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
    gain: Image
    owner: NDArray[np.int16]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.nucleus.shape
        return height, width

    def pixels(self, length: float) -> float:
        """Turn a length in um into pixels."""
        return length / self.pixel

    def depth(self, power: float = 0.3) -> Image:
        """Thickness of the nuclei, 1 in the middle: the smaller ``power``, the flatter with steeper edges."""
        thick = np.clip(1 - self.radius * self.radius, 0, 1)
        return np.power(thick, np.float32(power), out=thick) * self.nucleus


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
    maps: dict[str, Image] = {name: np.zeros(shape, np.float32) for name in ("nucleus", *PARTS)}
    maps["radius"] = np.full(shape, OUTSIDE, np.float32)
    cytoplasm, gain = _draw_cytoplasm(cells, shape, pixel)
    owner = np.full(shape, -1, np.int16)
    for cell in range(len(cells)):
        if cells.phase[cell] == INTERPHASE:
            _draw_nucleus(cells, cell, pixel, maps, owner)
        else:
            before = maps["body"].copy()
            draw_mitosis(rng, cells, cell, pixel, maps)
            owner[maps["body"] > before] = cell
    inside = owner >= 0
    gain[inside] = cells.gain[owner[inside]]
    nucleoli = draw_nucleoli(rng, cells, parameters, nucleolus_size)
    nucleolus = nucleolus_map(rng, nucleoli, shape, pixel) * maps["nucleus"]
    return Anatomy(
        pixel=pixel,
        cells=cells,
        nucleolus=nucleolus,
        nucleoli=nucleoli,
        cytoplasm=cytoplasm,
        gain=gain,
        owner=owner,
        **maps,
    )


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


def _draw_cytoplasm(cells: Cells, shape: tuple[int, int], pixel: float) -> tuple[Image, Image]:
    """Draw the thickness of the cytoplasm and the gain of the cell that each part of it belongs to."""
    coarse = (-(-shape[0] // _COARSE), -(-shape[1] // _COARSE))
    thick = np.zeros(coarse, np.float32)
    gain = np.ones(coarse, np.float32)
    for cell in np.flatnonzero(cells.phase == INTERPHASE):
        long, short = (float(axis) for axis in cells.axes[cell] * cells.reach[cell] * np.array([1.12, 0.95]))
        patch = Patch(cells.centre[cell], 1.3 * long, _COARSE * pixel, coarse)
        if patch.empty:
            continue
        u, v = patch.turned(float(cells.angle[cell]), (long, short))
        radius = wavy_radius(u, v, cells.cytoplasm[cell])
        depth = np.clip(1 - radius * radius, 0, 1)
        here = thick[patch.window]
        gain[patch.window][depth > here] = cells.gain[cell]
        np.maximum(here, depth, out=here)
    np.power(thick, np.float32(0.7), out=thick)
    return enlarged(thick, shape, _COARSE), enlarged(gain, shape, _COARSE)
