"""Max pooling in Caffe's sizes, and a quicker way to its values and gradients on the CPU."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import pooling_loops
from .halves import array
from .loops import COMPILED, over_images, pixels

_TYPES = (torch.float32, torch.float64, torch.bfloat16)


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
    if not by_loops(x, kernel):
        return functional.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
    return _Largest.apply(x, (kernel, stride, padding))


def by_loops(x: Tensor, kernel: int) -> bool:
    """Whether ``max_pooling`` takes its own way here; N x C x H x W, windows of side ``kernel``."""
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    known = x.dtype in _TYPES and x.stride(1) == 1 and kernel <= 3
    return x.device.type == "cpu" and not recorded and known and COMPILED


def largest(x: Tensor, window: tuple[int, int, int]) -> Tensor:
    """The largest value of each window (side, stride, padding): N x C x H' x W', channels last."""
    sides = [pooled_side(side, *window) for side in x.shape[2:]]
    value = x.new_empty(len(x), *sides, x.shape[1])
    over_images(pooling_loops.largest, len(x), *pixels(x), *x.shape[2:], window, array(value))
    return value.permute(0, 3, 1, 2)


def gradient_of_largest(
    x: Tensor, value: Tensor, gradient: Tensor, window: tuple[int, int, int], to: Tensor | None = None
) -> Tensor:
    """Gradient of ``largest``: N x C x H x W, channels last.

    Args:
        x: what was pooled, N x C x H x W.
        value: what ``largest`` returned.
        gradient: of that.
        window: side, stride, padding.
        to: the input's gradient so far, contiguous with channels last, to which this one is added in place.
    """
    out = torch.empty_like(x, memory_format=torch.channels_last) if to is None else to
    results, target = (array(tensor.permute(0, 2, 3, 1)) for tensor in (value, out))
    arrays = (*x.shape[2:], window, results, *pixels(gradient), to is not None, target)
    over_images(pooling_loops.gradient_of_largest, len(x), *pixels(x), *arrays)
    return out


def pooled_side(side: int, kernel: int, stride: int, padding: int) -> int:
    """Side of what ``max_pooling`` yields; no window begins beyond the image and its left padding."""
    count = -(-(side + 2 * padding - kernel) // stride) + 1
    return count - 1 if (count - 1) * stride >= side + padding else count


class _Largest(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: tuple[int, int, int]) -> Tensor:
        value = largest(x, window)
        ctx.window = window
        ctx.save_for_backward(x, value)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, value = ctx.saved_tensors
        return gradient_of_largest(x, value, gradients[0], ctx.window), None
