"""Loops over pixels that no library has, compiled by Numba where it is installed, and shared among threads.

A loop computes the images from ``first`` up to ``last`` of its arrays, so that threads can share a batch, and
an image's values do not depend on how they do. Arrays of pixels are flat: the values of one pixel lie side by
side, and ``step`` values lie between one pixel and the next, which may belong to other channels.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .halves import array

#: Values above which a second thread saves more than it costs: they take a third of a millisecond.
_MUCH = 2**20

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiler() -> Any:
    """Numba's decorator; None where it is not installed: a machine that has a GPU may do without."""
    try:
        from numba import njit
    except ImportError:
        return None
    return njit


_NJIT = _compiler()

#: Whether loops are compiled; Python itself would take minutes for one.
COMPILED = _NJIT is not None


def compiled(function: _Function) -> _Function:
    """Compile a loop when it is first called, and keep the result beside its module where possible."""
    if _NJIT is None:
        return function
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return _NJIT(cache=True, **options)(function)
    except RuntimeError:  # no folder that it could write to
        return _NJIT(**options)(function)


def inlined(function: _Function) -> _Function:
    """Make a function part of the loops that call it."""
    return function if _NJIT is None else _NJIT(inline="always", fastmath={"contract"})(function)


def over_images(loop: Callable[..., None], count: int, *arguments: Any) -> None:
    """Run a loop over ``count`` images, on as many threads as PyTorch has now if there is much to do."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1 or max(a.size for a in arguments if isinstance(a, np.ndarray)) < _MUCH:
        loop(0, count, *arguments)
        return
    limits = [count * number // threads for number in range(threads + 1)]
    parts = [_threads(threads).submit(loop, *limit, *arguments) for limit in pairwise(limits)]
    for part in parts:
        part.result()


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count)


def pixels(x: Tensor) -> tuple[np.ndarray, int]:
    """View N x C x H x W as flat pixels, with their step; copied only where channels are not innermost.

    Pixels of bfloat16 are int16 (``hep2lib.cnn.halves``).
    """
    x = x.detach()
    _, channels, height, width = x.shape
    image, channel, row, step = x.stride()
    if (channel, row, image) != (1, width * step, height * row):
        x, step = x.contiguous(memory_format=torch.channels_last), channels
    count = x.numel() // channels
    return array(x.as_strided(((count - 1) * step + channels,), (1,))), step
