"""Numbers drawn so that a small database keeps the shares of a large one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hep2lib.simulator.patterns import BRIGHT_NEGATIVE, NEGATIVE, PATTERNS
from hep2lib.simulator.physics import Parameters, Range, SpecimenParameters


def quotas(shares: Sequence[float], total: int) -> NDArray[np.int64]:
    """Split ``total`` in proportion to ``shares`` by largest remainders.

    Args:
        shares: relative, non-negative.
        total: what is split.

    Returns:
        As many whole numbers as shares; they add up to ``total``.
    """
    exact = np.asarray(shares, float) / np.sum(shares) * total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def dealt(rng: np.random.Generator, shares: Sequence[float], total: int) -> NDArray[np.int64]:
    """Give each of ``total`` things one of the kinds, each kind as often as its share says, in random order.

    Returns:
        ``total`` numbers of kinds.
    """
    return rng.permutation(np.repeat(np.arange(len(shares)), quotas(shares, total)))


def stratified(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw one number from each of ``count`` equal parts of 0 to 1, in random order: evenly spread."""
    return (rng.permutation(count) + rng.random(count)) / count


def image_counts(
    rng: np.random.Generator, shares: Sequence[float], mean: float, specimens: int
) -> NDArray[np.int64]:
    """Draw how many images each specimen has, ``round(mean * specimens)`` in all.

    The shares' own mean need not be ``mean``: random specimens gain or lose an image until the sum fits.

    Args:
        rng: the random stream.
        shares: share of the specimens with 1, 2, ... images.
        mean: images a specimen.
        specimens: number of specimens.
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
    """Choose specimens at random whose images make up ``share`` of all, as nearly as whole specimens allow.

    Args:
        rng: the random stream.
        counts: images of each specimen.
        share: 0 to 1.

    Returns:
        For each specimen whether it is chosen.
    """
    wanted = round(share * int(counts.sum()))
    chosen = np.zeros(len(counts), bool)
    for specimen in rng.permutation(len(counts)):
        if counts[specimen] <= wanted:
            chosen[specimen] = True
            wanted -= int(counts[specimen])
    return chosen


def both_labels(rng: np.random.Generator, counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Give each specimen a label, ``share`` of the images positive, both labels at least once.

    Args:
        rng: the random stream.
        counts: images of each specimen, at least two specimens.
        share: of positive images, 0 to 1.

    Returns:
        1 or 0 for each specimen.
    """
    label = share_of_images(rng, counts, share).astype(np.int64)
    if label.min() == label.max():
        label[rng.integers(len(label))] ^= 1
    return label


@dataclass(frozen=True, slots=True)
class Laboratory:
    """One laboratory; the units and meanings are those of the parameters it was drawn from.

    Attributes:
        name: as the sheet has it.
        instrument: as the sheet has it.
        size: width and height of a picture in pixels.
        field_width: um.
        blur: um.
        haze_share: share of the light out of focus.
        haze_blur: um.
        falloff: loss of light in the corners.
        centre: centre of the illumination, x and y in half widths and half heights from the middle.
        gain: factor on the light.
        full_scale: electrons.
        read_noise: grey levels.
        gamma: exponent.
        black_level: grey levels.
        red_share: of the green light.
        blue_share: of the green light.
        counterstain: red light of the cytoplasm, share of full scale.
        format: usual file format.
        quality: JPEG quality.
    """

    name: str
    instrument: str
    size: tuple[int, int]
    field_width: float
    blur: float
    haze_share: float
    haze_blur: float
    falloff: float
    centre: tuple[float, float]
    gain: float
    full_scale: float
    read_noise: float
    gamma: float
    black_level: float
    red_share: float
    blue_share: float
    counterstain: float
    format: str
    quality: int

    @property
    def pixel(self) -> float:
        """Width of a pixel in um."""
        return self.field_width / self.size[0]


def _spread(rng: np.random.Generator, bounds: Range, count: int) -> NDArray[np.float64]:
    """Draw one value from each of ``count`` equal parts of a range, in random order: they do differ."""
    low, high = bounds
    return low + (high - low) * stratified(rng, count)


def draw_laboratories(
    rng: np.random.Generator, count: int, parameters: Parameters, scale: float
) -> list[Laboratory]:
    """Draw the laboratories of a database.

    Args:
        rng: the random stream.
        count: how many.
        parameters: the forward model's.
        scale: factor on the picture's width and height in pixels; the field of view stays as it is.
    """
    optics, camera, files = parameters.optics, parameters.camera, parameters.file
    ranges = {
        "field_width": optics.field_width,
        "blur": optics.blur,
        "haze_share": optics.haze_share,
        "haze_blur": optics.haze_blur,
        "falloff": optics.falloff,
        "full_scale": camera.full_scale,
        "read_noise": camera.read_noise,
        "gamma": camera.gamma,
        "black_level": camera.black_level,
        "red_share": camera.red_share,
        "blue_share": camera.blue_share,
    }
    drawn = {name: _spread(rng, bounds, count) for name, bounds in ranges.items()}
    quality = _spread(rng, files.quality, count)
    sizes, formats = rng.permutation(len(files.sizes)), rng.permutation(len(files.formats))
    gains = np.exp(camera.gain_spread * ndtri(stratified(rng, count)))
    stained = rng.permutation(count) < round(camera.counterstain_share * count)
    centres = rng.normal(0, 0.12, (count, 2))
    return [
        Laboratory(
            name=f"Laboratory {1 + i}",
            instrument=f"Simulated microscope {chr(65 + i % 26)}",
            size=_scaled(files.sizes[sizes[i % len(sizes)]], scale),
            centre=(float(centres[i, 0]), float(centres[i, 1])),
            gain=float(gains[i]),
            counterstain=camera.counterstain if stained[i] else 0.0,
            format=files.formats[formats[i % len(formats)]],
            quality=round(float(quality[i])),
            **{name: float(values[i]) for name, values in drawn.items()},
        )
        for i in range(count)
    ]


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return round(size[0] * scale), round(size[1] * scale)


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
