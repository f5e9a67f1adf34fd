"""Winograd's changes of basis in the plane as compiled loops over tiles, and their adjoints.

A tile is brought over along its rows and then along its columns (``hep2lib.cnn.winograd_bases``). Arrays that
are in the basis are places x tiles x channels: 36 places for a tile of 4 x 4 results, 49 for one of 5 x 5;
tiles go image by image, row by row. ``points``, those of the basis, tell which tile it is: as the number of
a tuple's elements belongs to its type, each tile gets compiled loops of its own, without a branch.
"""

import numpy as np

from .loops import compiled, inlined
from .winograd_bases import (
    from_basis_4,
    from_basis_5,
    from_basis_adjoint_4,
    from_basis_adjoint_5,
    into_basis_4,
    into_basis_5,
    into_basis_adjoint_4,
    into_basis_adjoint_5,
)


@inlined
def _grid(points: tuple, height: int, width: int) -> tuple[bool, int, int, int]:
    """Whether tiles are the smaller ones, their results in a line, and how many cover a plane."""
    four = len(points) == 2
    span = 4 if four else 5
    return four, span, (height + span - 1) // span, (width + span - 1) // span


# Seven values in a line of a tile, for all channels. The smaller tile has six of them, and four results in
# place of five: there the last stands twice and is left out by what follows.


@inlined
def _row(values: np.ndarray, row: int) -> tuple:
    v0, v1, v2, v3 = values[row, 0], values[row, 1], values[row, 2], values[row, 3]
    return v0, v1, v2, v3, values[row, 4], values[row, 5], values[row, values.shape[1] - 1]


@inlined
def _column(values: np.ndarray, column: int) -> tuple:
    v0, v1, v2, v3 = values[0, column], values[1, column], values[2, column], values[3, column]
    return v0, v1, v2, v3, values[4, column], values[5, column], values[len(values) - 1, column]


@inlined
def _results_in_column(values: np.ndarray, column: int) -> tuple:
    v0, v1, v2, v3 = values[0, column], values[1, column], values[2, column], values[3, column]
    return v0, v1, v2, v3, values[len(values) - 1, column]


@inlined
def _places(in_basis: np.ndarray, side: int, column: int, tile: int) -> tuple:
    """A column of a tile of ``side`` x ``side`` places, of places x tiles x channels."""
    v0, v1 = in_basis[column, tile], in_basis[column + side, tile]
    v2, v3 = in_basis[column + 2 * side, tile], in_basis[column + 3 * side, tile]
    v4, v5 = in_basis[column + 4 * side, tile], in_basis[column + 5 * side, tile]
    return v0, v1, v2, v3, v4, v5, in_basis[column + (side - 1) * side, tile]


@inlined
def _into_basis(four: bool, source: tuple, target: tuple) -> None:
    """Bring a line of seven pixels, all channels, into the basis; the smaller tile leaves the seventh out."""
    c0, c1, c2, c3, c4, c5, c6 = source
    o0, o1, o2, o3, o4, o5, o6 = target
    for c in range(len(o0)):
        if four:
            o0[c], o1[c], o2[c], o3[c], o4[c], o5[c] = into_basis_4(c0[c], c1[c], c2[c], c3[c], c4[c], c5[c])
        else:
            o0[c], o1[c], o2[c], o3[c], o4[c], o5[c], o6[c] = into_basis_5(
                c0[c], c1[c], c2[c], c3[c], c4[c], c5[c], c6[c]
            )


@inlined
def _into_basis_adjoint(four: bool, source: tuple, target: tuple) -> None:
    """The adjoint of ``_into_basis``."""
    v0, v1, v2, v3, v4, v5, v6 = source
    d0, d1, d2, d3, d4, d5, d6 = target
    for c in range(len(d0)):
        if four:
            d0[c], d1[c], d2[c], d3[c], d4[c], d5[c] = into_basis_adjoint_4(
                v0[c], v1[c], v2[c], v3[c], v4[c], v5[c]
            )
        else:
            d0[c], d1[c], d2[c], d3[c], d4[c], d5[c], d6[c] = into_basis_adjoint_5(
                v0[c], v1[c], v2[c], v3[c], v4[c], v5[c], v6[c]
            )


@inlined
def _from_basis_adjoint(four: bool, source: tuple, target: tuple) -> None:
    """The adjoint of bringing seven products back to five results, of which the smaller tile has one less."""
    y0, y1, y2, y3, y4 = source
    m0, m1, m2, m3, m4, m5, m6 = target
    for c in range(len(m0)):
        if four:
            m0[c], m1[c], m2[c], m3[c], m4[c], m5[c] = from_basis_adjoint_4(y0[c], y1[c], y2[c], y3[c])
        else:
            m0[c], m1[c], m2[c], m3[c], m4[c], m5[c], m6[c] = from_basis_adjoint_5(
                y0[c], y1[c], y2[c], y3[c], y4[c]
            )


@compiled
def images_into_basis(
    first: int, last: int, points: tuple, x: np.ndarray, step: int, height: int, width: int, out: np.ndarray
) -> None:
    """Bring the values under each tile, one more on every side than it has results, into Winograd's basis.

    Args:
        first: the first image.
        last: the one after the last.
        points: of the basis.
        x: flat pixels of N x C x height x width; outside it values are zero.
        step: from pixel to pixel of ``x``.
        height: pixels.
        width: pixels.
        out: places x tiles x C, what is computed.
    """
    channels = out.shape[2]
    four, span, down, across = _grid(points, height, width)
    side = span + 2
    nothing = np.zeros(channels, x.dtype)
    half = np.empty((side, side, channels), x.dtype)
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * span - 1, place % across * span - 1
        for row in range(side):
            inside = 0 <= top + row < height
            start = ((image * height + top + row) * width + left) * step
            c0 = x[start : start + channels] if inside and left >= 0 else nothing
            start += step
            c1 = x[start : start + channels] if inside else nothing
            start += step
            c2 = x[start : start + channels] if inside and left + 2 < width else nothing
            start += step
            c3 = x[start : start + channels] if inside and left + 3 < width else nothing
            start += step
            c4 = x[start : start + channels] if inside and left + 4 < width else nothing
            start += step
            c5 = x[start : start + channels] if inside and left + 5 < width else nothing
            start += step
            c6 = x[start : start + channels] if inside and left + 6 < width else nothing
            _into_basis(four, (c0, c1, c2, c3, c4, c5, c6), _row(half, row))
        for k in range(side):
            _into_basis(four, _column(half, k), _places(out, side, k, tile))


@compiled
def results_from_basis(
    first: int,
    last: int,
    points: tuple,
    products: np.ndarray,
    bias: np.ndarray,
    rectify: bool,
    height: int,
    width: int,
    out: np.ndarray,
) -> None:
    """Bring products back to tiles of results, add the bias, and rectify where asked.

    Args:
        first: the first image.
        last: the one after the last.
        points: of the basis.
        products: places x tiles x C'.
        bias: C'.
        rectify: set negative results to zero.
        height: pixels.
        width: pixels.
        out: N x height x width x C', what is computed.
    """
    channels = products.shape[2]
    four, span, down, across = _grid(points, height, width)
    side = span + 2
    half = np.empty((span, side, channels), products.dtype)
    lost = np.empty(channels, products.dtype)  # results beyond the plane
    least = products.dtype.type(0 if rectify else -np.inf)
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * span, place % across * span
        for k in range(side):
            m0, m1, m2, m3, m4, m5, m6 = _places(products, side, k, tile)
            y0, y1, y2, y3, y4 = _results_in_column(half, k)
            for c in range(channels):
                if four:
                    y0[c], y1[c], y2[c], y3[c] = from_basis_4(m0[c], m1[c], m2[c], m3[c], m4[c], m5[c])
                else:
                    y0[c], y1[c], y2[c], y3[c], y4[c] = from_basis_5(
                        m0[c], m1[c], m2[c], m3[c], m4[c], m5[c], m6[c]
                    )
        for row in range(min(span, height - top)):
            m0, m1, m2, m3, m4, m5, m6 = _row(half, row)
            y0 = out[image, top + row, left]
            y1 = out[image, top + row, left + 1] if left + 1 < width else lost
            y2 = out[image, top + row, left + 2] if left + 2 < width else lost
            y3 = out[image, top + row, left + 3] if left + 3 < width else lost
            y4 = out[image, top + row, left + 4] if left + 4 < width else lost
            for c in range(channels):
                # In this form what is not a number stays so, and a diverged training is noticed.
                if four:
                    r0, r1, r2, r3 = from_basis_4(m0[c], m1[c], m2[c], m3[c], m4[c], m5[c])
                else:
                    r0, r1, r2, r3, r4 = from_basis_5(m0[c], m1[c], m2[c], m3[c], m4[c], m5[c], m6[c])
                    r4 = r4 + bias[c]
                    y4[c] = least if r4 < least else r4
                r0, r1, r2, r3 = r0 + bias[c], r1 + bias[c], r2 + bias[c], r3 + bias[c]
                y0[c] = least if r0 < least else r0
                y1[c] = least if r1 < least else r1
                y2[c] = least if r2 < least else r2
                y3[c] = least if r3 < least else r3


@compiled
def gradient_into_basis(
    first: int,
    last: int,
    points: tuple,
    gradient: np.ndarray,
    step: int,
    results: np.ndarray,
    results_step: int,
    height: int,
    width: int,
    out: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Bring the results' gradient to that of the products: the adjoint of ``results_from_basis``.

    Args:
        first: the first image.
        last: the one after the last.
        points: of the basis.
        gradient: of the results, flat pixels of N x C' x height x width.
        step: from pixel to pixel of ``gradient``.
        results: flat pixels; where a result is not positive, its gradient counts as zero. One value that is
            positive, with a step of 0, says that results were not rectified.
        results_step: from pixel to pixel of ``results``.
        height: pixels.
        width: pixels.
        out: places x tiles x C', what is computed.
        sums: N x C', the sum of the gradient over each image's pixels, is computed too.
    """
    channels = out.shape[2]
    four, span, down, across = _grid(points, height, width)
    side = span + 2
    window = np.empty((span, span, channels), out.dtype)
    nothing = out.dtype.type(0)
    half = np.empty((span, side, channels), out.dtype)
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * span, place % across * span
        total = sums[image]
        if place == 0:
            total[:] = 0
        for row in range(span):
            for column in range(span):
                values = window[row, column]
                if top + row >= height or left + column >= width:
                    values[:] = 0
                    continue
                pixel = (image * height + top + row) * width + left + column
                upstream = gradient[pixel * step : pixel * step + channels]
                if results_step:
                    result = results[pixel * results_step : pixel * results_step + channels]
                    for c in range(channels):
                        values[c] = upstream[c] if result[c] > 0 else nothing
                        total[c] += values[c]
                else:
                    for c in range(channels):
                        values[c] = upstream[c]
                        total[c] += values[c]
            y0, y1, y2, y3 = window[row, 0], window[row, 1], window[row, 2], window[row, 3]
            y4 = window[row, span - 1]
            _from_basis_adjoint(four, (y0, y1, y2, y3, y4), _row(half, row))
        for k in range(side):
            _from_basis_adjoint(four, _results_in_column(half, k), _places(out, side, k, tile))


@compiled
def gradient_of_images(first: int, last: int, points: tuple, in_basis: np.ndarray, out: np.ndarray) -> None:
    """Bring the gradient back to that of the images: the adjoint of ``images_into_basis``.

    Args:
        first: the first image.
        last: the one after the last.
        points: of the basis.
        in_basis: places x tiles x C.
        out: N x height x width x C, what is computed.
    """
    _, height, width, channels = out.shape
    four, span, down, across = _grid(points, height, width)
    side = span + 2
    half = np.empty((side, side, channels), out.dtype)
    line = np.empty((1, side, channels), out.dtype)
    out[first:last] = 0
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * span - 1, place % across * span - 1
        for k in range(side):
            _into_basis_adjoint(four, _places(in_basis, side, k, tile), _column(half, k))
        for row in range(side):
            if not 0 <= top + row < height:
                continue
            _into_basis_adjoint(four, _row(half, row), _row(line, 0))
            for column in range(side):
                if 0 <= left + column < width:
                    target, part = out[image, top + row, left + column], line[0, column]
                    for c in range(channels):
                        target[c] += part[c]
