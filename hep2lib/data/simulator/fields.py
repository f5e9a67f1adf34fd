"""One field from specimen to picture: the stages of the forward model in the order of physics."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from hep2lib.data.simulator.anatomy import Anatomy, draw_anatomy
from hep2lib.data.simulator.camera import photographed
from hep2lib.data.simulator.cells import place_cells
from hep2lib.data.simulator.laboratories import Laboratory
from hep2lib.data.simulator.optics import illuminated, through_lens
from hep2lib.data.simulator.parameters import Parameters, Range
from hep2lib.data.simulator.patterns import find_pattern
from hep2lib.data.simulator.specimens import Specimen
from hep2lib.data.simulator.staining import debris, stain, unspecific
from hep2lib.data.simulator.style import Style
from hep2lib.data.simulator.textures import Image


@dataclass(frozen=True, slots=True)
class Field:
    """One field and what it went through.

    Attributes:
        anatomy: the cells and their parts.
        staining: H x W, the specific light, share of full scale.
        emitted: H x W, all light that leaves the slide.
        focused: H x W, after the lens.
        lit: H x W, with uneven illumination.
        picture: H x W x 3 uint8, what the camera gives, in the size of the file.
    """

    anatomy: Anatomy
    staining: Image
    emitted: Image
    focused: Image
    lit: Image
    picture: NDArray[np.uint8]


def simulate_field(
    specimen: Specimen,
    style: Style,
    laboratory: Laboratory,
    rng: np.random.Generator,
    parameters: Parameters,
    least_mitoses: int = 0,
) -> Field:
    """Simulate one field of a specimen.

    Args:
        specimen: whose field.
        style: the specimen's way of staining.
        laboratory: where it is looked at.
        rng: the specimen's random stream.
        parameters: the forward model's.
        least_mitoses: dividing cells that the field holds at least.

    Returns:
        The field after each stage.
    """
    width, height = laboratory.size
    pixel = laboratory.pixel
    density = specimen.density * np.exp(0.10 * rng.standard_normal())
    cells = place_cells(
        rng,
        (width * pixel, height * pixel),
        density,
        specimen.mitotic_share,
        specimen.nucleus_diameter,
        parameters.cell,
        least_mitoses,
    )
    anatomy = draw_anatomy(rng, cells, (height, width), pixel, parameters.cell, style.nucleolus_size)
    staining = np.zeros((height, width), np.float32)
    if specimen.stained:
        staining = np.float32(specimen.level) * stain(find_pattern(specimen.stained), anatomy, style, rng)
    emitted = staining + np.float32(specimen.haze) * unspecific(anatomy, style, rng)
    emitted += np.float32(specimen.background) * _slope((height, width), style.tilt)
    emitted += debris(rng, anatomy, style.debris * parameters.specimen.debris)
    exposure = np.exp(parameters.optics.exposure_spread * rng.standard_normal()) * laboratory.gain
    focused = through_lens(emitted, laboratory, pixel, _defocus(rng, parameters.optics.defocus))
    lit = illuminated(focused, laboratory) * np.float32(exposure)
    red = None
    if laboratory.counterstain:
        red = through_lens(
            np.float32(laboratory.counterstain) * np.maximum(anatomy.cytoplasm, anatomy.body),
            laboratory,
            pixel,
            0.5,
        )
    picture = photographed(lit, red, laboratory, rng)
    if specimen.size != laboratory.size:
        picture = np.asarray(Pictures.fromarray(picture).resize(specimen.size, Pictures.Resampling.BOX))
    return Field(anatomy, staining, emitted, focused, lit, picture)


def _defocus(rng: np.random.Generator, bounds: Range) -> float:
    """Draw a focus error: most images are nearly sharp."""
    low, high = bounds
    return low + (high - low) * rng.random() ** 2


def _slope(shape: tuple[int, int], tilt: tuple[float, float]) -> Image:
    """A plane around 1: background is never quite even."""
    y = np.linspace(-tilt[1], tilt[1], shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-tilt[0], tilt[0], shape[1], dtype=np.float32)[None, :]
    return 1 + 2 * (x + y)
