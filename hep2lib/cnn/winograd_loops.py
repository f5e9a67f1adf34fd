"""Winograd's changes of basis for tiles of 4 x 4 results, as compiled loops, and their adjoints.

In one direction of the plane six values of an image, or three of a filter, become six in the other basis, and
six products become four results; for a tile that is done along its rows and then along its columns.
"""

from typing import Any

import numpy as np

from .loops import compiled, inlined

#: Points at which the polynomials of a tile are evaluated, besides 0 and infinity: plus and minus these two.
#: With them results in float32 are more than twice as exact as with the usual 1 and 2: powers that stay near
#: 1 cancel less. All powers are exact in float32.
POINTS = (0.75, 1.5)

# As float32, since a constant of float64 would carry all arithmetic over to it.
_A, _B = (np.float32(point) for point in POINTS)
_A2, _B2, _A3, _B3 = _A * _A, _B * _B, _A * _A * _A, _B * _B * _B
_SUM, _PRODUCT = _A2 + _B2, _A2 * _B2


@inlined
def _into_basis(d0: float, d1: float, d2: float, d3: float, d4: float, d5: float) -> tuple[Any, ...]:
    """Six neighbouring values of an image in Winograd's basis."""
    even, odd = d4 - _B2 * d2, _A * (d3 - _B2 * d1)
    wide_even, wide_odd = d4 - _A2 * d2, _B * (d3 - _A2 * d1)
    return (
        _PRODUCT * d0 - _SUM * d2 + d4,
        even + odd,
        even - odd,
        wide_even + wide_odd,
        wide_even - wide_odd,
        _PRODUCT * d1 - _SUM * d3 + d5,
    )


@inlined
def _into_basis_adjoint(v0: float, v1: float, v2: float, v3: float, v4: float, v5: float) -> tuple[Any, ...]:
    plus, minus, wide_plus, wide_minus = v1 + v2, v1 - v2, v3 + v4, v3 - v4
    return (
        _PRODUCT * v0,
        _PRODUCT * v5 - _A * _B2 * minus - _B * _A2 * wide_minus,
        -_SUM * v0 - _B2 * plus - _A2 * wide_plus,
        _A * minus + _B * wide_minus - _SUM * v5,
        v0 + plus + wide_plus,
        v5,
    )


@inlined
def _from_basis(m0: float, m1: float, m2: float, m3: float, m4: float, m5: float) -> tuple[Any, ...]:
    """Four neighbouring results from their products."""
    plus, minus, wide_plus, wide_minus = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + plus + wide_plus,
        _A * minus + _B * wide_minus,
        _A2 * plus + _B2 * wide_plus,
        _A3 * minus + _B3 * wide_minus + m5,
    )


@inlined
def _from_basis_adjoint(y0: float, y1: float, y2: float, y3: float) -> tuple[Any, ...]:
    even, odd = y0 + _A2 * y2, _A * y1 + _A3 * y3
    wide_even, wide_odd = y0 + _B2 * y2, _B * y1 + _B3 * y3
    return y0, even + odd, even - odd, wide_even + wide_odd, wide_even - wide_odd, y3


@compiled
def images_into_basis(
    first: int, last: int, x: np.ndarray, step: int, height: int, width: int, out: np.ndarray
) -> None:
    """Bring the 6 x 6 values under each tile of 4 x 4 results into Winograd's basis.

    Args:
        first: the first image.
        last: the one after the last.
        x: flat pixels of N x C x height x width; outside it values are zero.
        step: from pixel to pixel of ``x``.
        height: pixels.
        width: pixels.
        out: 36 x tiles x C, what is computed; tiles go image by image, row by row.
    """
    channels = out.shape[2]
    down, across = (height + 3) // 4, (width + 3) // 4
    nothing = np.zeros(channels, x.dtype)
    half = np.empty((6, 6, channels), x.dtype)
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * 4 - 1, place % across * 4 - 1
        for row in range(6):
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
            o0, o1, o2 = half[row, 0], half[row, 1], half[row, 2]
            o3, o4, o5 = half[row, 3], half[row, 4], half[row, 5]
            for c in range(channels):
                o0[c], o1[c], o2[c], o3[c], o4[c], o5[c] = _into_basis(
                    c0[c], c1[c], c2[c], c3[c], c4[c], c5[c]
                )
        for k in range(6):
            c0, c1, c2, c3, c4, c5 = half[0, k], half[1, k], half[2, k], half[3, k], half[4, k], half[5, k]
            o0, o1, o2 = out[k, tile], out[k + 6, tile], out[k + 12, tile]
            o3, o4, o5 = out[k + 18, tile], out[k + 24, tile], out[k + 30, tile]
            for c in range(channels):
                o0[c], o1[c], o2[c], o3[c], o4[c], o5[c] = _into_basis(
                    c0[c], c1[c], c2[c], c3[c], c4[c], c5[c]
                )


@compiled
def results_from_basis(
    first: int,
    last: int,
    products: np.ndarray,
    bias: np.ndarray,
    rectify: bool,
    height: int,
    width: int,
    out: np.ndarray,
) -> None:
    """Bring products back to tiles of 4 x 4 results, add the bias, and rectify where asked.

    Args:
        first: the first image.
        last: the one after the last.
        products: 36 x tiles x C'.
        bias: C'.
        rectify: set negative results to zero.
        height: pixels.
        width: pixels.
        out: N x height x width x C', what is computed.
    """
    channels = products.shape[2]
    down, across = (height + 3) // 4, (width + 3) // 4
    half = np.empty((4, 6, channels), products.dtype)
    lost = np.empty(channels, products.dtype)  # results beyond the plane
    least = products.dtype.type(0 if rectify else -np.inf)
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * 4, place % across * 4
        for k in range(6):
            m0, m1, m2 = products[k, tile], products[k + 6, tile], products[k + 12, tile]
            m3, m4, m5 = products[k + 18, tile], products[k + 24, tile], products[k + 30, tile]
            y0, y1, y2, y3 = half[0, k], half[1, k], half[2, k], half[3, k]
            for c in range(channels):
                y0[c], y1[c], y2[c], y3[c] = _from_basis(m0[c], m1[c], m2[c], m3[c], m4[c], m5[c])
        for row in range(min(4, height - top)):
            m0, m1, m2 = half[row, 0], half[row, 1], half[row, 2]
            m3, m4, m5 = half[row, 3], half[row, 4], half[row, 5]
            y0 = out[image, top + row, left]
            y1 = out[image, top + row, left + 1] if left + 1 < width else lost
            y2 = out[image, top + row, left + 2] if left + 2 < width else lost
            y3 = out[image, top + row, left + 3] if left + 3 < width else lost
            for c in range(channels):
                r0, r1, r2, r3 = _from_basis(m0[c], m1[c], m2[c], m3[c], m4[c], m5[c])
                r0, r1, r2, r3 = r0 + bias[c], r1 + bias[c], r2 + bias[c], r3 + bias[c]
                # In this form what is not a number stays so, and a diverged training is noticed.
                y0[c] = least if r0 < least else r0
                y1[c] = least if r1 < least else r1
                y2[c] = least if r2 < least else r2
                y3[c] = least if r3 < least else r3


@compiled
def gradient_into_basis(
    first: int,
    last: int,
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
        gradient: of the results, flat pixels of N x C' x height x width.
        step: from pixel to pixel of ``gradient``.
        results: flat pixels; where a result is not positive, its gradient counts as zero. One value that is
            positive, with a step of 0, says that results were not rectified.
        results_step: from pixel to pixel of ``results``.
        height: pixels.
        width: pixels.
        out: 36 x tiles x C', what is computed.
        sums: N x C', the sum of the gradient over each image's pixels, is computed too.
    """
    channels = out.shape[2]
    down, across = (height + 3) // 4, (width + 3) // 4
    window = np.empty((4, 4, channels), out.dtype)
    nothing = out.dtype.type(0)
    half = np.empty((4, 6, channels), out.dtype)
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * 4, place % across * 4
        total = sums[image]
        if place == 0:
            total[:] = 0
        for row in range(4):
            for column in range(4):
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
            m0, m1, m2 = half[row, 0], half[row, 1], half[row, 2]
            m3, m4, m5 = half[row, 3], half[row, 4], half[row, 5]
            for c in range(channels):
                m0[c], m1[c], m2[c], m3[c], m4[c], m5[c] = _from_basis_adjoint(y0[c], y1[c], y2[c], y3[c])
        for k in range(6):
            y0, y1, y2, y3 = half[0, k], half[1, k], half[2, k], half[3, k]
            m0, m1, m2 = out[k, tile], out[k + 6, tile], out[k + 12, tile]
            m3, m4, m5 = out[k + 18, tile], out[k + 24, tile], out[k + 30, tile]
            for c in range(channels):
                m0[c], m1[c], m2[c], m3[c], m4[c], m5[c] = _from_basis_adjoint(y0[c], y1[c], y2[c], y3[c])


@compiled
def gradient_of_images(first: int, last: int, in_basis: np.ndarray, out: np.ndarray) -> None:
    """Bring the gradient back to that of the images: the adjoint of ``images_into_basis``.

    Args:
        first: the first image.
        last: the one after the last.
        in_basis: 36 x tiles x C.
        out: N x height x width x C, what is computed.
    """
    _, height, width, channels = out.shape
    down, across = (height + 3) // 4, (width + 3) // 4
    half = np.empty((6, 6, channels), out.dtype)
    row_sum = np.empty((6, channels), out.dtype)
    out[first:last] = 0
    for tile in range(first * down * across, last * down * across):
        image, place = divmod(tile, down * across)
        top, left = place // across * 4 - 1, place % across * 4 - 1
        for k in range(6):
            v0, v1, v2 = in_basis[k, tile], in_basis[k + 6, tile], in_basis[k + 12, tile]
            v3, v4, v5 = in_basis[k + 18, tile], in_basis[k + 24, tile], in_basis[k + 30, tile]
            d0, d1, d2, d3, d4, d5 = half[0, k], half[1, k], half[2, k], half[3, k], half[4, k], half[5, k]
            for c in range(channels):
                d0[c], d1[c], d2[c], d3[c], d4[c], d5[c] = _into_basis_adjoint(
                    v0[c], v1[c], v2[c], v3[c], v4[c], v5[c]
                )
        for row in range(6):
            if not 0 <= top + row < height:
                continue
            v0, v1, v2, v3, v4, v5 = (
                half[row, 0],
                half[row, 1],
                half[row, 2],
                half[row, 3],
                half[row, 4],
                half[row, 5],
            )
            d0, d1, d2, d3, d4, d5 = row_sum[0], row_sum[1], row_sum[2], row_sum[3], row_sum[4], row_sum[5]
            for c in range(channels):
                d0[c], d1[c], d2[c], d3[c], d4[c], d5[c] = _into_basis_adjoint(
                    v0[c], v1[c], v2[c], v3[c], v4[c], v5[c]
                )
            for column in range(6):
                if 0 <= left + column < width:
                    target, part = out[image, top + row, left + column], row_sum[column]
                    for c in range(channels):
                        target[c] += part[c]


@compiled
def filters_into_basis(
    first: int, last: int, filters: np.ndarray, change: np.ndarray, out: np.ndarray
) -> None:
    """Bring filters of 3 x 3 into Winograd's basis.

    Args:
        first: the first of the C' filters.
        last: the one after the last.
        filters: C' x 3 x 3 x C.
        change: 6 x 3, from three values to six.
        out: 36 x C' x C, what is computed.
    """
    channels = out.shape[2]
    half = np.empty((6, 3, channels), out.dtype)
    for number in range(first, last):
        for k in range(6):
            w0, w1, w2 = change[k, 0], change[k, 1], change[k, 2]
            for column in range(3):
                f0, f1, f2 = (
                    filters[number, 0, column],
                    filters[number, 1, column],
                    filters[number, 2, column],
                )
                target = half[k, column]
                for c in range(channels):
                    target[c] = w0 * f0[c] + w1 * f1[c] + w2 * f2[c]
        for k in range(6):
            f0, f1, f2 = half[k, 0], half[k, 1], half[k, 2]
            for j in range(6):
                w0, w1, w2 = change[j, 0], change[j, 1], change[j, 2]
                target = out[6 * k + j, number]
                for c in range(channels):
                    target[c] = w0 * f0[c] + w1 * f1[c] + w2 * f2[c]


@compiled
def gradient_of_filters(
    first: int, last: int, in_basis: np.ndarray, change: np.ndarray, out: np.ndarray
) -> None:
    """Bring the gradient back to that of the filters: the adjoint of ``filters_into_basis``.

    Args:
        first: the first of the C' filters.
        last: the one after the last.
        in_basis: 36 x C' x C.
        change: 6 x 3, from three values to six.
        out: C' x 3 x 3 x C, what is computed.
    """
    channels = in_basis.shape[2]
    half = np.empty((6, channels), out.dtype)
    out[first:last] = 0
    for number in range(first, last):
        for j in range(3):
            half[:] = 0
            for k in range(6):
                target = half[k]
                for i in range(6):
                    w, value = change[i, j], in_basis[6 * k + i, number]
                    for c in range(channels):
                        target[c] += w * value[c]
            for i in range(3):
                target = out[number, i, j]
                for k in range(6):
                    w, value = change[k, i], half[k]
                    for c in range(channels):
                        target[c] += w * value[c]
