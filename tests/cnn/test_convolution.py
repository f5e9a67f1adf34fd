import pytest
import torch
from torch import nn
from torch.nn import functional

from hep2lib.cnn import convolution
from hep2lib.cnn.convolution import convolve

from .processor import needs_bf16

#: In and out channels, side of the window, stride, size of the input: every branch of the gradient.
CASES = [(3, 8, 7, 2, 32), (48, 16, 1, 1, 9), (40, 24, 3, 1, 10), (16, 24, 5, 1, 7), (33, 8, 5, 1, 12)]
CASES += [(64, 72, 3, 1, 16), (80, 64, 3, 1, 14)]  # by Winograd's filtering
CASES += [(48, 16, 1, 1, 1)]  # one pixel


def layer(case) -> tuple[nn.Conv2d, torch.Tensor]:
    in_channels, out_channels, kernel, stride, size = case
    module = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2)
    module.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) / in_channels**0.5)
    return module, torch.randn(3, in_channels, size, size, generator=generator)


def in_double_precision(module: nn.Conv2d, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The convolution by PyTorch's own operator, and the input, weight and bias that it was computed from."""
    leaves = [tensor.detach().double().requires_grad_() for tensor in (x, *module.parameters())]
    return functional.conv2d(*leaves, module.stride, module.padding), leaves


def compared(
    module: nn.Conv2d, x: torch.Tensor, ours: torch.Tensor, exact: list[torch.Tensor], expected: torch.Tensor
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Value and gradients, each beside what it has to be."""
    found = [ours, *(tensor.grad for tensor in (x, *module.parameters()))]
    return list(zip(found, [expected, *(tensor.grad for tensor in exact)], strict=True))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("products", [True, False])
def test_values_and_gradients_are_those_of_double_precision(case, rectify, products, monkeypatch):
    monkeypatch.setattr(convolution, "MATRIX_PRODUCTS", products)
    monkeypatch.setattr(convolution, "_CHUNK", 2 * case[0] * case[2] ** 2 * case[4] ** 2)
    module, x = layer(case)
    x.requires_grad_()
    expected, exact = in_double_precision(module, x)
    expected = expected.relu() if rectify else expected
    ours = convolve(module, x, rectify=rectify)
    upstream = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    ours.backward(upstream)
    expected.backward(upstream.double())
    for value, other in compared(module, x, ours, exact, expected):
        assert torch.allclose(value.double(), other, rtol=1e-4, atol=1e-4 * other.abs().max().item())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("onednn", [True, False])
def test_in_bf16_values_and_gradients_are_near_those_of_double_precision(case, rectify, onednn, monkeypatch):
    if not onednn:
        monkeypatch.setattr(convolution, "_onednn_has_bf16", lambda: False)
    module, x = layer(case)
    x.requires_grad_()
    expected, exact = in_double_precision(module, x)
    with torch.autocast("cpu", torch.bfloat16):
        ours = convolve(module, x, rectify=rectify)
    assert ours.dtype == torch.bfloat16
    # Values near zero pass a rectifier after rounding or do not: the gradient is that of what was computed.
    passed = (ours > 0).double() if rectify else torch.ones_like(expected)
    upstream = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    ours.backward(upstream)
    expected.backward(upstream.double() * passed)
    expected = expected.relu() if rectify else expected
    for value, other in compared(module, x, ours, exact, expected):
        assert (value.double() - other).abs().max() < 0.02 * other.abs().max()
    assert {tensor.grad.dtype for tensor in (x, *module.parameters())} == {torch.float32}


def test_only_the_gradients_that_are_asked_for_are_computed(monkeypatch):
    module, x = layer(CASES[1])
    module.weight.requires_grad_(False)

    def refuse(*_):
        raise AssertionError("not asked for")

    monkeypatch.setattr(convolution, "_weight_gradient", refuse)
    monkeypatch.setattr(convolution, "_backward", refuse)
    convolve(module, x, rectify=True).sum().backward()
    assert module.weight.grad is None
    assert module.bias.grad is not None


@pytest.mark.parametrize("case", [*CASES, (512, 24, 1, 1, 14)])
@pytest.mark.parametrize("half", [False, pytest.param(True, marks=needs_bf16)])
def test_an_image_is_computed_alike_in_every_batch(case, half):
    module, x = layer(case)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        together = convolve(module, x, rectify=True)
        for count in (1, 2):
            assert torch.equal(convolve(module, x[:count], rectify=True), together[:count])


def test_with_and_without_the_rectifier_agree_to_the_last_bit():
    module, x = layer(CASES[2])
    with torch.no_grad():
        assert torch.equal(convolve(module, x, rectify=False).relu(), convolve(module, x, rectify=True))


def test_other_types_take_pytorchs_operators():
    module, x = layer(CASES[2])
    with torch.no_grad():
        double = convolve(module.double(), x.double(), rectify=True)
        module.float()
        with torch.autocast("cpu", torch.bfloat16):
            half = convolve(module, x, rectify=True)
        single = convolve(module, x, rectify=True)
    assert (double.dtype, half.dtype, single.dtype) == (torch.float64, torch.bfloat16, torch.float32)
    assert torch.allclose(double.float(), single, atol=1e-5 * float(double.max()))
    assert torch.allclose(half.float(), single, atol=0.1)


def test_without_a_bias_there_is_none_to_have_a_gradient():
    module = nn.Conv2d(48, 16, 1, bias=False)
    convolve(module, layer(CASES[1])[1], rectify=True).sum().backward()
    assert module.weight.grad is not None


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_gradient_of_a_rectifier_is_pytorchs_and_its_sum_is_the_biases(compiled, dtype, monkeypatch):
    monkeypatch.setattr(convolution, "COMPILED", compiled and convolution.COMPILED)
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(3, 11, 5, 4, generator=generator).to(dtype, memory_format=torch.channels_last)
    value = torch.randn(3, 6, 5, 4, generator=generator).to(dtype).relu()
    room = torch.full_like(whole, torch.nan)
    sums = convolution.rectified_gradient(whole[:, 2:8], value, room[:, 1:7])
    expected = torch.ops.aten.threshold_backward(whole[:, 2:8], value, 0)
    assert torch.equal(room[:, 1:7], expected)
    assert room[:, [0, 7, 8, 9, 10]].isnan().all()
    exact = torch.float32 if dtype == torch.bfloat16 else dtype
    torch.testing.assert_close(sums, expected.sum((0, 2, 3), dtype=exact))
