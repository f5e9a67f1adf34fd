"""bfloat16 in compiled loops: NumPy has no such type, so its 16 bits travel as those of an integer.

Loops that read values by ``number`` and write them by ``stored`` are compiled for float32, float64 and
bfloat16 from one source; for the first two both functions do nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def array(x: Tensor) -> np.ndarray:
    """View a tensor as a NumPy array, one of bfloat16 as int16."""
    x = x.detach()
    return (x.view(torch.int16) if x.dtype == torch.bfloat16 else x).numpy()


def number(value: Any) -> Any:
    """The number that a value of such an array stands for: a float32 for the bits of a bfloat16."""
    return _number_of_bits(value) if isinstance(value, np.integer) else _number_itself(value)


def stored(number: Any, like: Any) -> Any:
    """A number as an array of values such as ``like`` keeps it: to the nearest bfloat16, ties to even.

    What is not a number stays so if it came from bfloat16 values, whose lower 16 bits are zero.
    """
    return _rounded_bits(number, like) if isinstance(like, np.integer) else _stored_itself(number, like)


def _number_of_bits(value: Any) -> Any:
    return np.int32(np.int32(value) << 16).view(np.float32)


def _number_itself(value: Any) -> Any:
    return value


def _rounded_bits(number: Any, like: Any) -> Any:
    bits = np.float32(number).view(np.int32)
    even = np.int32(bits >> 16) & np.int32(1)
    return np.int16(np.int32(bits + np.int32(0x7FFF) + even) >> 16)


def _stored_itself(number: Any, like: Any) -> Any:
    return number


def _teach_numba() -> None:
    """Let Numba choose between the two ways by an argument's type, when it compiles a loop."""
    try:
        from numba import types
        from numba.extending import overload
    except ImportError:  # loops are not compiled then, and nobody runs them
        return

    def number_by_type(value: Any) -> Callable[..., Any]:
        return _number_of_bits if isinstance(value, types.Integer) else _number_itself

    def stored_by_type(number: Any, like: Any) -> Callable[..., Any]:
        return _rounded_bits if isinstance(like, types.Integer) else _stored_itself

    overload(number, inline="always", strict=False)(number_by_type)
    overload(stored, inline="always", strict=False)(stored_by_type)


_teach_numba()
