"""Procedural images: fractals, dead leaves and noise, each drawn from one of 128 formulas.

The formula that an image was drawn from is its class. What all formulas share is drawn without regard to the
class: polarity, tone curve, blur, colours, exposure, contrast and noise. No formula draws an ellipse with
something in it, and none comes from the simulator, so nothing that a network learns here is about cells.

Sources: Kataoka et al. 2020, Pre-training without natural images (fractals as classes); Anderson and Farrell
2022, Improving fractal pre-training (how the systems are drawn); Baradad et al. 2021, Learning to see by
looking at noise (dead leaves and noise); Lagae et al. 2009 (sparse Gabor noise); Worley 1996.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import fft, ndimage, spatial

#: Mean of an image's brightest channel in grey levels, drawn log-uniformly between these.
EXPOSURES = 6.0, 120.0

#: Points of a fractal's chaos game, and how often all of them jump.
_POINTS, _UNSEEN, _SEEN = 1500, 10, 12

Generator = np.random.Generator


class Formula(NamedTuple):
    """One class: a family's name and what draws its planes (float32, 1 or 2 x size x size, any scale)."""

    family: str
    draw: Callable[[Generator, int], np.ndarray]


@cache
def formulas() -> tuple[Formula, ...]:
    """The 128 formulas: 48 fractals, 40 of dead leaves, 40 of noise. They are the same for every seed."""
    systems, yes_or_no = np.random.default_rng(20), (False, True)
    fractals = [partial(_fractal, _iterated_functions(systems, 2 + k % 4)) for k in range(48)]
    leaves = [partial(_leaves, *row) for row in product(_LEAVES, yes_or_no, yes_or_no, yes_or_no)]
    noise = [(family, partial(_noise, family, row)) for family, rows in _NOISE.items() for row in rows]
    pairs = [*(("fractal", draw) for draw in fractals), *(("leaves", draw) for draw in leaves), *noise]
    return tuple(Formula(*pair) for pair in pairs)


def procedural_image(index: int, seed: int, size: int, classes: int = 128) -> tuple[np.ndarray, int]:
    """Draw an image; it depends on the arguments alone.

    Args:
        index: its number in the stream, 0 or more. Every class has one image among numbers 0 to
            ``classes`` - 1, one among the next ``classes``, and so on.
        seed: of the stream, 0 or more.
        size: side in pixels, 32 or more.
        classes: as many formulas are used, 1 to 128, of all families.

    Returns:
        The image (uint8, 3 x size x size: red, green, blue) and its class.
    """
    block, place = divmod(index, classes)
    label = int(np.random.default_rng([seed, 1, block]).permutation(classes)[place])
    generator = np.random.default_rng([seed, 0, index])
    return _photograph(generator, formulas()[label * 128 // classes].draw(generator, size)), label


def _photograph(generator: Generator, planes: np.ndarray) -> np.ndarray:
    """Give a formula's planes polarity, tone, blur, colours, exposure and noise: uint8, 3 x H x W.

    The mean of the brightest channel is the exposure whatever the formula: each plane is scaled to mean 1,
    and its contrast lowered where its peak would be more than ``peak`` times the mean.
    """
    planes = planes.astype(np.float32)
    planes -= planes.min((1, 2), keepdims=True)
    planes /= planes.max((1, 2), keepdims=True) + 1e-9
    if generator.random() < 0.5:
        planes = 1 - planes
    planes **= float(np.exp(generator.uniform(-0.6, 0.6)))
    if generator.random() < 0.5:
        blur = generator.uniform(0.4, 1.4)
        planes = ndimage.gaussian_filter(planes, (0, blur, blur), mode="nearest", truncate=2.5)
    mean, peak = planes.mean((1, 2), keepdims=True) + 1e-3, float(np.exp(generator.uniform(0.7, 1.8)))
    planes = 1 + np.minimum(1, (peak - 1) / (1 / mean - 1 + 1e-3)) * (planes / mean - 1)
    gains = generator.uniform(0.2, 1, 3)
    match generator.integers(3):
        case 0:  # grey
            gains[:] = 1
        case 1:  # nearly one channel, as a fluorescent dye gives
            gains *= generator.uniform(0, 0.2)
            gains[generator.integers(3)] = 1
    mixture = generator.dirichlet(np.ones(len(planes)), 3) * (gains / gains.max())[:, None]
    exposure = np.exp(generator.uniform(*np.log(EXPOSURES)))
    weights = (exposure * mixture).astype(np.float32)[:, :, None, None]
    image = (weights * planes).sum(1)  # no matrix product: a library for those may start threads
    noise = float(np.sqrt(exposure) * np.exp(generator.uniform(-2.5, -0.5)))
    image += noise * generator.standard_normal(image.shape, np.float32)
    image = image[:, :: generator.choice([-1, 1]), :: generator.choice([-1, 1])]
    return np.rint(image.clip(0, 255)).astype(np.uint8)


def _iterated_functions(generator: Generator, count: int) -> np.ndarray:
    """Draw a system of ``count`` contractions of the plane whose attractor is neither a point nor a blot.

    float32, 7 x count: the matrix's four entries, the shift's two, and the cumulative probability, which is
    proportional to the determinant.
    """
    while True:
        large = generator.uniform(0.3, 0.9, count)
        small = large * generator.uniform(0.2, 1, count)
        # Anderson and Farrell's rule for attractors that fill a good part of the plane, eq. 5.
        if not 5 + count <= 2 * (large + 2 * small).sum() <= 6 + count:
            continue
        first, second = generator.uniform(0, 2 * np.pi, (2, count))
        flip = generator.choice([-1, 1], count)
        left = np.array([[np.cos(first), -np.sin(first)], [np.sin(first), np.cos(first)]])
        right = np.array([[np.cos(second), -np.sin(second)], [np.sin(second), np.cos(second)]])
        matrix = np.einsum("ijn,jn,jkn->ikn", left, np.array([large, small * flip]), right)
        chances = (large * small) / (large * small).sum()
        shift = generator.uniform(-1, 1, (2, count))
        system = np.concatenate([matrix.reshape(4, count), shift, chances.cumsum()[None]]).astype(np.float32)
        filled = (_fractal(system, np.random.default_rng(0), 32)[0] > 0).mean()
        if 0.12 < filled < 0.6:
            return system


def _fractal(system: np.ndarray, generator: Generator, size: int) -> np.ndarray:
    """The attractor of a system of functions by the chaos game: log density, and that of one function."""
    jittered = system[:6] * generator.uniform(0.94, 1.06, (6, system.shape[1])).astype(np.float32)
    # Probabilities in steps of 1/256, so that bytes choose the functions.
    table = np.searchsorted(system[6, :-1], (np.arange(256) + 0.5) / 256)
    chosen = table[generator.integers(256, size=(_UNSEEN + _SEEN, _POINTS), dtype=np.uint8)]
    path = np.zeros((len(chosen) + 1, 2, _POINTS), np.float32)
    for which, (x, y), after in zip(chosen, path[:-1], path[1:], strict=True):
        a, b, c, d, e, f = jittered.take(which, axis=1)
        after[0], after[1] = a * x + b * y + e, c * x + d * y + f
    cloud, last = path[1 + _UNSEEN :].swapaxes(0, 1).reshape(2, -1), chosen[_UNSEEN:].ravel()
    cloud -= cloud.mean(1, keepdims=True)
    turn, zoom = generator.uniform(0, 2 * np.pi), generator.uniform(0.8, 1.6)
    cloud *= zoom * size / float(4 * cloud.std() + 1e-6)
    (x, y), (left, top) = cloud, size * generator.uniform(0.4, 0.6, 2)
    column = np.floor(math.cos(turn) * x - math.sin(turn) * y + float(left)).astype(int)
    row = np.floor(math.sin(turn) * x + math.cos(turn) * y + float(top)).astype(int)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    place = (row * size + column)[inside]
    counts = [np.bincount(place, minlength=size**2), np.bincount(place, last[inside] == 0, size**2)]
    return np.log1p(np.array(counts, np.float32)).reshape(2, size, size)


#: The leaves' outlines, complex; none is round.
_TURN = 2j * np.pi
_LEAVES = {
    "triangle": np.exp(_TURN * np.arange(3) / 3),
    "square": np.exp(_TURN * np.arange(4) / 4),
    "bar": np.array([2 + 0.25j, -2 + 0.25j, -2 - 0.25j, 2 - 0.25j]),
    "star": np.array([1.2, 0.4] * 5) * np.exp(_TURN * np.arange(10) / 10),
    "corner": np.array([-1 - 1j, 1 - 1j, 1 - 0.4j, -0.4 - 0.4j, -0.4 + 1j, -1 + 1j]),
}


def _leaves(
    shape: str, dense: bool, textured: bool, steep: bool, generator: Generator, size: int
) -> np.ndarray:
    """Opaque polygons that hide one another, their sizes drawn from a power law, flat or with gratings."""
    count = 1 + int(size**2 * (0.02 if dense else 0.004) * (1.5 if steep else 0.75))
    smallest, largest, slope = 1.5, size / 4, 2.0 if steep else 0.7
    share = generator.random(count)
    radius = (smallest**-slope + share * (largest**-slope - smallest**-slope)) ** (-1 / slope)
    direction = radius * np.exp(2j * np.pi * generator.random(count))
    centre = generator.uniform(-5, size + 5, count) + 1j * generator.uniform(-5, size + 5, count)
    corners = centre[:, None] + direction[:, None] * _LEAVES[shape]
    image = Image.new("I", (size, size))
    pen = ImageDraw.Draw(image)
    flat = np.stack([corners.real, corners.imag], -1).reshape(count, -1).tolist()
    for number, outline in enumerate(flat, 1):
        pen.polygon(outline, fill=number)
    leaf = np.asarray(image)
    planes = generator.random((2, count + 1)).astype(np.float32)[:, leaf]
    if textured:
        angle, phase = generator.uniform(0, 2 * np.pi, (2, count + 1))
        wave = 2 * np.pi * np.exp(generator.uniform(np.log(0.06), np.log(0.3), count + 1))
        across, down, start = np.array([wave * np.cos(angle), wave * np.sin(angle), phase], np.float32)
        y, x = np.mgrid[:size, :size].astype(np.float32)
        planes += 0.35 * np.sin(across[leaf] * x + down[leaf] * y + start[leaf])
    return planes


#: Families of noise, and the numbers that tell their formulas apart: see ``_noise``.
_NOISE: dict[str, list[tuple[float, ...]]] = {
    "spectral": [(0.4, 1.0), (0.8, 1.0), (1.2, 1.0), (1.7, 1.0), (0.8, 5.0), (1.4, 4.0)],
    "band": [(0.04, 0.25, 1.0), (0.09, 0.25, 1.0), (0.2, 0.25, 1.0), (0.09, 0.2, 4.0), (0.2, 0.2, 4.0)],
    "threshold": [(0.8, 0.0), (0.8, 1.2), (1.4, 0.0), (1.4, 0.9), (2.0, 0.0)],
    "ridge": [(0.04, 2.0), (0.08, 2.0), (0.08, 8.0), (0.15, 4.0)],
    "spots": [(0.003, 1.2), (0.003, 3.0), (0.02, 0.8), (0.02, 1.8)],
    "gabor": [(0.004, 0.1, 6.0), (0.004, 0.22, 4.0), (0.02, 0.14, 3.0), (0.004, 0.22, 12.0)],
    "stripes": [(0.04, 1.0), (0.04, 4.0), (0.1, 1.5), (0.1, 4.0)],
    "checks": [(0.05, 0.8), (0.12, 0.8), (0.08, 3.0)],
    "worley": [(0.003, 0), (0.012, 0), (0.003, 1), (0.012, 1)],
    "cascade": [(1.0, 1.0)],
}


def _noise(family: str, numbers: tuple[float, ...], generator: Generator, size: int) -> np.ndarray:
    """One of ``_NOISE``; frequencies in cycles per pixel, widths in pixels, densities in points per pixel."""
    if family == "spectral":
        return _spectral(generator, size, *numbers)
    if family == "band":
        return _band(generator, size, *numbers)
    if family == "threshold":  # with steep edges
        slope, level = numbers
        return 1 / (1 + np.exp(-12 * (_spectral(generator, size, slope) - level)))
    if family == "ridge":  # lines along which a band passes through zero
        centre, power = numbers
        return np.exp(-power * np.abs(_band(generator, size, centre, 0.3)))
    if family == "cascade":  # bright patches on dark ground
        slope, strength = numbers
        return np.exp(strength * _spectral(generator, size, slope))
    if family == "spots":  # blurred points
        density, width = numbers
        _, radius = _turned(generator, size)
        kernel = np.exp(-2 * (np.pi * width * _jitter(generator) * radius) ** 2)
        return np.abs(fft.ifft2(_impulses(generator, size, density) * kernel))[None]
    if family == "gabor":  # wave packets of one direction
        density, frequency, width = numbers
        along, radius = _turned(generator, size)
        frequency *= _jitter(generator)
        kernel = np.exp(-2 * (np.pi * width) ** 2 * (radius**2 - 2 * frequency * along + frequency**2))
        field = fft.ifft2(_impulses(generator, size, density) * kernel)
        return np.stack([field.real, np.abs(field)])
    if family == "worley":  # distance to the nearest point, or from the border with the next
        density, border = numbers
        points = generator.uniform(-8, size + 8, (3 + generator.poisson(density * (size + 16) ** 2), 2))
        places = np.mgrid[:size, :size].reshape(2, -1).T
        near, next_ = spatial.KDTree(points).query(places, 2)[0].astype(np.float32).T
        return (np.sqrt(next_ - near) if border else near).reshape(1, size, size)
    # Stripes or checks: bent waves with soft or hard edges.
    hardness, waves = generator.uniform(0.5, 4), _waves(generator, size, *numbers)
    return np.tanh(hardness * (waves[:1] if family == "stripes" else waves.prod(0)[None]))


def _turned(generator: Generator, size: int, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies along a random direction, and their distance from zero, across it stretched."""
    turn, own = generator.uniform(0, 2 * np.pi), fft.fftfreq(size).astype(np.float32)
    along = math.cos(turn) * own + math.sin(turn) * own[:, None]
    across = math.cos(turn) * own[:, None] - math.sin(turn) * own
    return along, np.sqrt(along**2 + (stretch * across) ** 2)


def _jitter(generator: Generator) -> float:
    """A factor near 1 by which a formula's scale varies between its images."""
    return float(np.exp(generator.uniform(-0.2, 0.2)))


def _filtered(generator: Generator, amplitude: np.ndarray) -> np.ndarray:
    """White noise with the given spectrum: two independent planes of mean 0 and standard deviation 1."""
    real, imaginary = generator.standard_normal((2, *amplitude.shape), np.float32)
    field = fft.ifft2((real + 1j * imaginary) * amplitude)
    planes = np.stack([field.real, field.imag])
    planes -= planes.mean((1, 2), keepdims=True)
    return planes / (planes.std((1, 2), keepdims=True) + 1e-12)


def _spectral(generator: Generator, size: int, slope: float, stretch: float = 1.0) -> np.ndarray:
    """Noise whose amplitude falls as a power of the frequency."""
    return _filtered(generator, (_turned(generator, size, stretch)[1] + 1 / size) ** -slope)


def _band(generator: Generator, size: int, centre: float, width: float, stretch: float = 1.0) -> np.ndarray:
    """Noise of frequencies around ``centre``, within ``width`` in natural logarithms."""
    radius = _turned(generator, size, stretch)[1]
    offset = np.log((radius + 1e-4) / (centre * _jitter(generator))) / width
    return _filtered(generator, np.exp(-0.5 * offset**2))


def _impulses(generator: Generator, size: int, density: float) -> np.ndarray:
    """The spectrum of points at random places, of random complex strength."""
    count = 1 + generator.poisson(density * size**2)
    field = np.zeros(size**2, np.complex64)
    strength = generator.lognormal(0, 0.6, count) * np.exp(2j * np.pi * generator.random(count))
    field[generator.integers(size**2, size=count)] = strength
    return fft.fft2(field.reshape(size, size))


def _waves(generator: Generator, size: int, frequency: float, warp: float) -> np.ndarray:
    """Two plane waves at a right angle, bent by smooth noise: -1 to 1."""
    turn, scale = generator.uniform(0, 2 * np.pi), 2 * np.pi * frequency * _jitter(generator)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
    bend = warp * _spectral(generator, size, 1.8)
    bend += generator.uniform(0, 2 * np.pi, (2, 1, 1)).astype(np.float32)
    return np.sin(bend + np.stack([cosine * x + sine * y, cosine * y - sine * x]))
