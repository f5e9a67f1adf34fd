"""Winograd's change of basis for filters of 3 x 3 as compiled loops, and its adjoint.

``change``, 6 x 3 or 7 x 3, takes three values of a filter in a line to those in the basis; ``points``, those
of the basis, tell which of the two it is (``hep2lib.cnn.winograd_loops``). A few filters are computed at a
time, value by value: long runs of memory, as far as the nearest cache reaches.
"""

import numpy as np

from .loops import compiled

#: Values of each of the nine taps that are computed at a time, about.
_BLOCK = 512


@compiled
def filters_into_basis(
    first: int, last: int, filters: np.ndarray, change: np.ndarray, out: np.ndarray
) -> None:
    """Bring filters of 3 x 3 into Winograd's basis.

    Args:
        first: the first of the C' filters.
        last: the one after the last.
        filters: C' x 9 x C.
        change: from three values to those in the basis.
        out: places x (C' C), what is computed.
    """
    channels, side = filters.shape[2], len(change)
    together = max(1, _BLOCK // channels)
    taps = np.empty((9, together * channels), out.dtype)
    half = np.empty((side, 3, together * channels), out.dtype)
    for number in range(first, last, together):
        end = min(number + together, last)
        low, high = number * channels, end * channels
        for place in range(number, end):
            for tap in range(9):
                source, start = filters[place, tap], (place - number) * channels
                target = taps[tap, start : start + channels]
                for c in range(channels):
                    target[c] = source[c]
        for k in range(side):
            w0, w1, w2 = change[k, 0], change[k, 1], change[k, 2]
            for column in range(3):
                f0, f1, f2, target = taps[column], taps[column + 3], taps[column + 6], half[k, column]
                for c in range(high - low):
                    target[c] = w0 * f0[c] + w1 * f1[c] + w2 * f2[c]
        for k in range(side):
            f0, f1, f2 = half[k, 0], half[k, 1], half[k, 2]
            for j in range(side):
                w0, w1, w2 = change[j, 0], change[j, 1], change[j, 2]
                target = out[side * k + j, low:high]
                for c in range(high - low):
                    target[c] = w0 * f0[c] + w1 * f1[c] + w2 * f2[c]


@compiled
def gradient_of_filters(
    first: int, last: int, points: tuple, in_basis: np.ndarray, change: np.ndarray, out: np.ndarray
) -> None:
    """Bring the gradient back to that of the filters: the adjoint of ``filters_into_basis``.

    Args:
        first: the first of the C' filters.
        last: the one after the last.
        points: of the basis.
        in_basis: places x (C' C).
        change: from three values to those in the basis.
        out: C' x 9 x C, what is computed.
    """
    channels = out.shape[2]
    four = len(points) == 2
    side = 6 if four else 7
    final = side - 1
    together = max(1, _BLOCK // channels)
    half = np.empty((3, side, together * channels), out.dtype)
    total = np.empty(together * channels, out.dtype)
    for number in range(first, last, together):
        end = min(number + together, last)
        low, high = number * channels, end * channels
        for k in range(side):
            row = side * k
            v0, v1, v2 = in_basis[row, low:high], in_basis[row + 1, low:high], in_basis[row + 2, low:high]
            v3, v4 = in_basis[row + 3, low:high], in_basis[row + 4, low:high]
            v5, v6 = in_basis[row + 5, low:high], in_basis[row + final, low:high]
            for tap in range(3):
                w0, w1, w2, w3 = change[0, tap], change[1, tap], change[2, tap], change[3, tap]
                w4, w5, w6 = change[4, tap], change[5, tap], change[final, tap]
                target = half[tap, k]
                for c in range(high - low):
                    value = w0 * v0[c] + w1 * v1[c] + w2 * v2[c] + w3 * v3[c] + w4 * v4[c] + w5 * v5[c]
                    target[c] = value if four else value + w6 * v6[c]
        for column in range(3):
            v0, v1, v2, v3 = half[column, 0], half[column, 1], half[column, 2], half[column, 3]
            v4, v5, v6 = half[column, 4], half[column, 5], half[column, final]
            for tap in range(3):
                w0, w1, w2, w3 = change[0, tap], change[1, tap], change[2, tap], change[3, tap]
                w4, w5, w6 = change[4, tap], change[5, tap], change[final, tap]
                for c in range(high - low):
                    value = w0 * v0[c] + w1 * v1[c] + w2 * v2[c] + w3 * v3[c] + w4 * v4[c] + w5 * v5[c]
                    total[c] = value if four else value + w6 * v6[c]
                for place in range(number, end):
                    source = total[(place - number) * channels : (place - number + 1) * channels]
                    target = out[place, 3 * tap + column]
                    for c in range(channels):
                        target[c] = source[c]
