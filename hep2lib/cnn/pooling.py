"""Max pooling in Caffe's sizes, and a quicker way to its values and gradients on the CPU."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import pooling_loops
from .loops import COMPILED, over_images, pixels


def max_pooling(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Take the largest value of each window; sizes are rounded up, as Caffe does.

    On the CPU it is not noted where the largest value was, which PyTorch does in twice the memory of the
    values: the gradient finds it again. Values and gradients are exactly PyTorch's.

    Args:
        x: N x C x H x W.
        kernel: side of the window, pixels.
        stride: pixels between two windows.
        padding: rows and columns outside the image that a window may cover.

    Returns:
        N x C x H' x W', in the memory order of ``x``.
    """
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    known = x.dtype in (torch.float32, torch.float64) and x.stride(1) == 1 and kernel <= 3
    if x.device.type != "cpu" or recorded or not (known and COMPILED):
        return functional.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
    return _Largest.apply(x, (kernel, stride, padding))


def pooled_side(side: int, kernel: int, stride: int, padding: int) -> int:
    """Side of what ``max_pooling`` yields; no window begins beyond the image and its left padding."""
    count = -(-(side + 2 * padding - kernel) // stride) + 1
    return count - 1 if (count - 1) * stride >= side + padding else count


class _Largest(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: tuple[int, int, int]) -> Tensor:
        sides = [pooled_side(side, *window) for side in x.shape[2:]]
        value = x.new_empty(len(x), *sides, x.shape[1])
        arguments = (*pixels(x), *x.shape[2:], window, value.numpy())
        over_images(pooling_loops.largest, len(x), *arguments)
        ctx.window = window
        ctx.save_for_backward(x, value)
        return value.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, value = ctx.saved_tensors
        result = x.new_empty(len(x), *x.shape[2:], x.shape[1])
        known = (*pixels(x), *x.shape[2:], ctx.window, value.numpy())
        over_images(pooling_loops.gradient_of_largest, len(x), *known, *pixels(gradients[0]), result.numpy())
        return result.permute(0, 3, 1, 2), None
