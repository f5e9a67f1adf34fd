"""Max pooling in Caffe's sizes, and a quicker way to it where no gradient is wanted."""

import torch
from torch import Tensor
from torch.nn import functional


def max_pooling(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Take the largest value of each window; sizes are rounded up, as Caffe does.

    In an inception block (windows of 3 x 3 at every place) and where no gradient is wanted, the largest of
    three is taken along the columns, then along the rows: four comparisons instead of nine, without noting
    where it was, and exactly the same values.

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
    every_place = (kernel, stride, padding) == (3, 1, 1) and min(x.shape[2:]) > 1
    if x.device.type != "cpu" or wants_gradient or recorded or not every_place:
        return functional.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
    return _largest_of_three(_largest_of_three(x, 2), 3)


def _largest_of_three(x: Tensor, axis: int) -> Tensor:
    """The largest of each value and its two neighbours along an axis; at both ends there is only one."""
    pairs = x.shape[axis] - 1
    left, right = x.narrow(axis, 0, pairs), x.narrow(axis, 1, pairs)
    result = torch.empty_like(x)
    torch.maximum(left, right, out=result.narrow(axis, 0, pairs))
    result.select(axis, pairs).copy_(x.select(axis, pairs))
    torch.maximum(result.narrow(axis, 1, pairs), left, out=result.narrow(axis, 1, pairs))
    return result
