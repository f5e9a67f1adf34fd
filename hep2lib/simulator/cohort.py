"""Laboratories and specimens, drawn by quotas so that a small database keeps the shares of a large one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hep2lib.simulator.patterns import BRIGHT_NEGATIVE, NEGATIVE, PATTERNS
from hep2lib.simulator.physics import FileParameters, Physics, SpecimenParameters


def quotas(shares: Sequence[float], total: int) -> NDArray[np.int64]:
    """Split ``total`` into whole numbers in proportion to ``shares``, by largest remainders."""
    exact = np.asarray(shares, float) / np.sum(shares) * total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def dealt(rng: np.random.Generator, shares: Sequence[float], total: int) -> NDArray[np.int64]:
    """Give each of ``total`` things a kind's number, each as often as its share says, in random order."""
    return rng.permutation(np.repeat(np.arange(len(shares)), quotas(shares, total)))


def stratified(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw one number from each of ``count`` equal parts of 0 to 1, in random order: evenly spread."""
    return (rng.permutation(count) + rng.random(count)) / count


def image_counts(
    rng: np.random.Generator, shares: Sequence[float], mean: float, specimens: int
) -> NDArray[np.int64]:
    """Draw how many images each specimen has, ``round(mean * specimens)`` in all.

    ``shares`` are those of specimens with 1, 2, ... images; their own mean need not be ``mean``: random
    specimens gain or lose an image until the sum fits.
    """
    counts = dealt(rng, shares, specimens) + 1
    surplus = int(counts.sum()) - round(mean * specimens)
    step = 1 if surplus > 0 else -1
    while surplus:
        movable = np.flatnonzero((counts - step >= 1) & (counts - step <= len(shares)))
        counts[rng.choice(movable)] -= step
        surplus -= step
    return counts


def share_of_images(rng: np.random.Generator, counts: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Choose specimens at random whose images make up ``share`` of all, as nearly as they can."""
    wanted = round(share * int(counts.sum()))
    chosen = np.zeros(len(counts), bool)
    for specimen in rng.permutation(len(counts)):
        if counts[specimen] <= wanted:
            chosen[specimen] = True
            wanted -= int(counts[specimen])
    return chosen


def both_labels(rng: np.random.Generator, counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Give each of two or more specimens a label, ``share`` of the images positive, both at least once."""
    label = share_of_images(rng, counts, share).astype(np.int64)
    if label.min() == label.max():
        label[rng.integers(len(label))] ^= 1
    return label


@dataclass(frozen=True, slots=True)
class Laboratory:
    """One laboratory: what is called like a parameter has its unit and meaning."""

    name: str  # as the sheet has it; so is ``instrument``
    instrument: str
    size: tuple[int, int]  # width and height of a picture in pixels
    field_width: float
    blur: float
    haze_share: float
    haze_blur: float
    falloff: float
    centre: tuple[float, float]  # of the illumination: x, y in half widths and heights from the middle
    gain: float  # factor on the light
    compensation: float
    full_scale: float
    read_noise: float
    gamma: float
    black_level: float
    red_share: float
    blue_share: float
    counterstain: float
    format: str  # usual file format
    quality: int

    @property
    def pixel(self) -> float:
        """Width of a pixel in um."""
        return self.field_width / self.size[0]


def _spread(rng: np.random.Generator, bounds: tuple[float, float], count: int) -> NDArray[np.float64]:
    """Draw one value from each of ``count`` equal parts of a range, in random order: they do differ."""
    low, high = bounds
    return low + (high - low) * stratified(rng, count)


def draw_laboratories(
    rng: np.random.Generator, count: int, parameters: Physics, scale: float
) -> list[Laboratory]:
    """Draw the laboratories of a database.

    ``scale`` is a factor on the pictures' width and height in pixels; the field of view stays as it is.
    """
    optics, camera, files = parameters.optics, parameters.camera, parameters.file
    of_optics = ("field_width", "blur", "haze_share", "haze_blur", "falloff")
    of_camera = ("full_scale", "read_noise", "gamma", "black_level", "red_share", "blue_share")
    drawn = {name: _spread(rng, getattr(optics, name), count) for name in of_optics}
    drawn |= {name: _spread(rng, getattr(camera, name), count) for name in ("compensation", *of_camera)}
    quality = _spread(rng, files.quality, count)
    sizes, formats = rng.permutation(len(files.sizes)), rng.permutation(len(files.formats))
    gains = np.exp(camera.gain_spread * ndtri(stratified(rng, count)))
    stained = rng.permutation(count) < round(camera.counterstain_share * count)
    centres = rng.normal(0, 0.12, (count, 2))
    return [
        Laboratory(
            name=f"Laboratory {1 + i}",
            instrument=f"Simulated microscope {chr(65 + i % 26)}",
            size=(round(files.sizes[k][0] * scale), round(files.sizes[k][1] * scale)),
            centre=(float(centres[i, 0]), float(centres[i, 1])),
            gain=float(gains[i]),
            counterstain=camera.counterstain if stained[i] else 0.0,
            format=files.formats[formats[i % len(formats)]],
            quality=round(float(quality[i])),
            **{name: float(values[i]) for name, values in drawn.items()},
        )
        for i, k in enumerate(sizes[np.arange(count) % len(sizes)])
    ]


@dataclass(frozen=True, slots=True)
class Specimen:
    """One patient's well."""

    name: str  # as the sheet has it
    index: int  # its number, which names its random stream
    label: int  # 1 positive, 0 negative; the truth
    written_label: int  # the label in the sheet; another one than ``label`` where label noise struck
    pattern: str  # name of the staining pattern, or of the kind of negative
    stained: str  # name of the pattern that is drawn: of a negative the one it has a trace of, or ""
    grade: str  # "0", "+/-", "1+" .. "4+"
    level: float  # light of a well stained structure, share of full scale
    showing: float  # share of the cells that show the pattern
    haze: float  # unspecific light of the cells, share of full scale
    background: float  # light between the cells, share of full scale
    density: float  # cells per um2
    mitotic_share: float  # share of mitotic cells
    nucleus_diameter: float  # um
    images: int  # number of images
    laboratory: int  # number of its laboratory
    format: str  # file format
    size: tuple[int, int]  # width and height of its files in pixels
    age: int | None  # years, None if unknown
    sex: str  # "F", "M" or "" if unknown


def draw_specimens(
    rng: np.random.Generator,
    count: int,
    laboratories: Sequence[Laboratory],
    parameters: Physics,
    *,
    shortcut: bool = False,
    label_noise: float = 0.0,
) -> list[Specimen]:
    """Draw the specimens of a database.

    Shares are kept by quotas (labels, patterns, grades, laboratories within each class), because a tenth of
    AIDA is too small to leave them to chance. The options are those of a `Simulation`.
    """
    own, cell = parameters.specimen, parameters.cell
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
        "background": _log_uniform(rng, own.background, count).tolist(),
        "density": _log_normal(rng, own.density, own.density_spread, count).tolist(),
        "mitotic_share": _log_normal(rng, own.mitotic_share, own.mitotic_spread, count).tolist(),
        "nucleus_diameter": _log_normal(rng, cell.nucleus_diameter, cell.specimen_spread, count).tolist(),
        **_files(rng, label, [laboratories[i] for i in laboratory], parameters.file, shortcut),
        **_patients(rng, count, own),
    }
    return [Specimen(**{name: column[i] for name, column in columns.items()}) for i in range(count)]


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float], count: int) -> NDArray[np.float64]:
    return bounds[0] * (bounds[1] / bounds[0]) ** stratified(rng, count)


def _log_normal(rng: np.random.Generator, mean: float, spread: float, count: int) -> NDArray[np.float64]:
    return mean * np.exp(spread * ndtri(stratified(rng, count)))


def _staining(
    rng: np.random.Generator, label: NDArray[np.int64], images: NDArray[np.int64], own: SpecimenParameters
) -> dict[str, Sequence[Any]]:
    """Draw what the serum stains and how brightly; sparse and other patterns get the same share of grades."""
    count = len(label)
    pattern, stained, grade = (np.full(count, word, object) for word in (NEGATIVE, "", "0"))
    level, showing, haze = np.zeros(count), np.ones(count), np.zeros(count)
    weights = [item.weight for item in PATTERNS]

    rows = np.flatnonzero(label == 1)
    patterns = dealt(rng, weights, len(rows))
    grades = _by_class(rng, np.array([PATTERNS[i].sparse for i in patterns], int), own.grade_shares)
    stained[rows] = [PATTERNS[i].name for i in patterns]
    pattern[rows], grade[rows] = stained[rows], np.asarray(own.grades, object)[grades]
    level[rows] = np.asarray(own.grade_levels)[grades] * _log_normal(rng, 1, own.level_spread, len(rows))
    haze[rows] = _log_uniform(rng, own.haze_level, len(rows))
    patchy = rows[share_of_images(rng, images[rows], own.patchy_share)]
    showing[patchy] = _spread(rng, own.patchy_cells, len(patchy))

    rows = np.flatnonzero(label == 0)
    bright = share_of_images(rng, images[rows], own.bright_negative_share)
    pattern[rows[bright]] = BRIGHT_NEGATIVE
    for kind, bounds in ((rows[bright], own.bright_level), (rows[~bright], own.dim_level)):
        haze[kind] = _log_uniform(rng, bounds, len(kind))
    traced = rows[share_of_images(rng, images[rows], own.trace_share)]
    stained[traced] = [PATTERNS[i].name for i in dealt(rng, weights, len(traced))]
    level[traced] = _log_uniform(rng, own.trace_level, len(traced))
    drawn = {"pattern": pattern, "stained": stained, "grade": grade}
    drawn |= {"level": level, "showing": showing, "haze": haze}
    return {name: values.tolist() for name, values in drawn.items()}


def _by_class(
    rng: np.random.Generator, label: NDArray[np.int64], shares: Sequence[float]
) -> NDArray[np.int64]:
    """Deal a kind to each specimen, within each class, so that the kind says nothing about the label."""
    kinds = np.zeros(len(label), np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(label == value)
        kinds[rows] = dealt(rng, shares, len(rows))
    return kinds


def _files(
    rng: np.random.Generator,
    label: NDArray[np.int64],
    laboratories: Sequence[Laboratory],
    files: FileParameters,
    shortcut: bool,
) -> dict[str, Sequence[Any]]:
    """Give each specimen the format and picture size of its laboratory.

    Now and then the format is another one; with the shortcut, most negatives are smaller.
    """
    usual = _by_class(rng, label, (1 - files.own_format_share, files.own_format_share)) == 1
    any_format = _by_class(rng, label, [1.0] * len(files.formats))
    told = rng.random(len(label)) < files.shortcut_strength
    small = np.where(told, label == 0, rng.random(len(label)) < 0.5) & shortcut
    shrunk = [(width * 3 // 4, height * 3 // 4) for width, height in (one.size for one in laboratories)]
    return {
        "format": [
            one.format if usual[i] else files.formats[any_format[i]] for i, one in enumerate(laboratories)
        ],
        "size": [shrunk[i] if small[i] else one.size for i, one in enumerate(laboratories)],
    }


def _patients(rng: np.random.Generator, count: int, own: SpecimenParameters) -> dict[str, Sequence[Any]]:
    """Draw age and sex, which say nothing about the label."""
    years = np.clip(rng.normal(50, 17, count), 4, 92).astype(int)
    women, unknown = rng.random(count) < own.female_share, rng.random(count) < own.unknown_share
    return {
        "age": [None if unknown[i] else int(years[i]) for i in range(count)],
        "sex": ["" if unknown[i] else ("F" if women[i] else "M") for i in range(count)],
    }
