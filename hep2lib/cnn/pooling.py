"""Max pooling in Caffe's sizes, and a quicker way to the 3x3 windows of the inception blocks."""

import torch
from torch import Tensor
from torch.nn import functional


def max_pooling(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Take the largest value of each window; sizes are rounded up, as Caffe does.

    Where no gradient is wanted, a 3x3 window at every pixel is the largest of three rows of the largest of
    three columns: four comparisons instead of nine, and the same values exactly.

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
    if (kernel, stride, padding) != (3, 1, 1) or x.device.type != "cpu" or wants_gradient or recorded:
        return functional.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
    return _largest_of_three(_largest_of_three(x, 3), 2)


def _largest_of_three(x: Tensor, axis: int) -> Tensor:
    """The largest of each value and its two neighbours along an axis."""
    result = x.clone()
    inner = x.shape[axis] - 1
    for to, start in ((1, 0), (0, 1)):
        part = result.narrow(axis, to, inner)
        torch.maximum(part, x.narrow(axis, start, inner), out=part)
    return result
