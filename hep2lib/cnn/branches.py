"""The first layers of an inception block's branches, which share their input, as one step."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from . import pooling
from .convolution import convolve, fused_input, gradients, point_by_point, rectified_gradient


def first_layers(
    convolutions: Sequence[nn.Conv2d], x: Tensor, window: tuple[int, int, int] | None = None
) -> list[Tensor]:
    """Compute rectified convolutions of 1 x 1, and a max pooling, of the same input.

    Where that saves time the convolutions are computed as one, and the pooling's gradient is added to theirs
    in place.

    Args:
        convolutions: the layers, without padding, stride 1.
        x: N x C x H x W, float.
        window: the pooling's side, stride and padding; None where there is none.

    Returns:
        A value for each convolution, N x C' x H x W, and last the pooling's, N x C x H' x W'.
    """
    ready = fused_input(x)
    if ready is None:
        values = [convolve(convolution, x, rectify=True) for convolution in convolutions]
        return values if window is None else [*values, pooling.max_pooling(x, *window)]
    x = ready
    weight = torch.cat([convolution.weight for convolution in convolutions])
    bias = torch.cat([cast(Tensor, convolution.bias) for convolution in convolutions])
    sizes = [len(convolution.weight) for convolution in convolutions]
    if window is None or pooling.by_loops(x, window[0]):
        return list(_FirstLayers.apply(x, weight, bias, sizes, window))
    return [*_FirstLayers.apply(x, weight, bias, sizes, None), pooling.max_pooling(x, *window)]


class _FirstLayers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        sizes: list[int],
        window: tuple[int, int, int] | None,
    ) -> tuple[Tensor, ...]:
        x, weight = x.contiguous(memory_format=torch.channels_last), weight.to(x.dtype)
        value = point_by_point(x, weight, bias)
        pooled = None if window is None else pooling.largest(x, window)
        ctx.sizes, ctx.window = sizes, window
        ctx.save_for_backward(x, weight, value, pooled)
        if pooled is not None and not ctx.needs_input_grad[0]:
            ctx.mark_non_differentiable(pooled)  # or the layer behind it would compute a gradient for nothing
        parts = value.split(sizes, 1)
        return parts if pooled is None else (*parts, pooled)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *of_results: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, value, pooled = ctx.saved_tensors
        gradient, sums = torch.empty_like(value, memory_format=torch.channels_last), []
        places, values = gradient.split(ctx.sizes, 1), value.split(ctx.sizes, 1)
        for of_result, part, place in zip(of_results, values, places, strict=False):
            sums.append(rectified_gradient(of_result, part, place))
        of_x, of_weight = gradients(x, weight, gradient, 1, 0, ctx.needs_input_grad[:2])
        if of_x is not None and pooled is not None:
            of_x = of_x.contiguous(memory_format=torch.channels_last)
            pooling.gradient_of_largest(x, pooled, of_results[-1], ctx.window, of_x)
        return of_x, of_weight, torch.cat(sums), None, None
