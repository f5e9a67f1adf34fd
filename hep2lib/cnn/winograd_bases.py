"""Winograd's bases for tiles of 4 x 4 and of 5 x 5 results: their points, and a change of basis in one line.

In one direction of the plane a tile of 4 results takes six values of an image, or three of a filter, to six
in the other basis, and six products back to four results; a tile of 5 has seven in place of six. Functions
here do that for one line of one channel; ``_4`` and ``_5`` in their names is the tile.
"""

from functools import cache
from typing import Any

import numpy as np

from .loops import inlined

#: For each tile the points, plus and minus, at which polynomials are evaluated. The smaller tile has 0 beside
#: them, and both have infinity. With these points results in float32 are two to three times as exact as with
#: the usual 1, 2 and their halves: powers that stay near 1 cancel less. All constants made from them are
#: exact in float32.
POINTS = {4: (np.float32(0.75), np.float32(1.5)), 5: (np.float32(0.375), np.float32(0.875), np.float32(1.75))}

# As float32, since a constant of float64 would carry all arithmetic over to it.
_A, _B = POINTS[4]
_A2, _B2, _A3, _B3 = _A * _A, _B * _B, _A * _A * _A, _B * _B * _B
_SUM, _PRODUCT = _A2 + _B2, _A2 * _B2

_P, _Q, _R = POINTS[5]
_P2, _Q2, _R2 = _P * _P, _Q * _Q, _R * _R
_P3, _Q3, _R3 = _P2 * _P, _Q2 * _Q, _R2 * _R
_P4, _Q4, _R4 = _P2 * _P2, _Q2 * _Q2, _R2 * _R2
# Sum and product of the squares of the two other points, and both times the point itself.
_SUM_P, _SUM_Q, _SUM_R = _Q2 + _R2, _P2 + _R2, _P2 + _Q2
_PRODUCT_P, _PRODUCT_Q, _PRODUCT_R = _Q2 * _R2, _P2 * _R2, _P2 * _Q2
_P_SUM, _Q_SUM, _R_SUM = _P * _SUM_P, _Q * _SUM_Q, _R * _SUM_R
_P_PRODUCT, _Q_PRODUCT, _R_PRODUCT = _P * _PRODUCT_P, _Q * _PRODUCT_Q, _R * _PRODUCT_R
# What a polynomial with all six points as its roots has before its fourth, second and zeroth power.
_FOURTH, _SECOND, _ZEROTH = _P2 + _SUM_P, _PRODUCT_P + _PRODUCT_Q + _PRODUCT_R, _P2 * _PRODUCT_P


@cache
def change_of_filters(tile: int, dtype: np.dtype | type = np.float64) -> np.ndarray:
    """From three values of a filter to those in the other basis, 6 x 3 or 7 x 3.

    A filter of three values is a polynomial of the second degree; evaluated at a point it is divided by what
    Lagrange's polynomial of that point is there, so that images need no division.
    """
    points = [0.0] * (tile == 4) + [sign * float(point) for point in POINTS[tile] for sign in (1, -1)]
    change = np.zeros((len(points) + 1, 3))
    for row, point in enumerate(points):
        change[row] = point ** np.arange(3) / np.prod([point - other for other in points if other != point])
    change[-1, 2] = 1  # infinity picks the highest coefficient
    return change.astype(dtype)


@inlined
def into_basis_4(d0: float, d1: float, d2: float, d3: float, d4: float, d5: float) -> tuple[Any, ...]:
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
def into_basis_5(
    d0: float, d1: float, d2: float, d3: float, d4: float, d5: float, d6: float
) -> tuple[Any, ...]:
    """Seven neighbouring values of an image in Winograd's basis."""
    p_even, p_odd = _P_PRODUCT * d0 - _P_SUM * d2 + _P * d4, _PRODUCT_P * d1 - _SUM_P * d3 + d5
    q_even, q_odd = _Q_PRODUCT * d0 - _Q_SUM * d2 + _Q * d4, _PRODUCT_Q * d1 - _SUM_Q * d3 + d5
    r_even, r_odd = _R_PRODUCT * d0 - _R_SUM * d2 + _R * d4, _PRODUCT_R * d1 - _SUM_R * d3 + d5
    return (
        p_odd + p_even,
        p_odd - p_even,
        q_odd + q_even,
        q_odd - q_even,
        r_odd + r_even,
        r_odd - r_even,
        d6 - _FOURTH * d4 + _SECOND * d2 - _ZEROTH * d0,
    )


@inlined
def into_basis_adjoint_4(v0: float, v1: float, v2: float, v3: float, v4: float, v5: float) -> tuple[Any, ...]:
    """From a gradient in Winograd's basis to that of six neighbouring values."""
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
def into_basis_adjoint_5(
    v0: float, v1: float, v2: float, v3: float, v4: float, v5: float, v6: float
) -> tuple[Any, ...]:
    """From a gradient in Winograd's basis to that of seven neighbouring values."""
    p_plus, p_minus, q_plus, q_minus, r_plus, r_minus = v0 + v1, v0 - v1, v2 + v3, v2 - v3, v4 + v5, v4 - v5
    return (
        _P_PRODUCT * p_minus + _Q_PRODUCT * q_minus + _R_PRODUCT * r_minus - _ZEROTH * v6,
        _PRODUCT_P * p_plus + _PRODUCT_Q * q_plus + _PRODUCT_R * r_plus,
        _SECOND * v6 - _P_SUM * p_minus - _Q_SUM * q_minus - _R_SUM * r_minus,
        -_SUM_P * p_plus - _SUM_Q * q_plus - _SUM_R * r_plus,
        _P * p_minus + _Q * q_minus + _R * r_minus - _FOURTH * v6,
        p_plus + q_plus + r_plus,
        v6,
    )


@inlined
def from_basis_4(m0: float, m1: float, m2: float, m3: float, m4: float, m5: float) -> tuple[Any, ...]:
    """Four neighbouring results from their products."""
    plus, minus, wide_plus, wide_minus = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + plus + wide_plus,
        _A * minus + _B * wide_minus,
        _A2 * plus + _B2 * wide_plus,
        _A3 * minus + _B3 * wide_minus + m5,
    )


@inlined
def from_basis_5(
    m0: float, m1: float, m2: float, m3: float, m4: float, m5: float, m6: float
) -> tuple[Any, ...]:
    """Five neighbouring results from their products."""
    p_plus, p_minus, q_plus, q_minus, r_plus, r_minus = m0 + m1, m0 - m1, m2 + m3, m2 - m3, m4 + m5, m4 - m5
    return (
        p_plus + q_plus + r_plus,
        _P * p_minus + _Q * q_minus + _R * r_minus,
        _P2 * p_plus + _Q2 * q_plus + _R2 * r_plus,
        _P3 * p_minus + _Q3 * q_minus + _R3 * r_minus,
        _P4 * p_plus + _Q4 * q_plus + _R4 * r_plus + m6,
    )


@inlined
def from_basis_adjoint_4(y0: float, y1: float, y2: float, y3: float) -> tuple[Any, ...]:
    """From the gradient of four neighbouring results to that of their products."""
    even, odd = y0 + _A2 * y2, _A * y1 + _A3 * y3
    wide_even, wide_odd = y0 + _B2 * y2, _B * y1 + _B3 * y3
    return y0, even + odd, even - odd, wide_even + wide_odd, wide_even - wide_odd, y3


@inlined
def from_basis_adjoint_5(y0: float, y1: float, y2: float, y3: float, y4: float) -> tuple[Any, ...]:
    """From the gradient of five neighbouring results to that of their products."""
    p_even, p_odd = y0 + _P2 * y2 + _P4 * y4, _P * y1 + _P3 * y3
    q_even, q_odd = y0 + _Q2 * y2 + _Q4 * y4, _Q * y1 + _Q3 * y3
    r_even, r_odd = y0 + _R2 * y2 + _R4 * y4, _R * y1 + _R3 * y3
    return (
        p_even + p_odd,
        p_even - p_odd,
        q_even + q_odd,
        q_even - q_odd,
        r_even + r_odd,
        r_even - r_odd,
        y4,
    )
