"""Random textures on a whole field: smooth noise, speckles, threads and dots, all float32."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.floating]


def blurred(image: Image, sigma: float) -> Image:
    """Convolve with a Gaussian.

    Args:
        image: H x W.
        sigma: standard deviation in pixels; below 0.2 the kernel is one pixel wide, nothing changes.

    Returns:
        H x W, float32. Kernels wider than 6 pixels are applied on a coarser grid, to within about 1 %.
    """
    if sigma < 0.2:
        return image
    step = int(sigma // 3)
    if step < 2:
        return ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0)
    small = ndimage.gaussian_filter(reduced(image, step), sigma / step, mode="nearest", truncate=3.0)
    return enlarged(small, image.shape)


def reduced(image: Image, step: int) -> Image:
    """Average blocks of ``step`` x ``step`` pixels; the last row and column are repeated to fill a block."""
    height, width = image.shape
    padded = np.pad(image, ((0, -height % step), (0, -width % step)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def enlarged(image: Image, shape: tuple[int, ...]) -> Image:
    """Interpolate bilinearly to a larger ``shape``, pixel centres kept where ``reduced`` put them."""
    for axis, length in enumerate(shape):
        step = -(-length // image.shape[axis])
        place = np.clip((np.arange(length) + 0.5) / step - 0.5, 0, image.shape[axis] - 1)
        below = np.minimum(place.astype(np.intp), max(image.shape[axis] - 2, 0))
        share = (place - below).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        above = np.minimum(below + 1, image.shape[axis] - 1)
        image = image.take(below, axis) * (1 - share) + image.take(above, axis) * share
    return image


def noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Image:
    """Draw Gaussian noise with a Gaussian correlation, mean 0 and standard deviation 1.

    Args:
        rng: the random stream.
        shape: height and width in pixels.
        sigma: half the correlation length, in pixels (the standard deviation of the smoothing kernel).
    """
    step = max(int(sigma // 1.5), 1)
    coarse = tuple(-(-length // step) + 1 for length in shape)
    kernel = sigma / step
    grains = rng.standard_normal(coarse, dtype=np.float32)
    if kernel >= 0.2:
        grains = ndimage.gaussian_filter(grains, kernel, mode="wrap", truncate=3.0)
        grains /= max(float(grains.std()), 1e-6)
    if step == 1:
        return np.ascontiguousarray(grains[: shape[0], : shape[1]])
    return enlarged(grains, shape)


def speckles(rng: np.random.Generator, shape: tuple[int, ...], sigma: float, sharpness: float) -> Image:
    """Draw bright grains on a darker ground: noise passed through a logistic curve, values 0 to 1.

    Args:
        rng: the random stream.
        shape: height and width in pixels.
        sigma: about a grain's radius, in pixels.
        sharpness: slope of the curve; 1 gives a soft texture, 4 nearly two values.
    """
    grains = noise(rng, shape, sigma)
    grains -= np.float32(0.35)
    grains *= np.float32(-2.0 * sharpness)
    np.exp(grains, out=grains)
    grains += 1
    return np.reciprocal(grains, out=grains)


def threads(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Image:
    """Draw a net of bright threads: zero crossings of noise, thinned out by a second noise, 0 to 1."""
    lines = np.abs(noise(rng, shape, sigma))
    np.exp(-((lines / np.float32(0.28)) ** 2), out=lines)
    return lines * speckles(rng, shape, 1.3 * sigma, 1.2)


def dots(
    shape: tuple[int, ...], places: NDArray[np.float64], peaks: NDArray[np.float64], sigma: float
) -> Image:
    """Draw round dots.

    Args:
        shape: height and width in pixels.
        places: n x 2, x and y in pixels, pixel centres at whole numbers; those outside are left out.
        peaks: n, the value at each dot's centre.
        sigma: standard deviation of a dot in pixels, at least 0.5 is drawn.

    Returns:
        H x W, the sum of the dots.
    """
    height, width = shape
    sigma = max(sigma, 0.5)
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
    return blurred(image, sigma)
