"""Max pooling and its gradient as compiled loops, for windows of up to 3 x 3 and any floating-point type."""

import numpy as np

from .halves import number, stored
from .loops import compiled, inlined


@inlined
def _reach(number: int, side: int, stride: int, padding: int, size: int) -> tuple[int, int]:
    """First and last place in the image of a window's rows, or of its columns."""
    start = number * stride - padding
    return max(start, 0), min(start + side, size) - 1


@inlined
def _largest_of_three(v0: float, v1: float, v2: float) -> float:
    # What is not a number is neither larger nor smaller than anything, and stays.
    value = v0 if number(v0) >= number(v1) or number(v0) != number(v0) else v1
    return value if number(value) >= number(v2) or number(value) != number(value) else v2


@compiled
def largest(
    first: int,
    last: int,
    x: np.ndarray,
    step: int,
    height: int,
    width: int,
    window: tuple[int, int, int],
    out: np.ndarray,
) -> None:
    """Max pooling: the largest value of each window.

    Args:
        first: the first image.
        last: the one after the last.
        x: flat pixels of N x C x height x width.
        step: from pixel to pixel of ``x``.
        height: pixels.
        width: pixels.
        window: side (1 to 3), step from window to window, and how far a window may reach beyond the image.
        out: N x H' x W' x C, what is computed.
    """
    side, stride, padding = window
    _, rows, columns, channels = out.shape
    half = np.empty((width, channels), out.dtype)  # the largest of each column of the windows in a row
    for image in range(first, last):
        for row in range(rows):
            low, high = _reach(row, side, stride, padding, height)
            for z in range(width):
                start = ((image * height + low) * width + z) * step
                v0 = x[start : start + channels]
                start = ((image * height + min(low + 1, high)) * width + z) * step
                v1 = x[start : start + channels]
                start = ((image * height + high) * width + z) * step
                v2 = x[start : start + channels]
                target = half[z]
                for c in range(channels):
                    target[c] = _largest_of_three(v0[c], v1[c], v2[c])
            for column in range(columns):
                low, high = _reach(column, side, stride, padding, width)
                v0, v1, v2 = half[low], half[min(low + 1, high)], half[high]
                target = out[image, row, column]
                for c in range(channels):
                    target[c] = _largest_of_three(v0[c], v1[c], v2[c])


@compiled
def gradient_of_largest(
    first: int,
    last: int,
    x: np.ndarray,
    step: int,
    height: int,
    width: int,
    window: tuple[int, int, int],
    results: np.ndarray,
    gradient: np.ndarray,
    gradient_step: int,
    add: bool,
    out: np.ndarray,
) -> None:
    """Gradient of ``largest``: to the first place of a window, row by row, that holds the largest value.

    Args:
        first: the first image.
        last: the one after the last.
        x: what was pooled, flat pixels of N x C x height x width.
        step: from pixel to pixel of ``x``.
        height: pixels.
        width: pixels.
        window: as in ``largest``.
        results: N x H' x W' x C, what ``largest`` computed.
        gradient: of the results, flat pixels.
        gradient_step: from pixel to pixel of ``gradient``.
        add: add the gradient to what is in ``out``.
        out: N x height x width x C, what is computed.
    """
    side, stride, padding = window
    _, rows, columns, channels = results.shape
    like = out.dtype.type(0)
    nothing = number(like)
    rest = np.full(channels, nothing)
    for image in range(first, last):
        if not add:
            out[image] = 0  # image by image, so that it is still in the cache when it is needed
        for row in range(rows):
            for column in range(columns):
                start = ((image * rows + row) * columns + column) * gradient_step
                upstream, result = gradient[start : start + channels], results[image, row, column]
                for c in range(channels):
                    rest[c] = number(upstream[c])
                top, left = row * stride - padding, column * stride - padding
                for y in range(max(top, 0), min(top + side, height)):
                    for z in range(max(left, 0), min(left + side, width)):
                        start = ((image * height + y) * width + z) * step
                        value, target = x[start : start + channels], out[image, y, z]
                        for c in range(channels):
                            part = rest[c] if number(value[c]) == number(result[c]) else nothing
                            target[c] = stored(number(target[c]) + part, like)
                            rest[c] -= part
