"""Where the cells of a field lie and how each one is shaped: placement without overlap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hep2lib.simulator.physics import CellParameters

INTERPHASE, PROMETAPHASE, METAPHASE, ANAPHASE, TELOPHASE = range(5)
PHASES = ("interphase", "prometaphase", "metaphase", "anaphase", "telophase")
_MARGIN = 14.0  # um: cells centred outside the field may still reach into it
_ROUNDS = 12  # of throwing all cells that have no place yet
_TELOPHASE = (1.4, 0.75)  # length and width of the two daughter cells over those of the rounded mother
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one field, lengths in um from the field's upper left corner."""

    centre: Numbers  # n x 2, x and y
    axes: Numbers  # n x 2, long and short semi-axis of the nucleus (of a dividing cell: of the whole cell)
    angle: Numbers  # n, direction of the long axis in radians (of a dividing cell: of its spindle)
    phase: NDArray[np.int64]  # n, INTERPHASE, PROMETAPHASE, METAPHASE, ANAPHASE or TELOPHASE
    apart: Numbers  # n, half the distance of the chromosomes from each other in anaphase and telophase
    gain: Numbers  # n, factor on the cell's light
    shows: Numbers  # n, factor on the light of the pattern: 1, or nearly 0 where the cell lacks the antigen
    outline: NDArray[np.complex128]  # n x 3: the nucleus is no ellipse but has 2, 3 and 4 waves around it
    reach: Numbers  # n, radius of the cytoplasm over that of the nucleus
    cytoplasm: NDArray[np.complex128]  # n x 3, the same of the cytoplasm

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
    *,
    showing: float = 1.0,
    edge: NDArray[np.floating] | None = None,
) -> Cells:
    """Throw cells onto a field so that no two nuclei touch.

    All cells are thrown; those that overlap an earlier one are thrown again, anywhere or beside another cell,
    a dozen times, so that a crowded field holds fewer cells than ``density`` asks for. Dividing cells come
    first.

    ``field`` is its width and height, ``diameter`` the mean one of a nucleus, in um; ``density`` counts cells
    per um2. Of these ``mitotic_share`` (0 to 1) divide, and ``least_mitoses`` (0 or 1) at least, away from
    the border. ``showing`` is the share of the others that have the pattern's antigen, 0 to 1; ``edge`` the
    circle (x, y, radius in um) beyond the edge of the well, if the field reaches there.
    """
    extent = np.asarray(field)
    wanted = max(round(density * float(np.prod(extent + 2 * _MARGIN))), 1)
    mitotic = int(np.clip(rng.binomial(wanted, min(mitotic_share, 1.0)), least_mitoses, wanted))
    phase = np.full(wanted, INTERPHASE)
    phase[:mitotic] = 1 + rng.choice(len(parameters.phases), mitotic, p=parameters.phases)
    radius = diameter / 2 * np.exp(parameters.diameter_spread * rng.standard_normal(wanted))
    ratio = np.sqrt(rng.uniform(*parameters.axis_ratio, wanted))
    axes = np.stack([radius / ratio, radius * ratio], axis=1)
    axes[:mitotic] = rng.uniform(*parameters.mitotic_radius, (mitotic, 1))
    axes[phase == TELOPHASE] *= _TELOPHASE
    angle = rng.uniform(0, np.pi, wanted)
    gap = parameters.gap + 2 * parameters.waviness * diameter
    bare = _bare(rng, extent, parameters, edge)
    centre, kept = _thrown(rng, extent, axes, angle, gap, least_mitoses, bare)
    count = len(kept)
    lacking = (phase[kept] == INTERPHASE) & (rng.random(count) >= showing)
    return Cells(
        centre=centre[kept],
        axes=axes[kept],
        angle=angle[kept],
        phase=phase[kept],
        apart=np.where(phase[kept] == TELOPHASE, 0.66 * axes[kept, 0], rng.uniform(3.0, 5.0, count)),
        gain=np.exp(parameters.cell_spread * rng.standard_normal(count)),
        shows=np.where(lacking, rng.uniform(0.0, 0.12, count), 1.0),
        outline=_waves(rng, count, parameters.waviness),
        reach=rng.uniform(*parameters.cytoplasm_reach, count),
        cytoplasm=_waves(rng, count, parameters.cytoplasm_waviness),
    )


def _waves(rng: np.random.Generator, count: int, amplitude: float) -> NDArray[np.complex128]:
    """Draw the amplitudes and phases of 2, 3 and 4 waves around an outline; four waves are lower."""
    size = amplitude * rng.normal(0, 1, (count, 3)) / np.array([1.0, 1.0, 1.7])
    return size * np.exp(1j * rng.uniform(0, 2 * np.pi, (count, 3)))


def _bare(
    rng: np.random.Generator, extent: Numbers, parameters: CellParameters, edge: NDArray[np.floating] | None
) -> Numbers:
    """Draw the circles in which no cell grows: n x 3, x, y and radius in um."""
    patches = rng.poisson(parameters.bare_patches)
    places, radius = rng.uniform(0, extent, (patches, 2)), rng.uniform(*parameters.bare_radius, (patches, 1))
    bare = np.hstack([places, radius])
    return bare if edge is None else np.vstack([bare, edge])


def _thrown(
    rng: np.random.Generator,
    extent: Numbers,
    axes: Numbers,
    angle: Numbers,
    gap: float,
    central: int,
    bare: Numbers,
) -> tuple[Numbers, NDArray[np.intp]]:
    """Throw the cells in rounds; give all places and the numbers of the cells that have one."""
    count = len(axes)
    centre = np.zeros((count, 2))
    placed = np.zeros(count, bool)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def overlap(one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.bool_]:
        apart = centre[one][:, None] - centre[other][None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        line = apart / np.maximum(distance, 1e-9)[..., None]
        own = _extent(axes[one], direction[one], line)
        return distance < own + gap + _extent(axes[other], direction[other], -line.swapaxes(0, 1)).T

    for turn in range(_ROUNDS):
        waiting = np.flatnonzero(~placed)
        if not len(waiting):
            break
        centre[waiting] = rng.uniform(-_MARGIN, extent + _MARGIN, (len(waiting), 2))
        if turn == 0:
            centre[:central] = rng.uniform(0.2 * extent, 0.8 * extent, (central, 2))
        else:
            _beside(rng, centre, waiting[::2], np.flatnonzero(placed), axes, gap)
        from_bare = centre[waiting][:, None] - bare[None, :, :2]
        grows = (np.hypot(from_bare[..., 0], from_bare[..., 1]) >= bare[:, 2]).all(axis=1)
        grows |= waiting < central
        free = waiting[grows & ~overlap(waiting, np.flatnonzero(placed)).any(axis=1)]
        placed[free[~np.tril(overlap(free, free), -1).any(axis=1)]] = True
    return centre, np.flatnonzero(placed)


def _beside(
    rng: np.random.Generator,
    centre: Numbers,
    cells: NDArray[np.intp],
    placed: NDArray[np.intp],
    axes: Numbers,
    gap: float,
) -> None:
    """Throw some cells close to others that have a place: cells grow in groups."""
    other = rng.choice(placed, len(cells))
    around = rng.uniform(0, 2 * np.pi, len(cells))
    apart = axes[cells].mean(axis=1) + axes[other].mean(axis=1) + gap + rng.exponential(1.2, len(cells))
    centre[cells] = centre[other] + apart[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1)


def _extent(axes: Numbers, direction: Numbers, line: Numbers) -> Numbers:
    """Half the extent of n ellipses along n x m lines (the support function): n x m.

    Two ellipses do not overlap if their extents along the line of their centres fit between the centres.
    """
    along = np.einsum("nk,nmk->nm", direction, line)
    return np.sqrt((axes[:, :1] * along) ** 2 + axes[:, 1:] ** 2 * (1 - along**2))
