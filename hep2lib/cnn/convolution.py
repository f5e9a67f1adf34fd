"""A convolution with its bias and its rectifier as one step, and its gradient, as fast as a CPU allows."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .winograd import convolve_3x3, gradients_3x3, tile_side

#: With AVX2, oneDNN computes a weight gradient at about half the rate of a matrix product, and matrix
#: products in Winograd's basis overtake its 3 x 3 convolutions. With AVX-512 its own weight gradient is the
#: faster one, and Winograd's way was not measured: oneDNN's methods are used there.
MATRIX_PRODUCTS = torch.backends.cpu.get_cpu_capability() == "AVX2"

#: Values of unfolded input that are multiplied at a time: 4 MB, which stays within the cache.
_CHUNK = 2**20

#: Below so many input channels a matrix product is too narrow to be the faster one.
_NARROW = 32

#: Winograd's way pays from so many channels, of input and of results, and from so many pixels, 14 x 14.
_WINOGRAD_CHANNELS = 64
_WINOGRAD_PIXELS = 196


def convolve(convolution: nn.Conv2d, x: Tensor, *, rectify: bool) -> Tensor:
    """Compute a convolution, and where asked its rectifier in the same step.

    On the CPU in float32 one oneDNN primitive does both, or, for wide layers of 3 x 3 on a processor with
    AVX2, Winograd's filtering in a few matrix products (``hep2lib.cnn.winograd``). That saves a pass over
    memory, and makes an image's values independent, to the last bit, of the other images of its batch and
    of the number of threads: PyTorch's own operator changes its method, and its rounding, with both.
    Elsewhere (GPU, autocast, export) PyTorch's own operators are used.

    Args:
        convolution: the layer; its stride and padding are the same in both directions.
        x: N x C x H x W, float.
        rectify: set negative results to zero.

    Returns:
        N x C' x H' x W', in channels-last order.
    """
    if not _fused_possible(x):
        value = convolution(x)
        return functional.relu_(value) if rectify else value
    stride, padding = convolution.stride[0], int(convolution.padding[0])
    return _Convolution.apply(x, convolution.weight, convolution.bias, stride, padding, rectify)


def by_winograd(channels: int, in_channels: int, kernel: int, stride: int, height: int, width: int) -> bool:
    """Whether ``convolve`` takes Winograd's way here, for a padded convolution of ``height`` x ``width``."""
    return (
        MATRIX_PRODUCTS
        and (kernel, stride) == (3, 1)
        and min(channels, in_channels) >= _WINOGRAD_CHANNELS
        and height * width >= _WINOGRAD_PIXELS
        and tile_side(height, width) is not None
    )


def _fused_possible(x: Tensor) -> bool:
    onednn = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return plain and onednn and not recorded


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, rectify: bool
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        if _is_by_winograd(x, weight, stride, padding):
            value = convolve_3x3(x, weight, bias, rectify=rectify)
        else:
            then = "relu" if rectify else "none"
            value = torch.ops.mkldnn._convolution_pointwise(
                x, weight, bias, [padding] * 2, [stride] * 2, [1, 1], 1, then, [], ""
            )
        ctx.stride, ctx.padding, ctx.rectify = stride, padding, rectify
        ctx.save_for_backward(x, weight, value if rectify else None)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, value = ctx.saved_tensors
        gradient = gradients[0]
        if ctx.rectify:
            gradient = torch.ops.aten.threshold_backward(gradient, value, 0)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x = of_weight = of_bias = None
        wants_x, wants_weight = ctx.needs_input_grad[:2]
        if _is_by_winograd(x, weight, ctx.stride, ctx.padding):
            of_x, of_weight = gradients_3x3(x, weight, gradient, of_x=wants_x, of_weight=wants_weight)
        else:
            if wants_x:
                of_x = _backward(x, weight, gradient, ctx.stride, ctx.padding, (True, False, False))[0]
            if wants_weight:
                of_weight = _weight_gradient(x, weight, gradient, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_x, of_weight, of_bias, None, None, None


def _is_by_winograd(x: Tensor, weight: Tensor, stride: int, padding: int) -> bool:
    channels, in_channels, kernel, _ = weight.shape
    return padding == 1 and by_winograd(channels, in_channels, kernel, stride, *x.shape[2:])


def _rows(x: Tensor) -> Tensor:
    """View N x C x H x W, channels last, as a matrix of one row per pixel."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _weight_gradient(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, padding: int) -> Tensor:
    out_channels, in_channels, kernel, _ = weight.shape
    if MATRIX_PRODUCTS and kernel == 1:
        return (_rows(gradient).t() @ _rows(x)).view(weight.shape)
    if not MATRIX_PRODUCTS or stride > 1 or in_channels < _NARROW:
        return _backward(x, weight, gradient, stride, padding, (False, True, False))[1]
    count, _, height, width = gradient.shape
    padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
    image, row, column, _ = padded.stride()
    # Every pixel's window as kernel rows of kernel x channels neighbouring values, without a copy so far.
    windows = padded.as_strided(
        (count, height, width, kernel, kernel * in_channels), (image, row, column, row, 1)
    )
    step = max(1, _CHUNK // (height * width * kernel * kernel * in_channels))
    total = x.new_zeros(out_channels, kernel * kernel * in_channels)
    for first in range(0, count, step):
        matrix = windows[first : first + step].reshape(-1, total.shape[1])
        total.addmm_(_rows(gradient[first : first + step]).t(), matrix)
    return total.view(out_channels, kernel, kernel, in_channels).permute(0, 3, 1, 2)


def _backward(
    x: Tensor, weight: Tensor, gradient: Tensor, stride: int, padding: int, which: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """PyTorch's own gradients: of the input, the weights and the bias, as far as ``which`` asks for them."""
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, list(which)
    )
