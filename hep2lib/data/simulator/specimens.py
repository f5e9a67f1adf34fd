"""The specimens of a simulated database: label, pattern, grade, brightness, density, whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.simulator.laboratories import Laboratory
from hep2lib.data.simulator.parameters import Parameters, Range, SpecimenParameters
from hep2lib.data.simulator.patterns import BRIGHT_NEGATIVE, NEGATIVE, PATTERNS
from hep2lib.data.simulator.quotas import dealt, image_counts, positive_specimens


@dataclass(frozen=True, slots=True)
class Specimen:
    """One patient's well.

    Attributes:
        name: as the sheet has it.
        index: its number, which names its random stream.
        label: 1 positive, 0 negative; the truth.
        written_label: the label in the sheet; another one than ``label`` where label noise struck.
        pattern: name of the staining pattern, or of the kind of negative.
        grade: "0", "+/-", "1+" .. "4+".
        level: light of a well stained structure, share of full scale; 0 if negative.
        haze: unspecific light of the cells, share of full scale.
        background: light between the cells, share of full scale.
        density: cells per um2.
        mitotic_share: share of mitotic cells.
        nucleus_diameter: um.
        images: number of images.
        laboratory: number of its laboratory.
        format: file format.
        size: width and height of its files in pixels.
        age: years, None if unknown.
        sex: "F", "M" or "" if unknown.
    """

    name: str
    index: int
    label: int
    written_label: int
    pattern: str
    grade: str
    level: float
    haze: float
    background: float
    density: float
    mitotic_share: float
    nucleus_diameter: float
    images: int
    laboratory: int
    format: str
    size: tuple[int, int]
    age: int | None
    sex: str


def draw_specimens(
    rng: np.random.Generator,
    count: int,
    laboratories: Sequence[Laboratory],
    parameters: Parameters,
    *,
    shortcut: bool = False,
    label_noise: float = 0.0,
) -> list[Specimen]:
    """Draw the specimens of a database.

    Shares are kept by quotas (labels, patterns, grades, laboratories within each class), because a tenth of
    AIDA is too small to leave them to chance.

    Args:
        rng: the random stream.
        count: how many.
        laboratories: where they come from.
        parameters: the forward model's.
        shortcut: let the file size tell the label for most specimens.
        label_noise: share of specimens whose written label is wrong.
    """
    own = parameters.specimen
    images = image_counts(rng, own.images_shares, own.images, count)
    label = positive_specimens(rng, images, own.positive_share).astype(np.int64)
    pattern, grade = np.full(count, NEGATIVE, object), np.full(count, "0", object)
    level, haze = np.zeros(count), np.zeros(count)
    _positives(rng, np.flatnonzero(label == 1), own, pattern, grade, level, haze)
    _negatives(rng, np.flatnonzero(label == 0), own, pattern, haze)
    laboratory = _by_class(rng, label, np.linspace(1.6, 0.6, len(laboratories)))
    wrong = np.zeros(count, bool)
    wrong[rng.permutation(count)[: round(label_noise * count)]] = True
    background = _log_uniform(rng, own.background, count)
    density = own.density * np.exp(own.density_spread * rng.standard_normal(count))
    mitotic = own.mitotic_share * np.exp(own.mitotic_spread * rng.standard_normal(count))
    diameter = parameters.cell.nucleus_diameter * np.exp(
        parameters.cell.specimen_spread * rng.standard_normal(count)
    )
    formats = _formats(rng, label, laboratory, laboratories, parameters)
    sizes = _sizes(rng, label, laboratory, laboratories, parameters, shortcut)
    ages, sexes = _patients(rng, own, count)
    return [
        Specimen(
            name=f"S{1 + i:04d}",
            index=i,
            label=int(label[i]),
            written_label=int(label[i] ^ wrong[i]),
            pattern=pattern[i],
            grade=grade[i],
            level=float(level[i]),
            haze=float(haze[i]),
            background=float(background[i]),
            density=float(density[i]),
            mitotic_share=float(mitotic[i]),
            nucleus_diameter=float(diameter[i]),
            images=int(images[i]),
            laboratory=int(laboratory[i]),
            format=formats[i],
            size=sizes[i],
            age=ages[i],
            sex=sexes[i],
        )
        for i in range(count)
    ]


def _log_uniform(rng: np.random.Generator, bounds: Range, count: int) -> NDArray[np.float64]:
    return np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), count))


def _positives(
    rng: np.random.Generator,
    rows: NDArray[np.intp],
    own: SpecimenParameters,
    pattern: NDArray[np.object_],
    grade: NDArray[np.object_],
    level: NDArray[np.float64],
    haze: NDArray[np.float64],
) -> None:
    """Fill in pattern, grade and light of the positive specimens; pattern and grade are independent."""
    patterns = dealt(rng, [item.weight for item in PATTERNS], len(rows))
    grades = dealt(rng, own.grade_shares, len(rows))
    pattern[rows] = [PATTERNS[i].name for i in patterns]
    grade[rows] = [own.grades[i] for i in grades]
    spread = np.exp(own.level_spread * rng.standard_normal(len(rows)))
    level[rows] = np.asarray(own.grade_levels)[grades] * spread
    haze[rows] = _log_uniform(rng, own.haze_level, len(rows))


def _negatives(
    rng: np.random.Generator,
    rows: NDArray[np.intp],
    own: SpecimenParameters,
    pattern: NDArray[np.object_],
    haze: NDArray[np.float64],
) -> None:
    """Fill in kind and light of the negative specimens."""
    bright = dealt(rng, [1 - own.bright_negative_share, own.bright_negative_share], len(rows)) == 1
    pattern[rows[bright]] = BRIGHT_NEGATIVE
    haze[rows] = np.where(
        bright, _log_uniform(rng, own.bright_level, len(rows)), _log_uniform(rng, own.dim_level, len(rows))
    )


def _by_class(
    rng: np.random.Generator, label: NDArray[np.int64], shares: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Deal a kind to each specimen, within each class, so that the kind says nothing about the label."""
    kinds = np.zeros(len(label), np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(label == value)
        kinds[rows] = dealt(rng, shares.tolist(), len(rows))
    return kinds


def _formats(
    rng: np.random.Generator,
    label: NDArray[np.int64],
    laboratory: NDArray[np.int64],
    laboratories: Sequence[Laboratory],
    parameters: Parameters,
) -> list[str]:
    """Give each specimen its laboratory's format, or now and then another one."""
    own = parameters.file.own_format_share
    usual = _by_class(rng, label, np.array([1 - own, own])) == 1
    any_format = _by_class(rng, label, np.ones(len(parameters.file.formats)))
    return [
        laboratories[laboratory[i]].format if usual[i] else parameters.file.formats[any_format[i]]
        for i in range(len(label))
    ]


def _sizes(
    rng: np.random.Generator,
    label: NDArray[np.int64],
    laboratory: NDArray[np.int64],
    laboratories: Sequence[Laboratory],
    parameters: Parameters,
    shortcut: bool,
) -> list[tuple[int, int]]:
    """Give each specimen its laboratory's picture size; with the shortcut, negatives a smaller one."""
    told = rng.random(len(label)) < parameters.file.shortcut_strength
    small = np.where(told, label == 0, rng.random(len(label)) < 0.5) & shortcut
    sizes = [laboratories[i].size for i in laboratory]
    return [(w * 3 // 4, h * 3 // 4) if small[i] else (w, h) for i, (w, h) in enumerate(sizes)]


def _patients(
    rng: np.random.Generator, own: SpecimenParameters, count: int
) -> tuple[list[int | None], list[str]]:
    """Draw age and sex, which say nothing about the label."""
    years = np.clip(rng.normal(50, 17, count), 4, 92).astype(int)
    women = rng.random(count) < own.female_share
    unknown = rng.random(count) < own.unknown_share
    ages = [None if unknown[i] else int(years[i]) for i in range(count)]
    sexes = ["" if unknown[i] else ("F" if women[i] else "M") for i in range(count)]
    return ages, sexes
