"""Max pooling in Caffe's sizes, and a quicker way to it where no gradient is wanted."""

import torch
from torch import Tensor
from torch.nn import functional


def max_pooling(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Take the largest value of each window; sizes are rounded up, as Caffe does.

    Where no gradient is wanted, a window's largest value is taken along the columns, then along the rows:
    four comparisons for a 3x3 window instead of nine, without noting where it was, and exactly the same
    values.

    Args:
        x: N x C x H x W.
        kernel: side of the window, pixels.
        stride: pixels between two windows.
        padding: rows and columns outside the image that a window may cover.

    Returns:
        N x C x H' x W', in the memory order of ``x``.
    """
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    wants_gradient = torch.is_grad_enabled() and x.requires_grad
    # Every window's own place lies in the image: those at the border are cut off on one side only.
    simple = min(x.shape[2:]) >= kernel and (padding == 0 or (stride == 1 and 2 * padding < kernel))
    if x.device.type != "cpu" or wants_gradient or recorded or not simple:
        return functional.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
    for axis in (2, 3):
        x = _largest_along(x, axis, kernel, stride, padding)
    return x


def _largest_along(x: Tensor, axis: int, kernel: int, stride: int, padding: int) -> Tensor:
    """The largest of each window of ``kernel`` values along one axis."""
    size = x.shape[axis]
    count = -(-(size + 2 * padding - kernel) // stride) + 1
    result = _every(x, axis, 0, count, stride).clone()
    for shift in range(-padding, kernel - padding):
        # Windows first to last have a value at this shift from their own place; at a border some have none.
        first = max(0, -(shift // stride))
        last = min(count - 1, (size - 1 - shift) // stride)
        if shift:
            part = result.narrow(axis, first, last - first + 1)
            value = _every(x, axis, first * stride + shift, last - first + 1, stride)
            torch.maximum(part, value, out=part)
    return result


def _every(x: Tensor, axis: int, start: int, count: int, stride: int) -> Tensor:
    """``count`` values along an axis, from ``start`` in steps of ``stride``."""
    return x[(slice(None),) * axis + (slice(start, start + (count - 1) * stride + 1, stride),)]
