"""Where the cells of a field lie and how each one is shaped: placement without overlap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.parameters import CellParameters

INTERPHASE, PROMETAPHASE, METAPHASE, ANAPHASE = range(4)
_MARGIN = 14.0  # um: cells centred outside the field may still reach into it
_TRIES = 10  # darts thrown for each cell wanted

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one field, lengths in um from the field's upper left corner.

    Attributes:
        centre: n x 2, x and y.
        axes: n x 2, long and short semi-axis of the nucleus (of a mitotic cell: its radius, twice).
        angle: n, direction of the long axis in radians (of a mitotic cell: of its spindle).
        phase: n, INTERPHASE, PROMETAPHASE, METAPHASE or ANAPHASE.
        gain: n, factor on the cell's light.
        outline: n x 3 complex, deviation of the nucleus from an ellipse (2 to 4 waves around it).
        reach: n, radius of the cytoplasm over that of the nucleus.
        cytoplasm: n x 3 complex, deviation of the cytoplasm's outline (2 to 4 waves).
    """

    centre: Numbers
    axes: Numbers
    angle: Numbers
    phase: NDArray[np.int64]
    gain: Numbers
    outline: NDArray[np.complex128]
    reach: Numbers
    cytoplasm: NDArray[np.complex128]

    def __len__(self) -> int:
        return len(self.angle)


def place_cells(
    rng: np.random.Generator,
    field: tuple[float, float],
    density: float,
    mitotic_share: float,
    diameter: float,
    parameters: CellParameters,
    least_mitoses: int = 0,
) -> Cells:
    """Throw cells onto a field so that no two nuclei touch.

    Cells are thrown one after another; one that would overlap an earlier one is thrown again elsewhere,
    until the darts are used up, so that a crowded field holds fewer cells than ``density`` asks for.

    Args:
        rng: the random stream.
        field: width and height in um.
        density: cells per um2.
        mitotic_share: share of cells in mitosis, 0 to 1.
        diameter: mean diameter of a nucleus in um.
        parameters: the cells' geometry.
        least_mitoses: mitotic cells that the field holds at least, away from its border.

    Returns:
        The cells, mitotic ones first.
    """
    extent = np.asarray(field)
    wanted = max(round(density * float(np.prod(extent + 2 * _MARGIN))), 1)
    mitotic = int(np.clip(rng.binomial(wanted, min(mitotic_share, 1.0)), least_mitoses, wanted))
    phase = np.zeros(wanted, np.int64)
    phase[:mitotic] = 1 + rng.choice(3, mitotic, p=parameters.phases)
    radius = diameter / 2 * np.exp(parameters.diameter_spread * rng.standard_normal(wanted))
    ratio = np.sqrt(rng.uniform(*parameters.axis_ratio, wanted))
    axes = np.stack([radius / ratio, radius * ratio], axis=1)
    axes[:mitotic] = rng.uniform(*parameters.mitotic_radius, (mitotic, 1))
    angle = rng.uniform(0, np.pi, wanted)
    darts = rng.uniform(-_MARGIN, extent + _MARGIN, (_TRIES * wanted, 2))
    darts[:least_mitoses] = rng.uniform(0.2 * extent, 0.8 * extent, (least_mitoses, 2))
    centre, kept = _thrown(darts, axes, angle, parameters.gap + 2 * parameters.waviness * diameter)
    count = len(kept)
    return Cells(
        centre=centre,
        axes=axes[kept],
        angle=angle[kept],
        phase=phase[kept],
        gain=np.exp(parameters.cell_spread * rng.standard_normal(count)),
        outline=_waves(rng, count, parameters.waviness),
        reach=rng.uniform(*parameters.cytoplasm_reach, count),
        cytoplasm=_waves(rng, count, 0.16),
    )


def _waves(rng: np.random.Generator, count: int, amplitude: float) -> NDArray[np.complex128]:
    """Draw the amplitudes and phases of 2, 3 and 4 waves around an outline; more waves are lower."""
    size = amplitude * rng.normal(0, 1, (count, 3)) / np.array([1.0, 1.4, 2.0])
    return size * np.exp(1j * rng.uniform(0, 2 * np.pi, (count, 3)))


def _thrown(darts: Numbers, axes: Numbers, angle: Numbers, gap: float) -> tuple[Numbers, NDArray[np.intp]]:
    """Place the cells in turn at the first free dart; give the places and which cells found one.

    Two ellipses do not overlap if their extents along the line of their centres fit between the centres.
    """
    count = len(axes)
    centre = np.empty((count, 2))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    placed = np.empty(count, np.intp)
    done = 0
    cell = 0
    for dart in darts:
        if cell == count:
            break
        before = placed[:done]
        apart = centre[:done] - dart
        distance = np.hypot(apart[:, 0], apart[:, 1])
        near = np.flatnonzero(distance < 2.0 * axes.max() + gap)
        if len(near):
            line = apart[near] / np.maximum(distance[near], 1e-9)[:, None]
            extents = _extent(axes[before[near]], direction[before[near]], line)
            extents += _extent(axes[cell : cell + 1], direction[cell : cell + 1], line) + gap
            if (distance[near] < extents).any():
                continue
        centre[done] = dart
        placed[done] = cell
        done += 1
        cell += 1
    return centre[:done], placed[:done]


def _extent(axes: Numbers, direction: Numbers, line: Numbers) -> Numbers:
    """Half the extent of ellipses along a line (the support function)."""
    along = np.sum(direction * line, axis=1)
    return np.sqrt((axes[:, 0] * along) ** 2 + axes[:, 1] ** 2 * (1 - along**2))
