"""A simulated database as a plan, and one field from its specimen to the picture of it."""

import io
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from hep2lib.errors import InputError
from hep2lib.simulator.anatomy import Anatomy, draw_anatomy
from hep2lib.simulator.cells import place_cells
from hep2lib.simulator.cohort import Laboratory, Specimen, draw_laboratories, draw_specimens
from hep2lib.simulator.microscope import illuminated, photographed, through_lens
from hep2lib.simulator.patterns import BRIGHT_NEGATIVE, NEGATIVE, find_pattern
from hep2lib.simulator.physics import Physics
from hep2lib.simulator.staining import Style, debris, draw_style, stain, unspecific
from hep2lib.simulator.textures import Image, noise

VERSION = 4
"""Counted up whenever the same parameters and seed are to give other images."""

_LABORATORIES, _SPECIMENS, _FIELDS = range(3)  # the seed's independent random streams
_EXPOSED = 0.25  # light of a field's bright parts, share of full scale, that operators expose for
_FLAT = 600.0  # um: radius of the edge of the well as a field shows it


class SimulationError(InputError):
    """Parameters that cannot be simulated, or a folder that cannot be written."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What determines a simulated database: the arguments of `write_database` (hep2lib.simulator.writing).

    The same ones give the same pixels on x86-64 with and without AVX2; other processors were not tried.
    """

    specimens: int = 100
    seed: int = 0
    laboratories: int = 7
    shortcut: bool = False
    label_noise: float = 0.0
    scale: float = 1.0
    masks: bool = False
    apart: bool = False  # draw from random streams of images that must belong to no database
    parameters: Physics = field(default_factory=Physics)  # the forward model's

    def __post_init__(self) -> None:
        _check("specimens", self.specimens, self.specimens >= 2, "at least 2, so that both labels occur")
        _check("seed", self.seed, self.seed >= 0, "a whole number from 0 on")
        _check("laboratories", self.laboratories, 1 <= self.laboratories <= 26, "1 to 26")
        _check("label_noise", self.label_noise, 0 <= self.label_noise <= 0.5, "a share from 0 to 0.5")
        _check("scale", self.scale, 0.1 <= self.scale <= 4, "a factor from 0.1 to 4")

    @property
    def name(self) -> str:
        """The database's name, with whatever is not the default."""
        parts = [f"{self.specimens} specimens", f"seed {self.seed}"]
        if self.laboratories != 7:
            parts.append(f"{self.laboratories} laboratories")
        if self.shortcut:
            parts.append("size shortcut")
        if self.label_noise:
            parts.append(f"label noise {self.label_noise:g}")
        if self.scale != 1:
            parts.append(f"scale {self.scale:g}")
        return f"simulated database ({', '.join(parts)})"

    def stream(self, *key: int) -> np.random.Generator:
        """Give the random stream of a key, independent of all others of this and any other seed."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(int(self.apart), *key)))

    def draw(self) -> tuple[list[Laboratory], list[Specimen]]:
        """Draw the laboratories and the specimens; fields are drawn from each specimen's own stream."""
        stream = self.stream(_LABORATORIES)
        laboratories = draw_laboratories(stream, self.laboratories, self.parameters, self.scale)
        specimens = draw_specimens(
            self.stream(_SPECIMENS),
            self.specimens,
            laboratories,
            self.parameters,
            shortcut=self.shortcut,
            label_noise=self.label_noise,
        )
        return laboratories, specimens

    def specimen_stream(self, specimen: Specimen) -> np.random.Generator:
        """Give the random stream of a specimen's fields."""
        return self.stream(_FIELDS, specimen.index)

    def record(self) -> dict[str, Any]:
        """Give all parameters as plain values, as ``simulation.json`` holds them."""
        own = asdict(self)
        del own["apart"]
        return {"name": self.name, "simulator_version": VERSION, **json.loads(json.dumps(own))}


def _check(name: str, value: float, possible: bool, wanted: str) -> None:
    if not possible:
        raise SimulationError(f"{name} {value!r} cannot be simulated: it has to be {wanted}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field and what it went through."""

    anatomy: Anatomy  # the cells and their parts
    staining: Image  # H x W, the specific light, share of full scale
    emitted: Image  # H x W, all light that leaves the slide
    focused: Image  # H x W, after the lens
    lit: Image  # H x W, with uneven illumination
    picture: NDArray[np.uint8]  # H x W x 3 uint8, what the camera gives, in the size of the file


def simulate_field(
    specimen: Specimen,
    style: Style,
    laboratory: Laboratory,
    rng: np.random.Generator,
    parameters: Physics,
    least_mitoses: int = 0,
) -> Field:
    """Simulate one field of a specimen, in the order of physics; ``rng`` is the specimen's random stream.

    The field holds ``least_mitoses`` dividing cells or more.
    """
    width, height = laboratory.size
    pixel = laboratory.pixel
    density = specimen.density * np.exp(0.10 * rng.standard_normal())
    extent = (width * pixel, height * pixel)
    well, edge = None, None
    if rng.random() < parameters.specimen.edge_share:
        edge = _edge(rng, extent)
        well = _inside((height, width), pixel, edge)
        density *= float((well == 1).mean())
    mitotic, diameter = specimen.mitotic_share, specimen.nucleus_diameter
    cells = place_cells(
        *(rng, extent, density, mitotic, diameter, parameters.cell, least_mitoses),
        showing=specimen.showing,
        edge=edge,
    )
    anatomy = draw_anatomy(rng, cells, (height, width), pixel, parameters.cell, style.nucleolus_size)
    staining = np.zeros((height, width), np.float32)
    if specimen.stained:
        staining = np.float32(specimen.level) * stain(find_pattern(specimen.stained), anatomy, style, rng)
    emitted = staining + np.float32(specimen.haze) * unspecific(anatomy, style, rng)
    emitted += np.float32(specimen.background) * _slope((height, width), style.tilt)
    emitted *= np.maximum(1 + np.float32(style.wash) * noise(rng, (height, width), anatomy.pixels(40.0)), 0.2)
    emitted += debris(rng, anatomy, style, parameters.specimen)
    if well is not None:
        emitted *= well
    sharpest, most = parameters.optics.defocus
    defocus = sharpest + (most - sharpest) * rng.random() ** 2  # most images are nearly sharp
    focused = through_lens(emitted, laboratory, pixel, defocus)
    exposure = np.exp(parameters.optics.exposure_spread * rng.standard_normal()) * laboratory.gain
    exposure *= (_EXPOSED / max(float(np.quantile(focused[::4, ::4], 0.98)), 0.02)) ** laboratory.compensation
    lit = illuminated(focused, laboratory) * np.float32(exposure)
    red = None
    if laboratory.counterstain:
        evans = np.float32(laboratory.counterstain) * np.maximum(anatomy.cytoplasm, anatomy.body)
        red = through_lens(evans, laboratory, pixel, 0.5)
    picture = photographed(lit, red, laboratory, rng)
    if specimen.size != laboratory.size:
        picture = np.asarray(Pictures.fromarray(picture).resize(specimen.size, Pictures.Resampling.BOX))
    return Field(anatomy, staining, emitted, focused, lit, picture)


def _edge(rng: np.random.Generator, extent: tuple[float, float]) -> NDArray[np.float64]:
    """Draw the circle beyond the edge of the well, which cuts into the field: x, y and radius in um."""
    reach, around = 0.5 * float(np.hypot(*extent)), rng.uniform(0, 2 * np.pi)
    distance = _FLAT + rng.uniform(0.0, 0.75) * reach  # of its centre: it covers up to half of the field
    x, y = 0.5 * np.array(extent) + distance * np.array([np.cos(around), np.sin(around)])
    return np.array([x, y, _FLAT])


def _inside(shape: tuple[int, int], pixel: float, edge: NDArray[np.float64]) -> Image:
    """Share of the light that comes from a place: 1 in the well, little from the mask around it; H x W."""
    y = ((np.arange(shape[0], dtype=np.float32) + 0.5) * np.float32(pixel) - np.float32(edge[1]))[:, None]
    x = ((np.arange(shape[1], dtype=np.float32) + 0.5) * np.float32(pixel) - np.float32(edge[0]))[None, :]
    outside = np.clip((np.sqrt(x * x + y * y) - np.float32(edge[2])) / np.float32(8.0), 0, 1)  # 8 um wide
    return np.float32(0.35) + np.float32(0.65) * outside


def _slope(shape: tuple[int, int], tilt: tuple[float, float]) -> Image:
    """A plane around 1: background is never quite even."""
    y = np.linspace(-tilt[1], tilt[1], shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-tilt[0], tilt[0], shape[1], dtype=np.float32)[None, :]
    return 1 + 2 * (x + y)


class Stage(NamedTuple):
    """A step from specimen to file, and the field after it."""

    name: str
    picture: NDArray[np.uint8]  # H x W x 3


def stages(
    pattern: str = "coarse speckled", grade: str = "3+", *, seed: int = 0, share: float = 1.0
) -> list[Stage]:
    """Simulate one field and keep it after each stage.

    Args:
        pattern: name of a staining pattern or its ICAP code, "negative" or "negative, bright".
        grade: "+/-", "1+", "2+", "3+" or "4+"; not used for negatives.
        seed: other fields for other seeds.
        share: of the field's width and height that is shown, above 0 and at most 1: a window around a
            dividing cell, so that the same cells can be followed through the stages.

    Returns:
        Cells, staining, unspecific light, lens, illumination, camera, file, squeezed to 224 x 224.

    Raises:
        SimulationError: no such pattern or grade, or an impossible share.
    """
    if not 0 < share <= 1:
        raise SimulationError(f"share {share!r}: above 0 and at most 1 of the field can be shown")
    simulation = Simulation(seed=seed, apart=True)
    laboratories, specimens = simulation.draw()
    own = simulation.parameters.specimen
    model = specimens[0]
    laboratory = laboratories[model.laboratory]
    if pattern in (NEGATIVE, BRIGHT_NEGATIVE):
        haze = float(np.mean(own.bright_level if pattern == BRIGHT_NEGATIVE else own.dim_level))
        changes = {"grade": "0", "level": 0.0, "haze": haze, "pattern": pattern, "stained": ""}
    else:
        if grade not in own.grades:
            raise SimulationError(f"grade {grade!r}: it may be {', '.join(own.grades)}")
        try:
            name = find_pattern(pattern).name
        except KeyError as error:
            raise SimulationError(str(error.args[0])) from error
        level = own.grade_levels[own.grades.index(grade)]
        changes = {"grade": grade, "level": level, "haze": 0.02, "pattern": name, "stained": name}
    specimen = replace(model, size=laboratory.size, showing=1.0, **changes)  # type: ignore[arg-type]  # values of mixed types
    rng = simulation.specimen_stream(specimen)
    style = draw_style(rng, own)
    field = simulate_field(specimen, style, laboratory, rng, simulation.parameters, 1)
    pictures = _pictures(field, laboratory.quality)
    return [Stage(name, _window(picture, field.anatomy, share)) for name, picture in pictures.items()]


def _window(picture: NDArray[np.uint8], anatomy: Anatomy, share: float) -> NDArray[np.uint8]:
    """Cut a window out of a picture of the whole field, around its first cell: a dividing one."""
    height, width = picture.shape[:2]
    field = np.array(anatomy.shape[::-1]) * anatomy.pixel
    left, top = np.clip(anatomy.cells.centre[0] / field - share / 2, 0, 1 - share)
    x, y = round(left * width), round(top * height)
    return picture[y : y + round(share * height), x : x + round(share * width)]


def _pictures(field: Field, quality: int) -> dict[str, NDArray[np.uint8]]:
    """Turn a field's stages into pictures, light on one scale from the slide to the camera."""
    top = max(float(np.quantile(field.emitted, 0.999)), 1e-6)
    stored = io.BytesIO()
    Pictures.fromarray(field.picture).save(stored, "JPEG", quality=quality)
    file = Pictures.open(stored).convert("RGB")
    squeezed = file.resize((224, 224), Pictures.Resampling.BICUBIC)
    return {
        "cells": _drawing(field),
        "staining": _grey(field.staining, top),
        "slide": _grey(field.emitted, top),  # with unspecific light of the cells and the background
        "lens": _grey(field.focused, top),
        "illumination": _grey(field.lit, top),
        "camera": field.picture,
        "file": np.asarray(file),
        "network input": np.asarray(squeezed),
    }


def _grey(light: Image, top: float) -> NDArray[np.uint8]:
    grey = np.clip(255 * light / top, 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _drawing(field: Field) -> NDArray[np.uint8]:
    anatomy = field.anatomy
    layers = (
        (anatomy.cytoplasm > 0.15, (60, 60, 66)),
        (anatomy.nucleus > 0.5, (70, 120, 200)),
        (anatomy.nucleolus > 0.5, (150, 190, 240)),
        (anatomy.body > 0, (90, 85, 50)),
        (anatomy.chromatin > 0.5, (240, 210, 90)),
    )
    picture = np.zeros((*anatomy.shape, 3), np.uint8)
    for where, colour in layers:
        picture[where] = colour
    return picture
