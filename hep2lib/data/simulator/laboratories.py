"""The laboratories of a simulated database: microscope, camera and file habits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hep2lib.data.simulator.parameters import Parameters, Range
from hep2lib.data.simulator.quotas import stratified


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
