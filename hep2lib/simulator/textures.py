"""Random textures on a whole field: smooth noise, grains, threads and dots, all float32."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.floating]


def rounded(function: np.ufunc, *arguments: Image | float) -> Image:
    """Evaluate ``np.exp``, ``np.power`` and the like in double precision and round to float32.

    Their last bits depend on the processor: NumPy has other code for AVX2, AVX-512 and ARM. (Sums, products,
    quotients and roots do not, by IEEE 754.) Of 53 bits, the last ones change the 24 that are kept about once
    in 10**8 numbers, and those hardly ever a grey value: `Simulation` says where the picture was the same.
    """
    return np.asarray(function(*arguments, dtype=np.float64), np.float32)


def blurred(image: Image, sigma: float) -> Image:
    """Convolve H x W pixels with a Gaussian of ``sigma`` pixels, the border repeated: H x W, float32.

    Below 0.2 the kernel is one pixel wide, nothing changes; from 4 on it is applied on a coarser grid.
    """
    if sigma < 0.2:
        return image
    step = int(sigma // 2)
    if step < 2:
        return ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0)
    small = ndimage.gaussian_filter(reduced(image, step), sigma / step, mode="nearest", truncate=3.0)
    return enlarged(small, image.shape, step)


def reduced(image: Image, step: int) -> Image:
    """Average blocks of ``step`` x ``step`` pixels; the last row and column are repeated to fill a block."""
    height, width = image.shape
    padded = np.pad(image, ((0, -height % step), (0, -width % step)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def enlarged(image: Image, shape: tuple[int, ...], step: int) -> Image:
    """Interpolate bilinearly on a grid finer by ``step``, of ``shape``, where ``reduced`` took it from."""
    for axis, length in enumerate(shape):
        place = np.clip((np.arange(length) + 0.5) / step - 0.5, 0, image.shape[axis] - 1)
        below = np.minimum(place.astype(np.intp), max(image.shape[axis] - 2, 0))
        share = (place - below).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        above = np.minimum(below + 1, image.shape[axis] - 1)
        low = image.take(below, axis)
        high = image.take(above, axis)
        high -= low
        high *= share
        high += low
        image = high
    return image


def noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Image:
    """Draw Gaussian noise smoothed by ``sigma`` pixels, mean 0 and standard deviation about 1.

    ``shape`` is height and width in pixels, as for ``grains`` and ``threads``.
    """
    step = max(int(sigma // 1.5), 1)
    coarse = tuple(-(-length // step) + 1 for length in shape)
    values = rng.standard_normal(coarse, dtype=np.float32)
    kernel = sigma / step
    if kernel >= 0.2:
        values = ndimage.gaussian_filter(values, kernel, mode="wrap", truncate=3.0)
        values /= max(float(values.std()), 1e-6)
    if step == 1:
        return np.ascontiguousarray(values[: shape[0], : shape[1]])
    return enlarged(values, shape, step)


def grains(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: float, density: float, *, even: bool = False
) -> Image:
    """Scatter round grains of uneven brightness everywhere, mean 1: the fewer, the more they stand out.

    A grain's standard deviation is ``sigma`` pixels, ``density`` is in grains per square pixel. Even grains,
    one at a random place in each square of a lattice, keep a distance, and what is too fine to be seen turns
    into an even ground; others are wholly at random, in clusters and gaps.
    """
    pixels = shape[0] * shape[1]
    if even:
        step = 1 / np.sqrt(density)
        rows, columns = (int(np.ceil(length / step)) for length in shape)
        y = ((np.arange(rows)[:, None] + rng.random((rows, columns), np.float32)) * step).astype(np.intp)
        x = ((np.arange(columns)[None, :] + rng.random((rows, columns), np.float32)) * step).astype(np.intp)
        inside = (y < shape[0]) & (x < shape[1])
        place, unevenness = (y * shape[1] + x)[inside], 6.0
    else:
        place, unevenness = rng.integers(0, pixels, rng.poisson(density * pixels)), 4.0
    light = rng.gamma(unevenness, 1 / (unevenness * density), len(place))
    flat = np.bincount(place, weights=light, minlength=pixels).astype(np.float32)
    return blurred(flat.reshape(shape), sigma)


def threads(rng: np.random.Generator, shape: tuple[int, ...], sigma: float, width: float) -> Image:
    """Draw a net of threads, 0 to 1: where noise crosses zero.

    ``sigma`` is about half the distance between threads, in pixels; ``width`` is in the noise's deviations.
    """
    lines = noise(rng, shape, sigma)
    lines *= np.float32(1 / width)
    lines *= lines
    np.negative(lines, out=lines)
    return rounded(np.exp, lines)


def dots(
    shape: tuple[int, ...], places: NDArray[np.floating], peaks: NDArray[np.floating], sigma: float
) -> Image:
    """Draw round dots.

    Args:
        shape: height and width in pixels.
        places: n x 2, x and y in pixels, pixel centres at whole numbers; those outside are left out.
        peaks: n, the value at each dot's centre, were its size ``sigma``.
        sigma: standard deviation of a dot in pixels; 0.5 is the smallest drawn, with as much light.
    """
    height, width = shape
    image = np.zeros(shape, np.float32)
    corner = np.floor(places).astype(np.intp)
    share = places - corner
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = corner[:, 0] + dx, corner[:, 1] + dy
            weight = peaks * np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            np.add.at(image, (y[inside], x[inside]), weight[inside].astype(np.float32))
    image *= np.float32(2 * np.pi * sigma**2)
    return blurred(image, max(sigma, 0.5))
