"""The rectifier's gradient, with its sums over pixels, as a compiled loop."""

import numpy as np

from .halves import number
from .loops import compiled


@compiled
def gradient_of_rectified(
    first: int,
    last: int,
    plane: int,
    gradient: np.ndarray,
    step: int,
    results: np.ndarray,
    results_step: int,
    out: np.ndarray,
    out_step: int,
    sums: np.ndarray,
) -> None:
    """Pass a gradient on where the result was positive, and sum it up for the gradient of a bias.

    Args:
        first: the first image.
        last: the one after the last.
        plane: pixels of an image.
        gradient: of the results, flat pixels of N x C.
        step: from pixel to pixel of ``gradient``.
        results: what was rectified, flat pixels.
        results_step: from pixel to pixel of ``results``.
        out: flat pixels, what is computed.
        out_step: from pixel to pixel of ``out``.
        sums: N x C, over each image's pixels, is computed too; float32 where values are bfloat16.
    """
    channels = sums.shape[1]
    nothing = out.dtype.type(0)
    for image in range(first, last):
        total = sums[image]
        total[:] = 0
        for pixel in range(image * plane, (image + 1) * plane):
            upstream = gradient[pixel * step : pixel * step + channels]
            result = results[pixel * results_step : pixel * results_step + channels]
            target = out[pixel * out_step : pixel * out_step + channels]
            for c in range(channels):
                value = upstream[c] if number(result[c]) > 0 else nothing
                target[c] = value
                total[c] += number(value)
