"""The specimens of a simulated database: label, pattern, grade, brightness, density, whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hep2lib.data.simulator.laboratories import Laboratory
from hep2lib.data.simulator.parameters import Parameters, Range, SpecimenParameters
from hep2lib.data.simulator.patterns import BRIGHT_NEGATIVE, NEGATIVE, PATTERNS
from hep2lib.data.simulator.quotas import both_labels, dealt, image_counts, share_of_images, stratified


@dataclass(frozen=True, slots=True)
class Specimen:
    """One patient's well.

    Attributes:
        name: as the sheet has it.
        index: its number, which names its random stream.
        label: 1 positive, 0 negative; the truth.
        written_label: the label in the sheet; another one than ``label`` where label noise struck.
        pattern: name of the staining pattern, or of the kind of negative.
        stained: name of the pattern that is drawn: of a negative the one it has a trace of, or "".
        grade: "0", "+/-", "1+" .. "4+".
        level: light of a well stained structure, share of full scale.
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
    stained: str
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
    label = both_labels(rng, images, own.positive_share)
    wrong = np.zeros(count, np.int64)
    wrong[rng.permutation(count)[: round(label_noise * count)]] = 1
    laboratory = _by_class(rng, label, np.linspace(1.6, 0.6, len(laboratories)).tolist())
    columns: dict[str, Sequence[Any]] = {
        "name": [f"S{1 + i:04d}" for i in range(count)],
        "index": range(count),
        "label": label.tolist(),
        "written_label": (label ^ wrong).tolist(),
        "images": images.tolist(),
        "laboratory": laboratory.tolist(),
        **_staining(rng, label, images, own),
        **_wells(rng, count, parameters),
        "format": _formats(rng, label, laboratory, laboratories, parameters),
        "size": _sizes(rng, label, laboratory, laboratories, parameters, shortcut),
        **_patients(rng, count, own),
    }
    return [Specimen(**{name: column[i] for name, column in columns.items()}) for i in range(count)]


def _log_uniform(rng: np.random.Generator, bounds: Range, count: int) -> NDArray[np.float64]:
    return bounds[0] * (bounds[1] / bounds[0]) ** stratified(rng, count)


def _log_normal(rng: np.random.Generator, mean: float, spread: float, count: int) -> NDArray[np.float64]:
    return mean * np.exp(spread * ndtri(stratified(rng, count)))


def _staining(
    rng: np.random.Generator, label: NDArray[np.int64], images: NDArray[np.int64], own: SpecimenParameters
) -> dict[str, Sequence[Any]]:
    """Draw what the serum stains and how brightly; sparse and other patterns get the same share of grades."""
    count = len(label)
    pattern, stained, grade = (np.full(count, word, object) for word in (NEGATIVE, "", "0"))
    level, haze = np.zeros(count), np.zeros(count)
    weights = [item.weight for item in PATTERNS]

    rows = np.flatnonzero(label == 1)
    patterns = dealt(rng, weights, len(rows))
    grades = _by_class(rng, np.array([PATTERNS[i].sparse for i in patterns], int), own.grade_shares)
    stained[rows] = [PATTERNS[i].name for i in patterns]
    pattern[rows], grade[rows] = stained[rows], np.asarray(own.grades, object)[grades]
    level[rows] = np.asarray(own.grade_levels)[grades] * _log_normal(rng, 1, own.level_spread, len(rows))
    haze[rows] = _log_uniform(rng, own.haze_level, len(rows))

    rows = np.flatnonzero(label == 0)
    bright = share_of_images(rng, images[rows], own.bright_negative_share)
    pattern[rows[bright]] = BRIGHT_NEGATIVE
    for kind, bounds in ((rows[bright], own.bright_level), (rows[~bright], own.dim_level)):
        haze[kind] = _log_uniform(rng, bounds, len(kind))
    traced = rows[share_of_images(rng, images[rows], own.trace_share)]
    stained[traced] = [PATTERNS[i].name for i in dealt(rng, weights, len(traced))]
    level[traced] = _log_uniform(rng, own.trace_level, len(traced))
    return {
        "pattern": pattern.tolist(),
        "stained": stained.tolist(),
        "grade": grade.tolist(),
        "level": level.tolist(),
        "haze": haze.tolist(),
    }


def _wells(rng: np.random.Generator, count: int, parameters: Parameters) -> dict[str, Sequence[Any]]:
    """Draw what the well's cells are like, whatever the serum."""
    own, cell = parameters.specimen, parameters.cell
    return {
        "background": _log_uniform(rng, own.background, count).tolist(),
        "density": _log_normal(rng, own.density, own.density_spread, count).tolist(),
        "mitotic_share": _log_normal(rng, own.mitotic_share, own.mitotic_spread, count).tolist(),
        "nucleus_diameter": _log_normal(rng, cell.nucleus_diameter, cell.specimen_spread, count).tolist(),
    }


def _by_class(
    rng: np.random.Generator, label: NDArray[np.int64], shares: Sequence[float]
) -> NDArray[np.int64]:
    """Deal a kind to each specimen, within each class, so that the kind says nothing about the label."""
    kinds = np.zeros(len(label), np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(label == value)
        kinds[rows] = dealt(rng, shares, len(rows))
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
    usual = _by_class(rng, label, (1 - own, own)) == 1
    any_format = _by_class(rng, label, [1.0] * len(parameters.file.formats))
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


def _patients(rng: np.random.Generator, count: int, own: SpecimenParameters) -> dict[str, Sequence[Any]]:
    """Draw age and sex, which say nothing about the label."""
    years = np.clip(rng.normal(50, 17, count), 4, 92).astype(int)
    women, unknown = rng.random(count) < own.female_share, rng.random(count) < own.unknown_share
    return {
        "age": [None if unknown[i] else int(years[i]) for i in range(count)],
        "sex": ["" if unknown[i] else ("F" if women[i] else "M") for i in range(count)],
    }
