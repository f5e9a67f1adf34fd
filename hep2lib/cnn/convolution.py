"""A convolution with its bias and its rectifier as one step, and its gradient, as fast as a CPU allows."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .loops import COMPILED, over_images, pixels
from .rectifier_loops import gradient_of_rectified
from .winograd import InBasis, convolve_3x3, gradients_3x3

#: Matrix products in Winograd's basis overtake oneDNN's 3 x 3 convolutions in float32, 1.2 to 2.5 times where
#: planes are larger than 7 x 7. A matrix product is also twice as fast as oneDNN's weight gradient with AVX2,
#: and as fast with AVX-512. Both were measured on these two; other processors get oneDNN's methods.
MATRIX_PRODUCTS = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")

#: Values of unfolded input that are multiplied at a time: 4 MB, which stays within the cache.
_CHUNK = 2**20

#: Below so many input channels a matrix product is too narrow to be the faster one.
_NARROW = 32

#: Winograd's way pays from so many channels, of input and of results, and from so many pixels, 7 x 7.
_WINOGRAD_CHANNELS = 16
_WINOGRAD_PIXELS = 49


def convolve(convolution: nn.Conv2d, x: Tensor, *, rectify: bool) -> Tensor:
    """Compute a convolution, and where asked its rectifier in the same step.

    On the CPU, in float32 or under autocast to bfloat16, one oneDNN primitive does both. In float32, on a
    processor with AVX2 or AVX-512, 3 x 3 is computed by Winograd's filtering in a few matrix products
    (``hep2lib.cnn.winograd``). That saves a pass over memory, and makes an image's values independent, to the
    last bit, of the other images of its batch and of the number of threads: PyTorch's own operator changes
    its method, and its rounding, with both. Elsewhere (GPU, float64, export) PyTorch's operators are used.

    Args:
        convolution: the layer; its stride and padding are the same in both directions.
        x: N x C x H x W, float.
        rectify: set negative results to zero.

    Returns:
        N x C' x H' x W', in channels-last order.
    """
    ready = fused_input(x)
    if ready is None:
        value = convolution(x)
        return functional.relu_(value) if rectify else value
    x = ready
    stride, padding = convolution.stride[0], int(convolution.padding[0])
    weight, bias = convolution.weight, convolution.bias
    channels, in_channels, kernel, _ = weight.shape
    single = x.dtype == torch.float32
    if single and padding == 1 and by_winograd(channels, in_channels, kernel, stride, *x.shape[2:]):
        return _ByWinograd.apply(x, weight, bias, rectify)
    return _Convolution.apply(x, weight, bias, stride, padding, rectify)


def by_winograd(channels: int, in_channels: int, kernel: int, stride: int, height: int, width: int) -> bool:
    """Whether ``convolve`` takes Winograd's way for padded float32 values of ``height`` x ``width``."""
    return (
        MATRIX_PRODUCTS
        and COMPILED
        and (kernel, stride) == (3, 1)
        and min(channels, in_channels) >= _WINOGRAD_CHANNELS
        and height * width >= _WINOGRAD_PIXELS
    )


def fused_input(x: Tensor) -> Tensor | None:
    """Bring ``x`` to the type in which oneDNN computes a convolution and its rectifier as one step.

    Returns:
        float32, or bfloat16 under autocast to it; None where it cannot be one step.
    """
    onednn = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    if x.device.type != "cpu" or not onednn or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return None
    if not torch.is_autocast_enabled("cpu"):
        return x if x.dtype == torch.float32 else None
    half = torch.get_autocast_dtype("cpu") == torch.bfloat16 and _onednn_has_bf16()
    return x.to(torch.bfloat16) if half and x.dtype in (torch.float32, torch.bfloat16) else None


@cache
def _onednn_has_bf16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, rectify: bool
    ) -> Tensor:
        x, weight = x.contiguous(memory_format=torch.channels_last), weight.to(x.dtype)
        then = "relu" if rectify else "none"
        value = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, [padding] * 2, [stride] * 2, [1, 1], 1, then, [], ""
        )
        ctx.stride, ctx.padding = stride, padding
        ctx.save_for_backward(x, weight, value if rectify else None)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *of_results: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, value = ctx.saved_tensors
        if value is None:
            gradient = of_results[0].contiguous(memory_format=torch.channels_last)
            sums = gradient.sum((0, 2, 3), dtype=torch.float32)
        else:
            gradient = torch.empty_like(value, memory_format=torch.channels_last)
            sums = rectified_gradient(of_results[0], value, gradient)
        of = gradients(x, weight, gradient, ctx.stride, ctx.padding, ctx.needs_input_grad[:2])
        return *of, sums if ctx.needs_input_grad[2] else None, None, None, None


class _ByWinograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, rectify: bool) -> Tensor:
        value, known = convolve_3x3(x, weight, bias, rectify=rectify, keep=ctx.needs_input_grad[1])
        ctx.save_for_backward(value if rectify else None, known.filters, *known.images)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *of_results: Tensor) -> tuple[Tensor | None, ...]:
        value, filters, *images = ctx.saved_tensors
        of = gradients_3x3(InBasis(images, filters), of_results[0], value, wanted=ctx.needs_input_grad[:3])
        return of.x, of.weight, of.bias, None


def point_by_point(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A rectified convolution of 1 x 1, channels last, where it is possible in one step."""
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, [0, 0], [1, 1], [1, 1], 1, "relu", [], "")


def rectified_gradient(gradient: Tensor, value: Tensor, out: Tensor) -> Tensor:
    """Write into ``out`` what a rectifier passes on of a gradient; returns its sum over images and pixels, C.

    The sum of bfloat16 values is float32.

    Args:
        gradient: of the results, N x C x H x W.
        value: the results, N x C x H x W.
        out: N x C x H x W, channels last; it may be some channels of a larger tensor.
    """
    if not COMPILED:
        torch.ops.aten.threshold_backward.grad_input(gradient, value, 0, grad_input=out)
        return out.sum((0, 2, 3), dtype=_summed(value.dtype))
    count, channels, height, width = value.shape
    sums = value.new_empty(count, channels, dtype=_summed(value.dtype))
    arrays = (*pixels(gradient), *pixels(value), *pixels(out), sums.numpy())
    over_images(gradient_of_rectified, count, height * width, *arrays)
    return sums.sum(0)


def _summed(dtype: torch.dtype) -> torch.dtype:
    """The type in which values are summed up: a bfloat16 has too few digits for that."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


def gradients(
    x: Tensor, weight: Tensor, gradient: Tensor, stride: int, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of input and weights, as far as they are wanted, from that of the results.

    All tensors are channels last and of one type. If that is bfloat16, the gradient of the weights is float32
    nevertheless, as the weights themselves are, of which ``weight`` is then a rounded copy.
    """
    of_x = _backward(x, weight, gradient, stride, padding, (True, False, False))[0] if wanted[0] else None
    if not wanted[1]:
        return of_x, None
    of_weight = _weight_gradient(x, weight, gradient, stride, padding)
    return of_x, of_weight.to(_summed(of_weight.dtype))


def _rows(x: Tensor) -> Tensor:
    """View N x C x H x W, channels last, as a matrix of one row per pixel."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _weight_gradient(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, padding: int) -> Tensor:
    out_channels, in_channels, kernel, _ = weight.shape
    if MATRIX_PRODUCTS and kernel == 1:
        return (_rows(gradient).t() @ _rows(x)).view(weight.shape)
    half = x.dtype == torch.bfloat16  # of which the sums below would lose digits from chunk to chunk
    if not MATRIX_PRODUCTS or stride > 1 or in_channels < _NARROW or half:
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
