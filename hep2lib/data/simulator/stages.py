"""One field after each stage of the forward model, as pictures to look at."""

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from hep2lib.data.simulator.anatomy import Anatomy
from hep2lib.data.simulator.fields import Field, simulate_field
from hep2lib.data.simulator.patterns import BRIGHT_NEGATIVE, NEGATIVE, find_pattern
from hep2lib.data.simulator.simulation import Simulation, SimulationError
from hep2lib.data.simulator.style import draw_style
from hep2lib.data.simulator.textures import Image


@dataclass(frozen=True, slots=True)
class Stage:
    """One step from specimen to file.

    Attributes:
        name: of the stage.
        text: what happened in it, one sentence.
        picture: H x W x 3 uint8.
    """

    name: str
    text: str
    picture: NDArray[np.uint8]


def stages(
    pattern: str = "coarse speckled",
    grade: str = "3+",
    *,
    seed: int = 0,
    share: float = 1.0,
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
        bounds = own.bright_level if pattern == BRIGHT_NEGATIVE else own.dim_level
        changes = {
            "label": 0,
            "grade": "0",
            "level": 0.0,
            "haze": float(np.mean(bounds)),
            "pattern": pattern,
            "stained": "",
        }
    else:
        if grade not in own.grades:
            raise SimulationError(f"grade {grade!r}: it may be {', '.join(own.grades)}")
        try:
            name = find_pattern(pattern).name
        except KeyError as error:
            raise SimulationError(str(error.args[0])) from error
        level = own.grade_levels[own.grades.index(grade)]
        changes = {"label": 1, "grade": grade, "level": level, "haze": 0.02, "pattern": name, "stained": name}
    specimen = replace(model, size=laboratory.size, **changes)  # type: ignore[arg-type]  # values of mixed types
    rng = simulation.specimen_stream(specimen)
    field = simulate_field(specimen, draw_style(rng), laboratory, rng, simulation.parameters, 1)
    return [
        replace(stage, picture=_window(stage.picture, field.anatomy, share))
        for stage in _shown(field, laboratory.quality)
    ]


def _window(picture: NDArray[np.uint8], anatomy: Anatomy, share: float) -> NDArray[np.uint8]:
    """Cut a window out of a picture of the whole field, around its first cell: a dividing one."""
    height, width = picture.shape[:2]
    field = np.array(anatomy.shape[::-1]) * anatomy.pixel
    left, top = np.clip(anatomy.cells.centre[0] / field - share / 2, 0, 1 - share)
    x, y = round(left * width), round(top * height)
    return picture[y : y + round(share * height), x : x + round(share * width)]


def _shown(field: Field, quality: int) -> list[Stage]:
    """Turn a field's stages into pictures, light on one scale from the slide to the camera."""
    top = max(float(np.quantile(field.emitted, 0.999)), 1e-6)
    stored = io.BytesIO()
    Pictures.fromarray(field.picture).save(stored, "JPEG", quality=quality)
    file = Pictures.open(stored).convert("RGB")
    squeezed = file.resize((224, 224), Pictures.Resampling.BICUBIC)
    return [
        Stage(
            "cells", "Nuclei (blue), nucleoli, cytoplasm (grey), dividing cells (yellow).", _drawing(field)
        ),
        Stage("staining", "Light of the antibodies that are looked for.", _grey(field.staining, top)),
        Stage("slide", "With unspecific light of the cells and the background.", _grey(field.emitted, top)),
        Stage("lens", "Blurred by the lens, with haze from other depths.", _grey(field.focused, top)),
        Stage("illumination", "Weaker towards the corners.", _grey(field.lit, top)),
        Stage("camera", "With noise, as grey values in three colours.", field.picture),
        Stage("file", f"Stored as JPEG of quality {quality}.", np.asarray(file)),
        Stage("network input", "Squeezed to 224 x 224 pixels.", np.asarray(squeezed)),
    ]


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
