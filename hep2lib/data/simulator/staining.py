"""What each antibody stains, one function a pattern: from anatomy to light."""

from collections.abc import Callable

import numpy as np

from hep2lib.data.simulator.anatomy import Anatomy, in_cells, in_nuclei
from hep2lib.data.simulator.cells import ANAPHASE, INTERPHASE, METAPHASE, PROMETAPHASE
from hep2lib.data.simulator.patterns import Pattern
from hep2lib.data.simulator.style import Style
from hep2lib.data.simulator.textures import Image, blurred, dots, noise, speckles, threads

Staining = Callable[[Anatomy, Style, np.random.Generator], Image]


def _depth(anatomy: Anatomy, power: float = 0.3) -> Image:
    """Thickness of the nuclei, 1 in the middle: flat, with round shoulders."""
    return np.clip(1 - anatomy.radius**2, 0, 1) ** np.float32(power) * anatomy.nucleus


def _um(anatomy: Anatomy, length: float) -> float:
    return length / anatomy.pixel


def _homogeneous(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-1: even nucleoplasm, often a brighter rim; chromosomes bright and even."""
    even = 1 + 0.05 * noise(rng, anatomy.shape, _um(anatomy, 1.5 * style.grain))
    rim = 1 + style.rim * np.exp(-(((anatomy.radius - 0.93) / 0.08) ** 2))
    nucleolus = 1 - style.nucleolus_shade * 0.35 * anatomy.nucleolus
    return 0.9 * _depth(anatomy, 0.2) * even * rim * nucleolus + 1.35 * anatomy.chromatin


def _dense_fine_speckled(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-2: speckles uneven in size, brightness and spacing; chromosomes speckled and bright."""
    fine = speckles(rng, anatomy.shape, _um(anatomy, 0.40 * style.grain), 2.0)
    coarse = speckles(rng, anatomy.shape, _um(anatomy, 0.85 * style.grain), 2.5)
    texture = 0.25 + 0.6 * fine + 0.75 * coarse * fine
    return texture * (_depth(anatomy) * (1 - 0.3 * anatomy.nucleolus) + 1.3 * anatomy.chromatin)


def _mitotic_cytoplasm(anatomy: Anatomy, light: float) -> Image:
    """Antigen set free at division: the rounded cell glows, its chromosomes stay dark."""
    return light * anatomy.body * (1 - 0.92 * anatomy.chromatin)


def _fine_speckled(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-4: tiny speckles over the nucleoplasm, nucleoli spared; chromosomes dark."""
    texture = 0.45 + 0.9 * speckles(rng, anatomy.shape, _um(anatomy, 0.42 * style.grain), 1.8)
    nucleus = _depth(anatomy) * (1 - style.nucleolus_shade * 0.8 * anatomy.nucleolus)
    return texture * (nucleus + _mitotic_cytoplasm(anatomy, 0.55))


def _coarse_speckled(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-5: coarse, dense, bright speckles, nucleoli dark; chromosomes dark."""
    texture = 0.22 + 1.5 * speckles(rng, anatomy.shape, _um(anatomy, 0.80 * style.grain), 3.0)
    nucleus = _depth(anatomy) * (1 - (0.6 + 0.4 * style.nucleolus_shade) * anatomy.nucleolus)
    return texture * nucleus + _mitotic_cytoplasm(anatomy, 0.5)


def _centromere(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-3: 40 to 80 discrete dots of one size; in mitosis lined up on the chromosomes."""
    cells = anatomy.cells
    inter = np.flatnonzero(cells.phase == INTERPHASE)
    counts = rng.integers(40, 66, len(inter))
    cell = np.repeat(inter, counts)
    rank = np.concatenate([np.arange(n) for n in counts]) if len(counts) else np.zeros(0)
    # A sunflower's arrangement, shaken: even enough that dots stay apart.
    distance = 0.92 * np.sqrt((rank + 0.5) / np.repeat(counts, counts))
    around = rank * 2.399963 + np.repeat(rng.uniform(0, 6.3, len(inter)), counts)
    u = distance * np.cos(around) + rng.normal(0, 0.045, len(cell))
    v = distance * np.sin(around) + rng.normal(0, 0.045, len(cell))
    places = [in_cells(cells, cell, u, v, cells.axes)]
    dividing = np.repeat(np.flatnonzero(cells.phase != INTERPHASE), 64)
    phase = cells.phase[dividing]
    u, v = rng.normal(0, 0.5, len(dividing)), rng.uniform(-5.4, 5.4, len(dividing))
    u = np.where(phase == ANAPHASE, u * 0.7 + rng.choice([-4.4, 4.4], len(dividing)), u)
    ring = rng.uniform(0, 2 * np.pi, len(dividing))
    u = np.where(phase == PROMETAPHASE, (3.6 + u) * np.cos(ring), u)
    v = np.where(phase == PROMETAPHASE, (3.6 + v * 0.15) * np.sin(ring), v)
    places.append(in_cells(cells, dividing, u, v))
    every = np.concatenate(places) / anatomy.pixel - 0.5
    peaks = 1.6 * np.exp(0.25 * rng.standard_normal(len(every)))
    return dots(anatomy.shape, every, peaks, _um(anatomy, 0.30 * style.grain)) + 0.06 * _depth(anatomy)


def _nuclear_dots(least: int, most: int, sizes: tuple[float, ...]) -> Staining:
    """AC-6, AC-7: a number of round dots of several sizes; nothing in mitosis."""

    def staining(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
        inter = np.flatnonzero(anatomy.cells.phase == INTERPHASE)
        cell = np.repeat(inter, rng.integers(least, most + 1, len(inter)))
        places = in_nuclei(rng, anatomy.cells, cell, 0.85) / anatomy.pixel - 0.5
        kind = rng.integers(0, len(sizes), len(cell))
        image = 0.05 * _depth(anatomy)
        for number, size in enumerate(sizes):
            chosen = kind == number
            peaks = 1.9 * np.exp(0.3 * rng.standard_normal(int(chosen.sum())))
            image += dots(anatomy.shape, places[chosen], peaks, _um(anatomy, size * style.grain))
        return image

    return staining


def _nucleolar(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-8: nucleoli evenly stained, the rest of the nucleus faintly; chromosomes dark."""
    blobs = blurred(anatomy.nucleolus, _um(anatomy, 0.25))
    even = 1 + 0.08 * noise(rng, anatomy.shape, _um(anatomy, 0.6))
    return 1.5 * blobs * even + 0.10 * _depth(anatomy) + _mitotic_cytoplasm(anatomy, 0.12)


def _in_nucleoli(
    anatomy: Anatomy, rng: np.random.Generator, each: float, spread: float, size: float
) -> Image:
    """Grains inside the nucleoli: ``each`` per um2 of nucleolus, ``size`` um wide."""
    nucleoli = anatomy.nucleoli
    counts = np.maximum(rng.poisson(each * np.pi * nucleoli[:, 2] ** 2), 2)
    parent = np.repeat(np.arange(len(nucleoli)), counts)
    offset = rng.normal(0, spread, (len(parent), 2)) * nucleoli[parent, 2:3]
    peaks = 1.7 * np.exp(0.25 * rng.standard_normal(len(parent)))
    return dots(
        anatomy.shape, (nucleoli[parent, :2] + offset) / anatomy.pixel - 0.5, peaks, _um(anatomy, size)
    )


def _clumpy_nucleolar(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-9: irregular clumps in the nucleoli; a stained coat around the chromosomes."""
    clumps = np.minimum(_in_nucleoli(anatomy, rng, 0.75, 0.5, 0.48 * style.grain), 2.2)
    coat = np.clip(blurred(anatomy.chromatin, _um(anatomy, 0.7)) - 0.72 * anatomy.chromatin, 0, 1)
    return clumps + 0.05 * _depth(anatomy) + 1.1 * coat


def _punctate_nucleolar(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-10: separate small grains in the nucleoli; a few bright pairs on the chromosomes."""
    grains = _in_nucleoli(anatomy, rng, 1.0, 0.62, 0.26 * style.grain)
    dividing = np.repeat(np.flatnonzero(anatomy.cells.phase != INTERPHASE), 5)
    u = np.where(anatomy.cells.phase[dividing] == METAPHASE, rng.normal(0, 0.5, len(dividing)), 0.0)
    places = in_cells(anatomy.cells, dividing, u, rng.uniform(-4.5, 4.5, len(dividing)))
    pairs = dots(anatomy.shape, places / anatomy.pixel - 0.5, np.full(len(places), 1.8), _um(anatomy, 0.4))
    return grains + pairs + 0.07 * _depth(anatomy)


def _envelope(punctate: bool) -> Staining:
    """AC-11, AC-12: a smooth or dotted line around the nucleus; none in mitosis."""

    def staining(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
        line = np.exp(-(((anatomy.radius - 0.95) / np.float32(0.075)) ** 2))
        surface = 0.28 * _depth(anatomy)
        if punctate:
            beads = speckles(rng, anatomy.shape, _um(anatomy, 0.42 * style.grain), 3.5)
            return (0.15 + 1.8 * beads) * line + surface * (0.4 + 1.2 * beads)
        folds = 1 + 0.15 * noise(rng, anatomy.shape, _um(anatomy, 1.2))
        return 1.25 * line + surface * folds + _mitotic_cytoplasm(anatomy, 0.15)

    return staining


def _cytoplasm(anatomy: Anatomy, nucleus: float) -> Image:
    """Thickness of the cytoplasm, with ``nucleus`` of it left where nuclei are."""
    return anatomy.cytoplasm * (1 - (1 - nucleus) * anatomy.nucleus)


def _cytoplasmic_fine(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-19: dense fine grains fill the cytoplasm almost evenly, often nucleoli too; nuclei dark."""
    texture = 0.6 + 0.6 * speckles(rng, anatomy.shape, _um(anatomy, 0.40 * style.grain), 1.5)
    nucleoli = 0.35 * style.nucleolus_shade * anatomy.nucleolus
    return texture * (
        0.95 * _cytoplasm(anatomy, 0.10) + nucleoli + 0.8 * anatomy.body * (1 - 0.8 * anatomy.chromatin)
    )


def _cytoplasmic_reticular(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-21: coarse granular threads, densest around the nucleus, thinning out; nuclei dark."""
    net = threads(rng, anatomy.shape, _um(anatomy, 0.75 * style.grain))
    texture = 0.10 + 2.2 * net
    around = _cytoplasm(anatomy, 0.05) ** np.float32(1.6)
    return texture * (around + 0.7 * anatomy.body * (1 - 0.9 * anatomy.chromatin))


def _golgi(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-22: a ragged cap of grains on one side of the nucleus; scattered in mitosis."""
    cells = anatomy.cells
    inter = np.flatnonzero(cells.phase == INTERPHASE)
    cell = np.repeat(inter, 26)
    around = np.repeat(rng.uniform(0, 2 * np.pi, len(inter)), 26) + rng.normal(0, 0.33, len(cell))
    distance = 1.12 + np.abs(rng.normal(0, 0.16, len(cell)))
    places = in_cells(cells, cell, distance * np.cos(around), distance * np.sin(around), cells.axes)
    peaks = 0.75 * np.exp(0.4 * rng.standard_normal(len(cell)))
    image = dots(anatomy.shape, places / anatomy.pixel - 0.5, peaks, _um(anatomy, 0.5 * style.grain))
    return np.minimum(image, 2.0) + 0.06 * _cytoplasm(anatomy, 0.5) + _mitotic_cytoplasm(anatomy, 0.15)


def _spindle(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-25: the spindle fibres of dividing cells; interphase all but dark."""
    fine = 0.7 + 0.5 * speckles(rng, anatomy.shape, _um(anatomy, 0.4), 1.5)
    return 1.7 * anatomy.spindle * fine + 0.10 * _cytoplasm(anatomy, 0.8)


def _numa(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """AC-26: interphase nuclei finely speckled, in mitosis the poles and the spindle next to them."""
    texture = 0.5 + 0.8 * speckles(rng, anatomy.shape, _um(anatomy, 0.42 * style.grain), 1.8)
    nucleus = 0.75 * _depth(anatomy) * (1 - 0.6 * anatomy.nucleolus)
    return texture * nucleus + 1.8 * anatomy.poles + 0.4 * anatomy.spindle


STAININGS: dict[str, Staining] = {
    "AC-1": _homogeneous,
    "AC-2": _dense_fine_speckled,
    "AC-3": _centromere,
    "AC-4": _fine_speckled,
    "AC-5": _coarse_speckled,
    "AC-6": _nuclear_dots(6, 20, (0.30, 0.42, 0.55)),
    "AC-7": _nuclear_dots(1, 6, (0.40, 0.55, 0.75)),
    "AC-8": _nucleolar,
    "AC-9": _clumpy_nucleolar,
    "AC-10": _punctate_nucleolar,
    "AC-11": _envelope(punctate=False),
    "AC-12": _envelope(punctate=True),
    "AC-19": _cytoplasmic_fine,
    "AC-21": _cytoplasmic_reticular,
    "AC-22": _golgi,
    "AC-25": _spindle,
    "AC-26": _numa,
}


def stain(pattern: Pattern, anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """Draw the specific staining of a pattern.

    Args:
        pattern: single or mixed.
        anatomy: the field.
        style: the specimen's way of staining.
        rng: the random stream.

    Returns:
        H x W float32, light in units of a well stained structure.
    """
    light = np.zeros(anatomy.shape, np.float32)
    for code, share in pattern.parts:
        light += np.float32(share) * STAININGS[code](anatomy, style, rng)
    return light * anatomy.gains()


def unspecific(anatomy: Anatomy, style: Style, rng: np.random.Generator) -> Image:
    """Draw what any serum leaves: a diffuse glow of cytoplasm and nucleus without structure or sharp outline.

    Returns:
        H x W float32, about 1 in the middle of a cell.
    """
    soft = blurred(anatomy.nucleus, _um(anatomy, style.diffusion))
    light = anatomy.cytoplasm * (0.75 + (style.nuclear_haze - 0.75) * soft)
    light += 0.5 * style.nuclear_haze * soft + 0.8 * style.mitotic_haze * anatomy.body
    light *= 1 + 0.10 * noise(rng, anatomy.shape, _um(anatomy, 3.0))
    return np.clip(light, 0, None) * anatomy.gains()
